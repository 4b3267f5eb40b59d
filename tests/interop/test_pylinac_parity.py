"""Where pylinac measures the same as image quality, both come to the same number on the same pixels."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from imaging.series import scan
from qc.image.edges import skin_edges
from qc.image.inputs import Inputs
from qc.image.phantom import analyse_phantom
from qc.image.phantom.water import measure_water
from qc.image.registry import Measured, discover
from tests.interop.test_pylinac import python
from tests.qc.bodies import TRUNK, volume_inputs
from tests.qc.defects_ct import blurred
from tests.synthetic.phantoms import Phantom, phantom_description, write_phantom_series

__all__ = ["python"]

pytestmark = [pytest.mark.interop, pytest.mark.slow]

PIXEL_MM = 0.7
SIDE = 64
CUPPING_HU = 9.0

ASKED = """
import json, sys
from pathlib import Path
import numpy as np
from pylinac.core.mtf import EdgeSpreadFunctionMTF
from pylinac.core.nps import noise_power_spectrum_2d
from scipy.signal import windows
given = {file.stem: np.load(file) for file in Path(sys.argv[1]).glob("*.npy")}
answer = {}
if "squares" in given:
    pixel_mm = float(given["pixel_mm"])
    power = noise_power_spectrum_2d(pixel_mm, list(given["squares"]))
    axis = np.fft.fftshift(np.fft.fftfreq(len(power), pixel_mm))
    frequency = np.hypot(axis[:, None], axis[None, :])
    answer["mean_per_mm"] = float((frequency * power).sum() / power.sum())
    answer["integral_hu2"] = float(power.sum()) / (len(power) * pixel_mm) ** 2
if "edge" in given:
    # The same window as in the check: a Hann window over so short an edge narrows the line and adds 4 per cent.
    found = EdgeSpreadFunctionMTF([given["edge"]], float(given["step_mm"]), windowing=windows.tukey, alpha=0.5)
    answer["f50_per_mm"] = found.relative_resolution(50)
print(json.dumps(answer))
"""


def ask(python: Path, folder: Path, **arrays: NDArray[np.float64]) -> dict[str, float]:
    """What pylinac says of arrays, in its own environment."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    done = subprocess.run(
        [str(python), "-W", "ignore", "-c", ASKED, str(folder)], capture_output=True, text=True, timeout=120, check=True
    )
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def measured(check_id: str, inputs: Inputs) -> Measured:
    found = discover()[check_id].run(inputs)
    assert isinstance(found, Measured)
    return found


@pytest.mark.parametrize("blur_px", [0.0, 0.7])
def test_frequency_and_integral_of_the_noise_are_those_of_pylinac(tmp_path: Path, python: Path, blur_px: float) -> None:
    noise = np.random.default_rng(5).normal(0, 30, (3, 5 * SIDE, 7 * SIDE))
    values = np.round(40 + ndimage.gaussian_filter(noise, [0, blur_px, blur_px])).astype(np.int16)
    shape = {"planes": 3, "rows": values.shape[1], "columns": values.shape[2]}
    description = replace(TRUNK, pixel_spacing_mm=(PIXEL_MM, PIXEL_MM), **shape)
    squares = [p[r : r + SIDE, c : c + SIDE] for p in values for r in range(0, 320, SIDE) for c in range(0, 448, SIDE)]

    ours = measured("ct.noise.nps", volume_inputs(values, description))
    theirs = ask(python, tmp_path, squares=np.array(squares, dtype=np.float64), pixel_mm=np.array(PIXEL_MM))

    assert ours.value == pytest.approx(theirs["mean_per_mm"], rel=0.02)
    assert ours.evidence["integral_hu2"] == pytest.approx(theirs["integral_hu2"], rel=0.02)


@pytest.mark.parametrize("sigma_mm", [0.8, 1.5])
def test_sharpness_of_an_edge_is_that_of_pylinac(tmp_path: Path, python: Path, sigma_mm: float) -> None:
    inputs = blurred(sigma_mm, 2)
    assert inputs.volume is not None
    sides = skin_edges(inputs.volume, inputs.body)
    distance = np.concatenate([s.distance_mm for s in sides.values()])
    value = np.concatenate([s.value_hu for s in sides.values()])
    step_mm = 0.1 * float(np.mean(inputs.volume.grid.pixel_spacing_mm))
    bins = np.arange(-10.0, 10.0, step_mm)
    index = np.digitize(distance, bins)
    edge = np.array([value[index == n].mean() for n in range(1, len(bins))])

    ours = measured("ct.sharpness.f50", inputs)
    theirs = ask(python, tmp_path, edge=edge, step_mm=np.array(step_mm))

    assert ours.value == pytest.approx(theirs["f50_per_mm"], rel=0.03)


def test_mean_uniformity_and_noise_of_a_uniform_module_are_those_of_pylinac(tmp_path: Path, python: Path) -> None:
    phantom = Phantom("acr_ct", hu_shift=2.5, cupping_hu=CUPPING_HU, sigma_hu=6.0)
    write_phantom_series(tmp_path / "acr", phantom)
    description = phantom_description(phantom)
    grid = description.grid()
    place_mm = grid.plane_positions_mm - grid.plane_positions_mm[0] + phantom.ends_mm[0]
    is_plain = (place_mm > 52) & (place_mm < 83) & (np.abs(place_mm - 70) > 4)

    ours = measure_water(list(phantom.values(grid)[is_plain]), grid.pixel_spacing_mm)
    theirs = analyse_phantom(scan([tmp_path / "acr"]).stacks[0], python=python)

    module = "phantom.acr_ct.uniformity_module"
    assert ours.value("phantom.water.mean") == pytest.approx(theirs.value(f"{module}.rois.center"), abs=0.5)
    assert ours.value("phantom.water.noise") == pytest.approx(theirs.value(f"{module}.center_roi_stdev"), rel=0.05)
    edge = np.mean([theirs.value(f"{module}.rois.{n}") for n in ("top", "right", "bottom", "left")])
    # Their regions lie at 0.66 of the radius, ours at 0.75 of 92 mm; cupping grows with the square.
    assert float(edge) - theirs.value(f"{module}.rois.center") == pytest.approx(CUPPING_HU * 0.66**2, abs=0.6)
    assert ours.value("phantom.water.uniformity") == pytest.approx(CUPPING_HU * (0.75 * 0.92) ** 2, abs=0.6)
