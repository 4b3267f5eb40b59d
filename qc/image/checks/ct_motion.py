"""Motion between slices: jumps of the skin, of the lungs, or of the whole picture from one slice to the next."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.volume import Volume
from qc.image.body import BodySection
from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

COARSE_MM = 2.0
TISSUE_HU = (-300.0, 200.0)
SMALLEST_SHARE = 0.5
"""Sections smaller than this share of the usual one (vertex, chin, fingers) change too fast to be compared."""

ALIKE = 0.9
"""Sections whose areas differ by more show a shoulder or a chin that begins, not motion."""

ALIKE_AMID_CALM = 0.8
CALM = 0.95
"""Where the areas of the neighbours hardly change, a section may differ by more: a large step in a small field of view
changes the area too, and must not hide itself by that."""

NEIGHBOURS = 5
FEWEST_SLICES = 8
FLOOR_MM = 0.35
"""Steps of the skin within this are anatomy and noise, however calm the neighbours are."""

FLOOR_PIXELS = 0.15
"""... and so are steps within this share of a pixel: correlation finds no less."""

FLOOR_AREA = 0.015
AMID = 0.35
FLOOR_INFORMATION = 0.05
LEVELS = 24
WINDOW_HU = (-1000.0, 400.0)


@check(
    "ct.motion",
    version="1.1.0",
    title=("运动", "Motion"),
    unit="1",
    direction="higher_worse",
    settles="final",
    uncertainty=0.5,
    modalities=("CT",),
    needs=("headers", "pixels", "stack"),
    source="Radgate: robust z, among +-5 neighbours, of steps of displacement, lung area and mutual information",
    causes={
        "skin": Advice(
            "patient_motion",
            "第 {p_mm:.0f} mm 处体表错位约 {step_mm:.1f} mm，扫描中患者移动",
            "The skin jumps by {step_mm:.1f} mm at {p_mm:.0f} mm: the patient moved",
            "repeat_still",
            "technician",
            "请嘱患者静止后重扫",
            "Repeat with the patient still",
            now=True,
        ),
        "breath": Advice(
            "breathing",
            "第 {p_mm:.0f} mm 处膈肌台阶（{step_mm:.1f} mm 等效），呼吸不一致",
            "A step of the diaphragm at {p_mm:.0f} mm ({step_mm:.1f} mm): breathing",
            "coach_breath",
            "technician",
            "请训练屏气后重扫",
            "Repeat with coached breath-hold",
            now=True,
        ),
        "content": Advice(
            "patient_motion",
            "第 {p_mm:.0f} mm 处相邻层面不连续（离群 {value:.0f}，{step_mm:.1f} mm）",
            "Neighbouring slices do not fit at {p_mm:.0f} mm (outlier {value:.0f}, {step_mm:.1f} mm)",
            "repeat_still",
            "technician",
            "请查看该层面；必要时重扫",
            "Look at this slice; repeat if needed",
            now=True,
        ),
    },
)
def motion(inputs: Inputs) -> Measured | NotEvaluable:
    """Largest robust z over all steps and all three measures."""
    volume, body = inputs.volume, inputs.body
    if volume is None:
        return NotEvaluable("no_volume")
    if len(body) < FEWEST_SLICES:
        return NotEvaluable("too_few_slices", {"slices": float(len(body))})
    shifts = _shifts_mm(volume, body)
    # Anatomy drifts evenly; a jump is a step that its neighbours do not make, so direction counts too.
    sizes_px = np.array([np.count_nonzero(s.mask) for s in body])
    whole = sizes_px > SMALLEST_SHARE * float(np.median(sizes_px))
    alike_px = np.minimum(sizes_px[1:], sizes_px[:-1]) / np.maximum(sizes_px[1:], sizes_px[:-1])
    is_calm = ndimage.median_filter(alike_px, 2 * NEIGHBOURS + 1, mode="nearest") > CALM
    comparable = whole[:-1] & whole[1:] & ((alike_px > ALIKE) | is_calm & (alike_px > ALIKE_AMID_CALM))
    skin = _unusual(shifts) * comparable
    floor_mm = max(FLOOR_MM, FLOOR_PIXELS * max(volume.grid.pixel_spacing_mm))
    scores = {"skin": _robust(skin, floor_mm)}
    sizes = {"skin": skin}
    if inputs.lungs is not None:
        areas = inputs.lungs.areas_mm2
        # Where the lungs begin and end their area rises steeply in every patient.
        amid = areas > AMID * float(areas.max())
        lung = _unusual(np.diff(np.sqrt(areas))[:, None]) * amid[:-1] * amid[1:]
        scores["breath"], sizes["breath"] = _robust(lung, FLOOR_AREA * float(np.sqrt(areas.max()))), lung
    alike = np.array([_information(volume, a.plane, b.plane) for a, b in pairwise(body)])
    fall = np.maximum(ndimage.median_filter(alike, 2 * NEIGHBOURS + 1, mode="nearest") - alike, 0) * comparable
    scores["content"], sizes["content"] = _robust(fall, FLOOR_INFORMATION), skin
    kind = max(scores, key=lambda k: float(scores[k].max()))
    step = int(scores[kind].argmax())
    p_mm = volume.grid.plane_positions_mm
    at = [float(p_mm[body[step].plane]), float(p_mm[body[step + 1].plane])]
    return Measured(
        float(scores[kind][step]),
        advice=kind,
        where=(Location("slices", {"p_mm": at}),),
        params={"p_mm": at[0], "step_mm": float(sizes[kind][step])},
        evidence={"slices": float(len(body)), **{f"z_{k}": float(v.max()) for k, v in scores.items()}},
    )


def _shifts_mm(volume: Volume, body: tuple[BodySection, ...]) -> NDArray[np.float64]:
    """In-plane displacement of each section against the one before (rows, columns), from their cross-correlation."""
    spacing = volume.grid.pixel_spacing_mm
    thin = max(1, round(COARSE_MM / (max(spacing) * body[0].step)))
    pixel_mm = [mm * body[0].step * thin for mm in spacing]
    step = body[0].step * thin
    transforms = []
    for section in body:
        tissue = np.clip(volume.array[section.plane, ::step, ::step], *TISSUE_HU).astype(np.float32) - TISSUE_HU[0]
        tissue *= section.mask[::thin, ::thin]
        transforms.append(np.fft.rfft2(tissue - tissue.mean()))
    shape = body[0].mask[::thin, ::thin].shape
    found = []
    for first, second in pairwise(transforms):
        correlation = np.fft.irfft2(second * np.conj(first), shape)
        row, column = (int(v) for v in np.unravel_index(int(correlation.argmax()), shape))
        fine = (_peak(correlation[:, column], row), _peak(correlation[row], column))
        found.append([((v + n / 2) % n - n / 2) * mm for v, n, mm in zip(fine, shape, pixel_mm, strict=True)])
    return np.array(found)


def _peak(line: NDArray[np.float64], index: int) -> float:
    """Place of a maximum between the samples, from the parabola through three of them."""
    before, here, after = line[index - 1], line[index], line[(index + 1) % len(line)]
    bend = before - 2 * here + after
    return index + (0.5 * float(before - after) / float(bend) if bend < 0 else 0.0)


def _unusual(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Length of each step less the median step of its neighbours."""
    usual = np.stack([ndimage.median_filter(c, 2 * NEIGHBOURS + 1, mode="nearest") for c in steps.T], axis=1)
    return np.asarray(np.linalg.norm(steps - usual, axis=1))


def _robust(steps: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
    """Each step per the median size of its neighbours' steps (at least the floor)."""
    usual = ndimage.median_filter(np.abs(steps), 2 * NEIGHBOURS + 1, mode="nearest")
    return np.asarray(np.abs(steps) / np.maximum(1.4826 * usual, floor))


def _information(volume: Volume, first: int, second: int) -> float:
    """Normalised mutual information of two planes on every fourth pixel: from 1 (unrelated) to 2 (equal)."""
    low, high = WINDOW_HU
    a, b = (
        np.clip((volume.array[k, ::4, ::4] - low) * (LEVELS / (high - low)), 0, LEVELS - 1).astype(np.intp).ravel()
        for k in (first, second)
    )
    joint = np.bincount(a * LEVELS + b, minlength=LEVELS * LEVELS).reshape(LEVELS, LEVELS) / a.size
    both = _entropy(joint.ravel())
    return (_entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1))) / both if both > 0 else 2.0


def _entropy(p: NDArray[np.float64]) -> float:
    held = p[p > 0]
    return float(-(held * np.log(held)).sum())
