"""Whose names of structures `radgate contour` knows: the shipped ones, those of the settings, those of `--aliases`."""

from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from contouring.names import NameTable

__all__ = ["name_table", "site"]

SITE_SETTINGS: ContextVar[Path | None] = ContextVar("SITE_SETTINGS", default=None)
"""The settings file of the command that runs."""


def site(
    config: Annotated[
        Path | None, typer.Option(help="Settings file, whose names of structures are used.", exists=True)
    ] = None,
) -> None:
    """Contours: convert, check, compare, grow, measure, rename."""
    SITE_SETTINGS.set(config)


def name_table(aliases: Path | None) -> "NameTable":
    """The names of a file; without one, those of the settings file; without either, the shipped ones.

    Raises
    ------
    AliasesRefused
        The file is no TOML of names.
    UnknownStructure
        An alias leads to no structure.
    SettingsError
        The settings file holds something wrong.
    """
    from contouring.names import load_aliases
    from dicom_gateway.settings import load_settings

    config = SITE_SETTINGS.get()
    if aliases is None and config is not None:
        aliases = load_settings(config).contour.aliases
    return load_aliases(aliases)
