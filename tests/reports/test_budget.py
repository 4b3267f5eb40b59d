"""Time: report, PDF and pictures of 300 planes with ten structures."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from contouring.names import lookup
from imaging.volume import Region
from reports import encode_pdf, encode_sr, measured_structure
from reports.pictures import key_pictures
from tests.reports.making import make_case

NAMES = (
    "Parotid_L", "Parotid_R", "SpinalCord", "Brainstem", "Larynx", "Lens_L", "Lens_R", "Cavity_Oral", "Lung_L", "Body",
)  # fmt: skip


@pytest.mark.slow
def test_report_pdf_and_pictures_take_less_than_three_seconds(tmp_path: Path) -> None:
    case = make_case(
        tmp_path, planes=300, rows=512, columns=480, pixel_spacing_mm=(0.9, 0.8), plane_spacing_mm=1.0, pixels=plain
    )
    k, j, i = np.ogrid[:300, :512, :480]
    found = []
    for number, name in enumerate(NAMES, start=1):
        radius = 200 if name == "Body" else 12 + 3 * number
        mask = (k - 28 * number) ** 2 / 900 + (j - 256) ** 2 / radius**2 + (i - 240) ** 2 / (0.9 * radius) ** 2 < 1
        found.append(
            measured_structure(
                lookup(name),
                Region.from_mask(mask),
                case.stack.grid,
                run=case.result.runs[0],
                study_uid=case.stack.study_instance_uid,
                number=number,
            )
        )
    result = replace(case.result, structures=tuple(found))

    began = time.perf_counter()
    pictures = key_pictures(case.volume, result.structures)
    encode_sr(result, case.stack)
    encode_pdf(result, case.stack, pictures=pictures)

    assert time.perf_counter() - began < 3.0


def plain(grid: object) -> "np.ndarray[tuple[int, int, int], np.dtype[np.int16]]":
    """Air with a block of soft tissue."""
    values = np.full((300, 512, 480), -1000, dtype=np.int16)
    values[:, 60:440, 50:420] = 40
    return values
