"""A rotation that no frontal chest has is no measurement."""

import pytest

from qc.image.checks import dx_rotation
from qc.image.registry import Measured, NotEvaluable, discover
from tests.qc.radiographs import chest_film


@pytest.mark.parametrize("aside", [0.0, 0.7])
def test_more_than_30_degrees_are_not_evaluable(monkeypatch: pytest.MonkeyPatch, aside: float) -> None:
    spine = dx_rotation._spine
    monkeypatch.setattr(
        dx_rotation, "_spine", lambda picture, film: spine(picture, film) + aside * film.lungs.any(axis=0).sum() / 2
    )

    found = discover()["dx.rotation"].run(chest_film())

    assert isinstance(found, NotEvaluable if aside else Measured)
