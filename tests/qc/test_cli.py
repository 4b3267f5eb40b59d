"""`radgate qc` on a terminal: exit codes, JSON, the page and the profiles."""

import json
import re
from base64 import b64decode
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import UID, BasicTextSRStorage, RTStructureSetStorage
from typer.testing import CliRunner

from dicom_gateway.cli.qc import app
from dicom_gateway.errors import NothingToDo, OutputRefused
from imaging.provenance import deterministic_uid
from qc.errors import ProfileInvalid, TablesMissing
from qc.image import SeriesVerdict
from tests.qc.bodies import TRUNK, Body
from tests.synthetic.defects import localiser
from tests.synthetic.series import series_datasets, write_datasets, write_series

RUN = CliRunner()


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    folder = tmp_path / "clean"
    write_series(folder, replace(TRUNK, pixels=Body().values(TRUNK.grid()), intercept=0.0))
    return folder


def test_a_clean_series_ends_with_exit_code_0_and_json_that_reads_back(clean: Path) -> None:
    done = RUN.invoke(app, ["image", str(clean), "--json"])

    assert done.exit_code == 0, done.output
    (data,) = json.loads(done.stdout)
    assert SeriesVerdict.from_json(data).grade == "PASS"


def beside_a_study() -> list[Dataset]:
    """A localiser, a structure set and a report."""
    scout = localiser(TRUNK)
    scout.SeriesInstanceUID = UID(deterministic_uid("test beside", "scout"))
    found = [scout]
    for sop_class, modality in ((RTStructureSetStorage, "RTSTRUCT"), (BasicTextSRStorage, "SR")):
        ds = series_datasets(replace(TRUNK, planes=1))[0]
        for keyword in ("PixelData", "Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient"):
            delattr(ds, keyword)
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(deterministic_uid("test beside", modality))
        ds.SeriesInstanceUID, ds.Modality = UID(deterministic_uid("test beside series", modality)), modality
        found.append(ds)
    return found


def test_what_a_study_holds_beside_its_images_is_passed_by_once_and_has_no_grade(clean: Path, tmp_path: Path) -> None:
    write_datasets(clean / "beside", beside_a_study())
    write_datasets(tmp_path / "alone", beside_a_study())

    done = RUN.invoke(app, ["image", str(clean), "--json"])
    alone = RUN.invoke(app, ["image", str(tmp_path / "alone")])

    assert done.exit_code == 0, done.output
    assert [SeriesVerdict.from_json(d).grade for d in json.loads(done.stdout)] == ["PASS"]
    assert done.stderr.count("passed by") == 1
    assert all(f"{kind} (1)" in done.stderr for kind in ("RTSTRUCT", "SR", "localiser"))
    assert isinstance(alone.exception, NothingToDo)


def test_a_gap_ends_with_exit_code_11_and_the_table_says_what_to_do(clean: Path) -> None:
    sorted(clean.iterdir())[4].unlink()

    done = RUN.invoke(app, ["image", str(clean)])

    assert done.exit_code == 11
    assert "gen.geometry.missing" in done.output
    assert "FAIL" in done.output
    assert "…" not in done.output


def test_a_profile_of_another_modality_lets_no_gap_pass(clean: Path) -> None:
    sorted(clean.iterdir())[4].unlink()

    done = RUN.invoke(app, ["image", str(clean), "--profile", "dx_chest"])

    assert done.exit_code == 11
    assert "gen.geometry.missing" in done.output
    assert "dx_chest is made for other modalities; series were judged by ct_base" in done.output


def test_the_page_shows_findings_and_escapes_what_came_from_outside(clean: Path, tmp_path: Path) -> None:
    sorted(clean.iterdir())[4].unlink()
    page = tmp_path / "out.html"

    RUN.invoke(app, ["image", str(clean), "--html", str(page)])

    text = page.read_text(encoding="utf-8")
    assert "缺层" in text
    assert "张" not in text
    assert "<script" not in text


def test_the_page_holds_a_picture_of_the_series_and_of_the_place_of_each_finding(clean: Path, tmp_path: Path) -> None:
    sorted(clean.iterdir())[4].unlink()
    page = tmp_path / "out.html"

    RUN.invoke(app, ["image", str(clean), "--html", str(page)])

    found = re.findall(r'<img alt="([^"]+)" src="data:image/png;base64,([^"]+)">', page.read_text(encoding="utf-8"))
    pictures = {
        words: np.asarray(Image.open(BytesIO(b64decode(data))).convert("RGB")).astype(int) for words, data in found
    }
    series, gap = pictures["序列 / series"], pictures["位置 / place: 缺层 / Missing slices"]
    assert series.shape[0] == gap.shape[0] == 300
    assert series.std() > 10

    def red(picture: NDArray[np.int_]) -> int:
        return int(np.count_nonzero((picture[..., 0] > 180) & (picture[..., 1] < 90) & (picture[..., 2] < 90)))

    assert red(series) == 0
    assert red(gap) > 100


