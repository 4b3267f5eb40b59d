"""Scores a bundle on patients with a reference: every figure of its card, in one value."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monai_bundles.bundle import Bundle, BundleOutput
from monai_bundles.errors import NothingToEvaluate
from monai_bundles.evaluation.cases import Case
from monai_bundles.evaluation.picture import case_picture
from monai_bundles.evaluation.summary import Row, dice, mean_of_rows, summarised
from monai_bundles.pet.finder import LesionFinder
from monai_bundles.pet.thresholds import METHODS
from monai_bundles.runner import run_bundle

__all__ = ["Evaluation", "evaluate"]

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Parameters
    ----------
    bundle, version, digest
        Of what.
    split
        Of the data.
    rows
        By structure.
    mean_dice
        Mean over structures.
    patients
        Scores by patient and structure.
    seconds
        Median and largest wall time of a run.
    methods
        For a lesion finder: by method, rows of all lesions together and of the one that overlaps the reference most.
    pictures
        Files of the worst cases, where they were asked for.
    """

    bundle: str
    version: str
    digest: str
    split: str
    rows: dict[str, Row]
    mean_dice: float
    patients: dict[str, dict[str, float]]
    seconds: dict[str, float]
    methods: dict[str, dict[str, Row]]
    pictures: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def evaluate(
    bundle: Bundle,
    cases: Iterable[Case],
    split: str,
    pictures: Path | None = None,
    told: Callable[[str, dict[str, float]], None] = lambda name, scores: None,
) -> Evaluation:
    """Run the bundle on every case and compare.

    Parameters
    ----------
    bundle
        A bundle from `discover`.
    cases
        From `cases_of`.
    split
        Named in the result.
    pictures
        Folder for a picture of the worst patient of each structure; None makes none.
    told
        Called with each patient's scores.

    Raises
    ------
    NothingToEvaluate
        No case has a structure that the bundle finds.
    """
    scores: dict[str, dict[str, float]] = {}
    by_method: dict[str, dict[str, dict[str, float]]] = {}
    seconds: list[float] = []
    worst: dict[str, tuple[float, str, bytes]] = {}
    for case in cases:
        output = run_bundle(bundle, case.volume, companions=case.companions)
        seconds.append(output.elapsed_s)
        counted = np.ones(case.volume.array.shape, dtype=bool) if case.counted is None else case.counted
        found = _found(bundle, output, case)
        own = {n: dice(found[n] & counted, t & counted) for n, t in case.truth.items() if n in found}
        if not own:
            continue
        scores[case.name] = {name: round(value, 4) for name, value in own.items()}
        told(case.name, scores[case.name])
        if bundle.output == "findings":
            for method, values in _methods(case, counted).items():
                by_method.setdefault(method, {})[case.name] = values
        for name, value in own.items():
            if pictures is not None and (name not in worst or value < worst[name][0]):
                png = case_picture(case.volume, case.truth[name], found[name], f"{case.name} {name} Dice {value:.3f}")
                worst[name] = (value, case.name, png)
    if not scores:
        raise NothingToEvaluate(f"No patient of these data has a structure that bundle {bundle.name} finds.")
    rows = summarised(scores)
    return Evaluation(
        bundle=bundle.name,
        version=bundle.version,
        digest=bundle.algorithm.bundle_digest,
        split=split,
        rows=rows,
        mean_dice=mean_of_rows(rows),
        patients=scores,
        seconds={"median": round(float(np.median(seconds)), 2), "largest": round(max(seconds), 2)},
        methods={method: summarised(values) for method, values in by_method.items()},
        pictures=_written(worst, pictures),
    )


def _found(bundle: Bundle, output: BundleOutput, case: Case) -> dict[str, BoolArray]:
    """Masks by structure; the lesions of a finder together, under the name of its structure."""
    empty = np.zeros(case.volume.array.shape, dtype=bool)
    if bundle.output != "findings":
        masks = {s.name: empty for s in bundle.structures}
        return masks | {s.name: s.region.mask() for s in output.structures}
    union = empty.copy()
    for structure in output.structures:
        union[structure.region.box] |= structure.region.crop
    return {bundle.structures[0].name: union}


def _methods(case: Case, counted: BoolArray) -> dict[str, dict[str, float]]:
    """Scores of every way to set the threshold; PERCIST only where the CT shows a liver."""
    truth = next(iter(case.truth.values())) & counted
    results: dict[str, dict[str, float]] = {}
    for method in METHODS:
        found = LesionFinder(method=method)(case.volume, case.companions)
        if method == "percist" and not any(note.startswith("PERCIST") for note in found.notes):
            continue
        masks = [region.mask() & counted for region in found.regions.values()]
        union = np.logical_or.reduce(masks) if masks else np.zeros_like(truth)
        best = max((dice(mask, truth) for mask in masks), default=0.0)
        results[method] = {"all lesions": round(dice(union, truth), 4), "best lesion": round(best, 4)}
    return results


def _written(worst: dict[str, tuple[float, str, bytes]], folder: Path | None) -> tuple[str, ...]:
    """The pictures as files; their names."""
    if folder is None:
        return ()
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for name, (_, case, png) in sorted(worst.items()):
        file = f"worst-{name}-{case}.png"
        (folder / file).write_bytes(png)
        names.append(file)
    return tuple(names)
