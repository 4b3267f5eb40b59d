"""The table of structures against TG-263 and DICOM, its patterns, and the renaming of foreign names."""

import csv
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from pydicom.sr._concepts_dict import concepts
from tg263 import ALLOWED_STRUCTURES

from contouring.errors import AliasesRefused, LateralityConflict, UnknownStructure
from contouring.names import NameTable, check_side, load_aliases, lookup, match_name, rename
from contouring.names.pinyin import initials

TABLE = NameTable.default()
ROWS = list(
    csv.DictReader(resources.files("contouring.names").joinpath("structures.csv").read_text("utf-8").splitlines())
)
TG263 = {s.primary_name.strip(): s for s in ALLOWED_STRUCTURES}


SPECIFIED = """
Body Lung_L Lung_R Lungs Trachea Bone SpinalCord SpinalCanal Brainstem Parotid_L Parotid_R Bone_Mandible
Larynx Esophagus Brain Heart A_LAD A_Aorta OpticChiasm OpticNrv_L Lens_R Eye_L Liver Glnd_Submand_L Kidney_L
Glnd_Lacrimal_L Spleen Glnd_Thyroid Pancreas Stomach Lobe_Temporal_L Duodenum Pituitary Bowel_Small Cochlea_L
Colon Colon_Sigmoid Hippocampus_L Rectum Larynx_SG Canal_Anal Cavity_Oral Bladder Musc_Constrict Prostate
BrachialPlex_L SeminalVes Joint_TM_L Femur_Head_L CaudaEquina PenileBulb Glnd_Adrenal_L Uterus Cervix
Gallbladder Breast_L External
"""
"""Structures that the specification of contouring names (section 9)."""


def in_dictionary(scheme: str, value: str) -> bool:
    entries: Any = concepts[scheme]
    return any(value in codes for codes in entries.values())


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r["tg263"])
def test_every_row_is_backed_by_its_source(row: dict[str, str]) -> None:
    assert row["zh"]
    assert row["en"].isascii()
    assert len(row["tg263"]) <= 16
    for scheme, value in (
        (row["category_scheme"], row["category_code"]),
        (row["type_scheme"], row["type_code"]),
    ):
        if scheme == "FMA":
            assert value == row["fma"]
        else:
            assert in_dictionary(scheme, value), f"{scheme} {value} is in no DICOM dictionary"
    if "TG-263 2019" in row["source"]:
        listed = TG263[row["tg263"]]
        assert row["fma"] == str(listed.fmaid or "")
    assert ("SCT: DICOM" in row["source"]) == (row["type_scheme"] == "SCT" and row["type_code"] != "91723000") or (
        "CID 9534" in row["source"]
    )


def test_an_invented_code_would_be_seen() -> None:
    """The planted fault of the test above."""
    assert not in_dictionary("SCT", "123456789")


def test_colours_and_chinese_names_tell_structures_apart() -> None:
    assert len({r["colour"] for r in ROWS}) == len(ROWS)
    assert len({r["zh"] for r in ROWS}) == len(ROWS)


def test_sides_are_consistent() -> None:
    for row in ROWS:
        if row["side"]:
            assert ("左" if row["side"] == "L" else "右") in row["zh"]


@pytest.mark.parametrize("name", SPECIFIED.split())
def test_the_structures_of_the_specification_are_there(name: str) -> None:
    assert lookup(name).tg263 == name


def test_fma_numbers_of_the_specification() -> None:
    expected = {"Brain": "50801", "Lung_L": "7310", "Lung_R": "7309", "Parotid_R": "59797", "SpinalCanal": "9680"}

    assert {name: lookup(name).fma for name in expected} == expected


@pytest.mark.parametrize(
    ("name", "type_value", "interpreted", "side"),
    [
        ("GTVp", "130052", "GTV", ""),
        ("PTVp1_6000", "130054", "PTV", ""),
        ("CTVn", "130049", "CTV", ""),
        ("CTV_High", "228792002", "CTV", ""),
        ("ITV", "130056", "CTV", ""),
        ("PTV-05", "228793007", "PTV", ""),
        ("SpinalCord_PRV05", "2748008", "AVOIDANCE", ""),
        ("OpticNrv_PRV03_L", "18234004", "AVOIDANCE", "L"),
        ("Lungs-GTV", "39607008", "ORGAN", ""),
        ("Body-PTV", "38266002", "ORGAN", ""),
        ("Lung~_L", "39607008", "ORGAN", "L"),
        ("Lungs^Ex", "39607008", "ORGAN", ""),
        ("z_Ring", "130046", "CONTROL", ""),
        ("zPTVopt", "130046", "CONTROL", ""),
        ("Rib07_R", "7284", "ORGAN", "R"),
    ],
)
def test_patterns_of_tg263(name: str, type_value: str, interpreted: str, side: str) -> None:
    found = lookup(name)

    assert (found.tg263, found.interpreted_type, found.side) == (name, interpreted, side)
    assert found.type.value == (type_value if not name.startswith("Rib") else found.fma)


