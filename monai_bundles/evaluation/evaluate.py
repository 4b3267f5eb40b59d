"""Scores a bundle on patients with a reference: every figure of its card, in one value."""

import re
import resource
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imaging.geometry import Grid
from imaging.volume import Region, Volume
from monai_bundles.anatomy import shows_head_and_neck
from monai_bundles.bundle import Bundle, BundleOutput
from monai_bundles.errors import NothingToEvaluate
from monai_bundles.evaluation.cases import Case
from monai_bundles.evaluation.holding import Share, held, shares_of
from monai_bundles.evaluation.lesion_cases import SUVBW, off_centre
from monai_bundles.evaluation.picture import case_picture
from monai_bundles.evaluation.summary import Difference, Row, dice, difference, mean_of_rows, summarised
from monai_bundles.pet.finder import LesionFinder
from monai_bundles.pet.thresholds import METHODS
from monai_bundles.runner import run_bundle

__all__ = ["Evaluation", "SurfaceScore", "evaluate"]

BoolArray = NDArray[np.bool_]

SurfaceScore = Callable[[Region, Region, Grid], float]
"""Surface Dice of two regions of a grid; radgate's is in `contouring.metrics`."""


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
        Where there is a PET with one lesion: by threshold, rows of all lesions together and of the one that overlaps
        the reference most.
    variants
        For a bundle of several series: rows without each series that may be missing, and with the lesion out of the
        middle of the image.
    pictures
        Files of the worst cases, where they were asked for.
    found
        In how many patients each structure was found, and "patients" in all; where the bundle asks for what the image
        shows, also in how many it does ("in range").
    memory_mib
        The highest that this process had in memory, with torch and MONAI where the bundle needs them.
    differences
        How much higher the Dice is than that of each variant and method, patient by patient.
    held
        How much of the reference lies in structures that must hold it and that nobody drew (`held`).
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
    variants: dict[str, dict[str, Row]] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()
    held: dict[str, Share] = field(default_factory=dict)
    differences: dict[str, dict[str, Difference]] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)
    memory_mib: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(eq=False)
class Table:
    """Scores by patient and structure, as they come in."""

    dice: dict[str, dict[str, float]] = field(default_factory=dict)
    surface: dict[str, dict[str, float]] = field(default_factory=dict)

    def rows(self) -> dict[str, Row]:
        """The scores as rows."""
        return summarised(self.dice, self.surface)


def evaluate(
    bundle: Bundle,
    cases: Iterable[Case],
    split: str,
    pictures: Path | None = None,
    told: Callable[[str, dict[str, float]], None] = lambda name, scores: None,
    surface: SurfaceScore | None = None,
) -> Evaluation:
    """Run the bundle on every case and compare.

    A patient on whom the bundle's own weights were trained is run with those that have not seen it, where there are
    any.

    Parameters
    ----------
    bundle
        A bundle from `discover`.
    cases
        From `cases_of`.
    split
        Named in the result.
    pictures
        Folder for a picture of the worst patient of each structure, or of each share (`held`); None makes none.
    told
        Called with each patient's scores.
    surface
        Gives the surface Dice; None leaves it out.

    Raises
    ------
    NothingToEvaluate
        No case has a structure that the bundle finds, or one that lies in such a structure.
    """
    tables: dict[str, Table] = {"": Table()}
    methods: dict[str, Table] = {}
    seconds: list[float] = []
    worst: dict[str, tuple[float, str, bytes]] = {}
    held_by: dict[str, dict[str, float]] = {}
    counts: Counter[str] = Counter()
    for case in cases:
        unseen = _unseen(bundle, case.name)
        output = run_bundle(unseen, case.volume, companions=_wanted(bundle, case))
        seconds.append(output.elapsed_s)
        found = _found(bundle, output, case)
        own = _score(tables[""], case, found, surface)
        counts.update(["patients", *(s.name for s in output.structures if s.region.voxel_count)])
        if bundle.accepts.shows == "head_neck":
            counts["in range"] += shows_head_and_neck(case.volume)
        holdings = held(found, case)
        shares = {sentence: holding.share for sentence, holding in holdings.items()}
        if shares:
            held_by[case.name] = shares
        for sentence, holding in holdings.items() if pictures is not None else ():
            if sentence not in worst or holding.share < worst[sentence][0]:
                caption = f"{case.name} {sentence} {holding.share:.3f}"
                picture = case_picture(case.volume, holding.part, holding.holder, caption)
                worst[sentence] = (holding.share, case.name, picture)
        if own or shares:
            told(case.name, own | shares)
        if not own:
            continue
        for name, variant in _variants(bundle, case).items():
            other = run_bundle(unseen, variant.volume, companions=_wanted(bundle, variant))
            _score(tables.setdefault(name, Table()), variant, _found(bundle, other, variant), surface)
        _score_methods(bundle, case, methods, surface)
        for name, value in own.items():
            if pictures is not None and (name not in worst or value < worst[name][0]):
                png = case_picture(case.volume, case.truth[name], found[name], f"{case.name} {name} Dice {value:.3f}")
                worst[name] = (value, case.name, png)
    if not tables[""].dice and not held_by:
        raise NothingToEvaluate(f"No patient of these data has a structure that bundle {bundle.name} finds.")
    rows = tables[""].rows()
    return Evaluation(
        bundle=bundle.name,
        version=bundle.version,
        digest=bundle.algorithm.bundle_digest,
        split=split,
        rows=rows,
        mean_dice=mean_of_rows(rows),
        patients=tables[""].dice,
        seconds={"median": round(float(np.median(seconds)), 2), "largest": round(max(seconds), 2)},
        methods={method: table.rows() for method, table in methods.items()},
        variants={name: table.rows() for name, table in tables.items() if name},
        pictures=_written(worst, pictures),
        held=shares_of(held_by),
        found=dict(counts),
        memory_mib=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 0),
        differences=_differences(tables[""], {name: t for name, t in tables.items() if name} | methods),
    )


