"""The worker gives what a run in this process gives; whatever ends it is a typed error, and the next run works."""

import errno
import os
import signal
import threading
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch

import monai_bundles as mb
from imaging.volume import Volume
from monai_bundles import errors, wire, worker_process
from monai_bundles.engines import selection
from monai_bundles.registry import load_bundle
from monai_bundles.worker import TELL_S
from monai_bundles.worker_process import told_of
from tests.monai_bundles.making import GRIDS, make_bundle, make_volume


@pytest.fixture(scope="module")
def worker() -> Iterator[mb.Worker]:
    with mb.Worker(threads=1) as worker:
        yield worker


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> mb.Bundle:
    return load_bundle(make_bundle(tmp_path_factory.mktemp("bundles")))


@pytest.fixture
def volume() -> Volume:
    return make_volume(GRIDS["oblique, flipped"]())


def slow_bundle(folder: Path) -> mb.Bundle:
    """A bundle whose network makes many small steps: seconds of work, interruptible at any time."""
    windows = {"_target_": "SlidingWindowInferer", "roi_size": [1, 1, 1], "sw_batch_size": 1, "overlap": 0.0}
    return load_bundle(make_bundle(folder, name="slow", inferer=windows))


def large_volume() -> Volume:
    grid = GRIDS["oblique"]()
    return make_volume(grid)


def test_a_run_in_the_worker_equals_a_run_here(worker: mb.Worker, bundle: mb.Bundle, volume: Volume) -> None:
    told: list[float] = []

    there = worker.run(bundle, volume, progress=lambda share, _step: told.append(share), device="cpu")

    here = mb.run_bundle(bundle, volume, device="cpu")
    assert there.algorithm == here.algorithm
    assert there.warnings == here.warnings
    for a, b in zip(there.structures, here.structures, strict=True):
        assert (a.name, a.region.start, a.region.shape) == (b.name, b.region.start, b.region.shape)
        assert np.array_equal(a.region.crop, b.region.crop)
        assert a.region.probability is not None
        assert b.region.probability is not None
        assert np.array_equal(a.region.probability, b.region.probability)
    assert told[0] == 0.0


def test_the_process_stays_for_the_next_run(worker: mb.Worker, bundle: mb.Bundle, volume: Volume) -> None:
    worker.warm(bundle)
    before = worker.pid

    worker.run(bundle, volume)

    assert before is not None
    assert worker.pid == before


