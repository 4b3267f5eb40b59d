"""Registration: a known rigid displacement is found, and its object is read back as itself."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from contouring.dose.errors import RegistrationRefused
from contouring.dose.register import register_rigid
from contouring.dose.registration_write import write_registration
from contouring.dose.transform import RigidTransform, read_registration
from contouring.shapes import rotation
from imaging.geometry import Grid
from imaging.series import scan
from imaging.volume import Volume
from tests.contouring.dose.making import CENTRE, FRAME, grid_around, points_of_grid
from tests.synthetic.series import write_series

OTHER = "1.2.3.4.5"


def body(grid: Grid, transform: RigidTransform | None = None) -> Volume:
    """An ellipsoid of tissue with two bones and an air cavity, none of them symmetric, in air."""
    points = points_of_grid(grid)
    x, y, z = ((transform.apply(points) if transform else points) - CENTRE).T
    values = np.where((x / 38) ** 2 + (y / 29) ** 2 + (z / 33) ** 2 < 1, 20.0, -1000.0)
    values[(x - 12) ** 2 / 40 + (y - 9) ** 2 / 90 + (z + 4) ** 2 / 300 < 1] = 900
    values[(x + 17) ** 2 / 90 + (y + 6) ** 2 / 30 + (z - 11) ** 2 / 60 < 1] = 600
    values[(x + 4) ** 2 / 60 + (y - 12) ** 2 / 20 + (z - 6) ** 2 / 120 < 1] = -900
    return Volume(values.reshape(grid.shape).astype(np.int16), grid)


def test_a_known_displacement_is_found_with_its_quality() -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(4, -3, 5)
    matrix[:3, 3] = CENTRE - matrix[:3, :3] @ CENTRE + (6.0, -4.5, 7.5)
    truth = RigidTransform(matrix, FRAME, OTHER)
    fixed = body(grid_around((2.5, 2.1, 1.9), (46, 44, 50)))
    other_grid = grid_around((3.0, 1.9, 2.2), (48, 46, 50), (1, 0, 0, 0, 1, 0), CENTRE + 5, OTHER)
    moving = body(other_grid, truth.inverse())

    found, quality = register_rigid(fixed, moving)

    points = CENTRE + np.random.default_rng(2).uniform(-25, 25, (50, 3))
    assert np.linalg.norm(found.apply(points) - truth.apply(points), axis=1).max() < 1.0
    assert quality.inverse_consistency_mm < 3.0
    again, measured = register_rigid(fixed, moving)
    assert np.array_equal(again.matrix, found.matrix) and measured == quality
    assert quality.body_dice > 0.97
    assert (found.source, found.target) == (FRAME, OTHER)


def test_images_without_anything_in_common_are_refused() -> None:
    grid = grid_around((5, 4, 6), (40, 30, 35))
    noise = [np.random.default_rng(n).integers(-1000, 1000, grid.shape).astype(np.int16) for n in (1, 2)]
    other = replace(grid, frame_of_reference_uid=OTHER)

    with pytest.raises(RegistrationRefused):
        register_rigid(Volume(noise[0], grid), Volume(np.roll(noise[1], 5, axis=1), other))


def test_the_object_reads_back_as_the_transform(tmp_path: Path) -> None:
    write_series(tmp_path / "a", study_seed=1)
    write_series(tmp_path / "b", study_seed=2)
    stacks = [scan([tmp_path / n]).stacks[0] for n in ("a", "b")]
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(4, -3, 5)
    matrix[:3, 3] = (61.123456, -44.5, 317.25)
    transform = RigidTransform(matrix, *(s.frame_of_reference_uid for s in stacks))

    written = write_registration(transform, stacks[0], stacks[1], made_at=datetime(2026, 3, 4))

    read = read_registration(written.dataset).between(transform.source, transform.target)
    assert np.abs(read.matrix - matrix).max() < 1e-6
    assert written.dataset.PatientName == stacks[0].header.PatientName
    again = write_registration(transform, stacks[0], stacks[1], made_at=datetime(2027, 3, 4))
    assert again.dataset.SOPInstanceUID == written.dataset.SOPInstanceUID
