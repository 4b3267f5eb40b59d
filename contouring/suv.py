"""Standardised uptake values: from the header by the QIBA rules, and what they say about a lesion.

SUVbw = activity concentration * body weight / dose decayed to the time that the image is corrected to. Where the header
leaves that open, the series is refused: a guessed time is a guessed diagnosis.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy.ndimage import correlate

from contouring.errors import EmptyStructure, SuvRefused
from contouring.volumes import check_on_grid, volume_cc
from imaging.volume import Region, Volume

__all__ = ["SUVBW_UNIT", "SuvMetrics", "SuvScale", "suv_metrics", "suv_scale", "suv_volume"]

SUVBW_UNIT = "g/ml{SUVbw}"

PEAK_RADIUS_MM = 6.2
"""Radius of a sphere of 1 cm^3 (PERCIST: Wahl et al., J Nucl Med 2009;50 suppl 1:122S)."""

OVERSAMPLING = 7
"""Sub-voxels a side for the share of a voxel within the peak sphere."""

PHILIPS_SUV_SCALE = (0x7053, 0x1000)
PHILIPS_ACTIVITY_SCALE = (0x7053, 0x1009)
GE_SCAN_DATETIME = (0x0009, 0x100D)
LEAST_DOSE_BQ = 1e4
"""Below a hundredth of a MBq nobody is imaged: a smaller number was written in another unit."""

LONGEST_UPTAKE = timedelta(hours=24)


@dataclass(frozen=True)
class SuvScale:
    """Factor from the image's rescaled values to SUVbw in g/ml, and the rule that gave it."""

    factor: float
    rule: str


@dataclass(frozen=True)
class SuvMetrics:
    """Uptake of one lesion.

    Parameters
    ----------
    maximum, mean, peak
        SUVbw in g/ml over the region; peak is the largest mean over a 1 cm^3 sphere centred on one of its voxels.
    threshold
        SUVbw from which a voxel counts as metabolically active.
    metabolic_volume_cc
        Volume at or above the threshold.
    total_lesion_glycolysis_g
        Metabolic volume times its mean SUVbw.
    """

    maximum: float
    mean: float
    peak: float
    threshold: float
    metabolic_volume_cc: float
    total_lesion_glycolysis_g: float


def suv_scale(headers: Sequence[Dataset]) -> SuvScale:
    """The factor to SUVbw for a PET series.

    Parameters
    ----------
    headers
        Headers of all its planes; the earliest acquisition among them counts.

    Raises
    ------
    SuvRefused
        An attribute is missing, zero or contradictory; the error names it.

    References
    ----------
    QIBA FDG-PET/CT profile, vendor-neutral pseudo-code of SUV computation.
    """
    header = headers[0]
    units = str(header.get("Units", ""))
    if units == "GML":
        kind = str(header.get("SUVType", "") or "BW")
        if kind != "BW":
            raise SuvRefused(f"The series holds SUV by {kind}, not by body weight; export it by body weight.")
        return SuvScale(1.0, "values are SUVbw already")
    corrections = {str(c) for c in _several(header.get("CorrectedImage"))}
    if not {"ATTN", "DECY"} <= corrections:
        raise SuvRefused(
            "The series is not corrected for attenuation and decay (CorrectedImage); reconstruct it with both.",
            corrected=sorted(corrections),
        )
    if units == "CNTS":
        return _philips(headers)
    if units != "BQML":
        raise SuvRefused("Units is none of BQML, CNTS and GML, so values have no known activity; export it in BQML.")
    return _by_body_weight(headers, 1.0, "BQML")


def suv_volume(volume: Volume, headers: Sequence[Dataset]) -> Volume:
    """The image as SUVbw.

    Raises
    ------
    SuvRefused
        The headers do not give the factor.
    """
    scale = suv_scale(headers)
    return replace(volume, array=(volume.array * scale.factor).astype(np.float32), unit=SUVBW_UNIT)


