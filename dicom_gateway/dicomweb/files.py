"""Reading stored files without a word: pydicom's warnings quote values, and those may be a patient's."""

import warnings
from pathlib import Path

from pydicom.dataset import Dataset

from imaging.headers import Header, read_header, read_whole

__all__ = ["header_of", "whole_of"]


def header_of(file: Path) -> Header:
    """The header of a stored file.

    Raises
    ------
    NotDicom, TruncatedFile
        The file cannot be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_header(file)


def whole_of(file: Path) -> Dataset:
    """The whole data set of a stored file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read_whole(file)
