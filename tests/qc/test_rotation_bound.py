"""A rotation that no frontal chest has is no measurement."""

from dataclasses import replace

import pytest
from pydicom.dataset import Dataset

from qc.image.checks import dx_rotation
from qc.image.registry import Measured, NotEvaluable, discover
from qc.image.result import Grade
from qc.image.run import check_inputs
from tests.qc.radiographs import chest_film


@pytest.mark.parametrize("aside", [0.0, 0.7])
def test_more_than_30_degrees_are_not_evaluable(monkeypatch: pytest.MonkeyPatch, aside: float) -> None:
    spine = dx_rotation._spine
    monkeypatch.setattr(
        dx_rotation, "_spine", lambda picture, film: spine(picture, film) + aside * film.lungs.any(axis=0).sum() / 2
    )

    found = discover()["dx.rotation"].run(chest_film())

    assert isinstance(found, NotEvaluable if aside else Measured)


@pytest.mark.parametrize(("view", "grade"), [("PA", Grade.FAIL), ("", Grade.WARN)])
def test_only_a_film_that_its_header_calls_frontal_fails_for_rotation(view: str, grade: Grade) -> None:
    film = chest_film(15.0)
    header = Dataset(film.headers[0])
    header.ViewPosition = view

    found = check_inputs(replace(film, headers=(header,)), "dx_chest").result("dx.rotation")

    assert found is not None
    assert found.grade is grade
