"""What destinations accept, as the encoders want it, from the settings."""

from dataclasses import replace

from dicom_gateway.settings import Settings
from reports import Capability

__all__ = ["accepted_by", "accepted_by_nobody"]


def accepted_by_nobody(settings: Settings) -> Capability:
    """The form of objects that stay here, or go to a folder: everything in the language of the site."""
    return Capability(language="en" if settings.report.language == "en" else "zh")


def accepted_by(settings: Settings) -> dict[str, Capability]:
    """The form that each destination takes, by its name."""
    base = accepted_by_nobody(settings)
    return {
        d.name: replace(base, rt_profile=d.rt_profile, seg="labelmap" if d.seg == "labelmap" else "binary")
        for d in settings.destinations
    }