def test_a_warm_network_has_the_engine_that_was_chosen_for_it(
    bundle: mb.Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    warmed: list[str] = []
    monkeypatch.setattr(selection, "warm_engine", lambda identity, *_: warmed.append(identity))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    digest = bundle.algorithm.bundle_digest

    worker_process._serve(
        {"kind": "warm", "root": str(bundle.root), "digest": digest}, worker_process.Answers(StringIO())
    )

    assert warmed == [selection.identity_of(bundle)]


def test_a_bundles_own_error_comes_back_as_itself(worker: mb.Worker, bundle: mb.Bundle) -> None:
    with pytest.raises(errors.VolumeOutsideRange, match="unit"):
        worker.run(bundle, make_volume(GRIDS["axial"](), unit="1"))

    assert worker.pid is not None, "the worker lives on"


def test_files_changed_since_the_registration_are_refused(worker: mb.Worker, tmp_path: Path, volume: Volume) -> None:
    root = make_bundle(tmp_path)
    registered = load_bundle(root)
    (root / "docs" / "README.md").write_text("another card", encoding="utf-8")

    with pytest.raises(errors.WrongHash):
        worker.run(registered, volume)


def test_a_run_that_takes_too_long_is_ended_and_the_next_works(
    worker: mb.Worker, bundle: mb.Bundle, volume: Volume, tmp_path: Path
) -> None:
    with pytest.raises(errors.WorkerTimedOut):
        worker.run(slow_bundle(tmp_path), large_volume(), timeout_s=0.05)

    assert worker.pid is None
    assert worker.run(bundle, volume).structures


def test_a_killed_worker_is_an_error_and_the_next_run_works(
    worker: mb.Worker, bundle: mb.Bundle, volume: Volume, tmp_path: Path
) -> None:
    def kill(_share: float, _step: str) -> None:
        if worker.pid is not None:
            os.kill(worker.pid, signal.SIGKILL)

    with pytest.raises(errors.WorkerCrashed) as caught:
        worker.run(slow_bundle(tmp_path), large_volume(), progress=kill)

    assert caught.value.fields["status"] == -signal.SIGKILL
    assert worker.run(bundle, volume).structures


def test_a_run_can_be_cancelled(worker: mb.Worker, tmp_path: Path) -> None:
    worker.warm()
    timer = threading.Timer(0.3, worker.cancel)
    timer.start()

    with pytest.raises(errors.WorkerCancelled):
        worker.run(slow_bundle(tmp_path), large_volume())

    timer.join()


def test_cancelling_without_a_run_harms_nothing(worker: mb.Worker, bundle: mb.Bundle, volume: Volume) -> None:
    worker.cancel()

    assert worker.run(bundle, volume).structures


def test_a_worker_over_its_memory_is_ended(tmp_path: Path) -> None:
    with mb.Worker(memory_limit_bytes=20 * 2**20) as small, pytest.raises(errors.WorkerOutOfMemory):
        small.run(slow_bundle(tmp_path), large_volume())


def test_a_listener_that_raises_ends_the_run_and_the_next_works(
    worker: mb.Worker, bundle: mb.Bundle, volume: Volume
) -> None:
    def listener(_share: float, _step: str) -> None:
        raise KeyError("planted")

    with pytest.raises(KeyError):
        worker.run(bundle, volume, progress=listener)

    assert worker.run(bundle, volume).structures


def test_a_listener_that_raises_ends_the_run_although_nothing_moves(worker: mb.Worker, tmp_path: Path) -> None:
    worker.warm()
    told: list[float] = []

    def unwanted(_share: float, _step: str) -> None:
        if not told and worker.pid is not None:
            os.kill(worker.pid, signal.SIGSTOP)  # as in one long window: nothing is heard of it any more
        told.append(time.monotonic())
        if len(told) == 4:
            raise LookupError("unwanted")

    with pytest.raises(LookupError):
        worker.run(slow_bundle(tmp_path), large_volume(), progress=unwanted)

    assert worker.pid is None
    assert max(np.diff(told)) < 4 * TELL_S


def test_a_listener_that_raises_ends_the_waiting_for_another_run_and_not_that_run(
    worker: mb.Worker, bundle: mb.Bundle, volume: Volume
) -> None:
    steps: list[str] = []

    def unwanted(_share: float, step: str) -> None:
        steps.append(step)
        raise LookupError(step)

    with worker._my_turn(None), pytest.raises(LookupError):
        worker.run(bundle, volume, progress=unwanted)

    assert steps == ["waiting"]
    assert worker.run(bundle, volume).structures


def test_nothing_is_left_in_the_scratch_folder(tmp_path: Path, bundle: mb.Bundle, volume: Volume) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    with mb.Worker(scratch=scratch) as own:
        own.run(bundle, volume)

    assert list(scratch.iterdir()) == []
    assert own.pid is None


def test_a_full_disk_is_told_by_its_number_wherever_it_was_met() -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    failed = errors.BundleFailed("The network's code raised.")
    failed.__cause__ = full

    for error in (full, failed):
        back = wire.raised_from_wire(wire.raised_to_wire(told_of(error)))
        assert isinstance(back, OSError)
        assert back.errno == errno.ENOSPC


def test_a_missing_file_stays_the_sentence_that_it_became() -> None:
    missing = errors.MissingWeights("The weights are missing.")
    missing.__cause__ = FileNotFoundError(errno.ENOENT, "model.pt")

    assert told_of(missing) is missing
    assert isinstance(told_of(missing.__cause__), errors.BundleFailed)
