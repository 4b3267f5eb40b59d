"""A person cancels a job in the very moment in which its work goes on to be stored; holds no tests."""

import threading
from dataclasses import replace

from sqlalchemy import Engine

from dicom_gateway.errors import JobRefused
from dicom_gateway.flow import record
from dicom_gateway.flow.cancelling import cancel_job, job_rows
from dicom_gateway.flow.plan import JobPlan

__all__ = ["plan", "race"]


def plan(job_id: str, study_uid: str) -> JobPlan:
    """A job as it was planned."""
    return JobPlan(
        id=job_id, study_uid=study_uid, version=1, stack="1", series_uid="1.2", route="ct", bundles=("ct_body",),
        profile="auto", deliver=(), input_digest="0", created_at=1.0, supersedes="", predecessors=(),
    )  # fmt: skip


def race(engine: Engine, rounds: int) -> list[tuple[bool, bool, str]]:
    """For each of so many jobs: whether it was cancelled, whether it may be stored, and its state."""
    outcomes = []
    for number in range(rounds):
        job = replace(plan(f"{number:064d}", "1.2.3"), route=f"route {number}")
        record.keep_jobs(engine, [job])
        record.job_state(engine, job.id, "VALIDATED")
        both = threading.Barrier(2)
        cancelled: list[bool] = []
        stored: list[bool] = []

        def cancel(job_id: str = job.id, both: threading.Barrier = both, told: list[bool] = cancelled) -> None:
            both.wait()
            try:
                cancel_job(engine, job_id, who="x")
                told.append(True)
            except JobRefused:
                told.append(False)

        def go_on(job_id: str = job.id, both: threading.Barrier = both, told: list[bool] = stored) -> None:
            both.wait()
            told.append(record.advance(engine, job_id, "STORING"))

        threads = [threading.Thread(target=cancel), threading.Thread(target=go_on)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        state = next(row.state for row in job_rows(engine) if row.id == job.id)
        outcomes.append((cancelled[0], stored[0], state))
    return outcomes
