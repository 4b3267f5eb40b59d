"""`radgate.toml` to `Settings`: read once, checked as a whole, refused with line and key."""

import os
import re
import tomllib
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_gateway.errors import SettingsError
from dicom_gateway.settings.lines import key_lines
from dicom_gateway.settings.model import (
    Bundles,
    Complete,
    Contour,
    Database,
    Destination,
    Dose,
    Flow,
    Listen,
    Peer,
    Quality,
    Report,
    Settings,
    Store,
    Web,
)
from dicom_gateway.settings.tables import known_key, read_table
from imaging.errors import RadgateError

if TYPE_CHECKING:
    from dicom_gateway.route.rules import Route

__all__ = ["is_loopback", "load_settings", "read_settings", "with_line"]

_SECTIONS: dict[str, type[Any]] = {
    "store": Store,
    "listen": Listen,
    "database": Database,
    "complete": Complete,
    "bundles": Bundles,
    "flow": Flow,
    "web": Web,
    "report": Report,
    "quality": Quality,
    "dose": Dose,
    "contour": Contour,
}
_LISTS = {"peer": "peers", "destination": "destinations", "route": "routes"}
_MAIL = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")
_AE_TITLE = re.compile(r"[\x21-\x5b\x5d-\x7e](?:[\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?")


def load_settings(path: str | Path) -> Settings:
    """The settings in a file.

    Raises
    ------
    SettingsError
        The file cannot be read, is no TOML, or holds a wrong, unknown or unsafe setting; with line and key.
    """
    file = Path(path)
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"The settings file {file.name} cannot be read ({reason}); check its path.") from None
    return read_settings(text, file.resolve())


