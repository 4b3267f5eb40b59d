"""The table of structures: name to codes, with the patterns of TG-263 for targets, PRVs, parts and subtractions.

The table is `structures.csv` beside this module: one row a structure, each with the source of its name and codes. Names
that TG-263 has and the table has not come from the `tg263` package, with the English name standing in for the Chinese.
Renaming of foreign names is left to `contouring.names.rename`.
"""

import colorsys
import csv
import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from types import MappingProxyType

from pydicom.sr.coding import Code

from contouring.errors import UnknownStructure
from contouring.names.structure import StructureName

__all__ = ["NameTable", "lookup"]

ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
NON_SPECIFIC_VOLUME = Code("130046", "DCM", "Non-specific Volume")
LEFT = Code("7771000", "SCT", "Left")
RIGHT = Code("24028007", "SCT", "Right")

TARGET = re.compile(
    r"(?P<kind>GTV|CTV|ITV|IGTV|ICTV|PTV)(?P<part>p|n|sb|par|vas|v)?(?P<number>\d{1,2})?"
    r"(?P<rest>(_[A-Za-z0-9]+)*)(?P<crop>-\d\d)?(~?\^[A-Za-z0-9+-]+)?"
)
"""Targets by TG-263: classifier, number, modality, structure and dose, margin cropped from the skin, custom part."""

PLANNING_RISK_VOLUME = re.compile(r"(?P<base>[A-Za-z0-9]+(_[A-Za-z0-9]+)*?)_PRV(?P<mm>\d\d)?(?P<side>_[LR])?")
NOT_FOR_EVALUATION = re.compile(r"(z[A-Z_]|_)[A-Za-z0-9_^~+-]*")
PARTIAL = re.compile(r"(?P<base>[A-Za-z0-9_]+?)~(?P<side>_[LR])?")
CUSTOM = re.compile(r"(?P<base>[A-Za-z0-9_~]+)\^(?P<custom>[A-Za-z0-9+-]+)")


@dataclass(frozen=True)
class NameTable:
    """Structures by TG-263 name, and a site's own names for them.

    Parameters
    ----------
    entries
        Canonical name to structure.
    aliases
        Folded foreign name to canonical name; see `with_aliases`.
    """

    entries: Mapping[str, StructureName]
    aliases: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def default() -> "NameTable":
        """The table that ships with radgate, without aliases."""
        return _shipped()

    def with_aliases(self, aliases: Mapping[str, str]) -> "NameTable":
        """The same table with a site's names (`{"腮腺左": "Parotid_L"}`); case and runs of spaces do not count.

        Raises
        ------
        UnknownStructure
            An alias leads to a name that is no structure.
        ValueError
            An alias is itself a canonical name of something else.
        """
        folded = dict(self.aliases)
        for foreign, canonical in aliases.items():
            name = self.lookup(canonical).tg263
            if foreign in self.entries and foreign != name:
                raise ValueError(f"alias {foreign!r} is the TG-263 name of another structure than {canonical!r}")
            folded[fold(foreign)] = name
        return replace(self, aliases=MappingProxyType(folded))

    def lookup(self, name: str) -> StructureName:
        """The structure of this name: in the table as written, an alias of the site, or a pattern of TG-263.

        Raises
        ------
        UnknownStructure
            None of these; the error names the nearest entries and never takes one of them by itself.
        """
        # A site's word for a name goes before the patterns, which fit many names of targets: "GTV_Mass_CT" is one.
        found = self.entries.get(name)
        if found is None and self.aliases.get(fold(name), name) != name:
            found = self._known(self.aliases[fold(name)])
        found = found or self._pattern(name) or _from_tg263(name)
        if found is None:
            near = self.suggestions(name)
            hint = f"; the nearest are {', '.join(near)}" if near else ""
            raise UnknownStructure(
                f"No structure has this name{hint}. Use a TG-263 name or add an alias to the site's table.",
                suggestions=list(near),
            )
        return found

    def suggestions(self, name: str, count: int = 3) -> tuple[str, ...]:
        """Canonical names nearest to `name` in letters, in English or in Chinese, nearest first."""
        words: dict[str, str] = {}
        for entry in self.entries.values():
            for word in (entry.tg263, entry.en, entry.zh):
                words.setdefault(fold(word), entry.tg263)
        words.update(self.aliases)
        near = difflib.get_close_matches(fold(name), words, n=4 * count, cutoff=0.6)
        return tuple(dict.fromkeys(words[w] for w in near))[:count]

    def __iter__(self) -> Iterator[StructureName]:
        return iter(self.entries.values())

    def _pattern(self, name: str) -> StructureName | None:
        if target := TARGET.fullmatch(name):
            return self._target(name, target)
        if NOT_FOR_EVALUATION.fullmatch(name):
            return StructureName(
                name, "辅助结构", "optimisation structure", NON_SPECIFIC_VOLUME, NON_SPECIFIC_VOLUME, None, "",
                _colour_of(name), "CONTROL",
            )  # fmt: skip
        if risk := PLANNING_RISK_VOLUME.fullmatch(name):
            base = self._known(risk["base"] + (risk["side"] or ""))
            margin = f" +{int(risk['mm'])} mm" if risk["mm"] else ""
            return base and _derived(
                base, name, f"{base.zh}计划危及区{margin}", f"planning risk volume of {base.en}{margin}", "AVOIDANCE"
            )
        if part := PARTIAL.fullmatch(name):
            base = self._known(part["base"] + (part["side"] or ""))
            return base and _derived(base, name, f"部分{base.zh}", f"part of {base.en}", base.interpreted_type)
        if custom := CUSTOM.fullmatch(name):
            base = self._known(custom["base"])
            return base and _derived(
                base, name, f"{base.zh}（{custom['custom']}）", f"{base.en} ({custom['custom']})", base.interpreted_type
            )
        if "-" in name:
            return self._difference(name)
        return None

    def _target(self, name: str, match: re.Match[str]) -> StructureName:
        part = match["part"] if match["part"] in {"p", "n"} else ""
        base = self.entries.get(match["kind"] + (part or "")) or self.entries[match["kind"]]
        detail = name[len(match["kind"]) + len(part or "") :].strip("_")
        zh, en = (base.zh, base.en) if not detail else (f"{base.zh} {detail}", f"{base.en} {detail}")
        return _derived(base, name, zh, en, base.interpreted_type)

    def _difference(self, name: str) -> StructureName | None:
        minuend, *subtrahends = name.split("-")
        base = self._known(minuend)
        taken = [self._known(s) for s in subtrahends]
        if base is None or not all(taken):
            return None
        zh = "减".join([base.zh, *(t.zh for t in taken if t)])
        rest = _derived(base, name, zh, " minus ".join([base.en, *(t.en for t in taken if t)]), base.interpreted_type)
        # Only the whole outline may be EXTERNAL, of which a structure set has one at most.
        outline = base.interpreted_type == "EXTERNAL"
        return replace(rest, category=ANATOMICAL_STRUCTURE, interpreted_type="ORGAN") if outline else rest

    def _known(self, name: str) -> StructureName | None:
        return self.entries.get(name) or self._pattern(name) or _from_tg263(name)


