"""A sum of doses as RTDOSE with the plans, doses and registrations it came from, read back.

MULTI_PLAN where every dose names its plan, PLAN_OVERVIEW where one names none, PLAN of a single one.
"""

import hashlib
import math
import warnings
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from importlib.metadata import version
from io import BytesIO
from typing import Any, Literal

import numpy as np
from pydicom import dcmread
from pydicom.charset import default_encoding
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.coding import Code
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    DeformableSpatialRegistrationStorage,
    ExplicitVRLittleEndian,
    RTDoseStorage,
    RTPlanStorage,
    SpatialRegistrationStorage,
)

from contouring.decimals import decimal_text
from contouring.dose.cautions import partly_known
from contouring.dose.resample import GridSum
from contouring.dose.rtdose_read import read_rtdose
from contouring.errors import RoundTripMismatch
from contouring.rtstruct_build import code_item
from contouring.rtstruct_header import copy_patient_and_study, encodings_of
from imaging.headers import text
from imaging.provenance import deterministic_uid

__all__ = ["SumFacts", "WrittenDose", "write_rtdose"]

COMPOSED = Code("121370", "DCM", "Composed from prior doses")
RADIOBIOLOGICAL = Code("121377", "DCM", "Composed with radiobiological effects")
DOSE_COMPOSITION = Code("121372", "DCM", "Source dose for composing current dose")
STORED_MAX = 2**31 - 1
LONGEST = 16


@dataclass(frozen=True, eq=False)
class SumFacts:
    """What stands in the object besides the voxels.

    Parameters
    ----------
    header
        Patient and study, those of the reference image.
    source_doses
        SOP instance UIDs of the doses that were added.
    plan_uids
        The plans behind them.
    overview
        Label, fractions and prescription in Gy of each dose, where one of them names no plan to refer to.
    registrations
        Each Spatial Registration that was used, and whether it is a deformable one; none where all doses share the
        frame of the image.
    is_registered, is_deformed
        Whether a transform was applied, and whether it was no rigid one.
    alpha_beta_gy, model
        Of a biological dose, and which it is; alpha/beta is None for a physical sum.
    comment
        DoseComment, at most 64 characters.
    """

    header: Dataset
    source_doses: tuple[str, ...]
    plan_uids: tuple[str, ...] = ()
    overview: tuple[tuple[str, int | None, float | None], ...] = ()
    registrations: tuple[tuple[str, bool], ...] = ()
    is_registered: bool = False
    is_deformed: bool = False
    alpha_beta_gy: float | None = None
    model: Literal["EQD2", "BED"] = "EQD2"
    comment: str = ""


@dataclass(frozen=True, eq=False)
class WrittenDose:
    """An RTDOSE that was read back: the object and its file."""

    dataset: Dataset
    encoded: bytes


def write_rtdose(total: GridSum, facts: SumFacts, *, made_at: datetime) -> WrittenDose:
    """The sum as RTDOSE in 32 bits; equal input gives equal UIDs.

    Parameters
    ----------
    total
        The sum; voxels that are not known by all doses hold the part that is.
    facts
        What it came from.
    made_at
        Time of the run; not part of what the UIDs follow from.

    Raises
    ------
    RoundTripMismatch
        The object does not read back as the same dose.
    """
    ds = Dataset()
    copy_patient_and_study(facts.header, ds)
    named = encodings_of(facts.header) if text(ds, "SpecificCharacterSet") else None
    ds.set_original_encoding(False, True, named or default_encoding)
    _fill_identity(ds, total, facts, made_at)
    _fill_geometry(ds, total)
    _fill_dose(ds, total, facts)
    encoded = _encode(ds)
    dataset = dcmread(BytesIO(encoded))
    read = read_rtdose(dataset, any_size=True)
    scaling = float(ds.DoseGridScaling)
    limit = scaling / 2 + 1e-6 * float(np.abs(total.volume.dose_gy).max(initial=0))
    same = read.grid.is_same_as(total.volume.grid) and all(
        bool(np.abs(written.astype(np.float64) - made).max() <= limit)
        for written, made in zip(read.dose_gy, total.volume.dose_gy, strict=True)
    )
    if not same:
        raise RoundTripMismatch(
            "The written dose does not read back as the dose it was made from; nothing was written. Please report "
            "this with the geometry of the doses."
        )
    return WrittenDose(dataset, encoded)


def _uid_parts(total: GridSum, facts: SumFacts) -> list[Any]:
    content = hashlib.sha256(np.ascontiguousarray(total.volume.dose_gy, dtype="<f4").tobytes())
    grid = total.volume.grid
    content.update(np.round(grid.positions_lps, 6).tobytes())
    return [
        text(facts.header, "StudyInstanceUID"), [*facts.source_doses], [list(r) for r in facts.registrations],
        facts.alpha_beta_gy, facts.model, content.hexdigest(),
    ]  # fmt: skip


