"""Settings: read to frozen values, or refused in one line with line and key."""

import dataclasses
import re
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_gateway.errors import SettingsError
from dicom_gateway.settings import Settings, load_settings, read_settings, settings_manual
from dicom_gateway.settings.fields import limits_of
from dicom_gateway.settings.lines import key_lines

MANUAL = Path(__file__).parents[2] / "docs" / "settings.md"
SOURCE = Path("/srv/radgate/radgate.toml")


def refused(text: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        read_settings(text, SOURCE)
    return caught.value


def test_an_empty_file_gives_safe_defaults() -> None:
    settings = read_settings("", SOURCE)

    assert settings.listen.host == settings.web.host == "127.0.0.1"
    assert settings.store.root == SOURCE.parent / "store"
    assert settings.complete.quiet_s == 60.0
    assert (settings.peers, settings.destinations, settings.routes) == ((), (), ())


def test_values_are_read_with_their_types_and_relative_paths_from_the_file() -> None:
    settings = read_settings(
        '[store]\nroot = "data"\n[listen]\nport = 4104\n[complete]\nquiet_s = 5\n'
        '[[peer]]\naet = "CT1"\naddresses = ["10.1.2.0/24", "::1"]\n[[peer]]\naet = "CT2"\n'
        '[[destination]]\nname = "pacs"\naet = "PACS"\nhost = "10.1.2.9"\nport = 104\n',
        SOURCE,
    )

    assert settings.store.root == SOURCE.parent / "data"
    assert settings.listen.port == 4104
    assert settings.complete.quiet_s == 5.0 and isinstance(settings.complete.quiet_s, float)
    assert settings.peers[0].addresses == (ip_network("10.1.2.0/24"), ip_network("::1"))
    assert ip_network("127.0.0.0/8") in settings.peers[1].addresses
    assert settings.destinations[0].outlets == ("seg", "rtstruct", "sr", "pdf", "reg", "rtdose", "sc")


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("\n[lisen]\n", 2, "lisen", "did you mean 'listen'?"),
        ("[listen]\nprot = 3\n", 2, "listen.prot", "did you mean 'port'?"),
        ("[listen]\n\nport = 'x'\n", 3, "listen.port", "must be a whole number, and is a text"),
        ("[listen]\nport = true\n", 2, "listen.port", "must be a whole number, and is true or false"),
        ("[listen]\nport = 70000\n", 2, "listen.port", "at most 65535"),
        ("[complete]\nquiet_s = nan\n", 2, "complete.quiet_s", "too small"),
        ("[store]\nlow_free = -0.1\n", 2, "store.low_free", "at least 0"),
        ("[store]\nlow_free = 0.1\nfloor_free = 0.2\n", 3, "store.floor_free", "must not be above"),
        ("store = 3\n", 1, "store", "must be a table"),
        ("[peer]\naet = 'X'\n", 1, "peer", "two brackets"),
        ("[[peer]]\naet = 'A'\n[[peer]]\n", 3, "peer[1]", "'aet' is missing"),
        ("[[peer]]\naet = 'A'\nmay = [\n 'echo',\n 'stor',\n]\n", 5, "peer[0].may[1]", "did you mean 'store'?"),
        ("[[peer]]\naet = 'A'\naddresses = ['10.0.0']\n", 3, "peer[0].addresses[0]", "IP address or a network"),
        ("[[peer]]\naet = 'A'\n[[peer]]\naet = 'A'\n", 4, "peer[1].aet", "stands twice"),
        ("[[peer]]\naet = 'A'\nqc_profiles = [\n'ct_base',\n'ct_sim',\n]\n", 5, "peer[0].qc_profiles[1]", "ct_sim"),
        ("[listen]\naet = 'A TITLE THAT IS TOO LONG'\n", 2, "listen.aet", "1 to 16"),
        ("[database]\nurl = 'mysql://x'\n", 2, "database.url", "postgresql+psycopg"),
        ("[[destination]]\nname = 'p'\nhost = 'h'\n", 1, "destination[0]", "needs 'aet'"),
        ("[[destination]]\nname = 'p'\nkind = 'stow'\n", 1, "destination[0]", "needs a 'url'"),
        ("[listen]\nhost = '0.0.0.0'\n", 2, "listen.host", "needs at least one [[peer]]"),
        ("[web]\nhost = '0.0.0.0'\n", 2, "web.host", "needs 'token_file'"),
        ("[bundles]\nfolders = [\n '/',\n 'nowhere',\n]\n", 4, "bundles.folders[1]", "no folder 'nowhere' for bundles"),
        ("[web]\nport = \n", 2, None, "no TOML"),
        ("[store", 1, None, "no TOML"),
    ],
)
def test_a_wrong_setting_is_refused_with_line_key_and_what_to_do(
    text: str, line: int, key: str | None, words: str
) -> None:
    error = refused(text)

    assert (error.line, error.key) == (line, key)
    assert words in error.message
    assert "\n" not in str(error)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"radgate\.toml cannot be read"):
        load_settings(tmp_path / "radgate.toml")


