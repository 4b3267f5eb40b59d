"""Images with a defect of known severity, made from the body, the head and the series of the other modules.

Every maker takes a severity in physical units and a seed; equal seeds give equal images.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from scipy import ndimage

from imaging.errors import RadgateError
from qc.image.inputs import Expected, Inputs
from tests.qc.bodies import TRUNK, Body, body_inputs, copied, edited, header_inputs, volume_inputs
from tests.synthetic.series import SeriesDescription

LONG = SeriesDescription(planes=41)


def dropped(count: float, seed: int = 1) -> Inputs:
    """A series with neighbouring planes missing in its middle."""
    inputs = header_inputs(LONG)
    first = 7 + seed % 11
    return replace(inputs, headers=inputs.headers[:first] + inputs.headers[first + round(count) :])


def uneven(percent: float, seed: int = 1) -> Inputs:
    """A series with one distance longer by a share of the usual one."""
    steps = [LONG.plane_spacing_mm] * (LONG.planes - 1)
    steps[11 + seed % 7] *= 1 + percent / 100
    return header_inputs(LONG, steps_mm=tuple(steps))


def repeated(same_image: bool) -> Inputs:
    inputs = header_inputs()
    again = copied(inputs.headers[4])
    if not same_image:
        again.SOPInstanceUID = inputs.headers[4].SOPInstanceUID + ".9"
    return replace(inputs, headers=(*inputs.headers, again))


def blank(count: float, seed: int = 1) -> Inputs:
    inputs = body_inputs()
    assert inputs.volume is not None
    values = inputs.volume.array.copy()
    values[1 : 1 + round(count)] = -1000
    return volume_inputs(values, TRUNK)


def clipped(percent: float, seed: int = 1) -> Inputs:
    """A CT of which a share of the pixels is at the top of the stored range."""
    values = Body(seed=seed).values(TRUNK.grid())
    hit = np.random.default_rng(seed).choice(values.size, round(values.size * percent / 100), replace=False)
    values.flat[hit] = 2**15 - 1
    return volume_inputs(values, replace(TRUNK, intercept=0.0))


def with_metal(radius_mm: float, seed: int = 1) -> Inputs:
    return body_inputs(metal_radius_mm=radius_mm, seed=seed)


def metal_cc(radius_mm: float) -> float:
    return float(np.pi * radius_mm**2 * TRUNK.plane_spacing_mm * TRUNK.planes / 1000)


def off_centre(shift_mm: float, seed: int = 1) -> Inputs:
    """A body whose centre lies so far from the gantry's, along the rows."""
    inputs = body_inputs(seed=seed)
    assert inputs.volume is not None
    grid = inputs.volume.grid
    # The trunk's centre in the picture: 4 mm left and 8 mm up of the middle.
    middle = [[(grid.columns - 1) / 2 - 4 / 0.9, (grid.rows - 1) / 2 - 8 / 1.1]]
    centre = grid.points_lps(5, middle)[0] - shift_mm * grid.row_direction
    return edited(inputs, DataCollectionCenterPatient=[float(v) for v in centre])


def with_dose(ctdivol_mgy: float, seed: int = 1, phantom: str = "113691") -> Inputs:
    """A cylinder of water of 220 mm with a stated dose."""
    d = replace(TRUNK, rows=280, columns=290, planes=3, intercept=0.0)
    grid = d.grid()
    y = ((np.arange(280) - 139.5) * 1.1)[:, None]
    x = ((np.arange(290) - 144.5) * 0.9)[None, :]
    plane = np.where(np.hypot(x, y) < 110, 0, -1000).astype(np.int16)
    inputs = volume_inputs(np.broadcast_to(plane, grid.shape).copy(), d)
    kind = Dataset()
    kind.CodeValue, kind.CodingSchemeDesignator, kind.CodeMeaning = phantom, "DCM", "IEC Body Dosimetry Phantom"
    return edited(inputs, CTDIvol=ctdivol_mgy, CTDIPhantomTypeCodeSequence=Sequence([kind]))


def implausible(count: float, seed: int = 1) -> Inputs:
    wrong = {"PatientAge": "199Y", "PatientWeight": "4000", "PatientSize": "175", "PatientSex": "Q"}
    return edited(header_inputs(), **dict(list(wrong.items())[: round(count)]))


