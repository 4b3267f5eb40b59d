"""The benchmark's verdict: a limit that is broken must show."""

from bench.rtstruct import passes


def test_a_broken_limit_fails_and_a_missing_peer_does_not() -> None:
    kept = [("write", 0.9, 10.0, 0.1), ("read", 0.2, None, 0.1), ("whole", 9.0, 1.0, None)]

    assert passes(kept)
    assert not passes([*kept, ("read", 1.1, 10.0, 0.1)])