def suv_metrics(
    region: Region, volume: Volume, *, threshold: float | None = None, share_of_maximum: float = 0.41
) -> SuvMetrics:
    """Uptake inside a region.

    Parameters
    ----------
    region
        The lesion.
    volume
        Image in SUVbw, from `suv_volume`.
    threshold
        SUVbw from which a voxel counts; where left out, a share of the maximum.
    share_of_maximum
        That share; 41 % is EANM's (Boellaard et al., Eur J Nucl Med Mol Imaging 2015;42:328).

    Raises
    ------
    SuvRefused
        The image is not in SUVbw.
    EmptyStructure
        The region has no voxel.
    GridMismatch
        The region lies on another grid.
    """
    if volume.unit != SUVBW_UNIT:
        raise SuvRefused("The image is not in SUVbw; convert it from its header first.", unit=volume.unit)
    check_on_grid(region, volume.grid)
    if not region.voxel_count:
        raise EmptyStructure("An empty structure has no uptake; draw it or leave it out.")
    values = volume.array[region.box][region.crop].astype(np.float64)
    limit = share_of_maximum * float(values.max()) if threshold is None else threshold
    active = region.crop & (volume.array[region.box] >= limit)
    active_cc = volume_cc(Region(active, region.start, region.shape), volume.grid)
    above = values[values >= limit]
    return SuvMetrics(
        maximum=float(values.max()),
        mean=float(values.mean()),
        peak=_peak(region, volume),
        threshold=limit,
        metabolic_volume_cc=active_cc,
        total_lesion_glycolysis_g=active_cc * float(above.mean()) if len(above) else 0.0,
    )


def _peak(region: Region, volume: Volume) -> float:
    """Largest mean over the sphere, centred on a voxel of the region; at the image's border over what is there."""
    kernel = _sphere_shares(np.array(volume.spacing_mm))
    room = [n // 2 for n in kernel.shape]
    wide = tuple(
        slice(max(0, s.start - r), min(n, s.stop + r)) for s, r, n in zip(region.box, room, region.shape, strict=True)
    )
    values = volume.array[wide].astype(np.float64)
    sums = correlate(values, kernel, mode="constant")
    weights = correlate(np.ones_like(values), kernel, mode="constant")
    own = tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(region.box, wide, strict=True))
    return float((sums / weights)[own][region.crop].max())


