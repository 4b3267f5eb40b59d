"""QIDO-RS and WADO-RS over the store: what is found, and in which form it is given."""

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from imaging.quiet import quiet_pydicom
from tests.dicom_gateway.dicomweb_site import PLANES, Site, bits, encoded, instance_path, new_series, running_site, tag
from tests.reports.making import set_raw
from tests.synthetic.series import SeriesDescription, series_datasets


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({}, 2),
        ({"PatientName": "张*"}, 1),
        ({"PatientName": "zhang^san"}, 1),
        ({"PatientName": "*四"}, 1),
        ({"PatientName": "Zhang"}, 0),
        ({"PatientName": "%"}, 0),  # no wildcard of DICOM
        ({"00100010": "?i^Si"}, 1),
        ({"ModalitiesInStudy": "CT"}, 2),
        ({"ModalitiesInStudy": "OT"}, 1),
        ({"ModalitiesInStudy": "MR"}, 0),
        ({"StudyDate": "19000101-"}, 2),
        ({"StudyDate": "-19000101"}, 0),
        ({"StudyTime": "000000-235959"}, 2),
        ({"PatientID": ""}, 2),
    ],
)
def test_studies_are_found_by_name_date_and_modality(site: Site, filters: dict[str, str], count: int) -> None:
    assert len(site.client.search_for_studies(search_filters=filters)) == count


def test_a_study_is_answered_with_its_counts_and_its_chinese_name(site: Site) -> None:
    [study] = site.client.search_for_studies(search_filters={"PatientName": "张^三"})

    assert study[tag("PatientName")]["Value"] == [{"Alphabetic": "Zhang^San", "Ideographic": "张^三"}]
    assert study[tag("StudyInstanceUID")]["Value"] == [site.plain[0].StudyInstanceUID]
    assert study[tag("NumberOfStudyRelatedSeries")]["Value"] == [2]
    assert study[tag("NumberOfStudyRelatedInstances")]["Value"] == [PLANES + 1]
    assert study[tag("ModalitiesInStudy")]["Value"] == ["CT", "OT"]
    assert study[tag("RetrieveURL")]["Value"] == [f"{site.dicomweb}/studies/{site.plain[0].StudyInstanceUID}"]


def test_a_list_of_study_uids_finds_each_of_them(site: Site) -> None:
    uids = [site.plain[0].StudyInstanceUID, site.compressed[0].StudyInstanceUID]

    found = site.get("/studies", StudyInstanceUID=",".join(uids)).json()

    assert {s[tag("StudyInstanceUID")]["Value"][0] for s in found} == set(uids)


def test_series_and_instances_are_found_below_their_study_and_across_all(site: Site) -> None:
    first = site.plain[0]
    client = site.client

    series = client.search_for_series(first.StudyInstanceUID, search_filters={"Modality": "CT"})
    instances = client.search_for_instances(first.StudyInstanceUID, first.SeriesInstanceUID)
    everywhere = client.search_for_series(search_filters={"SeriesInstanceUID": first.SeriesInstanceUID})

    assert series[0][tag("NumberOfSeriesRelatedInstances")]["Value"] == [PLANES]
    assert {i[tag("SOPInstanceUID")]["Value"][0] for i in instances} == {d.SOPInstanceUID for d in site.plain}
    assert instances[0][tag("Rows")]["Value"] == [first.Rows]
    assert everywhere[0][tag("StudyInstanceUID")]["Value"] == [first.StudyInstanceUID]


def test_fields_of_the_study_are_included_where_they_are_asked_for(site: Site) -> None:
    uid = site.plain[0].StudyInstanceUID

    bare = site.client.search_for_series(uid)[0]
    named = site.client.search_for_series(uid, fields=["PatientName", "StudyDate"])[0]
    everything = site.get(f"/studies/{uid}/series", includefield="all").json()[0]

    assert tag("PatientName") not in bare
    assert {tag("PatientName"), tag("StudyDate")} <= set(named)
    assert {tag("PatientID"), tag("ModalitiesInStudy")} <= set(everything)


def test_limit_and_offset_walk_through_all_results_once(site: Site) -> None:
    uid = site.plain[0].StudyInstanceUID
    pages = [site.client.search_for_instances(uid, limit=2, offset=n) for n in range(0, PLANES + 1, 2)]

    uids = [i[tag("SOPInstanceUID")]["Value"][0] for page in pages for i in page]

    assert len(uids) == len(set(uids)) == PLANES + 1


def test_fuzzy_matching_is_declined_in_words(site: Site) -> None:
    answer = site.get("/studies", fuzzymatching="true", PatientName="zhang^san")

    assert len(answer.json()) == 1
    assert answer.headers["Warning"].startswith('299 radgate "The fuzzymatching parameter is not supported.')


