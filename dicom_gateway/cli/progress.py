"""Progress of the steps on a terminal."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from dicom_gateway.flow.journal import Journal, Step
from dicom_gateway.flow.plan import JobPlan
from dicom_gateway.flow.steps import STEPS

__all__ = ["TerminalJournal"]


class TerminalJournal(Journal):
    """Shows a bar for reading and one for each job; on a pipe, one line a step."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._reading: TaskID | None = None
        self._jobs: dict[str, TaskID] = {}
        self._names: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def reading(self, done: int, total: int) -> None:
        """Show how many files have been read."""
        if self._reading is None:
            self._reading = self._bars.add_task("reading files", total=total)
        self._bars.update(self._reading, completed=done, total=total)

    def planned(self, plans: Sequence[JobPlan]) -> None:
        """Show a bar for each job."""
        for plan in plans:
            self._names[plan.id] = plan.route
            self._jobs[plan.id] = self._bars.add_task(f"{plan.route}: waiting", total=len(STEPS))

    def begun(self, step: Step) -> None:
        """Name the running step."""
        if step.job_id in self._jobs:
            self._bars.update(self._jobs[step.job_id], description=f"{self._names[step.job_id]}: {step.name}")

    def ended(self, step: Step) -> None:
        """Advance the bar, or print a line where there is none."""
        if step.job_id in self._jobs:
            task = self._jobs[step.job_id]
            order = [name for name, _ in STEPS].index(step.name) + 1
            done = "done" if order == len(STEPS) else step.name
            self._bars.update(task, completed=order, description=f"{self._names[step.job_id]}: {done}")
        if not self._console.is_terminal:
            name = self._names.get(step.job_id, "")
            self._console.print(f"{name} {step.name}: {step.state} in {step.elapsed_s:.1f} s", highlight=False)

    def progress(self, job_id: str, fraction: float, what: str = "") -> None:
        """Show the bundle's progress within the running step."""
        if job_id in self._jobs:
            order = [name for name, _ in STEPS].index("run")
            self._bars.update(
                self._jobs[job_id], completed=order + fraction, description=f"{self._names[job_id]}: {what}"
            )