def _sphere_shares(spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of each voxel around a centre that lies within the sphere."""
    room = [int(np.ceil(PEAK_RADIUS_MM / s - 0.5)) for s in spacing]
    steps = (np.arange(OVERSAMPLING) + 0.5) / OVERSAMPLING - 0.5
    squared = [((np.arange(-r, r + 1)[:, None] + steps).ravel() * s) ** 2 for r, s in zip(room, spacing, strict=True)]
    inside = squared[0][:, None, None] + squared[1][:, None] + squared[2] <= PEAK_RADIUS_MM**2
    sizes = [2 * r + 1 for r in room]
    blocks = inside.reshape(sizes[0], OVERSAMPLING, sizes[1], OVERSAMPLING, sizes[2], OVERSAMPLING)
    return np.asarray(blocks.mean(axis=(1, 3, 5)))


def _philips(headers: Sequence[Dataset]) -> SuvScale:
    scale = _private(headers[0], PHILIPS_SUV_SCALE)
    if scale:
        return SuvScale(scale, "Philips SUV scale factor (7053,1000)")
    activity = _private(headers[0], PHILIPS_ACTIVITY_SCALE)
    if activity:
        return _by_body_weight(headers, activity, "Philips activity scale factor (7053,1009)")
    raise SuvRefused("The series is in counts without a scale factor; export it in BQML.")


def _by_body_weight(headers: Sequence[Dataset], bq_per_ml: float, rule: str) -> SuvScale:
    header = headers[0]
    weight_g = 1000 * _positive(header, "PatientWeight")
    items = header.get("RadiopharmaceuticalInformationSequence")
    if not items:
        raise SuvRefused("RadiopharmaceuticalInformationSequence is missing, so the dose is unknown.")
    dose, half_life_s = _positive(items[0], "RadionuclideTotalDose"), _positive(items[0], "RadionuclideHalfLife")
    if dose < LEAST_DOSE_BQ:
        raise SuvRefused(
            "RadionuclideTotalDose is too small for an image; it is in Bq by DICOM and seems to be in MBq here, so "
            "export the series again.",
            keyword="RadionuclideTotalDose",
        )
    correction = str(header.get("DecayCorrection", ""))
    if correction == "ADMIN":
        return SuvScale(bq_per_ml * weight_g / dose, f"{rule}, corrected to the time of injection")
    if correction != "START":
        raise SuvRefused("DecayCorrection is neither START nor ADMIN, so the reference time is unknown.")
    start, source = _scan_start(headers)
    uptake = start - _injection(items[0], start, str(header.get("TimezoneOffsetFromUTC") or ""))
    if not timedelta(0) <= uptake <= LONGEST_UPTAKE:
        raise SuvRefused(
            "The scan begins before the injection, or more than a day after it; check the times in the header.",
            uptake_s=uptake.total_seconds(),
        )
    decayed = dose * 2 ** (-uptake.total_seconds() / half_life_s)
    return SuvScale(bq_per_ml * weight_g / decayed, f"{rule}, corrected to the start of the scan ({source})")


def _scan_start(headers: Sequence[Dataset]) -> tuple[datetime, str]:
    """SeriesTime where no acquisition began before it; else the scanner's own note of the start.

    Raises
    ------
    SuvRefused
        Neither is there.
    """
    acquired = [_moment(h, "AcquisitionDate", "AcquisitionTime") for h in headers]
    earliest = min((m for m in acquired if m is not None), default=None)
    series = _moment(headers[0], "SeriesDate", "SeriesTime")
    if series is not None and (earliest is None or series <= earliest):
        return series, "SeriesTime"
    noted: Any = headers[0].get(GE_SCAN_DATETIME)
    if noted is not None and noted.value:
        text = noted.value.decode("ascii", "replace") if isinstance(noted.value, bytes) else str(noted.value)
        return _parsed(text.strip("\0 ")), "GE scan date and time (0009,100D)"
    raise SuvRefused(
        "SeriesTime lies after the first acquisition, so the series was made later and the start of the scan is "
        "unknown; export the original series."
    )


def _injection(item: Dataset, start: datetime, header_zone: str) -> datetime:
    """Time of injection by the clock of the other times in the header.

    Raises
    ------
    SuvRefused
        There is none, or it is by another clock that the header does not relate to its own.
    """
    if item.get("RadiopharmaceuticalStartDateTime"):
        written = str(item.RadiopharmaceuticalStartDateTime).strip()
        moment, zone = _parsed(written), _offset(written[14:])
        if zone is None:
            return moment
        own = _offset(header_zone)
        if own is not None:
            return moment + own - zone
        # Without the header's own zone, only the same time of day without a zone tells that the clocks agree.
        time_of_day = item.get("RadiopharmaceuticalStartTime")
        if time_of_day and _parsed(f"{moment:%Y%m%d}{time_of_day}") == moment:
            return moment
        raise SuvRefused(
            "RadiopharmaceuticalStartDateTime has an offset from UTC and the header does not state its own; export "
            "the series with TimezoneOffsetFromUTC.",
            keyword="TimezoneOffsetFromUTC",
        )
    if not item.get("RadiopharmaceuticalStartTime"):
        raise SuvRefused("RadiopharmaceuticalStartTime is missing, so the time of injection is unknown.")
    injected = _parsed(f"{start:%Y%m%d}{item.RadiopharmaceuticalStartTime}")
    # Only the time of day is known: an injection "after" the scan was before midnight.
    return injected if injected <= start else injected - timedelta(days=1)


def _moment(header: Dataset, date: str, time: str) -> datetime | None:
    if not header.get(date) or not header.get(time):
        return None
    return _parsed(f"{header[date].value}{header[time].value}")


def _parsed(text: str) -> datetime:
    digits = text.split("+")[0].split("-")[0]
    whole, _, fraction = digits.partition(".")
    try:
        moment = datetime.strptime(whole.ljust(14, "0")[:14], "%Y%m%d%H%M%S")
        return moment + timedelta(seconds=float(f"0.{fraction or 0}"))
    except ValueError as fault:
        raise SuvRefused("A date or time in the header cannot be read; export the series again.") from fault


def _offset(text: str) -> timedelta | None:
    """The offset from UTC at the end of a text, as "+0800"; None without one."""
    found = re.search(r"([+-])(\d\d)(\d\d)$", text.strip())
    if found is None:
        return None
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return offset if found[1] == "+" else -offset


def _positive(header: Dataset, keyword: str) -> float:
    try:
        value = float(header.get(keyword) or 0)
    except (TypeError, ValueError):
        value = 0.0
    if not (np.isfinite(value) and value > 0):
        raise SuvRefused(f"{keyword} is missing or not positive, so SUV cannot be computed.", keyword=keyword)
    return value


def _private(header: Dataset, tag: tuple[int, int]) -> float:
    element: Any = header.get(tag)
    if element is None:
        return 0.0
    value = element.value.decode("ascii", "replace").strip("\0 ") if isinstance(element.value, bytes) else element.value
    try:
        return float(value)
    except (TypeError, ValueError):
        return 0.0


def _several(value: Any) -> Sequence[Any]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)