def _differences(own: Table, others: Mapping[str, Table]) -> dict[str, dict[str, Difference]]:
    """By way and row: a row that is no structure of the bundle (a method's lesions) is compared with its only one."""
    found: dict[str, dict[str, Difference]] = {}
    by_structure = _by_structure(own)
    for way, table in others.items():
        for name, scores in _by_structure(table).items():
            mine = by_structure.get(name) or (next(iter(by_structure.values())) if len(by_structure) == 1 else {})
            compared = difference(mine, scores)
            if compared is not None:
                found.setdefault(way, {})[name] = compared
    return found


def _by_structure(table: Table) -> dict[str, dict[str, float]]:
    names = dict.fromkeys(name for scores in table.dice.values() for name in scores)
    return {name: {p: scores[name] for p, scores in table.dice.items() if name in scores} for name in names}


def _unseen(bundle: Bundle, patient: str) -> Bundle:
    """The bundle with the weights that were trained without this patient; as it is where there are none."""
    for path, patients in bundle.left_out.items():
        if patient in patients:
            return replace(bundle, weights_sha256={path: bundle.weights_sha256[path]})
    return bundle


def _wanted(bundle: Bundle, case: Case) -> dict[str, Volume]:
    """The companions that the bundle has a channel for."""
    return {c.name: case.companions[c.name] for c in bundle.companions if c.name in case.companions}


def _variants(bundle: Bundle, case: Case) -> dict[str, Case]:
    """The case without each series that may be missing, and with its lesion out of the middle."""
    if not bundle.left_out or not bundle.companions:
        return {}
    variants = {}
    for channel in bundle.companions:
        if channel.optional and channel.name in case.companions:
            rest = {name: image for name, image in case.companions.items() if name != channel.name}
            variants[f"without {channel.name}"] = replace(case, companions=rest)
    return {**variants, "off centre": off_centre(case)}


def _score(table: Table, case: Case, found: Mapping[str, BoolArray], surface: SurfaceScore | None) -> dict[str, float]:
    """Put a case's scores into a table; Dice by structure."""
    counted = np.ones(case.volume.array.shape, dtype=bool) if case.counted is None else case.counted
    own = {}
    on_surface = {}
    for name, truth in case.truth.items():
        if name not in found:
            continue
        mine, theirs = found[name] & counted, truth & counted
        own[name] = round(float(dice(mine, theirs)), 4)
        if surface is not None:
            score = surface(Region.from_mask(mine), Region.from_mask(theirs), case.volume.grid)
            on_surface[name] = round(float(score), 4)
    if own:
        table.dice[case.name] = own
        table.surface |= {case.name: on_surface} if on_surface else {}
    return own


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


def _score_methods(bundle: Bundle, case: Case, tables: dict[str, Table], surface: SurfaceScore | None) -> None:
    """Every way to set a threshold on the case's PET; PERCIST only where the CT shows a liver."""
    images = {case.volume.unit: case.volume} | {image.unit: image for image in case.companions.values()}
    pet, truths = images.get(SUVBW), list(case.truth.values())
    same_grid = pet is not None and pet.array.shape == case.volume.array.shape
    if len(truths) != 1 or pet is None or not same_grid or not (bundle.output == "findings" or bundle.left_out):
        return
    ct = images.get("[hnsf'U]")
    for method in METHODS:
        found = LesionFinder(method=method)(pet, {} if ct is None else {"CT": ct})
        if method == "percist" and not any(note.startswith("PERCIST") for note in found.notes):
            continue
        masks = [region.mask() for region in found.regions.values()] or [np.zeros_like(truths[0])]
        best = max(masks, key=lambda mask: dice(mask, truths[0]))
        both = {"all lesions": np.logical_or.reduce(masks), "best lesion": best}
        _score(
            tables.setdefault(method, Table()),
            replace(case, truth=dict.fromkeys(both, truths[0])),
            both,
            surface,
        )


def _written(worst: dict[str, tuple[float, str, bytes]], folder: Path | None) -> tuple[str, ...]:
    """The pictures as files; their names."""
    if folder is None:
        return ()
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for name, (_, case, png) in sorted(worst.items()):
        file = f"worst-{re.sub(r'[^A-Za-z0-9_]+', '_', name)}-{case}.png"
        (folder / file).write_bytes(png)
        names.append(file)
    return tuple(names)
