"""The error tree: drawn as it is, with stable codes, and able to cross a process boundary."""

import inspect
import pickle
import re

import pytest

from imaging import errors
from imaging.errors import GeometryRefused, RadgateError

CLASSES: list[type[RadgateError]] = [
    c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, RadgateError)
]


def drawn_parents() -> dict[str, str]:
    """Parent of each class as the module's docstring draws the tree."""
    parents: dict[str, str] = {}
    trail: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r"    ([ │├└─]*)([A-Z]\w+)", line)
        if match:
            depth, name = len(match[1]) // 4, match[2]
            trail[depth] = name
            if depth:
                parents[name] = trail[depth - 1]
    return parents


def test_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    assert drawn_parents() == {c.__name__: c.__bases__[0].__name__ for c in CLASSES if c is not RadgateError}
    assert sorted(errors.__all__) == sorted(c.__name__ for c in CLASSES)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda c: c.__name__)
def test_error_survives_pickling_with_message_and_fields(kind: type[RadgateError]) -> None:
    again = pickle.loads(pickle.dumps(kind("What is wrong; what to do.", plane=3)))  # noqa: S301

    assert (type(again), again.message, again.fields) == (kind, "What is wrong; what to do.", {"plane": 3})


def test_codes_are_the_names_in_snake_case_and_unique() -> None:
    codes = [c.code for c in CLASSES]

    assert errors.MissingSlices.code == "missing_slices"
    assert errors.MixedFrameOfReference.code == "mixed_frame_of_reference"
    assert GeometryRefused.code == "geometry_refused"
    assert len(set(codes)) == len(codes)
