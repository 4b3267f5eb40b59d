"""Jobs follow from the routes, repeat for the same input, and join where routes agree."""

from pathlib import Path

import pytest

from dicom_gateway.flow.plan import Earlier, InputFile, JobPlan, input_digest
from dicom_gateway.flow.planning import plan_jobs
from dicom_gateway.route.explain import Choice, Decision
from dicom_gateway.route.rules import Route


def routes(*, urgent: int = 50) -> dict[str, Route]:
    made = [
        Route(name="organs", bundle="organs_bundle", priority=urgent),
        Route(name="outline", bundle="body_bundle", priority=50),
    ]
    return {route.name: route for route in made}


def plans(
    table: dict[str, Route], *, digest: str = "d", version: int = 1, earlier: Earlier | None = None
) -> tuple[JobPlan, ...]:
    decision = Decision(tuple(Choice("stack-a", "1.2.3", name) for name in table), ())
    return plan_jobs(
        decision,
        table,
        ["pacs", "tps"],
        study_uid="1.2",
        version=version,
        input_digest=digest,
        created_at=1.0,
        earlier_result=lambda series, route: earlier or Earlier(),
    )


def test_routes_that_agree_make_one_job() -> None:
    (job,) = plans(routes())

    assert job.bundles == ("organs_bundle", "body_bundle")
    assert job.deliver == ("pacs", "tps")


def test_a_more_urgent_route_has_a_job_of_its_own() -> None:
    assert [job.bundles for job in plans(routes(urgent=10))] == [("organs_bundle",), ("body_bundle",)]


def test_the_same_input_gives_the_same_job_and_another_input_another() -> None:
    first, again, other = (plans(routes(), digest=d)[0].id for d in ("d", "d", "e"))

    assert first == again != other
    assert plans(routes(), version=2)[0].id != first, "no version takes the job of another"


def test_a_job_survives_its_plain_form() -> None:
    (job,) = plans(routes(), earlier=Earlier("r0", (("sr", "1.1", "1.2", "1.3"),)))

    assert JobPlan.from_json(job.to_json()) == job
    assert job.supersedes == "r0"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_input_digest_does_not_depend_on_the_order(order: tuple[int, int]) -> None:
    files = [InputFile("1.1", "aa", Path("x")), InputFile("1.2", "bb", Path("y"))]

    assert input_digest([files[i] for i in order]) == input_digest(files)
    assert input_digest(files[:1]) != input_digest(files)
