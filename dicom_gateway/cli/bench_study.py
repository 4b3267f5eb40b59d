"""What `radgate bundles bench` gives a bundle: the series of a folder, or the digital patient in every channel."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from contouring.suv import SUVBW_UNIT
from imaging.volume import Volume
from monai_bundles import Bundle
from monai_bundles.errors import MissingSeries

__all__ = ["bench_inputs"]

SHAPE = (90, 240, 250)

HIGHEST_SUV = 12.0
"""Of the digital patient as a PET: its densest bone."""


def bench_inputs(bundle: Bundle, study: Path | None) -> tuple[Volume, dict[str, Volume]]:
    """The series of the route, and the bundle's other channels by their names.

    Raises
    ------
    MissingSeries
        The folder has no series of the bundle's modality, or lacks one that it needs.
    ImagingError
        A series cannot be read.
    """
    return _digital(bundle) if study is None else _of_study(bundle, study)


def _digital(bundle: Bundle) -> tuple[Volume, dict[str, Volume]]:
    """The digital patient, for every channel in its unit: how long it takes does not depend on what is in it."""
    from imaging.testing.phantom import make_phantom

    volume = make_phantom(shape=SHAPE).volume
    spread = (volume.array - volume.array.min()) / float(np.ptp(volume.array))
    pet = replace(volume, array=(HIGHEST_SUV * spread).astype(np.float32), unit=SUVBW_UNIT)
    return volume, {c.name: pet if c.unit == SUVBW_UNIT else volume for c in bundle.companions}


def _of_study(bundle: Bundle, study: Path) -> tuple[Volume, dict[str, Volume]]:
    """The largest series of the first modality that the bundle takes, and what belongs to it."""
    from dicom_gateway.flow.study_files import StudyFiles
    from dicom_gateway.flow.study_inputs import companions_of, in_its_unit, missing_channels
    from imaging.series import load_volume

    files = StudyFiles([study])
    fitting = [s for s in files.scan.stacks if s.modality in bundle.accepts.modalities]
    if not fitting:
        raise MissingSeries(
            f"The folder has no series that bundle {bundle.name} takes; give one with "
            f"{' or '.join(bundle.accepts.modalities)}."
        )
    primary = max(fitting, key=lambda stack: len(stack.sources))
    companions = companions_of(bundle, files, primary)
    missing = missing_channels(bundle, companions)
    if missing:
        raise MissingSeries(missing)
    volume = in_its_unit(bundle.accepts.units, primary, load_volume(primary))
    return volume, {name: companion.volume for name, companion in companions.items()}
