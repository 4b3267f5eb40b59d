"""The manual's tables say what is there."""

from pathlib import Path

from qc.image.profile import load_profiles
from qc.image.registry import CheckSpec, discover

MANUAL = Path(__file__).parents[2] / "docs" / "qc.md"


def row(spec: CheckSpec) -> str:
    who = ", ".join(sorted(spec.modalities)) or "all"
    return (
        f"| `{spec.id}` | {spec.title_zh} / {spec.title_en} | {who} | {spec.unit} | {spec.settles} | {spec.version} |"
    )


def test_the_table_of_checks_is_complete_and_true() -> None:
    text = MANUAL.read_text(encoding="utf-8")
    table = text.split("<!-- checks:")[1].split("<!-- end of checks -->")[0]

    assert [line for line in table.splitlines() if line.startswith("| `")] == [row(s) for s in discover().values()]


def test_every_shipped_profile_is_in_the_manual() -> None:
    text = MANUAL.read_text(encoding="utf-8")

    for profile in load_profiles():
        assert f"| `{profile}` |" in text
