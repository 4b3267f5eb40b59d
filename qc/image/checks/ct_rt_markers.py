"""Skin markers of a planning CT: as many as were ordered."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from imaging.volume import Volume
from qc.image.body import BodySection
from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

MARKER_HU = 800.0
SKIN_MM = 6.0
SIZE_MM3 = (2.0, 400.0)
LONGEST_MM = 15.0


@check(
    "ct.rt.markers",
    version="1.0.0",
    title=("体表标记", "Skin markers"),
    unit="1",
    direction="higher_worse",
    settles="final",
    modalities=("CT",),
    needs=("headers", "pixels", "stack", "order"),
    source="Specification of image quality, 3.2: compact, above 800 HU, within 6 mm of the skin",
    causes={
        "count": Advice(
            "positioning",
            "找到 {found:.0f} 个体表标记，应为 {ordered:.0f} 个",
            "{found:.0f} skin markers were found, {ordered:.0f} were ordered",
            "place_markers",
            "technician",
            "请检查标记位置，补贴后重扫",
            "Check the markers, place the missing ones and repeat",
            now=True,
        ),
    },
)
def markers(inputs: Inputs) -> Measured | NotEvaluable:
    """Difference between the markers found and those ordered (`SkinMarkers` of the order)."""
    volume, body = inputs.volume, inputs.body
    if volume is None or not body:
        return NotEvaluable("no_volume" if volume is None else "no_region")
    ordered = inputs.order.get("SkinMarkers", "")
    if not ordered.isdigit():
        return NotEvaluable("missing_tag")
    sections = {s.plane: s for s in body}
    dense = np.zeros(volume.array.shape, dtype=np.bool_)
    for k, pixels in enumerate(volume.array):
        hot = pixels > MARKER_HU
        if not hot.any():
            continue
        section = sections[min(sections, key=lambda plane: abs(plane - k))]
        dense[k] = hot & _near_skin(section, volume)[: hot.shape[0], : hot.shape[1]]
    labels, _ = ndimage.label(dense, np.ones((3, 3, 3)))
    voxel_mm3 = float(np.prod(volume.spacing_mm))
    places = []
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        size = np.count_nonzero(labels[box] == index) * voxel_mm3
        longest = max((b.stop - b.start) * mm for b, mm in zip(box, volume.spacing_mm, strict=True))
        if SIZE_MM3[0] <= size <= SIZE_MM3[1] and longest <= LONGEST_MM:
            places.append(float(volume.grid.plane_positions_mm[(box[0].start + box[0].stop - 1) // 2]))
    return Measured(
        float(abs(len(places) - int(ordered))),
        where=(Location("slices", {"p_mm": places or [float(volume.grid.plane_positions_mm[0])]}),),
        params={"found": float(len(places)), "ordered": float(ordered)},
        evidence={"found": float(len(places)), "ordered": float(ordered)},
    )


def _near_skin(section: BodySection, volume: Volume) -> NDArray[np.bool_]:
    """Pixels of the full plane within 6 mm of the skin, outside or inside."""
    dy, dx = (mm * section.step for mm in volume.grid.pixel_spacing_mm)
    outside = ndimage.distance_transform_edt(~section.mask, sampling=(dy, dx))
    inside = ndimage.distance_transform_edt(section.mask, sampling=(dy, dx))
    near = np.maximum(outside, inside) <= SKIN_MM
    return np.asarray(near.repeat(section.step, 0).repeat(section.step, 1))
