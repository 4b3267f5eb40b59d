"""A synthetic site for tests of the pages: a store with series, and every state a study can be in, as rows."""

import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, EncapsulatedPDFStorage, ExplicitVRLittleEndian
from reportlab.pdfgen.canvas import Canvas
from sqlalchemy import Engine, insert, update

from dicom_gateway.route import Facts, choose, default_routes, explain_stack
from dicom_gateway.settings import Settings
from dicom_gateway.settings.model import Database, Destination, Web
from dicom_gateway.settings.model import Store as StoreSettings
from dicom_gateway.store import Store, open_engine, tables
from imaging.series import scan
from tests.synthetic.series import SeriesDescription, series_datasets, write_datasets

__all__ = ["HOSTILE_NAME", "FilledSite", "copied_site", "filled_site"]

HOSTILE_NAME = "<script>alert(1)</script>^\"'&"

CHECKS: list[dict[str, Any]] = [
    {
        "check_id": "ct.noise",
        "grade": "WARN",
        "value": 24.31,
        "unit": "[hnsf'U]",
        "cause": {"code": "dose", "zh": "剂量偏低", "en": "Dose too low"},
        "action": {
            "code": "next",
            "operator": "technician",
            "now": False,
            "zh": "下次提高管电流",
            "en": "Raise mA next time",
        },
    },
    {"check_id": "gen.spacing", "grade": "PASS", "value": 2.5, "unit": "mm", "cause": None, "action": None},
    {"check_id": "ct.truncation", "grade": "NOT_EVALUABLE", "value": None, "unit": "1", "reason": "no_body"},
]


OUTLETS = ("seg", "rtstruct", "sr", "pdf")


def encoded(dataset: Dataset) -> bytes:
    """The file of a data set."""
    out = BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def encapsulated(image: Dataset) -> Dataset:
    """A PDF of one page in the study of an image."""
    page = BytesIO()
    canvas = Canvas(page, pagesize=(420, 595))
    canvas.drawString(60, 500, "A report of the test")
    canvas.save()
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "SpecificCharacterSet", "StudyDate", "StudyTime"):
        setattr(dataset, keyword, image.get(keyword))
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EncapsulatedPDFStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID("2.25.77")
    dataset.SeriesInstanceUID, dataset.Modality, dataset.SeriesNumber = UID("2.25.78"), "DOC", 99
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocument = page.getvalue() + b"\0" * (len(page.getvalue()) % 2)
    return dataset


class FilledSite:
    """Settings, engine and store of a site, and the studies in it by what they stand for."""

    def __init__(self, root: Path, token_file: Path | None = None, database_url: str = "sqlite") -> None:
        self.settings = Settings(
            store=StoreSettings(root=root / "store", low_free=0.0, floor_free=0.0),
            destinations=(
                Destination(name="pacs_main", aet="PACS", host="10.1.2.3", port=104),
                Destination(name="tps", aet="TPS", host="10.1.2.4", port=11112),
            ),
            routes=default_routes(),
            web=Web(token_file=token_file),
            database=Database(database_url),
        )
        self.engine: Engine = open_engine(self.settings)
        self.store = Store(root / "store", self.engine)
        self.root = root
        self.now = time.time()
        self.studies: dict[str, str] = {}

    def receive(self, name: str, description: SeriesDescription) -> list[Dataset]:
        """Store a series and remember its study under a name."""
        datasets = series_datasets(description)
        for dataset in datasets:
            self.store.receive(encoded(dataset), peer="CT1")
        self.studies[name] = description.study_instance_uid
        return datasets

    def add(self, table: Any, **values: Any) -> None:
        """Insert one row."""
        with self.engine.begin() as connection:
            connection.execute(insert(table).values(**values))

    def change(self, table: Any, where: Any, **values: Any) -> None:
        """Change rows, as the service would while a page is open."""
        with self.engine.begin() as connection:
            connection.execute(update(table).where(where).values(**values))

    def version(
        self, name: str, state: str, reason: str | None = None, evidence: Mapping[str, Any] | None = None
    ) -> None:
        """Give a study a version in this state."""
        self.add(
            tables.study_version,
            study_uid=self.studies[name],
            version=1,
            state=state,
            reason=reason,
            evidence=evidence,
            opened=self.now - 90,
            changed=self.now - 5,
        )

    def step(self, name: str, step: str, state: str = "done", job_id: str = "", **values: Any) -> None:
        """Log a step."""
        started = values.pop("started", self.now - 60)
        row = {"attempt": 1, "ended": None if state == "running" else started + 1.37, **values}
        self.add(
            tables.step_log,
            study_uid=self.studies[name],
            version=1,
            job_id=job_id,
            step=step,
            state=state,
            started=started,
            **row,
        )

    def picture(self, seed: int) -> dict[str, Any]:
        """A key picture in the store: an ellipse with a contour, larger than it is high."""
        rows, columns = np.mgrid[0:180, 0:240]
        inside = ((rows - 92) / 70) ** 2 + ((columns - 118 - 3 * seed) / 95) ** 2
        grey = np.where(inside < 1, 120 + 60 * np.cos(columns / 17 + seed), 8).astype(np.uint8)
        rgb = np.stack([grey] * 3, axis=-1)
        rgb[np.abs(inside - 1) < 0.03] = (90, 220, 120)
        rgb[np.abs(((rows - 80) / 20) ** 2 + ((columns - 150) / 26) ** 2 - 1) < 0.08] = (240, 190, 60)
        out = BytesIO()
        Image.fromarray(rgb).save(out, "PNG")
        sha256 = hashlib.sha256(out.getvalue()).hexdigest()
        folder = self.store.root / "pictures"
        folder.mkdir(exist_ok=True)
        (folder / f"{sha256}.png").write_bytes(out.getvalue())
        return {
            "name": f"p{seed}",
            "sha256": sha256,
            "caption_zh": f"层面 {40 + seed}",
            "caption_en": f"Slice {40 + seed}",
        }


