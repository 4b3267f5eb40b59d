"""The decision layer against human ratings: the tables of mriqc-learn, which ship metrics and ratings but no images.

A linear classifier on metrics that are scaled within each site without their labels. It is trained on one collection
and asked of another, once; everything that is chosen is chosen within the first, leaving one site out at a time.
"""

import csv
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from qc.errors import TablesMissing

__all__ = ["auc", "rated_benchmark"]

TABLES = {"train": "abide.tsv", "test": "ds030.tsv"}
LABELS = {"train": "rater_3", "test": "rater_1"}
TO_BEAT = 0.766
"""Forest trained on ABIDE, scaled per site, asked of DS030 (specification of image quality, 8.2)."""

PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
LARGEST_SCALED = 4.0
SINGLE = {"cjv": 1, "snr_total": -1, "cnr": -1, "snrd_total": -1, "efc": 1, "fber": -1, "qi_1": 1, "qi_2": 1}
ROUNDS = 2000

Array = NDArray[np.float64]


def rated_benchmark(tables: Path) -> dict[str, Any]:
    """Areas under the curve on both collections, of single metrics and of the classifier.

    Parameters
    ----------
    tables
        Folder with `abide.tsv` and `ds030.tsv`, or the wheel of mriqc-learn that holds them.

    Raises
    ------
    TablesMissing
        The tables are not there.
    """
    train, test = (_read(tables, name) for name in ("train", "test"))
    names = sorted(set(train["names"]) & set(test["names"]))
    x_train, x_test = (_scaled(_columns(t, names), t["site"]) for t in (train, test))
    y_train, y_test = train["label"], test["label"]
    chosen, inside = _choose(x_train, y_train, train["site"])
    score = x_test @ _fit(x_train, y_train, chosen)[1:]
    area = auc(score, y_test)
    cjv = _columns(test, names)[:, names.index("cjv")]
    low, high, p_better = _paired(score, cjv, y_test)
    return {
        "train": {"series": len(y_train), "excluded": int(y_train.sum()), "sites": len(set(train["site"].tolist()))},
        "test": {"series": len(y_test), "excluded": int(y_test.sum()), "sites": len(set(test["site"].tolist()))},
        "metrics": len(names),
        "penalty": chosen,
        "auc_train_site_left_out": inside,
        "auc_test": area,
        "auc_test_interval": _interval(score, y_test),
        "to_beat": TO_BEAT,
        "better_than_cjv": {"difference": [low, high], "share_of_rounds": p_better},
        "single_metrics": {
            name: {
                "train": auc(sign * _columns(train, names)[:, names.index(name)], y_train),
                "test": auc(sign * _columns(test, names)[:, names.index(name)], y_test),
            }
            for name, sign in SINGLE.items()
            if name in names
        },
    }


def _read(tables: Path, which: str) -> dict[str, Any]:
    name = TABLES[which]
    try:
        if tables.is_file():
            with zipfile.ZipFile(tables) as archive:
                inner = next(n for n in archive.namelist() if n.endswith(f"/{name}"))
                text = archive.read(inner).decode("utf-8")
        else:
            text = (tables / name).read_text(encoding="utf-8")
    except (OSError, zipfile.BadZipFile, StopIteration) as error:
        raise TablesMissing(
            f"{tables.name} holds no {name}; name the wheel of mriqc-learn 0.0.3 or a folder with its tables."
        ) from error
    rows = list(csv.DictReader(io.StringIO(text), delimiter="\t"))
    rater = LABELS[which]
    rows = [r for r in rows if _number(r.get(rater, "")) is not None]
    names = [
        key for key in rows[0] if not key.startswith(("rater", "has_", "size_", "spacing_")) and _is_metric(rows, key)
    ]
    return {
        "rows": rows,
        "names": names,
        "site": np.array([r.get("site", "") for r in rows]),
        # A rating below zero is "exclude", zero is doubtful, above zero is accepted.
        "label": np.array([float(_number(r[rater]) or 0.0) < 0 for r in rows]),
    }


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _is_metric(rows: list[dict[str, str]], key: str) -> bool:
    values = [_number(r[key]) for r in rows]
    return sum(v is not None for v in values) > 0.9 * len(values) and len(set(values)) > 10


def _columns(table: dict[str, Any], names: list[str]) -> Array:
    found = np.array([[_number(r[n]) if _number(r[n]) is not None else np.nan for n in names] for r in table["rows"]])
    return np.where(np.isnan(found), np.nanmedian(found, axis=0), found)


def _scaled(values: Array, sites: NDArray[Any]) -> Array:
    """Each metric less its site's median, per interquartile range, drawn in at the ends; no label is looked at."""
    made = np.empty_like(values)
    for site in set(sites.tolist()):
        held = sites == site
        low, middle, high = np.percentile(values[held], [25, 50, 75], axis=0)
        made[held] = (values[held] - middle) / np.where(high > low, high - low, 1.0)
    return np.asarray(np.clip(made, -LARGEST_SCALED, LARGEST_SCALED))


def _fit(x: Array, y: NDArray[np.bool_], penalty: float) -> Array:
    """Weights (the first is the constant) of a logistic regression with a penalty on their squares."""
    signs = np.where(y, 1.0, -1.0)
    # Both classes count the same, however rare exclusion is.
    weight = np.where(y, 0.5 / y.mean(), 0.5 / (1 - y.mean()))

    def loss(w: Array) -> tuple[float, Array]:
        margin = signs * (w[0] + x @ w[1:])
        pull = -signs * weight / (1 + np.exp(np.clip(margin, -500, 500))) / len(y)
        value = float(np.mean(weight * np.logaddexp(0, -margin))) + penalty * float(w[1:] @ w[1:])
        return value, np.concatenate([[pull.sum()], x.T @ pull + 2 * penalty * w[1:]])

    found = optimize.minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B")
    return np.asarray(found.x)


def _choose(x: Array, y: NDArray[np.bool_], sites: NDArray[Any]) -> tuple[float, float]:
    """Penalty with the largest area over all sites, each judged by the others; and that area."""
    results = []
    for penalty in PENALTIES:
        score = np.empty(len(y))
        for site in set(sites.tolist()):
            out = sites == site
            score[out] = x[out] @ _fit(x[~out], y[~out], penalty)[1:]
        results.append((auc(score, y), penalty))
    area, penalty = max(results)
    return penalty, area


def auc(score: Array, positive: NDArray[np.bool_]) -> float:
    """Area under the receiver's curve: how often an excluded series has the larger score than an accepted one."""
    ranks = stats.rankdata(score)
    n = int(positive.sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(score) - n)))


def _interval(score: Array, positive: NDArray[np.bool_]) -> list[float]:
    rng = np.random.default_rng(20)
    areas = []
    for _ in range(ROUNDS):
        index = rng.integers(0, len(score), len(score))
        if positive[index].any() and not positive[index].all():
            areas.append(auc(score[index], positive[index]))
    return [float(v) for v in np.percentile(areas, [2.5, 97.5])]


def _paired(first: Array, second: Array, positive: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Interval of the difference of two areas on the same resampled series, and how often the first is larger."""
    rng = np.random.default_rng(21)
    differences = []
    for _ in range(ROUNDS):
        index = rng.integers(0, len(first), len(first))
        if positive[index].any() and not positive[index].all():
            differences.append(auc(first[index], positive[index]) - auc(second[index], positive[index]))
    low, high = np.percentile(differences, [2.5, 97.5])
    return float(low), float(high), float(np.mean(np.array(differences) > 0))
