"""Limits from what a site's own accepted series read."""

import math
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from qc.errors import TooFewSeries
from qc.image.match import profile_of_sender
from qc.image.profile import load_profiles
from qc.image.scaled import scaled_limits, site_profile_text

VALUES = [float(v) for v in np.arange(1, 62)]
"""Quartiles 16 and 46."""


def test_limits_are_fences_about_the_quartiles_on_the_side_that_is_worse() -> None:
    profile = load_profiles()["mr_brain"]

    found = {one.check_id: one for one in scaled_limits(profile, {"mr.snr": VALUES, "mr.efc": VALUES})}

    assert (found["mr.snr"].warn, found["mr.snr"].fail) == ((-29.0, math.inf), (-74.0, math.inf))
    assert (found["mr.efc"].warn, found["mr.efc"].fail) == ((-math.inf, 91.0), (-math.inf, 136.0))
    assert found["mr.snr"].series == 61


def test_what_the_profile_has_set_what_never_varies_and_what_is_rare_is_left_alone() -> None:
    values = {"gen.slice.thickness": VALUES, "mr.qi1": [0.0] * 60, "mr.cjv": VALUES[:49], "mr.motion": VALUES}

    found = scaled_limits(load_profiles()["mr_brain"], values)

    assert [one.check_id for one in found] == ["mr.motion"]  # its shipped limit is to be set by the site


@pytest.mark.parametrize("count", [0, 49])
def test_fewer_than_50_series_are_refused(count: int) -> None:
    with pytest.raises(TooFewSeries, match=f"^{count} accepted"):
        scaled_limits(load_profiles()["mr_brain"], {"mr.snr": VALUES[:count]})


def test_the_profile_is_valid_and_is_used_where_a_peer_names_it_only(tmp_path: Path) -> None:
    shipped = load_profiles()["mr_brain"]
    limits = scaled_limits(shipped, {"mr.snr": VALUES, "mr.motion": VALUES})
    file = tmp_path / "site_mr1.toml"
    file.write_text(site_profile_text("site_mr1", shipped, limits, date(2026, 3, 1)), encoding="utf-8")

    made = load_profiles(file)["site_mr1"]

    assert made.limits["mr.snr"].warn == (-29.0, math.inf)
    assert made.limits["mr.motion"].role == "note"
    assert made.limits["mr.wrap"] == shipped.limits["mr.wrap"]
    assert profile_of_sender([file], ["site_mr1"], "MR") == "site_mr1"
    assert profile_of_sender([file], [], "MR") == "auto"
