"""The settings of a site: one TOML file, read once, then frozen values handed down."""

from dicom_gateway.settings.load import is_loopback, load_settings, read_settings, with_line
from dicom_gateway.settings.manual import settings_manual
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

__all__ = [
    "Bundles",
    "Complete",
    "Contour",
    "Database",
    "Destination",
    "Dose",
    "Flow",
    "Listen",
    "Peer",
    "Quality",
    "Report",
    "Settings",
    "Store",
    "Web",
    "is_loopback",
    "load_settings",
    "read_settings",
    "settings_manual",
    "with_line",
]
