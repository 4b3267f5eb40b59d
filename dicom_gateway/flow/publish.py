"""What a job made, put where others find it: objects and pictures into the store, sends into the delivery ledger."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from dicom_gateway.deliver import Parcel, enqueue
from dicom_gateway.errors import StoreError
from dicom_gateway.flow import record
from dicom_gateway.flow.kept import keep_bytes, kept_json
from dicom_gateway.flow.plan import JobPlan
from dicom_gateway.settings import Destination
from dicom_gateway.store.files import sha256_of
from dicom_gateway.store.store import Store

__all__ = ["publish"]


def publish(
    plan: JobPlan, folder: Path, store: Store, engine: Engine, destinations: Sequence[Destination]
) -> list[list[Any]]:
    """Store objects and pictures, write the result's rows, and enqueue the sends; may be called twice.

    Returns
    -------
    list
        [outlet, SOP instance UID, bytes] of each object.

    Raises
    ------
    StoreError
        An object could not be stored as it is.
    """
    objects = kept_json(folder / "objects.json")
    for item in objects:
        receipt = store.receive((folder / "objects" / item["file"]).read_bytes(), peer="radgate", origin="result")
        if receipt.kind not in {"stored", "duplicate"}:
            raise StoreError(f"An object of the result was not stored: {receipt.reason}", outlet=item["outlet"])
    pictures = []
    for entry in kept_json(folder / "pictures.json"):
        data = (folder / "pictures" / f"{entry['name']}.png").read_bytes()
        sha256 = sha256_of(data)
        keep_bytes(store.root / "pictures" / f"{sha256}.png", data)
        pictures.append({**entry, "sha256": sha256})
    columns = ("sop_uid", "outlet", "sop_class_uid", "sha256", "size_bytes")
    record.keep_result(
        engine,
        plan,
        kept_json(folder / "result.json"),
        pictures,
        [{column: item[column] for column in columns} for item in {i["sop_uid"]: i for i in objects}.values()],
    )
    made_for = {tuple(item["profile"]) for item in objects}
    for destination in destinations:
        wanted = (destination.rt_profile, destination.seg)
        if made_for and wanted not in made_for:  # the settings have changed since: better another form than nothing
            wanted = tuple(objects[0]["profile"])
        parcels = [
            Parcel(sop_uid=item["sop_uid"], sha256=item["sha256"], outlet=item["outlet"], position=position)
            for position, item in enumerate(objects)
            if tuple(item["profile"]) == wanted
        ]
        enqueue(engine, plan.id, plan.study_uid, parcels, [destination])
    return [[item["outlet"], item["sop_uid"], item["size_bytes"]] for item in objects]