def explanations(folder: Path, datasets: list[Dataset]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The details of the steps split and route for these instances, made by the code that makes them in the service."""
    write_datasets(folder, datasets)
    found = scan([folder])
    stacks = [
        {
            "id": s.id,
            "series_uid": s.series_instance_uid,
            "modality": s.modality,
            "description": "CT 2.5mm",
            "shape": list(s.grid.shape),
            "spacing_mm": [round(v, 3) for v in s.grid.spacing_mm],
        }
        for s in found.stacks
    ]
    decision = choose([explain_stack(s, Facts(complete=True), default_routes()) for s in found.stacks])
    return stacks, decision.to_json()["explanations"]


def _finished(site: FilledSite) -> None:
    datasets = site.receive("finished", SeriesDescription(planes=12, attributes=(("BodyPartExamined", "HEADNECK"),)))
    uid = site.studies["finished"]
    series_uid = datasets[0].SeriesInstanceUID
    stacks, routes = explanations(site.root / "finished", datasets)
    evidence = {
        "by": "silence and geometry",
        "instances": 12,
        "announced": None,
        "silent_s": 60.2,
        "series": [{"series_uid": series_uid, "instances": 12, "expected": None, "missing_slices": 0}],
    }
    site.version("finished", "PARTLY", "1 of 4 deliveries failed; see the destinations below.", evidence)
    leftover = {
        "reason": "localiser",
        "message": "The image is a localiser (scout); it is passed by when images are stacked.",
        "series_uid": series_uid,
        "modality": "CT",
        "files": 2,
    }
    site.step("finished", "split", detail={"stacks": stacks, "leftovers": [leftover]})
    site.step("finished", "route", detail={"explanations": routes})
    job_id = "job-1"
    site.add(
        tables.job,
        id=job_id,
        study_uid=uid,
        version=1,
        series_uid=series_uid,
        stack=stacks[0]["id"],
        route="ct_body+ct_head_neck_named",
        bundle="ct_body_segmentation, head_neck_ct_oar_segmentation",
        state="PARTLY",
        reason="1 of 4 deliveries failed; see the destinations below.",
        created=site.now - 70,
        changed=site.now - 5,
    )
    runs = [
        {"bundle": "ct_body_segmentation", "status": "ok", "reason": "", "device": "cpu", "elapsed_s": 2.41},
        {
            "bundle": "head_neck_ct_oar_segmentation",
            "status": "refused",
            "reason": "The scan shows no head and neck.",
            "action": "Check the route.",
        },
    ]
    verdict = {"grade": "WARN", "profile_id": "ct_generic", "results": CHECKS}
    site.step("finished", "qc", job_id=job_id, detail=verdict, message="WARN")
    site.step("finished", "run", job_id=job_id, detail={"bundles": runs}, started=site.now - 50)
    for name in ("measure", "encode", "validate", "deliver"):
        site.step("finished", name, job_id=job_id, started=site.now - 30)
    structures = [
        {
            "name": {"tg263": tg263, "zh": zh, "en": en, "colour_rgb": rgb},
            "volume": {"value": volume, "unit": "cm3"},
            "run": "r1",
        }
        for tg263, zh, en, rgb, volume in (
            ("Body", "体表", "Body", [90, 220, 120], 9412.3),
            ("Lung_L", "左肺", "Left lung", [240, 190, 60], 1510.25),
            ("SpinalCord", "脊髓", "Spinal cord", [80, 160, 255], 21.4),
        )
    ]
    algorithm = {"name": "ct_body_segmentation", "version": "1.0.0"}
    site.add(
        tables.result,
        id=job_id,
        job_id=job_id,
        study_uid=uid,
        version=1,
        status="findings",
        document={
            "structures": structures,
            "runs": [
                {"id": "r1", "status": "ok", "algorithm": algorithm},
                {
                    "id": "r2",
                    "status": "refused",
                    "reason": "The scan shows no head and neck.",
                    "algorithm": {"name": "head_neck_ct_oar_segmentation", "version": "0.3.0"},
                },
            ],
        },
        pictures=[site.picture(n) for n in range(3)],
        created=site.now - 20,
    )
    document = encapsulated(datasets[0])
    site.store.receive(encoded(document), peer="radgate", origin="result")
    for position, (outlet, dataset) in enumerate(zip(OUTLETS, [*datasets[:3], document], strict=True)):
        _object(site, job_id, outlet, position, dataset)


def _object(site: FilledSite, result_id: str, outlet: str, position: int, dataset: Dataset) -> None:
    [row] = site.store.instances(sop_uid=dataset.SOPInstanceUID)
    site.add(
        tables.encoded_object,
        sop_uid=row.sop_uid,
        result_id=result_id,
        outlet=outlet,
        sop_class_uid=row.sop_class_uid,
        sha256=row.sha256,
        size_bytes=row.size_bytes * (position + 1),
        position=position,
        created=site.now - 15,
    )
    failing = outlet == "pdf"
    for destination, state in (("pacs_main", "VERIFIED"), ("tps", "DEAD" if failing else "ACCEPTED")):
        if destination == "tps" and outlet == "sr":
            continue
        site.add(
            tables.delivery,
            sop_uid=row.sop_uid,
            sha256=row.sha256,
            destination=destination,
            study_uid=row.study_uid,
            result_id=result_id,
            position=position,
            state=state,
            attempts=7 if state == "DEAD" else 1,
            last_status="0x0122" if state == "DEAD" else "0x0000",
            last_error="The destination does not take this SOP class." if state == "DEAD" else None,
            created=site.now - 15,
            next_try=site.now,
            finished=site.now - 4,
        )


def _others(site: FilledSite) -> None:
    site.receive("running", SeriesDescription(planes=11, seed=2, study_seed=2, patient_name="Li^Si=李^四"))
    site.version("running", "RUNNING")
    site.add(
        tables.job,
        id="job-2",
        study_uid=site.studies["running"],
        version=1,
        series_uid="1.2",
        stack="abc",
        route="ct_body",
        bundle="ct_body_segmentation",
        state="RUN",
        progress=0.25,
        created=site.now - 20,
        changed=site.now,
    )
    site.step("running", "run", "running", "job-2", started=site.now - 12)
    bait = (("StudyDescription", "<img src=x onerror=alert(2)>"), ("SeriesDescription", "</td><iframe src=/>"))
    hostile = SeriesDescription(
        planes=3, seed=3, study_seed=3, patient_name=HOSTILE_NAME, modality="MR", attributes=bait
    )
    datasets = site.receive("hostile", hostile)
    _, routes = explanations(site.root / "hostile", datasets)
    site.version("hostile", "UNROUTED", "No route matches; see the first condition that does not hold.")
    site.step("hostile", "split", detail={"stacks": [], "leftovers": []})
    site.step("hostile", "route", detail={"explanations": routes})
    site.receive("receiving", SeriesDescription(planes=4, seed=4, study_seed=4, patient_name="Wang^Wu=王^五"))
    site.receive("refused", SeriesDescription(planes=5, seed=5, study_seed=5, patient_name="Zhao^Liu=赵^六"))
    message = "The slices are tilted by 12.00 degrees against the scan axis; reconstruct without gantry tilt."
    site.version("refused", "REFUSED", message)
    site.step("refused", "split", detail={"stacks": [], "leftovers": [{"reason": "gantry_tilt", "message": message}]})
    site.store.receive(b"this is no DICOM object", peer="CT9")


@contextmanager
def filled_site(root: Path, token_file: Path | None = None, database_url: str = "sqlite") -> Iterator[FilledSite]:
    """The site; its engine is closed when the block ends."""
    site = FilledSite(root, token_file, database_url)
    try:
        _finished(site)
        _others(site)
        yield site
    finally:
        site.engine.dispose()


@contextmanager
def copied_site(original: FilledSite, root: Path) -> Iterator[FilledSite]:
    """A copy of a filled site whose engine is closed, to be changed by one test."""
    shutil.copytree(original.root, root)
    site = FilledSite(root, original.settings.web.token_file)
    site.studies = dict(original.studies)
    try:
        yield site
    finally:
        site.engine.dispose()
