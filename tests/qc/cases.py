"""For every check: a clean image, defects of known severity, and an image on which it cannot judge.

`test_checks` walks what discovery found: a check without a case here fails the build.
"""

from dataclasses import replace
from datetime import date

import numpy as np

from imaging import errors
from imaging.errors import RadgateError
from qc.image.inputs import Expected, Inputs
from tests.qc.bodies import TRUNK, body_inputs, edited, header_inputs, volume_inputs
from tests.qc.case import NumberCase, StateCase
from tests.qc.cases_ct import CT_CASES
from tests.qc.cases_dx import DX_CASES
from tests.qc.cases_mr import MR_CASES
from tests.qc.cases_planar import PLANAR_CASES
from tests.qc.defects import (
    HEAD_MR,
    LONG,
    PET,
    blank,
    clipped,
    dropped,
    head_mr,
    implausible,
    inverted,
    masked_mr,
    metal_cc,
    no_positions,
    off_centre,
    off_protocol,
    pet,
    projection,
    refused,
    repeated,
    rescaled,
    scanned_after,
    uneven,
    uniform,
    with_dose,
    with_metal,
)
from tests.synthetic.series import OBLIQUE

__all__ = ["CASES", "NumberCase", "StateCase"]


REFUSALS = {
    "not_dicom": errors.NotDicom,
    "truncated_file": errors.TruncatedFile,
    "missing_attribute": errors.MissingAttribute,
    "undecodable_pixels": errors.UndecodablePixels,
    "localiser": errors.Localiser,
    "not_an_image_stack": errors.NotAnImageStack,
    "mixed_orientation": errors.MixedOrientation,
    "mixed_frame_of_reference": errors.MixedFrameOfReference,
    "mixed_grid": errors.MixedGrid,
    "duplicate_planes": errors.DuplicatePlanes,
    "duplicate_instance": errors.DuplicateInstance,
    "four_dimensional": errors.FourDimensional,
    "gantry_tilt": errors.GantryTilt,
    "missing_slices": errors.MissingSlices,
    "refused": RadgateError,
}