@pytest.mark.parametrize(
    ("name", "near"), [("Parotid", "Parotid_L"), ("Oesophagus", "Esophagus"), ("左腮线", "Parotid_L"), ("GTV-1", "GTV")]
)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UnknownStructure, match=near) as caught:
        lookup(name)

    assert near in caught.value.fields["suggestions"]


@pytest.mark.parametrize("name", ["", "zsx", "Foo_PRV03", "Foo-Bar", "~", "^x", "PTV 60"])
def test_what_only_looks_like_a_pattern_is_refused(name: str) -> None:
    with pytest.raises(UnknownStructure):
        lookup(name)


@pytest.mark.parametrize(
    ("foreign", "canonical", "how"),
    [
        ("Parotid_L", "Parotid_L", "exact"),
        ("left parotid", "Parotid_L", "rule"),
        ("PAROTID_R", "Parotid_R", "rule"),
        ("Lt Parotid Gland", "Parotid_L", "rule"),
        ("LungR", "Lung_R", "rule"),
        ("Cord", "SpinalCord", "rule"),
        ("Brain Stem", "Brainstem", "rule"),
        ("Oesophagus", "Esophagus", "rule"),
        ("Femoral Head R", "Femur_Head_R", "rule"),
        ("Parotis li", "Parotid_L", "alias"),
        ("左腮腺", "Parotid_L", "chinese"),
        ("腮腺（右）", "Parotid_R", "chinese"),
        ("右侧腮腺", "Parotid_R", "chinese"),
        ("腮腺-L", "Parotid_L", "chinese"),
        ("zsx", "Parotid_L", "chinese"),
        ("脊髓", "SpinalCord", "chinese"),
    ],
)
def test_foreign_names_are_found_by_rule(foreign: str, canonical: str, how: str) -> None:
    table = TABLE.with_aliases({"PAROTIS  LI": "Parotid_L"})

    found = match_name(foreign, table)

    assert (found.name and found.name.tg263, found.how) == (canonical, how)


@pytest.mark.parametrize("foreign", ["Parotid", "sg", "Parotid_X", "Parotid Left Right", "Hart", "foo", ""])
def test_a_doubtful_name_is_kept_and_its_candidates_listed(foreign: str) -> None:
    found = match_name(foreign, TABLE)

    assert found.name is None
    assert found.how == "unmatched"


def test_two_names_for_one_structure_both_stay() -> None:
    found = rename(["Parotid_L", "left parotid", "Heart"], TABLE)

    assert [f.name and f.name.tg263 for f in found] == [None, None, "Heart"]
    assert found[0].candidates == ("Parotid_L",)


def test_the_wrong_side_is_an_error_not_a_renaming() -> None:
    centres = {"left parotid": -52.0, "Heart": -20.0}

    with pytest.raises(LateralityConflict, match="Parotid_L") as caught:
        rename(list(centres), TABLE, centres_x_mm=centres, midline_x_mm=-1.0)

    assert caught.value.fields["offset_mm"] == -51.0
    assert rename(["Parotid_R"], TABLE, centres_x_mm={"Parotid_R": -52.0}, midline_x_mm=-1.0)[0].name is not None


def test_a_little_beyond_the_midline_is_a_turned_head() -> None:
    check_side(lookup("OpticNrv_L"), -3.0, 0.0)
    with pytest.raises(LateralityConflict):
        check_side(lookup("OpticNrv_L"), -6.0, 0.0)


def test_an_alias_goes_before_the_pattern_of_targets_which_fits_many_names() -> None:
    table = TABLE.with_aliases({"GTV_Mass_CT": "GTVp", "GTVp1": "GTVp2", "GTVp2": "GTVp1"})

    assert lookup("GTV_Mass_CT").tg263 == "GTV_Mass_CT"
    assert table.lookup("GTV_Mass_CT").tg263 == "GTVp"
    assert (table.lookup("GTVp1").tg263, table.lookup("GTVp2").tg263) == ("GTVp2", "GTVp1")
    renaming = match_name("GTV_Mass_CT", table)
    assert renaming.name is not None
    assert (renaming.name.tg263, renaming.how) == ("GTVp", "alias")
    assert match_name("GTVp", table).how == "exact"


def test_aliases_of_a_site_come_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "aliases.toml"
    path.write_text('"腮腺左" = "Parotid_L"\n"RM" = "SpinalCord"\n', encoding="utf-8")

    table = load_aliases(path)

    assert table.lookup("rm").tg263 == "SpinalCord"
    assert load_aliases(None).entries is TABLE.entries


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[no toml", AliasesRefused),
        ("RM = 3", AliasesRefused),
        ('RM = "Spinal"', UnknownStructure),
        ('Heart = "Liver"', AliasesRefused),
    ],
)
def test_a_faulty_file_of_aliases_is_refused(tmp_path: Path, text: str, error: type[Exception]) -> None:
    path = tmp_path / "aliases.toml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(error):
        load_aliases(path)


def test_initials_of_characters_of_both_levels() -> None:
    assert initials("左颞下颌关节") == "znxhgj"
    assert initials("C1椎体") == "c1zt"
    assert initials("ü你") == "n"