def test_metadata_hold_the_header_and_the_address_of_the_pixels(site: Site) -> None:
    first = site.plain[0]

    metadata = site.client.retrieve_series_metadata(first.StudyInstanceUID, first.SeriesInstanceUID)
    datasets = [Dataset.from_json(m, bulk_data_uri_handler=lambda *_: b"") for m in metadata]

    assert len(datasets) == PLANES
    by_uid = {d.SOPInstanceUID: d for d in datasets}
    for original in site.plain:
        read = by_uid[original.SOPInstanceUID]
        assert read.PatientName == original.PatientName
        assert read.ImagePositionPatient == original.ImagePositionPatient
        assert read.PixelSpacing == original.PixelSpacing
    uri = metadata[0][tag("PixelData")]["BulkDataURI"]
    assert uri.startswith(site.dicomweb)


def test_instances_come_back_byte_for_byte(site: Site) -> None:
    first = site.plain[0]

    answer = site.get(f"/studies/{first.StudyInstanceUID}/series/{first.SeriesInstanceUID}")
    [single] = [site.get(instance_path(first), "application/dicom")]
    retrieved = site.client.retrieve_series(first.StudyInstanceUID, first.SeriesInstanceUID)

    assert all(encoded(d) in answer.content for d in site.plain)
    assert single.content == encoded(first)
    assert {d.SOPInstanceUID for d in retrieved} == {d.SOPInstanceUID for d in site.plain}


def test_a_compressed_instance_is_given_as_stored_or_decompressed(site: Site) -> None:
    compressed, original = (
        site.compressed[1],
        series_datasets(
            SeriesDescription(planes=3, seed=2, study_seed=2, patient_name="Li^Si=李^四", character_set="GB18030")
        )[1],
    )

    stored = pydicom.dcmread(BytesIO(site.get(instance_path(compressed), "application/dicom").content))
    plain = site.get(instance_path(compressed), "application/dicom; transfer-syntax=1.2.840.10008.1.2.1")
    impossible = site.get(instance_path(compressed), f"application/dicom; transfer-syntax={JPEGLSLossless}")

    assert stored.file_meta.TransferSyntaxUID == JPEG2000Lossless
    decoded = pydicom.dcmread(BytesIO(plain.content))
    assert decoded.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert decoded.SOPInstanceUID == compressed.SOPInstanceUID
    assert np.array_equal(decoded.pixel_array, original.pixel_array)
    assert impossible.status_code == 406


def test_frames_are_given_plain_by_default_and_as_stored_on_request(site: Site) -> None:
    compressed = site.compressed[0]
    wanted = compressed.pixel_array

    [plain] = site.client.retrieve_instance_frames(
        compressed.StudyInstanceUID,
        compressed.SeriesInstanceUID,
        compressed.SOPInstanceUID,
        [1],
        media_types=("application/octet-stream",),
    )
    [stored] = site.client.retrieve_instance_frames(
        compressed.StudyInstanceUID,
        compressed.SeriesInstanceUID,
        compressed.SOPInstanceUID,
        [1],
        media_types=(("image/dicom-rle", RLELossless),),
    )
    as_stored = site.get(
        f"{instance_path(compressed)}/frames/1",
        'multipart/related; type="application/octet-stream"; transfer-syntax=*',
    )

    assert np.array_equal(np.frombuffer(plain, wanted.dtype).reshape(wanted.shape), wanted)
    assert stored != plain
    assert stored in as_stored.content
    assert f"transfer-syntax={RLELossless}".encode() in as_stored.content


def test_single_bit_frames_that_share_bytes_are_separated(site: Site) -> None:
    frames = site.client.retrieve_instance_frames(
        site.multi.StudyInstanceUID, "2.25.42", "2.25.41", [3, 1], media_types=("application/octet-stream",)
    )

    unpacked = [np.unpackbits(np.frombuffer(f, np.uint8), bitorder="little")[:35].reshape(5, 7) for f in frames]

    assert np.array_equal(np.stack(unpacked), bits(3)[[2, 0]])


def test_the_pixels_of_a_plain_image_are_bulk_data(site: Site) -> None:
    first = site.plain[0]

    uri = site.client.retrieve_instance_metadata(first.StudyInstanceUID, first.SeriesInstanceUID, first.SOPInstanceUID)[
        tag("PixelData")
    ]["BulkDataURI"]
    [value] = site.client.retrieve_bulkdata(uri)

    assert value == first.PixelData


def test_nested_binary_values_have_an_address_of_their_own(site: Site) -> None:
    dataset = series_datasets(SeriesDescription(planes=1, seed=7, study_seed=7))[0]
    item = Dataset()
    item.add_new(0x00281201, "OW", bytes(range(256)) * 8)
    dataset.ModalityLUTSequence = [item]
    site.store.receive(encoded(dataset), peer="CT1")

    metadata = site.get(f"{instance_path(dataset)}/metadata").json()[0]
    uri = metadata[tag("ModalityLUTSequence")]["Value"][0]["00281201"]["BulkDataURI"]
    value = site.get(uri.removeprefix(site.dicomweb), "application/octet-stream").content

    assert uri.endswith("/bulkdata/00283000/0/00281201")
    assert value == bytes(range(256)) * 8


