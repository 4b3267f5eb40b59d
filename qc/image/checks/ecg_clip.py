"""Clipping of an electrocardiogram: samples at an end of the range."""

import numpy as np
from scipy import ndimage

from qc.image.beats import SHORTEST_S, usable_rows
from qc.image.inputs import Inputs
from qc.image.registry import Advice, Measured, NotEvaluable, check
from qc.image.result import Location

FEWEST_IN_A_ROW = 4


@check(
    "ecg.clip",
    version="1.0.0",
    title=("削波", "Clipping"),
    unit="%",
    direction="higher_worse",
    settles="early",
    uncertainty=0.05,
    modalities=("ECG",),
    needs=("headers", "waveform"),
    source="Specification of image quality, 3.5: samples at the end of the stored range, or in a row at one extreme",
    causes={
        "clipped": Advice(
            "detector",
            "{lead} 导联 {value:.1f}% 采样达到量程",
            "{value:.1f} % of lead {lead} are at the end of the range",
            "lower_gain",
            "technician",
            "请降低增益、检查电极后重做",
            "Lower the gain, check the electrode and repeat",
            now=True,
        ),
    },
)
def clip(inputs: Inputs) -> Measured | NotEvaluable:
    """Per cent of the samples of the worst lead."""
    waveform = inputs.waveform
    if waveform is None:
        return NotEvaluable("no_volume")
    rows = usable_rows(waveform.values_mv)
    if not rows or waveform.seconds < SHORTEST_S:
        return NotEvaluable("too_few_pixels", {"seconds": waveform.seconds})
    each = {}
    for n in rows:
        values = waveform.values_mv[n]
        at_end = np.zeros(len(values), dtype=np.bool_)
        for end, stored in ((values.max(), waveform.highest_mv), (values.min(), waveform.lowest_mv)):
            here = values == end
            runs = ndimage.label(here)[0]
            # A beat has one highest sample; several in a row are a rail.
            long = np.bincount(runs.ravel())
            long[0] = 0
            at_end |= np.isin(runs, np.flatnonzero(long >= FEWEST_IN_A_ROW)) | (here if end == stored else False)
        each[n] = 100 * float(at_end.mean())
    worst = max(sorted(each), key=each.__getitem__)
    lead = waveform.leads[worst]
    where = (Location("time", {"leads": [lead]}),)
    return Measured(each[worst], where=where, params={"lead": lead}, evidence={"lead": lead, "leads": float(len(rows))})
