"""How far the patient's centre lies from the gantry's."""

import numpy as np

from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location


@check(
    "ct.centring",
    version="1.0.0",
    title=("患者居中", "Centring"),
    unit="mm",
    direction="higher_worse",
    settles="early",
    by_plane="median",
    uncertainty=3.0,
    modalities=("CT",),
    needs=("headers", "pixels"),
    source="DICOM PS3.3 C.8.15.3.7 (Data Collection Center); centroid of the body",
    causes={
        "off_centre": Advice(
            "positioning",
            "患者偏离机架中心 {value:.0f} mm（左右 {x_mm:.0f}，前后 {y_mm:.0f}）",
            "The patient lies {value:.0f} mm off the gantry's centre ({x_mm:.0f} sideways, {y_mm:.0f} front-back)",
            "table_height",
            "technician",
            "请调整床高和左右位置使患者居中",
            "Adjust the table's height and the patient's position",
            now=True,
        )
    },
)
def centring(inputs: Inputs) -> Measured | NotEvaluable:
    """In-plane distance of the body's mean centroid from the centre of data collection, mm."""
    volume = inputs.volume
    centres = [c for c in inputs.numbers("DataCollectionCenterPatient") if len(c) == 3]
    if not centres:
        return NotEvaluable("missing_tag")
    if volume is None or not inputs.body:
        return NotEvaluable("no_volume" if volume is None else "no_region")
    centroids = []
    for section in inputs.body:
        rows, columns = np.nonzero(section.mask)
        middle = [[float(columns.mean()) * section.step, float(rows.mean()) * section.step]]
        centroids.append(volume.grid.points_lps(section.plane, middle)[0])
    offset = np.mean(centroids, axis=0) - np.mean(centres, axis=0)
    normal = volume.grid.normal
    in_plane = offset - (offset @ normal) * normal
    p_mm = volume.grid.plane_positions_mm
    return Measured(
        float(np.linalg.norm(in_plane)),
        where=(Location("slices", {"p_mm": [float(p_mm[0]), float(p_mm[-1])]}),),
        params={"x_mm": float(in_plane[0]), "y_mm": float(in_plane[1])},
        evidence={"x_mm": float(in_plane[0]), "y_mm": float(in_plane[1]), "planes_used": float(len(centroids))},
    )
