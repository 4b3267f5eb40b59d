"""A CT with a fault that a bundle asks about, and its bundle, for the tests of gates and of held jobs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from pydicom import dcmread

from dicom_gateway.route.rules import default_routes
from imaging.testing.phantom import make_phantom, write_phantom
from monai_bundles import Bundle, QualityGate, discover

__all__ = ["BODY", "HOLDS", "body", "body_routes", "faulty_ct", "verdict"]

BODY = "ct_body_segmentation"


def verdict(grade: str = "PASS", **checks: str) -> dict[str, Any]:
    results = [
        {
            "check_id": check.replace("__", "."),
            "grade": value,
            "cause": None if value == "PASS" else {"zh": "偏心", "en": "Off centre."},
            "action": None if value == "PASS" else {"zh": "请居中", "en": "Centre."},
        }
        for check, value in checks.items()
    ]
    return {"grade": grade, "results": results}


def body(*gates: QualityGate) -> Bundle:
    return replace(next(b for b in discover() if b.name == BODY), gates=gates)


HOLDS = body(QualityGate("gen.tag.position", "PASS", "hold"))


def faulty_ct(folder: Path) -> list[Path]:
    files = write_phantom(folder, make_phantom(shape=(96, 90, 84)))
    for file in files:
        ds = dcmread(file)
        ds.PatientPosition = ""
        ds.save_as(file)
    return files


def body_routes() -> tuple[Any, ...]:
    return tuple(r for r in default_routes() if r.bundle_name == BODY)
