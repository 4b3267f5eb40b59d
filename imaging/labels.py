"""Labels that people gave to plans, structure sets and series, read in the character set of their object."""

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from imaging.attributes import PARSER_FAULTS
from imaging.charset import decode_strictly, stated_terms

__all__ = ["label_of"]


def label_of(dataset: Dataset, keyword: str) -> str:
    """A label as it was written; "" where it is absent, or no text in the character set that the object states."""
    try:
        element = dataset.get_item(keyword)
        value = None if element is None else element.value
    except PARSER_FAULTS:
        return ""
    if isinstance(value, MultiValue | list | tuple):  # a backslash in a label
        value = "\\".join(str(v) for v in value)
    read = decode_strictly(value, stated_terms(dataset)) if isinstance(value, bytes) else value
    return "" if read is None else str(read).strip(" \0")