def _fill_identity(ds: Dataset, total: GridSum, facts: SumFacts, made_at: datetime) -> None:
    parts = _uid_parts(total, facts)
    ds.SOPClassUID, ds.SOPInstanceUID = RTDoseStorage, deterministic_uid("rtdose", parts)
    ds.SeriesInstanceUID = deterministic_uid("rtdose series", parts)
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "RTDOSE", 9010, 1
    what = "physical sum" if facts.alpha_beta_gy is None else f"{facts.model} sum a/b={facts.alpha_beta_gy:g}"
    ds.SeriesDescription = f"radgate {what} UNAPPROVED"
    ds.OperatorsName = ""
    ds.Manufacturer, ds.ManufacturerModelName, ds.SoftwareVersions = "radgate", "radgate", version("radgate")
    ds.SeriesDate = ds.InstanceCreationDate = ds.ContentDate = made_at.strftime("%Y%m%d")
    ds.SeriesTime = ds.InstanceCreationTime = ds.ContentTime = made_at.strftime("%H%M%S")
    ds.FrameOfReferenceUID = total.volume.grid.frame_of_reference_uid
    if "PositionReferenceIndicator" not in ds:
        ds.PositionReferenceIndicator = ""


def _fill_geometry(ds: Dataset, total: GridSum) -> None:
    grid = total.volume.grid
    ds.ImagePositionPatient = [decimal_text(v) for v in grid.positions_lps[0].tolist()]
    ds.ImageOrientationPatient = [decimal_text(float(v)) for v in (*grid.row_direction, *grid.column_direction)]
    ds.PixelSpacing = [decimal_text(v) for v in grid.pixel_spacing_mm]
    ds.SliceThickness = ""
    ds.NumberOfFrames, ds.Rows, ds.Columns = grid.shape
    ds.FrameIncrementPointer = Tag(0x3004000C)
    offsets = grid.plane_positions_mm - grid.plane_positions_mm[0]
    ds.GridFrameOffsetVector = [decimal_text(round(float(v), 6)) for v in offsets]
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 32, 32, 31


def _fill_dose(ds: Dataset, total: GridSum, facts: SumFacts) -> None:
    dose = total.volume.dose_gy
    scaling = _scaling_text(float(dose.max(initial=0.0)))
    ds.DoseUnits = "GY"
    ds.DoseType = "PHYSICAL" if facts.alpha_beta_gy is None else "EFFECTIVE"
    ds.DoseSummationType = "PLAN_OVERVIEW" if facts.overview else "MULTI_PLAN" if len(facts.plan_uids) > 1 else "PLAN"
    if facts.overview:
        ds.PlanOverviewSequence = DicomSequence([_overview(n, *plan) for n, plan in enumerate(facts.overview, start=1)])
    else:
        ds.ReferencedRTPlanSequence = DicomSequence([_reference(RTPlanStorage, uid) for uid in facts.plan_uids])
    ds.DoseGridScaling = scaling
    # A viewer shows the known part as if it were the sum.
    ds.DoseComment = f"{facts.comment[:47]}, partly unknown" if partly_known(total) else facts.comment[:64]
    ds.SpatialTransformOfDose = "NON_RIGID" if facts.is_deformed else "RIGID" if facts.is_registered else "NONE"
    codes = [COMPOSED] if facts.alpha_beta_gy is None else [COMPOSED, RADIOBIOLOGICAL]
    ds.DerivationCodeSequence = DicomSequence([code_item(c) for c in codes])
    sources = [_reference(RTDoseStorage, uid) for uid in facts.source_doses]
    for item in sources:
        item.PurposeOfReferenceCodeSequence = DicomSequence([code_item(DOSE_COMPOSITION)])
    ds.ReferencedInstanceSequence = DicomSequence(sources)
    if facts.registrations:
        ds.ReferencedSpatialRegistrationSequence = DicomSequence([
            _reference(DeformableSpatialRegistrationStorage if is_deformable else SpatialRegistrationStorage, uid)
            for uid, is_deformable in facts.registrations
        ])
    stored = np.empty(dose.shape, dtype="<u4")
    for plane, values in zip(stored, dose, strict=True):
        # In double precision, plane by plane: a grid may be large.
        plane[:] = np.rint(values.astype(np.float64) / float(scaling))
    ds.PixelData = stored.tobytes()
    ds["PixelData"].VR = "OW"


def _overview(number: int, label: str, fractions: int | None, prescription_gy: float | None) -> Dataset:
    """One plan that nothing can refer to (PS3.3 C.8.8.3)."""
    item = Dataset()
    item.PlanOverviewIndex = number
    # The label comes from another object, whose character set may be another one.
    item.RTPlanLabel = label[:16] if label.isascii() else ""
    if fractions is not None:
        item.NumberOfFractionsIncluded = fractions
    prescribed = Dataset()
    prescribed.TotalPrescriptionDose = prescription_gy
    item.PrescriptionOverviewSequence = DicomSequence([] if prescription_gy is None else [prescribed])
    return item


def _scaling_text(largest_gy: float) -> str:
    """DoseGridScaling, rounded up to what 16 characters hold, so that the largest dose fits into the pixels."""
    if largest_gy <= 0:
        return "1"
    exact = Decimal(largest_gy) / STORED_MAX
    # Sign, point and an exponent of three characters (E-9) leave ten digits.
    rounded = exact.quantize(Decimal(1).scaleb(math.floor(math.log10(float(exact))) - 8), rounding=ROUND_CEILING)
    written = f"{rounded:.8E}"
    return written if len(written) <= LONGEST else f"{rounded:.6E}"


def _reference(sop_class: str, uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
    return item


def _encode(ds: Dataset) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = RTDoseStorage, ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(deterministic_uid("implementation", "radgate"))
    meta.ImplementationVersionName = "RADGATE"
    ds.file_meta = meta
    buffer = BytesIO()
    with warnings.catch_warnings():
        # Values copied from the images may break rules of style; they are kept as they are.
        warnings.simplefilter("ignore")
        dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()