def off_protocol(count: float, seed: int = 1) -> Inputs:
    expect = {
        "KVP": Expected(values=(120.0,)),
        "ConvolutionKernel": Expected(regex="^H30"),
        "SliceThickness": Expected(range=(1.0, 3.0)),
    }
    wrong = {"KVP": "80", "ConvolutionKernel": "B80s", "SliceThickness": "7"}
    return replace(edited(header_inputs(), **dict(list(wrong.items())[: round(count)])), expect=expect)


def refused(kind: type[RadgateError]) -> Callable[[], Inputs]:
    return lambda: replace(header_inputs(), refusal=kind("Not usable; send it again."))


def no_positions() -> Inputs:
    return edited(header_inputs(), ImagePositionPatient=None)


def projection(**tags: str) -> Inputs:
    fixed = {"Modality": "DX", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1", "BodyPartExamined": "KNEE"}
    tags = {**fixed, "SeriesDescription": "", "ProtocolName": "", **tags}
    return edited(header_inputs(planes=2), **tags)


def inverted() -> Inputs:
    values = Body().values(TRUNK.grid()).astype(np.int32)
    return volume_inputs((4095 - (values + 1024) - 1024).astype(np.int16), TRUNK)


def rescaled(factor: int = 1, offset: int = 0) -> Inputs:
    """A body whose CT numbers were negated, or have lost their intercept."""
    values = Body().values(TRUNK.grid()).astype(np.int32)
    return volume_inputs((factor * values + offset).astype(np.int16), TRUNK)


def uniform(blur_px: float, seed: int = 1) -> Inputs:
    """Uniform soft tissue with noise of 30 HU before a Gaussian blur of so many pixels of 0.7 mm."""
    d = replace(TRUNK, rows=130, columns=200, pixel_spacing_mm=(0.7, 0.7), intercept=0.0)
    noise = np.random.default_rng(seed).normal(0, 30, d.grid().shape)
    noise = ndimage.gaussian_filter(noise, (0, blur_px, blur_px)) if blur_px else noise
    return volume_inputs(np.round(50 + noise).astype(np.int16), d)


PET = SeriesDescription(modality="PT", planes=3, rows=9, columns=11)
HEAD_MR = SeriesDescription(modality="MR", rows=144, columns=120, pixel_spacing_mm=(1.1, 1.4), planes=7)


def pet(isotope: Mapping[str, str] | None = None, **tags: str | None) -> Inputs:
    """A PET with attributes changed, at top level and in the item on the radiopharmaceutical."""
    inputs = edited(header_inputs(PET), **tags)
    for header in inputs.headers:
        for keyword, value in (isotope or {}).items():
            setattr(header.RadiopharmaceuticalInformationSequence[0], keyword, value)
    return inputs


def scanned_after(minutes: float, seed: int = 1) -> Inputs:
    """A PET begun so many minutes after the injection; the seed moves the injection, over midnight for some."""
    injected = (79200 + 1800 * seed) % 86400
    began = round(injected + 60 * minutes) % 86400
    times = [f"{t // 3600:02d}{t % 3600 // 60:02d}{t % 60:02d}" for t in (injected, began)]
    return pet({"RadiopharmaceuticalStartTime": times[0]}, AcquisitionTime=times[1])


def head_mr(sigma: float = 8.0, ghost: float = 0.0, seed: int = 1, direction: str | None = "COL") -> Inputs:
    """A head of 400 units in air with Rician noise; ghosts are a share of it, displaced by half the picture's rows."""
    y = ((np.arange(HEAD_MR.rows) - 70) * 1.1)[:, None]
    x = ((np.arange(HEAD_MR.columns) - 62) * 1.4)[None, :]
    head = np.where((x / 52) ** 2 + (y / 44) ** 2 < 1, 400.0, 0.0)
    head[(x / 12) ** 2 + ((y - 5) / 9) ** 2 < 1] = 150.0
    plane = head + ghost * np.roll(head, HEAD_MR.rows // 2, axis=0)
    rng = np.random.default_rng(seed)
    shape = HEAD_MR.grid().shape
    values = np.hypot(plane + rng.normal(0, sigma, shape), rng.normal(0, sigma, shape))
    return edited(volume_inputs(np.round(values).astype(np.int16), HEAD_MR), InPlanePhaseEncodingDirection=direction)


def masked_mr() -> Inputs:
    inputs = head_mr()
    assert inputs.volume is not None
    values = inputs.volume.array.copy()
    values[values < 60] = 0
    return volume_inputs(values, HEAD_MR)