def test_a_secret_comes_from_the_environment_and_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADGATE_DB", "postgresql+psycopg://radgate:hunter2@db/radgate")

    settings = read_settings("[database]\nurl = 'env:RADGATE_DB'\n", SOURCE)

    assert settings.database.url.endswith("@db/radgate")
    assert "hunter2" not in repr(settings)


def test_a_missing_secret_is_refused_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RADGATE_DB", raising=False)

    assert "RADGATE_DB" in refused("[database]\nurl = 'env:RADGATE_DB'\n").message


def test_listening_for_other_machines_is_allowed_once_peers_are_named() -> None:
    settings = read_settings("[listen]\nhost = '0.0.0.0'\n[[peer]]\naet = 'CT1'\naddresses = ['10.0.0.0/8']\n", SOURCE)

    assert settings.listen.host == "0.0.0.0"  # noqa: S104 - the subject of the test


def all_fields() -> list[tuple[str, str]]:
    found = []
    for section in dataclasses.fields(Settings):
        kind = read_kind(section.name)
        if kind is not None:
            found += [(section.name, item.name) for item in dataclasses.fields(kind)]
    return found


def read_kind(section: str) -> type | None:
    import dicom_gateway.settings as package

    name = {"peers": "Peer", "destinations": "Destination"}.get(section, section.capitalize())
    return getattr(package, name, None)


def undocumented(manual: str) -> list[str]:
    return [f"{section}.{name}" for section, name in all_fields() if f"| `{name}` |" not in manual]


def test_every_setting_stands_in_the_manual_with_its_default_and_reason() -> None:
    manual = MANUAL.read_text("utf-8")

    assert undocumented(manual) == []
    assert settings_manual() in manual, "docs/settings.md is older than the fields: put settings_manual() into it"


def test_a_setting_missing_from_the_manual_is_noticed() -> None:
    lines = MANUAL.read_text("utf-8").splitlines()
    planted = "\n".join(line for line in lines if not line.startswith("| `quiet_s` |"))

    assert undocumented(planted) == ["complete.quiet_s"]


def test_every_setting_says_why() -> None:
    silent = [
        f"{section}.{item.name}"
        for section in {s for s, _ in all_fields()}
        for item in dataclasses.fields(read_kind(section) or Settings)
        if not limits_of(item).why
    ]

    assert silent == []


def test_the_examples_of_the_manual_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADGATE_DATABASE", "postgresql+psycopg://radgate@localhost/radgate")
    monkeypatch.setenv("RADGATE_CLOUD_TOKEN", "secret")
    examples = re.findall(r"```toml\n(.*?)```", MANUAL.read_text("utf-8"), re.DOTALL)

    read = [read_settings(example, SOURCE) for example in examples]

    assert len(read) >= 2


KEY = st.text("abcdefg_", min_size=1, max_size=5)
VALUE = st.sampled_from(['"x#y"', "'[a]'", "3", "[1, 2]", '[\n  "a", # c\n  "b"\n]', "true", '"""l1\nl2 = 3"""'])


@given(st.lists(st.tuples(KEY, st.lists(st.tuples(KEY, VALUE), unique_by=lambda p: p[0])), unique_by=lambda p: p[0]))
def test_every_key_is_found_on_its_line(tables: list[tuple[str, list[tuple[str, str]]]]) -> None:
    text, expected = "", {}
    for table, pairs in tables:
        expected[table] = text.count("\n") + 1
        text += f"[{table}] # a comment = 1\n"
        for key, value in pairs:
            expected[f"{table}.{key}"] = text.count("\n") + 1
            text += f"{key} = {value}\n\n"

    lines = key_lines(text)

    assert expected.items() <= lines.items()


def test_lines_of_lists_inline_tables_and_dotted_keys_are_found() -> None:
    text = (
        '[[route]]\nname = "a"\nwhen.all = [\n  { tag = "Modality", equals = "CT" },\n'
        '  { tag = "X" },\n]\n[[route]]\n[route.select]\ninput = "largest"\n'
    )

    lines = key_lines(text)

    assert lines["route[0].when.all[1].tag"] == 5
    assert lines["route[1]"] == 7
    assert lines["route[1].select.input"] == 9


def test_names_of_the_site_are_checked_when_settings_are_read(tmp_path: Path) -> None:
    text = '[contour]\naliases = "names.toml"\n'

    with pytest.raises(SettingsError, match="There is no file"):
        read_settings(text, tmp_path / "radgate.toml")
    (tmp_path / "names.toml").write_text('"GTV-1" = "GTVx"\n', encoding="utf-8")
    with pytest.raises(SettingsError, match="GTVx"):
        read_settings(text, tmp_path / "radgate.toml")
    (tmp_path / "names.toml").write_text('"GTV-1" = "GTVp"\n', encoding="utf-8")

    assert read_settings(text, tmp_path / "radgate.toml").contour.aliases == tmp_path / "names.toml"
