"""QIDO-RS: the parameters of a search, and the rows of the index that match (PS3.18 section 10.6)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydicom.datadict import keyword_for_tag, tag_for_keyword
from sqlalchemy import Column, ColumnElement, Connection, Select, and_, func, or_, select, true

from dicom_gateway.errors import GatewayError
from dicom_gateway.store.tables import instance, series, study

__all__ = ["LEVELS", "BadQuery", "Query", "is_uid", "parse_query", "search"]

LEVELS = ("study", "series", "instance")
MOST_RESULTS = 10_000
"""Results in one answer; a search with more says so in a Warning header and is continued by `offset`."""
LONGEST_VALUE = 512
MOST_LISTED = 500
"""UIDs in one list."""

_MATCH: dict[str, tuple[str, Column[Any], str]] = {  # keyword: (level, column, kind of matching)
    "StudyInstanceUID": ("study", study.c.study_uid, "uid"),
    "StudyDate": ("study", study.c.study_date, "range"),
    "StudyTime": ("study", study.c.study_time, "range"),
    "AccessionNumber": ("study", study.c.accession_number, "text"),
    "StudyID": ("study", study.c.study_id, "text"),
    "StudyDescription": ("study", study.c.study_description, "text"),
    "PatientName": ("study", study.c.patient_name, "name"),
    "PatientID": ("study", study.c.patient_id, "text"),
    "PatientBirthDate": ("study", study.c.patient_birth_date, "range"),
    "PatientSex": ("study", study.c.patient_sex, "text"),
    "ReferringPhysicianName": ("study", study.c.referring_physician, "name"),
    "SeriesInstanceUID": ("series", series.c.series_uid, "uid"),
    "Modality": ("series", series.c.modality, "text"),
    "SeriesNumber": ("series", series.c.series_number, "number"),
    "SeriesDescription": ("series", series.c.series_description, "text"),
    "BodyPartExamined": ("series", series.c.body_part, "text"),
    "FrameOfReferenceUID": ("series", series.c.frame_of_reference_uid, "uid"),
    "SOPInstanceUID": ("instance", instance.c.sop_uid, "uid"),
    "SOPClassUID": ("instance", instance.c.sop_class_uid, "uid"),
    "InstanceNumber": ("instance", instance.c.instance_number, "number"),
    "Rows": ("instance", instance.c.rows, "number"),
    "Columns": ("instance", instance.c.columns, "number"),
    "NumberOfFrames": ("instance", instance.c.number_of_frames, "number"),
}


class BadQuery(GatewayError):
    """A parameter that cannot be understood or answered; the text says which and why, without its value."""


@dataclass(frozen=True)
class Query:
    """A search.

    Parameters
    ----------
    level
        "study", "series" or "instance".
    matches
        Wanted values by keyword; empty values are left out, because they match everything.
    include
        Keywords that the answer gets besides, where the index has them; "all" stands for all.
    limit, offset
        Part of the result.
    warnings
        Sentences for a Warning header.
    """

    level: str
    matches: Mapping[str, str] = field(default_factory=dict)
    include: frozenset[str] = frozenset()
    limit: int = MOST_RESULTS
    offset: int = 0
    warnings: tuple[str, ...] = ()


def is_uid(text: str) -> bool:
    """Whether a text can be a UID of the index; nothing else ever reaches the database or a path."""
    return re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}", text) is not None and ".." not in text


def parse_query(level: str, parameters: Sequence[tuple[str, str]], within: Mapping[str, str] | None = None) -> Query:
    """The search of a request.

    Parameters
    ----------
    level
        What is searched for.
    parameters
        Of the URL, in order.
    within
        Study or series that the path names, by keyword.

    Raises
    ------
    BadQuery
        A parameter that is unknown, unsupported as matching key at this level, or malformed.
    """
    matches = dict(within or {})
    include: set[str] = set()
    numbers = {"limit": MOST_RESULTS, "offset": 0}
    warnings: list[str] = []
    for name, value in parameters:
        if len(value) > LONGEST_VALUE * (MOST_LISTED if "UID" in name else 1):
            raise BadQuery("A value is too long.")
        if name in numbers:
            numbers[name] = _whole(name, value)
        elif name == "fuzzymatching":
            if value.lower() == "true":
                warnings.append(
                    "The fuzzymatching parameter is not supported. Only literal matching has been performed."
                )
        elif name == "includefield":
            include |= {_keyword(f) for f in value.split(",") if f.strip()}
        elif name != "accept":
            keyword = _matching_key(level, name)
            if value.strip():
                _check_value(keyword, value)
                matches[keyword] = value
    return Query(level, matches, frozenset(include), numbers["limit"], numbers["offset"], tuple(warnings))


def search(connection: Connection, query: Query) -> list[Mapping[str, Any]]:
    """Rows that match, with the counts of their level; one more than the limit where there are more."""
    statement = _SELECTS[query.level]()
    for keyword, value in query.matches.items():
        statement = statement.where(_condition(query.level, keyword, value))
    statement = statement.offset(query.offset).limit(query.limit + 1)
    return [dict(row) for row in connection.execute(statement).mappings()]


def modalities_of(connection: Connection, study_uids: Sequence[str]) -> dict[str, list[str]]:
    """Modalities in each study, sorted."""
    found: dict[str, set[str]] = {}
    for start in range(0, len(study_uids), 500):  # databases bound the parameters of one statement
        rows = connection.execute(
            select(series.c.study_uid, series.c.modality).where(series.c.study_uid.in_(study_uids[start : start + 500]))
        )
        for uid, modality in rows:
            if modality:
                found.setdefault(uid, set()).add(modality)
    return {uid: sorted(values) for uid, values in found.items()}


def _whole(name: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise BadQuery(f"{name} is a whole number from 0.")
    number = int(value)
    if name == "limit" and not 1 <= number <= MOST_RESULTS:
        raise BadQuery(f"limit is a number from 1 to {MOST_RESULTS}; continue with offset.")
    return number


def _keyword(name: str) -> str:
    """Keyword of an attribute that is named by keyword or by its eight digits; "all" stays.

    Raises
    ------
    BadQuery
        The dictionary has no such attribute.
    """
    last = name.strip().split(".")[-1]
    if last == "all":
        return "all"
    keyword = keyword_for_tag(int(last, 16)) if re.fullmatch(r"[0-9A-Fa-f]{8}", last) else last
    if not keyword or tag_for_keyword(keyword) is None:
        raise BadQuery("A parameter names no attribute of the DICOM data dictionary.")
    return keyword


def _matching_key(level: str, name: str) -> str:
    """Keyword of a matching key of this level.

    Raises
    ------
    BadQuery
        The index cannot match it, or it belongs to a lower level.
    """
    keyword = _keyword(name)
    if keyword == "ModalitiesInStudy":
        return keyword
    if keyword not in _MATCH:
        raise BadQuery(f"{keyword} cannot be searched for; the answer would hold studies that do not match.")
    if LEVELS.index(_MATCH[keyword][0]) > LEVELS.index(level):
        raise BadQuery(f"{keyword} belongs to a lower level than the search.")
    return keyword


def _check_value(keyword: str, value: str) -> None:
    kind = _MATCH[keyword][2] if keyword in _MATCH else "text"
    if kind == "uid":
        listed = _listed(value)
        if len(listed) > MOST_LISTED or not all(is_uid(u) for u in listed):
            raise BadQuery(f"{keyword} is a UID or a list of at most {MOST_LISTED} UIDs.")
    elif kind == "number" and not re.fullmatch(r"-?[0-9]{1,9}", value.strip()):
        raise BadQuery(f"{keyword} is a whole number.")
    elif kind == "range" and not re.fullmatch(r"[0-9.:]{0,16}-?[0-9.:]{0,16}", value.strip()):
        raise BadQuery(f"{keyword} is a value or a range such as 20260101-20260131.")
    elif "\x00" in value:
        raise BadQuery(f"{keyword} holds a control character.")


def _listed(value: str) -> list[str]:
    return [u.strip() for u in re.split(r"[,\\]", value) if u.strip()]


def _condition(level: str, keyword: str, value: str) -> ColumnElement[bool]:
    if keyword == "ModalitiesInStudy":
        inside = select(series.c.study_uid).where(_text(series.c.modality, value))
        return study.c.study_uid.in_(inside)
    _, column, kind = _MATCH[keyword]
    match kind:
        case "uid":
            return column.in_(_listed(value))
        case "number":
            return column == int(value)
        case "range":
            return _range(column, value.strip())
        case "name":
            return _name(column, value)
        case _:
            return _text(column, value)


def _text(column: Column[Any], value: str) -> ColumnElement[bool]:
    """Values of a list separated by backslash or comma; wildcards * and ?; case does not matter."""
    values = _listed(value) if "\\" in value else [value.strip()]
    return or_(*(column.ilike(_like(v), escape="\\") for v in values))


def _name(column: Column[Any], value: str) -> ColumnElement[bool]:
    """A person's name: the value has to match one component group as a whole."""
    wanted = _like(value.strip())
    forms = (wanted, f"{wanted}=%", f"%={wanted}", f"%={wanted}=%")
    return or_(*(column.ilike(form, escape="\\") for form in forms))


