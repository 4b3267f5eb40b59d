"""The demonstration succeeds only when everything came back; each thing that can go wrong is seen."""

from copy import deepcopy
from typing import Any

import pytest

from dicom_gateway.demo.verdict import LEAST_DICE, shortcomings

OUTLETS = ("seg", "rtstruct", "sr", "pdf")


def success() -> dict[str, Any]:
    return {
        "states": {"1.2": "DELIVERED"},
        "sent": {"1.2"},
        "results": [
            {
                "id": "r",
                "document": {
                    "runs": [{"algorithm": {"name": "ct_body"}, "status": "ok"}],
                    "structures": [{"name": {"tg263": "Body"}}],
                },
            }
        ],
        "objects": [{"result_id": "r", "outlet": o, "sop_uid": f"1.9.{n}"} for n, o in enumerate(OUTLETS)],
        "found": {f"1.9.{n}" for n in range(4)},
        "dice": dict.fromkeys(LEAST_DICE, 0.99),
    }


def test_a_complete_demonstration_lacks_nothing() -> None:
    assert shortcomings(**success()) == []


def failed_bundle(case: dict[str, Any]) -> None:
    case["results"][0]["document"]["runs"][0] |= {"status": "failed", "reason": "The weights are gone."}


def refused_phantom(case: dict[str, Any]) -> None:
    case["results"][0]["document"]["runs"][0] |= {"status": "refused", "reason": "No head."}


def missing_object(case: dict[str, Any]) -> None:
    case["found"].discard("1.9.0")


def missing_outlet(case: dict[str, Any]) -> None:
    del case["objects"][0]


def undelivered(case: dict[str, Any]) -> None:
    case["states"]["1.2"] = "PARTLY"


def never_arrived(case: dict[str, Any]) -> None:
    case["states"].clear()


def no_result(case: dict[str, Any]) -> None:
    case["results"].clear()


def wrong_masks(case: dict[str, Any]) -> None:
    case["dice"]["Lung_L"] = 0.4


def lost_structure(case: dict[str, Any]) -> None:
    del case["dice"]["Bone"]


@pytest.mark.parametrize(
    "planted",
    [
        failed_bundle,
        refused_phantom,
        missing_object,
        missing_outlet,
        undelivered,
        never_arrived,
        no_result,
        wrong_masks,
        lost_structure,
    ],
)
def test_whatever_goes_wrong_is_said(planted: Any) -> None:
    case = deepcopy(success())
    planted(case)

    assert shortcomings(**case)


def test_a_study_of_the_users_may_be_refused_but_not_fail() -> None:
    refused, failed = success(), success()
    refused_phantom(refused)
    failed_bundle(failed)

    assert shortcomings(**{**refused, "dice": None}) == []
    assert shortcomings(**{**failed, "dice": None})
