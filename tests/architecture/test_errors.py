"""Every error class of ours hangs on the one root."""

import importlib
import pkgutil

import pytest

from imaging.errors import RadgateError

PACKAGES = ("imaging", "qc", "contouring", "monai_bundles", "reports", "dicom_gateway")
TRAINING = "monai_bundles.training"


def our_exceptions() -> list[type[BaseException]]:
    """Exception classes defined in our packages."""
    found: list[type[BaseException]] = []
    for package in PACKAGES:
        root = importlib.import_module(package)
        for info in pkgutil.walk_packages(root.__path__, f"{package}."):
            if info.name.startswith(TRAINING) or ".bundles." in info.name:
                continue
            module = importlib.import_module(info.name)
            found += [
                value
                for value in vars(module).values()
                if isinstance(value, type) and issubclass(value, BaseException) and value.__module__ == info.name
            ]
    return found


def strays(classes: list[type[BaseException]]) -> list[str]:
    """Names of the classes that do not descend from the root."""
    return [f"{c.__module__}.{c.__name__}" for c in classes if not issubclass(c, RadgateError)]


def test_there_is_one_tree_of_errors() -> None:
    classes = our_exceptions()

    assert len(classes) > 10
    assert strays(classes) == []


def test_a_stray_error_is_seen() -> None:
    class Planted(ValueError):
        pass

    assert strays([Planted]) != []


def test_codes_are_unique() -> None:
    codes = [c.code for c in our_exceptions() if issubclass(c, RadgateError)]

    assert sorted(codes) == sorted(set(codes))


@pytest.mark.parametrize("text", ["Reading failed; send it again."])
def test_an_error_survives_being_sent_to_another_process(text: str) -> None:
    import pickle

    error = RadgateError(text, plane=3)

    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes

    assert (copy.message, copy.fields) == (text, {"plane": 3})
