"""What a person reads when a settings file is wrong: one sentence with line and key, brackets and all."""

from pathlib import Path

import pytest

from dicom_gateway.cli import main
from dicom_gateway.cli.sources import settings_of
from dicom_gateway.errors import SettingsError

ROUTES = """[listen]
port = 0

[[route]]
name = "first"
when.all = [{ tag = "Modality", equals = "CT" }]
bundle = "ct_body_segmentation"

[[route]]
name = "second"
when.all = [{ tag = "Modality", equals = "CT" }]
bundle = "ct_bodi_segmentation"
"""


def written(folder: Path, text: str) -> Path:
    """A settings file."""
    path = folder / "radgate.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_route_to_an_unknown_bundle_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ct_bodi_segmentation") as caught:
        settings_of(written(tmp_path, ROUTES))

    assert (caught.value.line, caught.value.key) == (12, "route[1].bundle")
    assert str(caught.value).startswith("line 12, route[1].bundle: ")


def test_two_routes_that_include_each_other_are_refused_with_the_line_of_the_second(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="send the same stacks") as caught:
        settings_of(written(tmp_path, ROUTES.replace("ct_bodi", "ct_body")))

    assert caught.value.line == 9


def test_without_routes_those_that_ship_are_checked(tmp_path: Path) -> None:
    assert settings_of(written(tmp_path, "")).routes
    assert settings_of(None).routes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[route]\nname = 'x'\n", "line 1, route: There may be several of these, so write [[route]] with two brackets"),
        ("[bundles]\nfolders = ['nowhere']\n", "line 2, bundles.folders[0]: There is no folder 'nowhere'"),
        ("[listen]\nhost = '0.0.0.0'\n", "needs at least one [[peer]]"),
    ],
)
def test_an_error_is_printed_with_its_brackets_and_exit_code_2(
    tmp_path: Path, text: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["radgate", "route", "check", str(written(tmp_path, text))])

    with pytest.raises(SystemExit) as ended:
        main()

    printed = capsys.readouterr().err
    assert ended.value.code == 2
    assert printed.startswith("radgate: ") and printed.count("\n") == 1
    assert words in printed
