"""The thread that reads an association's messages rests before a request is sent, in whatever state it was."""

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from dicom_gateway.deliver.answered import LONGEST_S, _bring_to_rest


class Reader:
    """The reading thread of pynetdicom 3.0, which can be held where it leaves its pause."""

    def __init__(self) -> None:
        self._reactor_checkpoint = threading.Event()
        self._reactor_checkpoint.set()
        self._is_paused = False
        self.leaving, self.go_on = threading.Event(), threading.Event()
        self.holds = self.ends = False
        self.looked = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.ends:
            time.sleep(0.001)
            self._is_paused = True
            self._reactor_checkpoint.wait()
            if self.holds:
                self.holds = False
                self.leaving.set()
                self.go_on.wait()
            self._is_paused = False
            self.looked += 1

    def is_at_rest(self) -> bool:
        """Whether it looks for no message any more."""
        before = self.looked
        time.sleep(0.02)
        return self.looked == before


@pytest.fixture
def reader() -> Any:
    made = Reader()
    yield made
    made.ends = True
    made.go_on.set()
    made._reactor_checkpoint.set()
    made.thread.join(5)


def test_a_thread_that_is_just_leaving_its_pause_is_waited_for(reader: Any) -> None:
    reader.holds = True
    assert reader.leaving.wait(5)
    assert reader._is_paused, "what pynetdicom would take for a rest"
    threading.Timer(0.01, reader.go_on.set).start()

    _bring_to_rest(reader)

    assert reader._is_paused
    assert reader.is_at_rest()


def test_a_thread_that_runs_comes_to_rest(reader: Any) -> None:
    for _ in range(20):
        _bring_to_rest(reader)
        assert reader.is_at_rest()
        reader._reactor_checkpoint.set()


def test_a_thread_that_rests_already_or_is_gone_is_not_waited_for_longer_than_said() -> None:
    gone: Any = SimpleNamespace(_reactor_checkpoint=threading.Event(), _is_paused=True)
    began = time.monotonic()

    _bring_to_rest(gone)

    assert gone._is_paused
    assert time.monotonic() - began < LONGEST_S + 1.0
