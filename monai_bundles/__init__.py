"""Bundles: found, checked, and run on a volume. Importing this loads neither torch nor MONAI."""

from monai_bundles.bundle import (
    Accepts,
    Box,
    Bundle,
    BundleInput,
    BundleOutput,
    BundleStructure,
    Channel,
    Finding,
    QualityGate,
    Score,
    SegmentedStructure,
)
from monai_bundles.errors import BundleError
from monai_bundles.fit import misfits
from monai_bundles.registry import RefusedBundle, Survey, discover, find, survey, verify
from monai_bundles.runner import run_bundle
from monai_bundles.worker import Worker

__all__ = [
    "Accepts",
    "Box",
    "Bundle",
    "BundleError",
    "BundleInput",
    "BundleOutput",
    "BundleStructure",
    "Channel",
    "Finding",
    "QualityGate",
    "RefusedBundle",
    "Score",
    "SegmentedStructure",
    "Survey",
    "Worker",
    "discover",
    "find",
    "misfits",
    "run_bundle",
    "survey",
    "verify",
]