def lookup(name: str) -> StructureName:
    """The structure with this TG-263 name (or pattern: `PTVp1_6000`, `SpinalCord_PRV05`, `Lungs-GTV`).

    Raises
    ------
    UnknownStructure
        TG-263 and radgate's table have no such name; the error carries the nearest ones.

    Examples
    --------
    >>> lookup("Parotid_L").zh
    '左腮腺'
    """
    return NameTable.default().lookup(name)


def fold(name: str) -> str:
    """A name for comparison: case and runs of blanks do not count."""
    return " ".join(name.casefold().split())


def _derived(base: StructureName, name: str, zh: str, en: str, interpreted_type: str) -> StructureName:
    colour = base.colour_rgb if name == base.tg263 else _colour_of(name)
    return replace(base, tg263=name, zh=zh, en=en, colour_rgb=colour, interpreted_type=interpreted_type)


def _colour_of(name: str) -> tuple[int, int, int]:
    """A bright colour that follows from the name, for names outside the table."""
    value = hashlib.sha256(name.encode()).digest()
    red, green, blue = colorsys.hsv_to_rgb(value[0] / 256, 0.5 + value[1] / 512, 0.75 + value[2] / 1024)
    return (round(255 * red), round(255 * green), round(255 * blue))


@cache
def _shipped() -> NameTable:
    text = resources.files("contouring.names").joinpath("structures.csv").read_text(encoding="utf-8")
    entries = {row["tg263"]: _from_row(row) for row in csv.DictReader(text.splitlines())}
    return NameTable(MappingProxyType(entries))


def _from_row(row: Mapping[str, str]) -> StructureName:
    red, green, blue = bytes.fromhex(row["colour"].removeprefix("#"))
    return StructureName(
        tg263=row["tg263"],
        zh=row["zh"],
        en=row["en"],
        category=Code(row["category_code"], row["category_scheme"], row["category_meaning"]),
        type=Code(row["type_code"], row["type_scheme"], row["type_meaning"]),
        modifier={"L": LEFT, "R": RIGHT, "": None}[row["side"]],
        fma=row["fma"],
        colour_rgb=(red, green, blue),
        interpreted_type=row["interpreted_type"],
    )


@cache
def _tg263_by_name() -> dict[str, tuple[str, str, str]]:
    """(FMA number, description, kind) of each name of the `tg263` package, patterns with "xx" left out."""
    # The package compiles hundreds of expressions on import, and few names need it.
    from tg263 import ALLOWED_STRUCTURES

    return {
        entry.primary_name.strip(): (str(entry.fmaid or ""), str(entry.description).strip(), entry.target_type.strip())
        for entry in ALLOWED_STRUCTURES
        if "xx" not in entry.primary_name
    }


def _from_tg263(name: str) -> StructureName | None:
    row = _tg263_by_name().get(name)
    if row is None:
        return None
    fma, description, kind = row
    en = name.replace("_", " ") if description in {"", "nan"} else description
    anatomic = kind == "Anatomic"
    fallback = ANATOMICAL_STRUCTURE if anatomic else NON_SPECIFIC_VOLUME
    return StructureName(
        tg263=name,
        zh=en,
        en=en,
        category=fallback,
        type=Code(fma, "FMA", en[:64]) if fma else fallback,
        modifier={"_L": LEFT, "_R": RIGHT}.get(name[-2:]) if anatomic else None,
        fma=fma,
        colour_rgb=_colour_of(name),
        interpreted_type="ORGAN" if anatomic else "CONTROL",
    )