def _like(value: str) -> str:
    escaped = re.sub(r"([\\%_])", r"\\\1", value)
    return escaped.replace("*", "%").replace("?", "_")


def _range(column: Column[Any], value: str) -> ColumnElement[bool]:
    low, dash, high = value.partition("-")
    if not dash:
        return column.like(f"{low}%")
    conditions = [column.is_not(None), column != ""]
    if low:
        conditions.append(column >= low)
    if high:
        conditions.append(column <= f"{high}~")  # so that 0730 includes 073015
    return and_(true(), *conditions)


def _studies() -> Select[Any]:
    of_study = instance.c.study_uid == study.c.study_uid
    return (
        select(
            study,
            select(func.count(func.distinct(instance.c.series_uid)))
            .where(of_study)
            .scalar_subquery()
            .label("n_series"),
            select(func.count()).select_from(instance).where(of_study).scalar_subquery().label("n_instances"),
        )
        .where(select(instance.c.sop_uid).where(of_study).exists())
        .order_by(study.c.last_received.desc(), study.c.study_uid)
    )


_SERIES_COLUMNS = [c for c in series.columns if c.name not in {"study_uid", "first_received", "last_received"}]
_INSTANCE_COLUMNS = [c for c in instance.columns if c.name not in {"study_uid", "series_uid"}]


def _series() -> Select[Any]:
    of_series = instance.c.series_uid == series.c.series_uid
    count = select(func.count()).select_from(instance).where(of_series).scalar_subquery()
    return (
        select(study, *_SERIES_COLUMNS, count.label("n_instances"))
        .join(series, series.c.study_uid == study.c.study_uid)
        .where(select(instance.c.sop_uid).where(of_series).exists())
        .order_by(study.c.last_received.desc(), study.c.study_uid, series.c.series_number, series.c.series_uid)
    )


def _instances() -> Select[Any]:
    return (
        select(study, *_SERIES_COLUMNS, *_INSTANCE_COLUMNS)
        .join(series, series.c.study_uid == study.c.study_uid)
        .join(instance, instance.c.series_uid == series.c.series_uid)
        .order_by(study.c.study_uid, series.c.series_number, series.c.series_uid, *_INSTANCE_ORDER)
    )


_INSTANCE_ORDER = (instance.c.instance_number, instance.c.sop_uid)
_SELECTS = {"study": _studies, "series": _series, "instance": _instances}
