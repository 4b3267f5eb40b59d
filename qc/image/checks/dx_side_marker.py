"""The lead letter of a radiograph: there, and on the side that the header says."""

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy import ndimage

from qc.image.inputs import Inputs, text_of
from qc.image.picture import Picture
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location
from qc.image.worst import worst_state

HEIGHT = (0.012, 0.09)
"""Height of a letter as a share of the picture's rows."""

BAND = 0.28
"""A marker lies within this share of the picture's edge."""

SEVERITY = {"found": 0.0, "absent": 1.0, "contradicts": 2.0}


@check(
    "dx.side_marker",
    version="1.0.0",
    title=("左右标记", "Side marker"),
    unit="1",
    direction="categorical",
    settles="early",
    modalities=("CR", "DX", "MG"),
    needs=("headers", "pictures"),
    source="Radgate: a bright letter near the edge; R has a hole and two legs, L a foot and an empty upper right",
    causes={
        "absent": Advice(
            "labelling",
            "未找到左右铅字标记",
            "No side marker was found",
            "place_marker",
            "technician",
            "请在曝光前放置左右标记；已摄图像请由技师确认侧别",
            "Place the marker before the exposure; confirm the side of this image",
        ),
        "contradicts": Advice(
            "labelling",
            "标记为 {letter}，与侧别标签或方向不符",
            "The marker says {letter}, against the tag or the orientation",
            "verify_side",
            "technician",
            "请核对侧别，更正后重新发送",
            "Verify the side, correct it and send again",
            now=True,
        ),
    },
    states={"found": "PASS", "absent": "WARN", "contradicts": "FAIL"},
)
def side_marker(inputs: Inputs) -> Measured | NotEvaluable:
    """State of the worst picture."""
    return worst_state(inputs, _state, SEVERITY)


def _state(picture: Picture, header: Dataset) -> Measured | NotEvaluable:
    grey = picture.grey()
    n = max(1, -(-max(grey.shape) // 1000))
    grey = grey[: grey.shape[0] // n * n, : grey.shape[1] // n * n]
    grey = grey.reshape(grey.shape[0] // n, n, -1, n).mean(axis=(1, 3))
    low, high = (float(v) for v in np.percentile(grey, [0.5, 99.9]))
    if high <= low:
        return NotEvaluable("no_region")
    found = _letters(grey, low, high)
    where = tuple(
        Location("box_px", {"rows": [b[0].start * n, b[0].stop * n], "columns": [b[1].start * n, b[1].stop * n]})
        for _, b in found
    )
    if not found:
        return Measured(
            "absent",
            "absent",
            (Location("box_px", {"rows": [0, grey.shape[0] * n], "columns": [0, grey.shape[1] * n]}),),
        )
    for letter, box in found:
        if _is_wrong(letter, box, grey.shape[1], header):
            return Measured("contradicts", "contradicts", where, {"letter": letter}, {"letter": letter})
    return Measured("found", where=where, evidence={"letters": "".join(sorted(letter for letter, _ in found))})


def _letters(grey: NDArray[np.float32], low: float, high: float) -> list[tuple[str, tuple[slice, slice]]]:
    """Every L and R near the edge: one bright piece of the height and shape of a letter."""
    rows, columns = grey.shape
    size = max(5, round(HEIGHT[1] * rows))
    top_hat = grey - ndimage.grey_opening(grey, (size, size))
    labels, _ = ndimage.label(top_hat > 0.35 * (high - low), np.ones((3, 3)))
    found = []
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        tall, wide = box[0].stop - box[0].start, box[1].stop - box[1].start
        is_size = HEIGHT[0] * rows <= tall <= HEIGHT[1] * rows and 0.35 * tall <= wide <= 1.1 * tall and tall >= 9
        middle = ((box[0].start + box[0].stop) / 2 / rows, (box[1].start + box[1].stop) / 2 / columns)
        if not is_size or min(middle[0], 1 - middle[0], middle[1], 1 - middle[1]) > BAND:
            continue
        letter = _letter(labels[box] == index)
        if letter:
            found.append((letter, (box[0], box[1])))
    return found


def _letter(piece: NDArray[np.bool_]) -> str:
    """L, R, or nothing."""
    tall, wide = piece.shape
    holes, count = ndimage.label(~np.pad(piece, 1))
    has_hole = count > 1 and np.bincount(holes.ravel())[2:].max() >= 0.02 * piece.size
    left = piece[:, : max(1, wide // 4)].any(axis=1).mean()
    foot = piece[-max(1, tall // 5) :].any(axis=0).mean()
    upper_right = piece[: int(0.7 * tall), wide // 2 :].mean()
    if left < 0.9:
        return ""
    if not has_hole and foot > 0.9 and upper_right < 0.08:
        return "L"
    hole_rows = np.nonzero(holes == (2 if holes[0, 0] == 1 else 1))[0] if has_hole else np.array([])
    legs = piece[-max(1, tall // 6) :].any(axis=0)
    split = ndimage.label(legs)[1] == 2
    return "R" if has_hole and len(hole_rows) and hole_rows.mean() < 0.5 * tall and split else ""


def _is_wrong(letter: str, box: tuple[slice, slice], columns: int, header: Dataset) -> bool:
    """Whether a letter speaks against the side of the header, or against the direction of the rows."""
    stated = {text_of(header, k).upper() for k in ("ImageLaterality", "Laterality")} & {"L", "R"}
    if stated:
        return letter not in stated
    towards = text_of(header, "PatientOrientation").split("\\")[0].upper()[:1]
    if towards not in {"L", "R"}:
        return False
    in_right_half = (box[1].start + box[1].stop) / 2 > columns / 2
    return (letter == towards) != in_right_half