CASES: dict[str, NumberCase | StateCase] = {
    "gen.geometry.usable": StateCase(
        clean=body_inputs,
        states={
            "usable": body_inputs,
            "single_slice": lambda: replace(header_inputs(planes=1), refusal=errors.MissingSlices("No thickness.")),
            **{code: refused(kind) for code, kind in REFUSALS.items()},
        },
        not_evaluable=header_inputs,
        reason="no_volume",
    ),
    "gen.geometry.missing": NumberCase(
        clean=header_inputs,
        planted=dropped,
        severities=(1, 2, 3, 5, 8),
        truth=lambda n: n,
        alarm=1,
        not_evaluable=lambda: header_inputs(planes=2),
        reason="too_few_slices",
    ),
    "gen.geometry.duplicate": StateCase(
        clean=header_inputs,
        states={"none": header_inputs, "repeated": lambda: repeated(True), "conflict": lambda: repeated(False)},
        not_evaluable=no_positions,
        reason="missing_tag",
    ),
    "gen.geometry.jitter": NumberCase(
        clean=header_inputs,
        planted=uneven,
        severities=(0.5, 1, 2.5, 5, 10),
        truth=lambda p: p,
        tolerance=0.05,
        alarm=2.5,
        not_evaluable=no_positions,
        reason="missing_tag",
    ),
    "gen.geometry.tilt": NumberCase(
        clean=header_inputs,
        planted=lambda deg, seed: header_inputs(LONG, tilt_deg=deg * (-1) ** seed),
        severities=(0.2, 1, 2.5, 8, 20),
        truth=lambda deg: deg,
        tolerance=0.05,
        alarm=2.5,
        not_evaluable=no_positions,
        reason="missing_tag",
    ),
    "gen.geometry.mixed": StateCase(
        clean=header_inputs,
        states={
            "uniform": header_inputs,
            "technique": lambda: edited(header_inputs(), slice(3, 9), ConvolutionKernel="B70f"),
            "geometry": lambda: edited(
                header_inputs(), slice(3, 4), ImageOrientationPatient=[OBLIQUE[i] for i in (3, 4, 5, 0, 1, 2)]
            ),
        },
        not_evaluable=lambda: Inputs(()),
        reason="missing_tag",
    ),
    "gen.geometry.overlap": NumberCase(
        clean=header_inputs,
        planted=lambda gap, seed: edited(header_inputs(), SliceThickness=f"{2.5 - gap:.4f}"),
        severities=(0.2, 0.5, 0.9, 1.5, 2),
        truth=lambda gap: gap,
        tolerance=1e-3,
        alarm=0.2,
        not_evaluable=lambda: edited(header_inputs(), SliceThickness=None),
        reason="missing_tag",
    ),
    "gen.slice.thickness": NumberCase(
        clean=header_inputs,
        planted=lambda mm, seed: edited(header_inputs(), slice(seed % 5, None), SliceThickness=f"{mm}"),
        severities=(3, 4, 6, 8, 12),
        truth=lambda mm: mm,
        tolerance=1e-6,
        alarm=6,
        not_evaluable=lambda: edited(header_inputs(), SliceThickness=""),
        reason="missing_tag",
    ),
    "gen.instance.holes": NumberCase(
        clean=header_inputs,
        planted=lambda n, seed: edited(header_inputs(), slice(6, 7), InstanceNumber=19 + round(n)),
        severities=(1, 2, 3, 5, 8),
        truth=lambda n: n,
        alarm=1,
        not_evaluable=lambda: edited(header_inputs(), InstanceNumber=1),
        reason="missing_tag",
    ),
    "gen.pixel.empty": NumberCase(
        clean=body_inputs,
        planted=blank,
        severities=(1, 2, 3, 5, 8),
        truth=lambda n: n,
        alarm=1,
        not_evaluable=header_inputs,
        reason="no_volume",
    ),
    "gen.pixel.clipped": NumberCase(
        clean=body_inputs,
        planted=clipped,
        severities=(0.1, 0.3, 1, 3, 10),
        truth=lambda percent: percent,
        tolerance=0.001,
        alarm=0.3,
        not_evaluable=lambda: edited(body_inputs(), BitsStored=None),
        reason="missing_tag",
    ),
    "gen.pixel.rescale": StateCase(
        clean=header_inputs,
        states={
            "ok": header_inputs,
            "absent": lambda: edited(header_inputs(), slice(2, 3), RescaleIntercept=None),
            "zero": lambda: edited(header_inputs(), RescaleSlope="0"),
            "varying": lambda: edited(header_inputs(), slice(2, 3), RescaleSlope="1.25"),
        },
        not_evaluable=lambda: Inputs((), known=header_inputs().subject),
        reason="missing_tag",
    ),
    "gen.pixel.inversion": StateCase(
        clean=body_inputs,
        states={
            "upright": body_inputs,
            "inverted": inverted,
            "shifted": lambda: rescaled(offset=1000),
        },
        not_evaluable=header_inputs,
        reason="no_volume",
    ),
    "gen.pixel.photometric": StateCase(
        clean=header_inputs,
        states={
            "grey": header_inputs,
            "colour": lambda: edited(body_inputs(), PhotometricInterpretation="RGB"),
            "absent": lambda: edited(header_inputs(), slice(2, 3), PhotometricInterpretation=None),
        },
        not_evaluable=lambda: Inputs((), known=header_inputs().subject),
        reason="missing_tag",
    ),
    "gen.tag.modality": StateCase(
        clean=header_inputs,
        states={
            "known": header_inputs,
            "absent": lambda: edited(header_inputs(), Modality=""),
            "unknown": lambda: edited(header_inputs(), Modality="ZZ", SOPClassUID=None),
            "contradicts": lambda: edited(header_inputs(), Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.2"),
        },
        not_evaluable=lambda: edited(header_inputs(), Modality="OT", SOPClassUID=None),
        reason="unsupported",
        profile="any_base",
    ),
    "gen.tag.position": StateCase(
        clean=header_inputs,
        states={
            "consistent": header_inputs,
            "absent": lambda: edited(header_inputs(), PatientPosition=None),
            "unknown_code": lambda: edited(header_inputs(), PatientPosition="SUPINE"),
            "disagrees": lambda: edited(header_inputs(), PatientPosition="HFP"),
        },
        not_evaluable=no_positions,
        reason="missing_tag",
    ),
    "gen.tag.laterality": StateCase(
        clean=lambda: projection(Laterality="R", SeriesDescription="右膝 正位"),
        states={
            "consistent": lambda: projection(Laterality="R", SeriesDescription="右膝 正位"),
            "not_needed": header_inputs,
            "absent": lambda: projection(SeriesDescription="KNEE AP"),
            "contradictory": lambda: projection(Laterality="R", SeriesDescription="KNEE LEFT AP"),
        },
        not_evaluable=lambda: Inputs(()),
        reason="missing_tag",
        profile="any_base",
    ),
    "gen.tag.plausible": NumberCase(
        clean=lambda: replace(header_inputs(), today=date(2026, 3, 4)),
        planted=implausible,
        severities=(1, 2, 3, 4),
        truth=lambda n: n,
        alarm=1,
        not_evaluable=lambda: edited(
            header_inputs(), PatientAge=None, PatientBirthDate=None, PatientSex=None, AcquisitionDate=None
        ),
        reason="missing_tag",
    ),
    "gen.tag.order": StateCase(
        clean=lambda: replace(header_inputs(), order={"PatientID": "TEST0001", "BodyPartExamined": "HEADNECK"}),
        states={
            "as_ordered": lambda: replace(header_inputs(), order={"PatientID": "TEST0001"}),
            "examination": lambda: replace(
                header_inputs(), order={"PatientID": "TEST0001", "BodyPartExamined": "KNEE"}
            ),
            "patient": lambda: replace(header_inputs(), order={"PatientID": "TEST0002", "BodyPartExamined": "KNEE"}),
        },
        not_evaluable=lambda: replace(header_inputs(), order={"RequestedProcedureID": "1"}),
        reason="missing_tag",
    ),
    "gen.protocol": NumberCase(
        clean=lambda: off_protocol(0),
        planted=off_protocol,
        severities=(1, 2, 3),
        truth=lambda n: n,
        alarm=1,
        not_evaluable=lambda: replace(header_inputs(), expect={"SpiralPitchFactor": Expected(range=(0.5, 1.5))}),
        reason="missing_tag",
    ),
    "ct.noise.gni": NumberCase(
        clean=body_inputs,
        planted=lambda sigma, seed: body_inputs(sigma_hu=sigma, seed=seed),
        severities=(5, 10, 20, 40, 80),
        truth=lambda sigma: sigma,
        tolerance=0.03,  # of the severity, see test_checks
        alarm=40,
        not_evaluable=lambda: body_inputs(scale_offset_hu=-400),
        reason="too_few_pixels",
    ),
    "ct.noise.nps": NumberCase(
        clean=lambda: uniform(0.0),
        # Less blur gives a higher frequency; Gaussian blur of s pixels has the mean frequency sqrt(pi) / (4 pi s).
        planted=lambda sharpness, seed: uniform(1 / sharpness, seed),
        severities=(0.5, 0.6, 0.7, 0.8, 1.0),
        truth=lambda sharpness: np.sqrt(np.pi) / (4 * np.pi) * sharpness / 0.7,
        tolerance=0.008,  # the taper of 64 pixels widens what lies at low frequencies
        alarm=None,
        not_evaluable=body_inputs,
        reason="no_region",
    ),
    "ct.truncation": NumberCase(
        clean=body_inputs,
        planted=lambda mm, seed: body_inputs(shift_mm=20 + mm, seed=seed),
        # Further out the lung is cut too, and open lung cannot be told from the air outside.
        severities=(3, 6, 12, 20, 30),
        alarm=6,
        not_evaluable=lambda: volume_inputs(np.full(TRUNK.grid().shape, -1000, np.int16), TRUNK),
        reason="no_region",
    ),
    "ct.starvation": NumberCase(
        clean=body_inputs,
        planted=lambda ratio, seed: body_inputs(streak_ratio=ratio, seed=seed),
        severities=(1.2, 1.5, 2, 4, 8),
        truth=lambda ratio: ratio,
        tolerance=0.2,  # of the severity; streaks along whole rows leave few independent ones in a plane
        alarm=4,
        not_evaluable=lambda: body_inputs(scale_offset_hu=-400),
        reason="too_few_pixels",
    ),
    "ct.metal": NumberCase(
        clean=body_inputs,
        planted=with_metal,
        severities=(2, 3, 4, 6, 10),
        truth=metal_cc,
        tolerance=0.15,
        alarm=3,
        not_evaluable=header_inputs,
        reason="no_volume",
    ),
    "ct.hu.air": NumberCase(
        clean=body_inputs,
        planted=lambda offset, seed: body_inputs(scale_offset_hu=offset, seed=seed),
        severities=(5, 10, 20, 40, 80),
        truth=lambda offset: -1000 + offset,
        tolerance=1.0,
        alarm=40,
        not_evaluable=lambda: body_inputs(sigma_hu=0.0),
        reason="background_zeroed",
    ),
    "ct.hu.fat": NumberCase(
        clean=body_inputs,
        planted=lambda offset, seed: body_inputs(scale_offset_hu=offset, seed=seed),
        severities=(5, 10, 20, 30, 40),
        truth=lambda offset: -105 + offset,
        tolerance=4.0,
        alarm=30,
        not_evaluable=lambda: body_inputs(scale_offset_hu=400),
        reason="no_region",
    ),
    "ct.centring": NumberCase(
        clean=lambda: off_centre(0),
        planted=off_centre,
        severities=(3, 6, 12, 24, 48),
        truth=lambda mm: mm,
        tolerance=1.5,
        alarm=24,
        not_evaluable=body_inputs,
        reason="missing_tag",
    ),
    "pt.suv_inputs": StateCase(
        clean=pet,
        states={
            "complete": pet,
            "already_suv": lambda: pet(Units="GML", PatientWeight=None),
            "incomplete": lambda: pet(PatientWeight=None),
            "implausible": lambda: pet({"RadionuclideTotalDose": "350"}),
        },
        not_evaluable=lambda: Inputs((), known=header_inputs(PET).subject),
        reason="missing_tag",
        profile="pt_base",
    ),
    "pt.uptake": NumberCase(
        clean=lambda: scanned_after(60),
        planted=scanned_after,
        severities=(75, 95, 120, 150, 200),
        truth=lambda minutes: minutes,
        tolerance=0.02,
        alarm=95,
        not_evaluable=lambda: pet({"RadiopharmaceuticalStartTime": ""}),
        reason="missing_tag",
        profile="pt_base",
    ),
    "mr.snrd": NumberCase(
        clean=head_mr,
        planted=lambda snr, seed: head_mr(sigma=400 / snr, seed=seed),
        severities=(10, 20, 40, 60, 80),
        truth=lambda snr: snr,
        tolerance=0.03,
        alarm=None,
        not_evaluable=masked_mr,
        reason="background_zeroed",
        profile="mr_base",
    ),
    "mr.ghost": NumberCase(
        clean=head_mr,
        planted=lambda percent, seed: head_mr(ghost=percent / 100, seed=seed),
        severities=(2, 4, 8, 16, 32),
        alarm=None,
        not_evaluable=lambda: head_mr(direction=None),
        reason="missing_tag",
        profile="mr_base",
    ),
    "mr.efc": NumberCase(
        clean=head_mr,
        planted=lambda percent, seed: head_mr(ghost=percent / 100, seed=seed),
        severities=(2, 4, 8, 16, 32),
        alarm=None,
        not_evaluable=lambda: header_inputs(HEAD_MR),
        reason="no_volume",
        profile="mr_base",
    ),
    "ct.dose.ssde": NumberCase(
        clean=lambda: with_dose(8),
        planted=with_dose,
        severities=(4, 8, 16, 32, 64),
        truth=lambda dose: dose * 3.704369 * float(np.exp(-0.03671937 * 22.0)),
        tolerance=0.01,
        alarm=None,
        not_evaluable=lambda: with_dose(8, phantom="113999"),
        reason="missing_tag",
    ),
    **CT_CASES,
    **DX_CASES,
    **MR_CASES,
    **PLANAR_CASES,
}
