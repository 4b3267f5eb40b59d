"""Foreign names to TG-263: exact, by rule, by the site's aliases, by Chinese name; never by similarity alone.

What matches nothing, or more than one thing, is kept as it is and listed. Left and right are checked against geometry.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from contouring.errors import LateralityConflict, UnknownStructure
from contouring.names.pinyin import initials
from contouring.names.structure import StructureName
from contouring.names.table import NameTable, fold

__all__ = ["Renaming", "check_side", "match_name", "rename"]

How = Literal["exact", "rule", "alias", "chinese", "unmatched"]

SIDE_TOLERANCE_MM = 5.0
"""How far a structure's centre may lie on the wrong side of the midline: a turned head moves it."""

SIDE_WORDS = {"l": "L", "lt": "L", "left": "L", "左": "L", "r": "R", "rt": "R", "right": "R", "右": "R"}

FILLERS = {"gland", "glnd", "bone", "muscle", "musc", "of", "the", "organ", "oar"}
"""Words that do not tell structures apart."""

SYNONYMS = {
    "cord": "SpinalCord",
    "brain stem": "Brainstem",
    "myelon": "SpinalCord",
    "mandible": "Bone_Mandible",
    "chiasm": "OpticChiasm",
    "chiasma": "OpticChiasm",
    "hypophysis": "Pituitary",
    "hypothalamus": "Hypothalmus",
    "gullet": "Esophagus",
    "esophagus": "Esophagus",
    "skin contour": "External",
    "patient outline": "Body",
    "submandibular": "Glnd_Submand",
    "lacrimal": "Glnd_Lacrimal",
    "adrenal": "Glnd_Adrenal",
    "femoral head": "Femur_Head",
    "temporal lobe": "Lobe_Temporal",
    "globe": "Eye",
    "tmj": "Joint_TM",
    "lad": "A_LAD",
    "aorta": "A_Aorta",
    "small bowel": "Bowel_Small",
    "large bowel": "Bowel_Large",
    "thyroid": "Glnd_Thyroid",
}
"""Usual English words for a structure; paired ones stand without their side."""


@dataclass(frozen=True)
class Renaming:
    """What became of one name.

    Parameters
    ----------
    original
        The foreign name.
    name
        The structure it means, or None.
    how
        Which rule found it.
    candidates
        Several structures that it might mean, or the nearest ones; none of them is taken.
    """

    original: str
    name: StructureName | None
    how: How
    candidates: tuple[str, ...] = ()


def match_name(original: str, table: NameTable) -> Renaming:
    """The structure that a foreign name means."""
    if original not in table.entries and table.aliases.get(fold(original), original) != original:
        return Renaming(original, table.lookup(original), "alias")
    if original in table.entries or _pattern_matches(original, table):
        return Renaming(original, table.lookup(original), "exact")
    by_rule = _words_index(table).get(_words(original), frozenset())
    if len(by_rule) == 1:
        return Renaming(original, table.lookup(next(iter(by_rule))), "rule")
    chinese = _chinese_index(table)
    found = chinese.get(_chinese_key(original)) or chinese.get(("initials", fold(original)), frozenset())
    if len(found) == 1:
        return Renaming(original, table.lookup(next(iter(found))), "chinese")
    several = tuple(sorted(by_rule | found))
    return Renaming(original, None, "unmatched", several or table.suggestions(original))


def rename(
    names: Sequence[str],
    table: NameTable,
    *,
    centres_x_mm: Mapping[str, float] | None = None,
    midline_x_mm: float | None = None,
    uncertainty_mm: float = 0.0,
) -> tuple[Renaming, ...]:
    """What each name means, in order; two names that mean the same structure both stay unmatched.

    Parameters
    ----------
    names
        Foreign names.
    table
        With the site's aliases.
    centres_x_mm
        LPS x of each structure's centre, by foreign name, where it is known.
    midline_x_mm
        LPS x of the patient's midline; without it sides are not checked.
    uncertainty_mm
        How far off it may be.

    Raises
    ------
    LateralityConflict
        A name says one side and the geometry the other.
    """
    found = [match_name(name, table) for name in names]
    taken = [f.name.tg263 for f in found if f.name is not None]
    result = []
    for each in found:
        if each.name is not None and taken.count(each.name.tg263) > 1:
            result.append(Renaming(each.original, None, "unmatched", (each.name.tg263,)))
            continue
        if each.name is not None and midline_x_mm is not None and each.original in (centres_x_mm or {}):
            check_side(each.name, (centres_x_mm or {})[each.original], midline_x_mm, uncertainty_mm)
        result.append(each)
    return tuple(result)


