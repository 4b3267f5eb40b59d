"""Where commands get their settings and bundles from."""

from pathlib import Path
from typing import TYPE_CHECKING

from dicom_gateway.errors import SettingsError
from dicom_gateway.route.rules import check_routes, default_routes
from dicom_gateway.settings import Settings, load_settings, with_line
from monai_bundles import Bundle, discover
from monai_bundles.radgate_schema import require_known_checks
from monai_bundles.registry import SHIPPED

if TYPE_CHECKING:
    from sqlalchemy import Engine

__all__ = ["bundle_folders", "bundles_of", "index_of", "known_checks", "library_of", "settings_of"]


def settings_of(config: Path | None) -> Settings:
    """The settings of a file, or the defaults; checked against the bundles that are there.

    Raises
    ------
    SettingsError
        With line and key.
    BadMetadata
        A bundle of a route asks for a check of image quality that does not exist.
    """
    from dataclasses import replace

    settings = Settings() if config is None else load_settings(config)
    of_file = bool(settings.routes)
    if not of_file:
        settings = replace(settings, routes=default_routes())
    bundles = bundles_of(settings)
    try:
        check_routes(
            settings.routes,
            destinations=[d.name for d in settings.destinations],
            bundles={name: bundle.accepts.modalities for name, bundle in bundles.items()},
            key="route" if of_file else "default route",
        )
    except SettingsError as error:
        raise with_line(error, settings.source if of_file else None) from None
    named = {route.bundle_name for route in settings.routes}
    for bundle in (b for name, b in bundles.items() if name in named and not b.root.is_relative_to(SHIPPED)):
        require_known_checks(bundle, known_checks())
    return settings


def known_checks() -> frozenset[str]:
    """Ids of the image quality checks that there are."""
    from qc.image.registry import discover as discover_checks

    return frozenset(discover_checks())


def library_of(settings: Settings) -> Path:
    """The folder that `radgate bundles add` fills: beside everything else that a site keeps."""
    return settings.store.root / "bundles"


def bundle_folders(settings: Settings) -> tuple[Path, ...]:
    """The site's folders of bundles: those that the settings name, and the library where something was added."""
    library = library_of(settings)
    return (*settings.bundles.folders, *((library,) if library.is_dir() else ()))


def bundles_of(settings: Settings) -> dict[str, Bundle]:
    """The registered bundles by name: those that ship and those of the site."""
    return {bundle.name: bundle for bundle in discover(*bundle_folders(settings))}


def index_of(config: Path) -> "tuple[Settings, Engine]":
    """Settings, and the database that the service of these settings uses.

    Raises
    ------
    SettingsError
        The settings are wrong.
    StoreUnavailable
        There is no database yet, or it does not answer.
    """
    from dicom_gateway.errors import StoreUnavailable
    from dicom_gateway.store import open_engine

    settings = load_settings(config)
    if settings.database.url == "sqlite" and not (settings.store.root / "radgate.sqlite").is_file():
        raise StoreUnavailable("There is no database in the store yet; check [store] root, or start the service once.")
    return settings, open_engine(settings)