def test_profiles_are_listed() -> None:
    done = RUN.invoke(app, ["profiles", "list", "--json"])

    assert {"ct_base", "ct_rt_sim", "mr_brain"} <= {row["id"] for row in json.loads(done.stdout)}


def test_a_profile_file_is_checked(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text('id = "site_ct"\nextends = "ct_base"\n')
    bad.write_text('id = "site_ct"\nextends = "ct_bass"\n')

    assert "site_ct: no error" in RUN.invoke(app, ["profiles", "check", str(good)]).output
    failed = RUN.invoke(app, ["profiles", "check", str(bad)])

    assert isinstance(failed.exception, ProfileInvalid)
    assert "bad.toml, line 2, extends" in str(failed.exception)


def test_explain_names_the_profile_and_why(clean: Path) -> None:
    done = RUN.invoke(app, ["profiles", "explain", str(clean), "--json", "--intent", "rt_sim"])

    (row,) = json.loads(done.stdout)
    assert (row["profile"], row["how"]) == ("ct_rt_sim", "matched")
    assert row["limits"]["ct.truncation"]["fail"] == ["0", "2"]


def test_an_order_is_compared_with_the_headers(clean: Path) -> None:
    right = RUN.invoke(app, ["image", str(clean), "--order", "PatientID=TEST0001"])
    wrong = RUN.invoke(app, ["image", str(clean), "--order", "PatientID=TEST0009"])
    broken = RUN.invoke(app, ["image", str(clean), "--order", "PatientID"])

    assert (right.exit_code, wrong.exit_code, broken.exit_code) == (0, 11, 2)
    assert "gen.tag.order" in wrong.output


@pytest.mark.parametrize("command", [["image"], ["profiles", "explain"], ["profiles", "check"], ["phantom"], ["bench"]])
def test_an_empty_folder_is_one_sentence_and_no_success(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "note.txt").write_text("nothing here")

    done = RUN.invoke(app, [*command, str(tmp_path)])

    assert isinstance(done.exception, NothingToDo)
    assert "this folder" in done.exception.message


def test_a_page_that_cannot_be_written_is_one_sentence(clean: Path, tmp_path: Path) -> None:
    done = RUN.invoke(app, ["image", str(clean), "--html", str(tmp_path / "nowhere" / "out.html")])

    assert isinstance(done.exception, OutputRefused)
    assert done.exception.message == "The page cannot be written (No such file or directory); name another file."


def test_tables_that_are_none_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no wheel")

    for place in (tmp_path, tmp_path / "file"):
        done = RUN.invoke(app, ["bench", "--mriqc", str(place)])
        assert isinstance(done.exception, TablesMissing)


def test_explain_knows_radiographs_and_prints_the_limits(tmp_path: Path) -> None:
    films = series_datasets(replace(TRUNK, planes=1))
    for film in films:
        film.SOPClassUID = film.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.1.1")
        film.Modality, film.BodyPartExamined = "DX", "HAND"
        del film.ImagePositionPatient, film.ImageOrientationPatient
    write_datasets(tmp_path, films)

    done = RUN.invoke(app, ["profiles", "explain", str(tmp_path)])

    assert "(DX): dx_limb (matched)" in done.output
    assert "dx.collimation" in done.output and "warn outside 0 to 40" in done.output


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('title_zh = "胸部"'.encode("gbk"), "not written in UTF-8"),
        (b'id = "a"\nlimits = 3\n', "line 2, limits: needs a table"),
        (b'id = "a"\nmatch = "CT"\n', "line 2, match: needs a table"),
        (b'id = "a"\nrequired = "ct.metal"\n', "line 2, required: needs a list"),
        (b'id = "a"\nstrict = "yes"\n', "line 2, strict: needs true or false"),
        (b'id = "a"\n[limits]\n"ct.metal" = [0, 1]\n', "needs a table"),
    ],
)
def test_a_profile_with_values_of_another_kind_is_named_with_its_line(
    tmp_path: Path, content: bytes, words: str
) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(content)

    failed = RUN.invoke(app, ["profiles", "check", str(file)])

    assert isinstance(failed.exception, ProfileInvalid)
    assert words in failed.exception.message
