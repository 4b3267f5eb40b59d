"""Where commands get their settings and bundles from."""

from pathlib import Path

from dicom_gateway.errors import SettingsError
from dicom_gateway.route.rules import check_routes, default_routes
from dicom_gateway.settings import Settings, load_settings, with_line
from monai_bundles import Bundle, discover

__all__ = ["bundles_of", "settings_of"]


def settings_of(config: Path | None) -> Settings:
    """The settings of a file, or the defaults; checked against the bundles that are there.

    Raises
    ------
    SettingsError
        With line and key.
    """
    from dataclasses import replace

    settings = Settings() if config is None else load_settings(config)
    of_file = bool(settings.routes)
    if not of_file:
        settings = replace(settings, routes=default_routes())
    try:
        check_routes(
            settings.routes,
            destinations=[d.name for d in settings.destinations],
            bundles={name: bundle.accepts.modalities for name, bundle in bundles_of(settings).items()},
            key="route" if of_file else "default route",
        )
    except SettingsError as error:
        raise with_line(error, settings.source if of_file else None) from None
    return settings


def bundles_of(settings: Settings) -> dict[str, Bundle]:
    """The registered bundles by name: those that ship and those of the site."""
    return {bundle.name: bundle for bundle in discover(*settings.bundles.folders)}
