"""WADO-RS metadata: a file's header in the JSON model, with addresses in place of everything large."""

import json
import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import ParametricMapStorage
from pydicom.valuerep import VR

from dicom_gateway.dicomweb.answers import JsonDataset, element
from dicom_gateway.dicomweb.files import header_of
from dicom_gateway.store import InstanceRow
from imaging.charset import decode_strictly, shown_text, stated_terms
from imaging.errors import ImagingError
from imaging.headers import PARSER_FAULTS

__all__ = ["bulk_value", "instance_metadata"]

BULK_FROM_BYTES = 1024
BULK_VRS = {VR.OB, VR.OD, VR.OF, VR.OL, VR.OV, VR.OW, VR.UN}
TEXT_VRS = {VR.SH, VR.LO, VR.ST, VR.LT, VR.UC, VR.UT, VR.PN}
DEEPEST = 32
"""Nesting of sequences that is followed; deeper items are left out and were never meant for people."""


def instance_metadata(row: InstanceRow, file: Path, address: str) -> JsonDataset:
    """The header of one instance.

    Parameters
    ----------
    row
        Of the index; all that is answered where the file cannot be read, so that no instance is ever missing.
    file
        Of the store.
    address
        Of the instance, to which bulk data addresses are relative.
    """
    try:
        header = header_of(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom quotes values in its warnings
            answer = _json(header.dataset, f"{address}/bulkdata", 0)
    except (ImagingError, *PARSER_FAULTS):
        return (
            element("SOPClassUID", row.sop_class_uid)
            | element("SOPInstanceUID", row.sop_uid)
            | element("StudyInstanceUID", row.study_uid)
            | element("SeriesInstanceUID", row.series_uid)
        )
    if header.pixels is not None:
        tag, vr = _pixel_element(header.dataset)
        answer[tag] = {"vr": vr, "BulkDataURI": f"{address}/bulkdata/{tag}"}
    answer |= element("AvailableTransferSyntaxUID", row.transfer_syntax_uid)
    return dict(sorted(answer.items()))


def bulk_value(dataset: Dataset, path: str) -> bytes:
    """The bytes that a bulk data address points to: tags and item numbers by turns, as `instance_metadata` wrote them.

    Raises
    ------
    KeyError
        There is no such element, or it holds no bytes.
    """
    steps = path.split("/")
    if len(steps) % 2 == 0 or len(steps) > 2 * DEEPEST:
        raise KeyError(path)
    here = dataset
    for tag, item in zip(steps[:-1:2], steps[1::2], strict=True):
        try:
            here = here[int(tag, 16)].value[int(item)]
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            raise KeyError(path) from error
        if not isinstance(here, Dataset):
            raise KeyError(path)
    try:
        value = here[int(steps[-1], 16)].value
    except ValueError as error:
        raise KeyError(path) from error
    if not isinstance(value, bytes):
        raise KeyError(path)
    return value


def _pixel_element(dataset: Dataset) -> tuple[str, str]:
    """Tag and VR of the pixels that follow a header; parametric maps may hold floating-point values."""
    bits = dataset.get("BitsAllocated", 16)
    if dataset.get("SOPClassUID") == ParametricMapStorage and "PixelRepresentation" not in dataset:
        return ("7FE00009", "OD") if bits == 64 else ("7FE00008", "OF")
    return "7FE00010", "OW" if bits > 8 else "OB"


def _json(dataset: Dataset, address: str, depth: int, terms: Sequence[str] = ("",)) -> JsonDataset:
    answer: JsonDataset = {}
    terms = stated_terms(dataset) if "SpecificCharacterSet" in dataset else terms
    for tag in sorted(dataset.keys()):
        if tag.group == 2 or tag.element == 0:
            continue
        key = f"{int(tag):08X}"
        try:
            item = _readable(dataset, tag, terms)
            if item.VR == VR.SQ:
                answer[key] = {"vr": "SQ"}
                if item.value and depth < DEEPEST:
                    nested = [_json(d, f"{address}/{key}/{n}", depth + 1, terms) for n, d in enumerate(item.value)]
                    answer[key]["Value"] = nested
            else:
                answer[key] = _element(item, _address_of(f"{address}/{key}"))
        except PARSER_FAULTS:
            continue  # one unreadable value must not take the other attributes of the instance with it
    return answer


def _readable(dataset: Dataset, tag: BaseTag, terms: Sequence[str]) -> DataElement:
    """An element; text that does not decode in its stated character set with replacement signs for what is lost."""
    raw: Any = dataset.get_item(tag)
    if isinstance(raw, RawDataElement) and isinstance(raw.value, bytes) and not raw.value.isascii():
        vr = raw.VR or (dictionary_VR(tag) if dictionary_has_tag(tag) else "UN")
        if vr in TEXT_VRS and decode_strictly(raw.value, terms) is None:
            return DataElement(tag, vr, shown_text(raw.value, terms).rstrip(" \0"))
    return dataset[tag]


def _address_of(address: str) -> Callable[[DataElement], str]:
    return lambda _: address


def _element(item: DataElement, address: Callable[[DataElement], str]) -> JsonDataset:
    handler = address if item.VR in BULK_VRS else None
    body: JsonDataset = item.to_json_dict(bulk_data_element_handler=handler, bulk_data_threshold=BULK_FROM_BYTES)
    try:
        json.dumps(body.get("Value"), allow_nan=False)
    except ValueError:
        body["Value"] = [_finite(v) for v in body["Value"]]
    return body


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity; PS3.18 F.2.5 writes them as texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value
