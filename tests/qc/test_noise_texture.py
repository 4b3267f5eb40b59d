"""Noise that hangs together from pixel to pixel: what a window loses of it, and that the check puts it back."""

import numpy as np
import pytest
from numpy.typing import NDArray

from qc.image.inputs import Inputs
from qc.image.noise_texture import lag_variances, sigma_per_mode
from qc.image.registry import Measured, discover
from tests.qc.bodies import TRUNK, body_inputs, volume_inputs

WINDOW = [7, 5]
SPACING_MM = (0.9, 1.2)


def expected(blur_px: float) -> NDArray[np.float64]:
    """Half the mean squared difference by lag, of noise of unit variance after a Gaussian."""
    lag = np.hypot(*np.ogrid[: WINDOW[0], : WINDOW[1]])
    return np.asarray(1 - np.exp(-np.square(lag) / (4 * blur_px**2)) if blur_px else lag > 0, dtype=np.float64)


def noise_of(inputs: Inputs) -> Measured:
    found = discover()["ct.noise.gni"].run(inputs)
    assert isinstance(found, Measured)
    return found


@pytest.mark.parametrize("blur_px", [0.0, 0.8, 1.2])
def test_differences_by_lag_are_those_of_the_planted_correlation(blur_px: float) -> None:
    rng = np.random.default_rng(3)
    image = rng.standard_normal((230, 310))
    if blur_px:
        # The Gaussian in the frequency domain, so that nothing is cut off.
        fy, fx = np.fft.fftfreq(230)[:, None], np.fft.fftfreq(310)[None, :]
        image = np.fft.ifft2(np.fft.fft2(image) * np.exp(-2 * (np.pi * blur_px) ** 2 * (fy**2 + fx**2))).real
        image /= image.std()
    rows, columns = np.mgrid[10:220, 10:300]
    centres = (rows * 310 + columns).ravel()

    found = lag_variances(image.astype(np.float32), centres, WINDOW)

    assert found == pytest.approx(expected(blur_px), abs=0.03)


def test_white_noise_has_the_most_frequent_spread_of_chi() -> None:
    count = WINDOW[0] * WINDOW[1]

    found = sigma_per_mode(expected(0.0), SPACING_MM)

    # The mode of chi with n-1 degrees of freedom is the root of n-2.
    assert found == pytest.approx(((count - 1) / (count - 2)) ** 0.5, rel=2e-3)


def test_the_longer_the_noise_hangs_together_the_more_is_lost() -> None:
    losses = [sigma_per_mode(expected(blur), SPACING_MM) for blur in (0.0, 0.5, 0.8, 1.2)]

    assert losses == sorted(losses)
    assert losses[-1] > 1.2


@pytest.mark.parametrize("blur_mm", [0.0, 0.8, 1.2])
@pytest.mark.parametrize("sigma_hu", [5.0, 10.0, 20.0])
def test_noise_is_found_whether_or_not_it_hangs_together(sigma_hu: float, blur_mm: float) -> None:
    found = noise_of(body_inputs(sigma_hu=sigma_hu, blur_mm=blur_mm, seed=2))

    assert float(found.value) == pytest.approx(sigma_hu, rel=0.08 if blur_mm else 0.03)
    # A synthetic body has no anatomy within its windows that makes up for what the law of chi squared leaves open.
    # Without the correction it would read by so much too low.
    assert (float(found.evidence["per_mode"]) > 1.1) == (blur_mm > 0)


@pytest.mark.parametrize("copies", [1, 2])
def test_a_plane_without_another_is_judged_by_itself(copies: int) -> None:
    inputs = body_inputs(sigma_hu=12.0, blur_mm=1.1)
    assert inputs.volume is not None

    alone = noise_of(volume_inputs(np.repeat(inputs.volume.array[3:4], copies, axis=0), TRUNK))

    assert float(alone.value) == pytest.approx(12.0, rel=0.08)