def check_side(name: StructureName, centre_x_mm: float, midline_x_mm: float, uncertainty_mm: float = 0.0) -> None:
    """Refuse a paired structure whose centre lies on the other side of the patient.

    Parameters
    ----------
    name
        Unpaired structures pass.
    centre_x_mm
        LPS x of its centre; +x is the patient's left.
    midline_x_mm
        LPS x of the midline.
    uncertainty_mm
        How far off it may be.

    Raises
    ------
    LateralityConflict
        The centre lies more than 5 mm, and more than the uncertainty, beyond the midline.
    """
    offset = centre_x_mm - midline_x_mm
    wrong = {"L": -offset, "R": offset}.get(name.side, 0.0)
    if wrong > max(SIDE_TOLERANCE_MM, uncertainty_mm):
        raise LateralityConflict(
            f"{name.tg263} lies {wrong:.0f} mm on the patient's other side; check the orientation of the images, "
            "then the name.",
            structure=name.tg263,
            offset_mm=offset,
        )


def _pattern_matches(name: str, table: NameTable) -> bool:
    if fold(name) in table.aliases:
        return False
    try:
        table.lookup(name)
    except UnknownStructure:
        return False
    return True


def _words(name: str) -> tuple[str, ...]:
    """Words without order, fillers and case; the side, in any spelling, as one of them."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name.replace("œ", "oe"))
    words = [p.lower().replace("oesoph", "esoph") for p in parts]
    sides = {SIDE_WORDS[w] for w in words if w in SIDE_WORDS}
    rest = sorted(w for w in words if w not in SIDE_WORDS and w not in FILLERS)
    return (*rest, *sorted(sides))


@lru_cache(maxsize=8)
def _index_of_words(entries: tuple[StructureName, ...]) -> dict[tuple[str, ...], frozenset[str]]:
    index: dict[tuple[str, ...], set[str]] = {}
    known = {e.tg263 for e in entries}
    for entry in entries:
        for text in (entry.tg263, entry.en):
            index.setdefault(_words(text), set()).add(entry.tg263)
    for word, target in SYNONYMS.items():
        for suffix, side in (("", ""), ("_L", " left"), ("_R", " right")):
            if target + suffix in known:
                index.setdefault(_words(word + side), set()).add(target + suffix)
    return {key: frozenset(value) for key, value in index.items() if key}


def _words_index(table: NameTable) -> dict[tuple[str, ...], frozenset[str]]:
    return _index_of_words(tuple(table.entries.values()))


@lru_cache(maxsize=8)
def _index_of_chinese(entries: tuple[StructureName, ...]) -> dict[tuple[str, str], frozenset[str]]:
    index: dict[tuple[str, str], set[str]] = {}
    for entry in entries:
        index.setdefault(_chinese_key(entry.zh), set()).add(entry.tg263)
        index.setdefault(("initials", initials(entry.zh)), set()).add(entry.tg263)
    return {key: frozenset(value) for key, value in index.items()}


def _chinese_index(table: NameTable) -> dict[tuple[str, str], frozenset[str]]:
    return _index_of_chinese(tuple(table.entries.values()))


def _chinese_key(name: str) -> tuple[str, str]:
    """(side, rest) of a Chinese name; the side may stand before, behind or in brackets, as a character or a letter."""
    text = re.sub(r"[\s()（）\[\]【】_\-.,，、]", "", name).replace("侧", "")
    if not re.search(r"[\u4e00-\u9fff]", text):
        return ("", "")
    sides = set(re.findall(r"[左右]", text)) | set(re.findall(r"(?<![A-Za-z])[LRlr](?![A-Za-z])", text))
    side = "".join(sorted({SIDE_WORDS[s.lower()] for s in sides}))
    return (side, re.sub(r"[左右]|(?<![A-Za-z])[LRlr](?![A-Za-z])", "", text))
