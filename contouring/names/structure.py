"""What is known of a structure by its name: codes, Chinese and English names, colour, interpreted type."""

from dataclasses import dataclass

from pydicom.sr.coding import Code

__all__ = ["Code", "StructureName"]


@dataclass(frozen=True)
class StructureName:
    """One structure, keyed by its TG-263 name.

    Parameters
    ----------
    tg263
        Canonical name, at most 16 characters except where the standard's own pattern is longer.
    zh, en
        Names for people.
    category
        SegmentedPropertyCategoryCodeSequence.
    type
        SegmentedPropertyTypeCodeSequence: SNOMED CT where DICOM's dictionaries hold the concept, else FMA.
    modifier
        Laterality, or None for an unpaired structure and for both sides together.
    fma
        Identifier in the Foundational Model of Anatomy, as digits; empty where TG-263 gives none.
    colour_rgb
        Display colour, 0 to 255 each.
    interpreted_type
        RTROIInterpretedType (3006,00A4).
    """

    tg263: str
    zh: str
    en: str
    category: Code
    type: Code
    modifier: Code | None
    fma: str
    colour_rgb: tuple[int, int, int]
    interpreted_type: str

    @property
    def side(self) -> str:
        """Which side it lies on: "L", "R", or "" for an unpaired structure and for both sides together."""
        if self.modifier is None:
            return ""
        return {"7771000": "L", "24028007": "R"}.get(self.modifier.value, "")
