"""A running DICOMweb server over a store with a plain series, a compressed one and a multi-frame object."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pydicom
from dicomweb_client.api import DICOMwebClient
from fastapi import FastAPI
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID, JPEG2000Lossless, RLELossless
from sqlalchemy import Engine

from dicom_gateway.dicomweb import router
from dicom_gateway.settings import Settings
from dicom_gateway.settings.model import Store as StoreSettings
from dicom_gateway.store import Store, open_engine
from tests.dicom_gateway.web_server import serving
from tests.synthetic.series import SeriesDescription, series_datasets

__all__ = ["PLANES", "Site", "bits", "encoded", "instance_path", "multi_frame", "new_series", "running_site", "tag"]

TOKEN = "a token of the test"
PLANES = 5


@dataclass(frozen=True)
class Site:
    """A running server with a plain CT series, a compressed one of another patient, and a multi-frame object."""

    address: str
    store: Store
    engine: Engine
    plain: list[Dataset]
    compressed: list[Dataset]
    multi: Dataset

    @property
    def dicomweb(self) -> str:
        return f"{self.address}/dicomweb"

    @property
    def client(self) -> DICOMwebClient:
        return DICOMwebClient(self.dicomweb, headers={"Authorization": f"Bearer {TOKEN}"})

    def get(self, path: str, accept: str = "*/*", **parameters: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept": accept}
        return httpx.get(f"{self.dicomweb}{path}", params=parameters or None, headers=headers)

    def post(self, content: bytes, path: str = "/studies", token: str = TOKEN) -> httpx.Response:
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": 'multipart/related; type="application/dicom"; boundary=edge',
        }
        return httpx.post(f"{self.dicomweb}{path}", content=content, headers=headers)


def encoded(dataset: Dataset) -> bytes:
    out = BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def multi_frame(template: Dataset, frames: int) -> Dataset:
    """A secondary capture of several frames with an odd number of bits, none of them alike."""
    dataset = Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "SpecificCharacterSet", "StudyDate", "StudyTime"):
        setattr(dataset, keyword, template.get(keyword))
    dataset.SOPClassUID = pydicom.uid.MultiFrameSingleBitSecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID("2.25.41")
    dataset.SeriesInstanceUID, dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = "2.25.42", "OT", 9, 1
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = 5, 7, frames
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = dataset.PixelRepresentation = 0
    packed = np.packbits(bits(frames).ravel(), bitorder="little").tobytes()
    dataset.PixelData = packed + b"\0" * (len(packed) % 2)
    return dataset


def bits(frames: int) -> NDArray[np.uint8]:
    return (np.arange(frames * 35).reshape(frames, 5, 7) * 7 % 11 < 4).astype(np.uint8)


@contextmanager
def running_site(root: Path) -> Iterator[Site]:
    """The server with its data, until the block ends."""
    engine = open_engine(Settings(store=StoreSettings(root=root / "store")))
    store = Store(root / "store", engine)
    plain = series_datasets(SeriesDescription(planes=PLANES))
    other = SeriesDescription(planes=3, seed=2, study_seed=2, patient_name="Li^Si=李^四", character_set="GB18030")
    compressed = series_datasets(other)
    compressed[0].compress(RLELossless, generate_instance_uid=False)
    compressed[1].compress(JPEG2000Lossless, generate_instance_uid=False)
    multi = multi_frame(plain[0], 3)
    for dataset in (*plain, *compressed, multi):
        assert store.receive(encoded(dataset), peer="CT1").kind == "stored"
    app = FastAPI()
    app.include_router(router(store, engine, token=TOKEN))
    with serving(app) as address:
        yield Site(address, store, engine, plain, compressed, multi)
    engine.dispose()


def tag(keyword: str) -> str:
    return f"{pydicom.datadict.tag_for_keyword(keyword):08X}"


def instance_path(dataset: Dataset) -> str:
    return f"/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}/instances/{dataset.SOPInstanceUID}"


def new_series(seed: int) -> list[Dataset]:
    return series_datasets(SeriesDescription(planes=2, seed=seed, study_seed=seed))
