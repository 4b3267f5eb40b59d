"""Silence while reading holds for its own time and thread, and leaves nothing behind."""

import threading
import warnings

import pytest

from imaging.quiet import quiet_pydicom


def test_threads_that_enter_and_leave_by_turns_keep_their_silence_and_leave_none_behind() -> None:
    other_is_in, first_is_out = threading.Event(), threading.Event()
    heard: list[BaseException] = []

    def other() -> None:
        try:
            with quiet_pydicom():
                other_is_in.set()
                assert first_is_out.wait(10)
                warnings.warn("dropped", stacklevel=1)
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            heard.append(error)

    before = list(warnings.filters)
    thread = threading.Thread(target=other)
    with quiet_pydicom():
        thread.start()
        assert other_is_in.wait(10)
    first_is_out.set()
    thread.join()

    assert heard == []
    assert warnings.filters == before
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", stacklevel=1)


def test_a_nested_silence_ends_with_the_outer_one() -> None:
    with quiet_pydicom():
        with quiet_pydicom():
            pass
        warnings.warn("dropped", stacklevel=1)
    with pytest.raises(UserWarning):
        warnings.warn("raised: the suite makes warnings errors", stacklevel=1)
