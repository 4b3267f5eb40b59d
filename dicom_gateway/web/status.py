"""What the status page shows: what is configured, what is installed, and how the destinations do."""

import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from dicom_gateway.cli.sources import bundle_folders
from dicom_gateway.store.tables import delivery, instance
from dicom_gateway.web.health import disk_state
from dicom_gateway.web.site import Site
from dicom_gateway.web.worklist import held_up
from monai_bundles import BundleError, RefusedBundle, Survey, survey

__all__ = ["status_values"]

GROUPS = {
    **dict.fromkeys(("PENDING", "SENDING"), "waiting"),
    **dict.fromkeys(("ACCEPTED", "WARNED", "COMMITTED", "VERIFIED"), "delivered"),
    **dict.fromkeys(("REJECTED", "DEAD"), "failed"),
}
SHOWN = ("radgate", "pydicom", "pynetdicom", "highdicom", "monai", "torch", "dbos")


def status_values(site: Site) -> dict[str, Any]:
    """Values of the template."""
    with site.engine.connect() as connection:
        ledger = _ledger(connection)
        objects = connection.execute(select(func.count()).select_from(instance)).scalar_one()
    found = _bundles(bundle_folders(site.settings))
    return {
        "settings": site.settings,
        "routes": site.settings.routes,
        "ledger": ledger,
        "objects": objects,
        "disk": disk_state(site.settings.store.root),
        "database": site.engine.dialect.name,
        "bundles": found.bundles,
        "refused_bundles": found.refused,
        "versions": {"Python": platform.python_version()} | {name: _version(name) for name in SHOWN},
    }


def _bundles(folders: Sequence[Path]) -> Survey:
    """Bundles of all folders; a folder that is gone since the start stands among the refused with its reason."""
    try:
        return survey(*folders)
    except BundleError:
        there, gone = [], []
    for folder in folders:
        try:
            survey(folder)
        except BundleError as error:
            gone.append(RefusedBundle(folder.name, error))
        else:
            there.append(folder)
    found = survey(*there)
    return Survey(found.bundles, (*found.refused, *gone))


def _ledger(connection: Connection) -> dict[str, dict[str, Any]]:
    """Deliveries of each destination: waiting, delivered, failed, since when the oldest waits, and why it does."""
    found: dict[str, dict[str, Any]] = {}
    rows = connection.execute(
        select(delivery.c.destination, delivery.c.state, func.count(), func.min(delivery.c.created)).group_by(
            delivery.c.destination, delivery.c.state
        )
    )
    for destination, state, count, oldest in rows:
        entry = found.setdefault(destination, {})
        group = GROUPS.get(state)
        if group is not None:
            entry[group] = entry.get(group, 0) + count
        if group == "waiting":
            entry["oldest"] = min(oldest, entry.get("oldest", oldest))
    late = connection.execute(
        select(delivery.c.destination, func.max(delivery.c.last_error), func.min(delivery.c.next_try))
        .where(*held_up())
        .group_by(delivery.c.destination)
    )
    for destination, error, next_try in late:
        found.setdefault(destination, {}).update(error=error, next_try=next_try)
    return found


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "–"
