"""Whether a demonstration came out right: every sentence is something that did not."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["LEAST_DICE", "shortcomings"]

LEAST_DICE = {"Body": 0.98, "Lung_L": 0.95, "Lung_R": 0.95, "Trachea": 0.80, "Bone": 0.85, "SpinalCanal": 0.85}
"""What image processing has to reach on the phantom. The network was trained on patients: its Dice here is shown,
and says little."""

OUTLETS = frozenset({"seg", "rtstruct", "sr", "pdf"})


def shortcomings(
    states: Mapping[str, str],
    sent: set[str],
    results: Sequence[Mapping[str, Any]],
    objects: Sequence[Mapping[str, Any]],
    found: set[str],
    dice: Mapping[str, float] | None,
) -> list[str]:
    """Everything that keeps a demonstration from being a success.

    Parameters
    ----------
    states
        State of each study's newest version.
    sent
        UIDs of the studies that were sent.
    results, objects
        Rows of the database.
    found
        SOP instance UIDs that DICOMweb lists.
    dice
        Dice by structure on the phantom; None for a study of the user's, of which no truth is known.
    """
    wrong = [f"a study is {states.get(uid, 'not there')}" for uid in sorted(sent) if states.get(uid) != "DELIVERED"]
    if not results:
        wrong.append("there is no result")
    for result in results:
        document = result["document"]
        wrong += [
            f"{run['algorithm']['name']} is {run['status']}: {run.get('reason', '')}"
            for run in document["runs"]
            if run["status"] == "failed" or (dice is not None and run["status"] != "ok")
        ]
        mine = [item for item in objects if item["result_id"] == result["id"]]
        if document["structures"] and {item["outlet"] for item in mine} != OUTLETS:
            wrong.append("not every kind of object was made")
    wrong += [f"{item['outlet']} is not in the store" for item in objects if item["sop_uid"] not in found]
    for name, least in LEAST_DICE.items() if dice is not None else ():
        if dice is not None and dice.get(name, 0.0) < least:
            wrong.append(f"{name} reaches a Dice of {dice.get(name, 0.0):.3f}, {least} is the least")
    return wrong