def read_settings(text: str, source: Path) -> Settings:
    """The settings in a TOML text; relative paths are taken from the folder of `source`.

    Raises
    ------
    SettingsError
        The text is no TOML, or holds a wrong, unknown or unsafe setting; with line and key.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        what = str(error).split(" (at ")[0]
        raise SettingsError(
            f"This is no TOML ({what[:1].lower()}{what[1:]}); correct the line or the one before it.",
            line=int(place[1]) if place else text.count("\n") + 1,
        ) from None
    try:
        settings = _settings(tables, source)
        _check(settings)
    except SettingsError as error:
        located = _located(error, text)
        raise located from None
    return settings


def with_line(error: SettingsError, file: Path | None) -> SettingsError:
    """An error found after reading, such as a route to a bundle that is not there, with the line of its key."""
    try:
        return error if file is None else _located(error, file.read_text("utf-8"))
    except OSError:
        return error


def _located(error: SettingsError, text: str) -> SettingsError:
    if error.line is not None or error.key is None:
        return error
    return SettingsError(error.message, line=_line(error.key, key_lines(text)), key=error.key)


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _line(key: str, lines: Mapping[str, int]) -> int | None:
    """Line of a key, or of the nearest table around it."""
    while key and key not in lines:
        cut = max(key.rfind("."), key.rfind("["))
        key = key[:cut] if cut > 0 else ""
    return lines.get(key)


def _settings(tables: Mapping[str, Any], source: Path) -> Settings:
    folder = source.parent
    for name in tables:
        known_key(name, [*_SECTIONS, *_LISTS], name)
    values: dict[str, Any] = {
        name: read_table(kind, tables.get(name, {}), name, folder) for name, kind in _SECTIONS.items()
    }
    values["database"] = _database(values["database"])
    values["peers"] = tuple(read_table(Peer, t, k, folder) for t, k in _tables(tables, "peer"))
    values["destinations"] = tuple(
        _destination(read_table(Destination, t, k, folder), k) for t, k in _tables(tables, "destination")
    )
    values["routes"] = tuple(_route(t, k) for t, k in _tables(tables, "route"))
    return Settings(**values, source=source)


def _tables(tables: Mapping[str, Any], name: str) -> list[tuple[Any, str]]:
    listed = tables.get(name, [])
    if not isinstance(listed, list):
        raise SettingsError(f"There may be several of these, so write [[{name}]] with two brackets.", key=name)
    return [(table, f"{name}[{i}]") for i, table in enumerate(listed)]


def _route(table: Any, key: str) -> "Route":
    from dicom_gateway.route.rules import parse_route

    if not isinstance(table, Mapping):
        raise SettingsError("This must be a table, as in [[route]].", key=key)
    return parse_route(table, key)


def _database(database: Database) -> Database:
    url = database.url
    if url.startswith("env:"):
        url = os.environ.get(url[4:], "")
        if not url:
            raise SettingsError(
                f"The environment variable {database.url[4:]} is empty or missing; set it, or write the address here.",
                key="database.url",
            )
    if url != "sqlite" and not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise SettingsError(
            "This must be 'sqlite', 'env:NAME' or an address that begins with 'postgresql+psycopg://'.",
            key="database.url",
        )
    return Database(url)


def _destination(destination: Destination, key: str) -> Destination:
    if destination.kind == "dicom":
        missing = next((n for n in ("aet", "host") if not getattr(destination, n)), None)
        if missing:
            raise SettingsError(f"A destination of kind 'dicom' needs '{missing}'.", key=key)
        _ae_title(destination.aet, f"{key}.aet")
        if destination.calling_aet:
            _ae_title(destination.calling_aet, f"{key}.calling_aet")
    elif not destination.url.startswith(("http://", "https://")):
        raise SettingsError("A destination of kind 'stow' needs a 'url' with http:// or https://.", key=key)
    if destination.token_env and not os.environ.get(destination.token_env):
        raise SettingsError(
            f"The environment variable {destination.token_env} is empty or missing; set it to the token.",
            key=f"{key}.token_env",
        )
    return destination


def _ae_title(title: str, key: str) -> None:
    if not _AE_TITLE.fullmatch(title):
        raise SettingsError("An AE title has 1 to 16 ASCII characters, without backslash.", key=key)


def _check(settings: Settings) -> None:
    """Refuse what is wrong or unsafe only together.

    Raises
    ------
    SettingsError
        Two settings contradict each other, or together open a door.
    """
    _ae_title(settings.listen.aet, "listen.aet")
    if not is_loopback(settings.listen.host) and not settings.peers:
        raise SettingsError(
            "Listening beyond this machine needs at least one [[peer]] with AE title and addresses; add one, or use "
            "127.0.0.1.",
            key="listen.host",
        )
    if not is_loopback(settings.web.host) and settings.web.token_file is None:
        raise SettingsError(
            "Showing pages beyond this machine needs 'token_file'; add it, or use 127.0.0.1.", key="web.host"
        )
    if settings.store.floor_free > settings.store.low_free:
        raise SettingsError("The floor must not be above 'low_free'.", key="store.floor_free")
    for number, peer in enumerate(settings.peers):
        _ae_title(peer.aet, f"peer[{number}].aet")
    _check_quality(settings.quality)
    _check_profiles(settings)
    for number, path in enumerate(settings.dose.limits):
        if not path.is_file():
            raise SettingsError(
                f"There is no file '{path.name}' with limits; correct the path, which counts from this file.",
                key=f"dose.limits[{number}]",
            )
    _check_aliases(settings.contour.aliases)
    _unique([p.aet for p in settings.peers], "peer", "aet")
    _unique([d.name for d in settings.destinations], "destination", "name")
    _unique([r.name for r in settings.routes], "route", "name")
    for number, folder in enumerate(settings.bundles.folders):
        if not folder.is_dir():
            raise SettingsError(
                f"There is no folder '{folder.name}' for bundles; correct the path, which counts from this file, or "
                "make the folder.",
                key=f"bundles.folders[{number}]",
            )
    names = [d.name for d in settings.destinations]
    for number, route in enumerate(settings.routes):
        for place, name in enumerate(route.deliver):
            _known_destination(name, names, f"route[{number}].deliver[{place}]")


def _check_aliases(path: Path | None) -> None:
    """Refuse a file of names that would be refused when it is needed.

    Raises
    ------
    SettingsError
        There is no such file, or a line of it is no name.
    """
    if path is None:
        return
    from contouring.names import load_aliases

    if not path.is_file():
        raise SettingsError(
            f"There is no file '{path.name}' with names; correct the path, which counts from this file.",
            key="contour.aliases",
        )
    try:
        load_aliases(path)
    except RadgateError as fault:
        raise SettingsError(f"In '{path.name}': {fault.message}", key="contour.aliases") from fault


def _check_quality(quality: Quality) -> None:
    """Refuse addresses that no message could reach.

    Raises
    ------
    SettingsError
        One of them is wrong, or half of the mail settings is missing.
    """
    for number, address in enumerate(quality.webhooks):
        if not address.startswith(("http://", "https://")):
            raise SettingsError("This must begin with http:// or https://.", key=f"quality.webhooks[{number}]")
    for number, address in enumerate(quality.mail_to):
        if not _MAIL.fullmatch(address):
            raise SettingsError("This is no mail address.", key=f"quality.mail_to[{number}]")
    if quality.smtp_host and not (quality.mail_to and _MAIL.fullmatch(quality.mail_from)):
        raise SettingsError("Mail needs 'mail_from' and 'mail_to'; add them.", key="quality.smtp_host")
    for number, path in enumerate(quality.profiles):
        if not path.exists():
            raise SettingsError(
                f"There is no '{path.name}' with profiles; correct the path, which counts from this file.",
                key=f"quality.profiles[{number}]",
            )


def _check_profiles(settings: Settings) -> None:
    """Refuse a profile that is not there, before the first series of that peer or on that route comes.

    Raises
    ------
    SettingsError
        A peer or a route names an unknown one, or a file of the site breaks a rule.
    """
    named = [
        (name, f"peer[{number}].qc_profiles[{place}]")
        for number, peer in enumerate(settings.peers)
        for place, name in enumerate(peer.qc_profiles)
    ]
    named += [
        (r.profile, f"route[{number}].profile") for number, r in enumerate(settings.routes) if r.profile != "auto"
    ]
    if not named:
        return
    from qc.image.profile import load_profiles, profile_by_id

    for name, key in named:
        try:
            profile_by_id(load_profiles(*settings.quality.profiles), name)
        except RadgateError as error:
            raise SettingsError(error.message, key=key) from None


def _known_destination(name: str, names: list[str], key: str) -> None:
    """Nothing, where a route's destination exists.

    Raises
    ------
    SettingsError
        It does not.
    """
    if name not in names:
        known = ", ".join(names) or "none"
        raise SettingsError(
            f"There is no destination '{name}' (known: {known}); add a [[destination]] or correct it.", key=key
        )


def _unique(names: list[str], table: str, field: str) -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            raise SettingsError(
                f"'{name}' stands twice; give each [[{table}]] its own {field}.", key=f"{table}[{number}].{field}"
            )
