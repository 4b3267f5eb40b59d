"""From the stacks of a study version to its jobs."""

from collections.abc import Callable, Mapping, Sequence

from dicom_gateway.flow.plan import Earlier, JobPlan
from dicom_gateway.flow.study_files import image_series
from dicom_gateway.route.explain import Decision, choose, explain_stack
from dicom_gateway.route.facts import Facts
from dicom_gateway.route.rules import Route
from imaging.cines import CineSeries
from imaging.pictures import PictureSeries
from imaging.provenance import digest
from imaging.series import Leftover, Scan, Stack

__all__ = ["decide", "plan_jobs"]


def decide(scan: Scan, routes: Sequence[Route], facts: Facts) -> Decision:
    """Every stack, series of pictures, cine and leftover asked against every route."""
    series = (s.detached() for s in image_series(scan))
    found: list[Stack | PictureSeries | CineSeries | Leftover] = [*series, *scan.leftovers]
    return choose([explain_stack(item, facts, routes) for item in found])


def plan_jobs(
    decision: Decision,
    routes: Mapping[str, Route],
    destinations: Sequence[str],
    *,
    study_uid: str,
    version: int,
    input_digest: str,
    created_at: float,
    earlier_result: Callable[[str, str], Earlier] = lambda series_uid, route: Earlier(),
    sender_profile: Callable[[str], str] = lambda stack_id: "auto",
) -> tuple[JobPlan, ...]:
    """The jobs of a study version, most urgent first.

    Routes that chose the same stack and agree in priority, profile, review and destinations make one job: their
    bundles become one result, so that a planning system gets the outline and the organs in one structure set.
    `earlier_result` finds the result of an earlier version of the study by series and route; `sender_profile` the
    protocol profile of what a stack's sender sends, for routes that leave it to image quality ("auto").
    """
    groups: dict[tuple[object, ...], list[Route]] = {}
    for choice in decision.choices:
        route = routes[choice.route]
        key = (choice.stack, choice.series_uid, route.priority, route.profile, route.review, route.deliver)
        groups.setdefault(key, []).append(route)
    plans = []
    for (stack, series_uid, *_), members in groups.items():
        names = "+".join(r.name for r in members)
        earlier = earlier_result(str(series_uid), names)
        wanted = members[0].profile
        plans.append(
            JobPlan(
                id=digest([study_uid, version, input_digest, stack, names]),
                study_uid=study_uid,
                version=version,
                stack=str(stack),
                series_uid=str(series_uid),
                route=names,
                bundles=tuple(r.bundle for r in members),
                profile=sender_profile(str(stack)) if wanted == "auto" else wanted,
                deliver=members[0].destinations(destinations),
                input_digest=input_digest,
                created_at=created_at,
                supersedes=earlier.result_id,
                predecessors=earlier.objects,
            )
        )
    return tuple(plans)
