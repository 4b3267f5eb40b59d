"""pylinac in an environment of its own measures phantoms drawn from stated geometry: planted errors are found."""

import os
from pathlib import Path

import pytest

from imaging.series import scan
from qc.image.phantom import PhantomResult, analyse_phantom
from tests.synthetic.phantoms import ACR_INSERTS, CATPHAN_INSERTS, Phantom, write_phantom_series

pytestmark = [pytest.mark.interop, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter with pylinac: $RADGATE_PYLINAC, else the one that `make pylinac` makes."""
    found = Path(os.environ.get("RADGATE_PYLINAC", ROOT / ".pylinac" / "bin" / "python"))
    if not found.exists():
        pytest.skip("needs the environment of pylinac; make it with `make pylinac`")
    return found


def measured(folder: Path, phantom: Phantom, python: Path, step_mm: float = 4.0, **options: float) -> PhantomResult:
    write_phantom_series(folder, phantom, step_mm=step_mm)
    return analyse_phantom(scan([folder]).stacks[0], python=python, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("shift_hu", [0.0, 12.0])
def test_inserts_of_an_acr_phantom_read_their_hu_and_a_planted_shift(
    tmp_path: Path, python: Path, shift_hu: float
) -> None:
    result = measured(tmp_path, Phantom("acr_ct", hu_shift=shift_hu, roll_deg=2.0), python)

    assert (result.kind, result.reason) == ("acr_ct", "")
    assert result.algorithm.startswith("pylinac 3.49")
    for name, (_, hu) in ACR_INSERTS.items():
        assert result.value(f"phantom.acr_ct.ct_module.rois.{name.lower()}") == pytest.approx(hu + shift_hu, abs=1.5)
    assert result.value("phantom.acr_ct.ct_module.rois.water") == pytest.approx(shift_hu, abs=1.0)
    assert result.value("phantom.acr_ct.phantom_roll_deg") == pytest.approx(2.0, abs=0.3)
    assert result.value("phantom.acr_ct.uniformity_module.bb_distance_mm") == pytest.approx(100.0, abs=0.5)


def test_planted_cupping_shows_in_the_uniformity_module(tmp_path: Path, python: Path) -> None:
    result = measured(tmp_path, Phantom("acr_ct", cupping_hu=15.0), python)

    rois = [f"phantom.acr_ct.uniformity_module.rois.{n}" for n in ("top", "right", "bottom", "left")]
    centre = result.value("phantom.acr_ct.uniformity_module.rois.center")
    for name in rois:
        assert result.value(name) - centre == pytest.approx(15.0 * 0.66**2, abs=1.0)


def test_a_scan_without_its_last_module_is_a_fault_with_its_kind_and_no_number(tmp_path: Path, python: Path) -> None:
    result = measured(tmp_path, Phantom("acr_ct", ends_mm=(-16.0, 60.0)), python)

    assert (result.kind, result.reason) == ("acr_ct", "error")
    assert result.detail.startswith("ValueError: the scan may not hold all modules")
    assert result.values == ()


def test_inserts_of_a_catphan_read_their_hu(tmp_path: Path, python: Path) -> None:
    result = measured(tmp_path, Phantom("catphan504", ends_mm=(-80.0, 60.0)), python, step_mm=2.5)

    assert (result.kind, result.reason) == ("catphan504", "")
    for name in ("PMP", "LDPE", "Acrylic", "Delrin", "Teflon"):
        value = result.value(f"phantom.catphan504.ctp404.hu_rois.{name.lower()}.value")
        assert value == pytest.approx(CATPHAN_INSERTS[name][1], abs=6.0)


def test_too_little_memory_ends_the_worker_and_nothing_else(tmp_path: Path, python: Path) -> None:
    result = measured(tmp_path, Phantom("acr_ct"), python, memory_mb=256, timeout_s=10)

    assert result.reason == "error" and result.values == ()  # by its own limit, or killed when it hangs for want of it