def test_a_rendered_frame_shows_the_window_and_the_shape_in_the_patient(site: Site) -> None:
    first = site.plain[0]

    answer = site.get(f"{instance_path(first)}/rendered", "image/png", window="40,400,linear")
    picture = Image.open(BytesIO(answer.content))

    assert answer.headers["Content-Type"] == "image/png"
    assert picture.size == (first.Columns, round(first.Rows * 1.1 / 0.9))
    hu = first.pixel_array.astype(float) * float(first.RescaleSlope) + float(first.RescaleIntercept)
    grey = np.asarray(picture)
    assert grey[0, 0] == 0
    assert hu[0, 0] < -160
    assert np.asarray(picture).max() == 255


def test_rendering_is_for_images_and_for_sane_parameters(site: Site) -> None:
    path = f"{instance_path(site.plain[0])}/rendered"

    assert site.get(path, "image/jpeg", viewport="64,64").headers["Content-Type"] == "image/jpeg"
    assert site.get(f"{instance_path(site.plain[0])}/thumbnail").status_code == 200
    assert site.get(path, "image/png", window="a,b").status_code == 400
    assert site.get(path, "image/png", viewport="99999,1").status_code == 400
    assert site.get(path, "text/html").status_code == 406
    assert site.get(f"{instance_path(site.plain[0])}/frames/2/rendered").status_code == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/studies?limit=-1", 400),
        ("/studies?limit=99999999999", 400),
        ("/studies?limit=10001", 400),
        ("/studies?offset=abc", 400),
        ("/studies?StudyDate=' or 1=1", 400),
        ("/studies?NoSuchTag=1", 400),
        ("/studies?SeriesNumber=1", 400),
        ("/series?SeriesNumber=one", 400),
        ("/studies?PatientComments=x", 400),
        ("/studies?StudyInstanceUID=../../etc/passwd", 400),
        ("/studies?PatientName=" + "x" * 600, 400),
        ("/studies/..%2f..%2fetc%2fpasswd", 404),
        ("/studies/%2e%2e/series", 400),
        ("/studies/a..b/series", 400),
        ("/studies/1.2.3'--/metadata", 400),
        ("/studies/1.2.3/metadata", 404),
        ("/studies/1.2.3/series/1.2.3/instances/1.2.3/frames/1", 404),
        ("/studies/" + "1" * 65 + "/metadata", 400),
    ],
)
def test_hostile_addresses_are_refused(site: Site, path: str, status: int) -> None:
    assert site.get(path).status_code == status


@pytest.mark.parametrize(
    ("tail", "status"),
    [
        ("/frames/0", 400),
        ("/frames/2", 404),
        ("/frames/1,2,x", 400),
        ("/frames/" + ",".join(["1"] * 2001), 400),
        ("/bulkdata/00100010", 404),
        ("/bulkdata/7FE00010/0/7FE00010", 404),
        ("/bulkdata/../../x", 404),
        ("/bulkdata/zz", 400),
    ],
)
def test_frames_and_bulk_data_that_are_not_there_are_refused(site: Site, tail: str, status: int) -> None:
    assert site.get(instance_path(site.plain[0]) + tail).status_code == status


def test_answers_are_kept_by_nobody(site: Site) -> None:
    for answer in (site.get("/studies"), site.get("/studies?limit=x"), site.get(instance_path(site.plain[0]))):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_file_that_cannot_be_read_is_still_listed(site: Site, tmp_path: Path) -> None:
    dataset = new_series(26)[0]
    receipt = site.store.receive(encoded(dataset), peer="CT1")
    path = site.store.path(receipt.sha256)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:400])

    [metadata] = json.loads(site.get(f"{instance_path(dataset)}/metadata").content)

    assert metadata[tag("SOPInstanceUID")]["Value"] == [dataset.SOPInstanceUID]


@pytest.mark.parametrize("stated", [b"ISO_IR 192", b"ISO_IR 100", b"", b"ISO_IR 999"])
def test_text_that_does_not_decode_is_answered_with_replacement_signs_and_a_warning(site: Site, stated: bytes) -> None:
    dataset = new_series({b"ISO_IR 192": 30, b"ISO_IR 100": 31, b"": 32, b"ISO_IR 999": 33}[stated])[0]
    for keyword in ("PatientName", "PatientID", "StudyDescription"):
        set_raw(dataset, keyword, b"Z" + "张三".encode("gbk"))
    with quiet_pydicom():
        set_raw(dataset, "SpecificCharacterSet", stated)
        dataset["PixelData"].VR = "OW"
        dataset.set_original_encoding(False, True, dataset._character_set)
        assert site.store.receive(encoded(dataset), peer="CT1").kind == "stored"

    answer = site.get("/studies", StudyInstanceUID=str(dataset.StudyInstanceUID))
    [found] = answer.json()
    [metadata] = json.loads(site.get(f"{instance_path(dataset)}/metadata").content)

    for document in (found, metadata):
        for keyword in ("PatientID", "StudyDescription"):
            [value] = document[tag(keyword)]["Value"]
            assert value.startswith("Z\ufffd")
        assert document[tag("PatientName")]["Value"][0]["Alphabetic"].startswith("Z\ufffd")
    assert "character set" in answer.headers["Warning"]
    assert "Warning" not in site.get("/studies", StudyInstanceUID=str(site.plain[0].StudyInstanceUID)).headers
