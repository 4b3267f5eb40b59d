"""UIDs and digests: legal, reproducible, and different for different inputs."""

import re

from hypothesis import given
from hypothesis import strategies as st

from imaging.provenance import deterministic_uid, digest

JSON = st.recursive(st.text() | st.integers() | st.booleans(), lambda inner: st.lists(inner, max_size=4), max_leaves=6)


@given(st.text(), JSON)
def test_uids_are_legal_and_reproducible(kind: str, parts: object) -> None:
    uid = deterministic_uid(kind, parts)

    assert re.fullmatch(r"2\.25\.(0|[1-9][0-9]*)", uid)
    assert len(uid) <= 44
    assert deterministic_uid(kind, parts) == uid


def test_uids_differ_with_kind_and_parts() -> None:
    uids = {deterministic_uid(kind, parts) for kind in "ab" for parts in (1, "1", [1], [1, 2], [2, 1], {"a": 1})}

    assert len(uids) == 12


def test_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "乙": 2}) == digest({"乙": 2, "a": 1})
    assert digest([1, 2]) != digest([2, 1])
