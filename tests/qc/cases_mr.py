"""Cases of the checks of MR and PET (see `cases`)."""

from dataclasses import replace

import numpy as np
from pydicom.dataset import Dataset

from qc.image.inputs import Inputs
from tests.qc.bodies import edited, header_inputs, volume_inputs
from tests.qc.case import NumberCase, StateCase
from tests.qc.defects import HEAD_MR, masked_mr
from tests.qc.heads import HEAD, head_inputs, in_time
from tests.qc.pets import pet_ct, pet_liver

__all__ = ["MR_CASES"]

EPI = (("ScanningSequence", "EP"),)
FAT_SAT = (("ScanOptions", "FS"),)


def no_image() -> Inputs:
    return header_inputs(HEAD_MR)


def noise_only() -> Inputs:
    """A plane without an object."""
    values = np.abs(np.random.default_rng(4).normal(0, 8, HEAD.grid().shape)).astype(np.int16)
    return edited(volume_inputs(values * 0, HEAD), InPlanePhaseEncodingDirection="COL")


def sequences(names: str, b_values: tuple[float, ...] = (0, 1000), ordered: str = "T1,T2,FLAIR,DWI") -> Inputs:
    """A study of which this series is the first, and headers of the others."""
    siblings = []
    for name in names.split(",")[1:]:
        header = Dataset()
        header.SeriesDescription = name
        siblings.append(header)
    for b in b_values:
        header = Dataset()
        header.SeriesDescription, header.DiffusionBValue = "DWI", float(b)
        siblings.append(header)
    first = edited(header_inputs(HEAD_MR), SeriesDescription=names.split(",")[0])
    return replace(first, siblings=tuple(siblings), order={"Sequences": ordered, "BValues": "0,1000"})


MR_CASES: dict[str, NumberCase | StateCase] = {
    "mr.snr": NumberCase(
        clean=head_inputs,
        planted=lambda snr, seed: head_inputs(sigma=400 / snr, seed=seed),
        severities=(12, 18, 27, 40, 60),
        truth=lambda snr: snr,
        tolerance=0.06,
        alarm=None,
        not_evaluable=noise_only,
        reason="no_region",
        profile="mr_brain",
    ),
    "mr.noise": NumberCase(
        clean=head_inputs,
        planted=lambda percent, seed: head_inputs(sigma=3.4 * percent, seed=seed),
        severities=(3, 6, 10, 15, 22),
        alarm=15,
        not_evaluable=noise_only,
        reason="no_region",
        profile="mr_brain",
    ),
    "mr.cnr": NumberCase(
        clean=head_inputs,
        planted=lambda difference, seed: head_inputs(grey=400 - difference, seed=seed),
        severities=(60, 80, 110, 140, 170),
        truth=lambda difference: difference / (8 * np.sqrt(2 + 0.6551**2)),
        tolerance=0.08,
        alarm=None,
        not_evaluable=noise_only,
        reason="no_region",
        profile="mr_brain",
    ),
    "mr.cjv": NumberCase(
        clean=head_inputs,
        planted=lambda sigma, seed: head_inputs(sigma=sigma, seed=seed),
        severities=(4, 7, 11, 16, 22),
        truth=lambda sigma: 2 * sigma / 100,
        tolerance=0.1,
        alarm=None,
        not_evaluable=noise_only,
        reason="no_region",
        profile="mr_brain",
    ),
    "mr.fber": NumberCase(
        clean=head_inputs,
        planted=lambda ratio, seed: head_inputs(sigma=400 / ratio, seed=seed),
        severities=(15, 25, 40, 60, 100),
        alarm=None,
        not_evaluable=masked_mr,
        reason="background_zeroed",
        profile="mr_brain",
    ),
    "mr.qi1": NumberCase(
        clean=head_inputs,
        planted=lambda mm, seed: head_inputs(motion_mm=mm, seed=seed),
        severities=(1, 1.5, 2.2, 3.2, 5),
        alarm=None,
        not_evaluable=masked_mr,
        reason="background_zeroed",
        profile="mr_brain",
    ),
    "mr.qi2": NumberCase(
        clean=head_inputs,
        planted=lambda mm, seed: head_inputs(motion_mm=mm, seed=seed),
        severities=(0.4, 0.7, 1, 1.3, 1.6),
        alarm=None,
        not_evaluable=masked_mr,
        reason="background_zeroed",
        profile="mr_brain",
    ),
    "mr.wm2max": NumberCase(
        clean=head_inputs,
        planted=lambda share, seed: head_inputs(fat=400 / share, seed=seed),
        severities=(0.62, 0.69, 0.76, 0.84, 0.92),
        truth=lambda share: share,
        tolerance=0.06,
        alarm=None,
        not_evaluable=noise_only,
        reason="no_region",
        profile="mr_brain",
    ),
    "mr.inu": NumberCase(
        clean=head_inputs,
        planted=lambda percent, seed: head_inputs(bias_percent=percent, seed=seed),
        severities=(5, 12, 22, 38, 60),
        alarm=60,
        not_evaluable=noise_only,
        reason="no_region",
        profile="mr_brain",
    ),
    "mr.nyquist": NumberCase(
        clean=lambda: head_inputs(tags=EPI),
        planted=lambda percent, seed: head_inputs(nyquist=percent / 100, seed=seed, tags=EPI),
        severities=(4, 7, 12, 20, 32),
        alarm=12,
        not_evaluable=head_inputs,
        reason="unsupported",
        profile="mr_brain",
    ),
    "mr.wrap": NumberCase(
        clean=head_inputs,
        planted=lambda mm, seed: head_inputs(fold_mm=mm, seed=seed),
        severities=(8, 12, 18, 28, 40),
        alarm=18,
        not_evaluable=no_image,
        reason="no_volume",
        profile="mr_brain",
    ),
    "mr.spike": NumberCase(
        clean=head_inputs,
        planted=lambda share, seed: head_inputs(spike=share, seed=seed),
        severities=(0.01, 0.02, 0.04, 0.1, 0.3),
        alarm=0.3,
        not_evaluable=lambda: volume_inputs(np.zeros(HEAD.grid().shape, np.int16), HEAD),
        reason="no_region",
        profile="mr_brain",
    ),
    "mr.zipper": NumberCase(
        clean=head_inputs,
        planted=lambda signal, seed: head_inputs(zipper=signal, seed=seed),
        severities=(12, 20, 35, 60, 120),
        alarm=35,
        not_evaluable=lambda: head_inputs(tags=(("InPlanePhaseEncodingDirection", ""),)),
        reason="missing_tag",
        profile="mr_brain",
    ),
    "mr.motion": NumberCase(
        clean=head_inputs,
        planted=lambda mm, seed: head_inputs(motion_mm=mm, seed=seed),
        severities=(0.7, 1.2, 2, 3.2, 5),
        alarm=3.2,
        not_evaluable=lambda: head_inputs(tags=(("InPlanePhaseEncodingDirection", ""),)),
        reason="missing_tag",
        profile="mr_brain",
    ),
    "mr.fatsat": NumberCase(
        clean=lambda: head_inputs(tags=FAT_SAT),
        planted=lambda percent, seed: head_inputs(bright_rim_percent=percent, seed=seed, tags=FAT_SAT),
        severities=(5, 15, 30, 50, 80),
        alarm=30,
        not_evaluable=head_inputs,
        reason="missing_tag",
        profile="mr_brain",
    ),
    "mr.set": StateCase(
        clean=lambda: sequences("T1 tra,T2 tra,FLAIR"),
        states={
            "complete": lambda: sequences("T1 tra,T2 tra,FLAIR"),
            "missing_sequence": lambda: sequences("T1 tra,T2 tra"),
            "missing_b": lambda: sequences("T1 tra,T2 tra,FLAIR", (0,)),
        },
        not_evaluable=lambda: replace(sequences("T1 tra"), order={"PatientID": "TEST0001"}),
        reason="missing_tag",
        profile="mr_brain",
    ),
    "mr.tsnr": NumberCase(
        clean=in_time,
        planted=lambda snr, seed: in_time(sigma=300 / snr, seed=seed),
        severities=(15, 22, 32, 45, 70),
        alarm=None,
        not_evaluable=lambda: in_time(count=3),
        reason="series_incomplete",
        profile="mr_brain",
    ),
    "mr.dvars": NumberCase(
        clean=in_time,
        planted=lambda percent, seed: in_time(jump_percent=percent, seed=seed),
        severities=(2, 4, 8, 14, 25),
        alarm=14,
        not_evaluable=lambda: in_time(count=3),
        reason="series_incomplete",
        profile="mr_brain",
    ),
    "mr.fd": NumberCase(
        clean=in_time,
        planted=lambda mm, seed: in_time(shift_mm=mm * (-1) ** seed, seed=seed),
        severities=(0.6, 1.2, 2, 4, 8),
        truth=lambda mm: mm,
        tolerance=0.4,
        alarm=2,
        not_evaluable=lambda: in_time(count=1),
        reason="series_incomplete",
        profile="mr_brain",
    ),
    "pt.liver_cov": NumberCase(
        clean=pet_liver,
        planted=lambda cov, seed: pet_liver(cov, seed=seed),
        severities=(0.05, 0.1, 0.16, 0.22, 0.3),
        truth=lambda cov: cov,
        tolerance=0.02,
        alarm=0.22,
        not_evaluable=lambda: pet_liver(with_mask=False),
        reason="needs_mask",
        profile="pt_base",
    ),
    "pt.liver_suv": NumberCase(
        clean=pet_liver,
        planted=lambda suv, seed: pet_liver(0.08, suv, seed),
        severities=(1.5, 2.2, 3.2, 4.5, 6),
        truth=lambda suv: suv,
        tolerance=0.03,
        alarm=4.5,
        not_evaluable=lambda: edited(pet_liver(), PatientWeight=None),
        reason="missing_tag",
        profile="pt_base",
    ),
    "pt.ct_align": NumberCase(
        clean=pet_ct,
        planted=lambda mm, seed: pet_ct(mm * (-1) ** seed, seed=seed),
        severities=(2, 6, 12, 20, 30),
        truth=lambda mm: mm,
        tolerance=2.5,
        alarm=20,
        not_evaluable=lambda: pet_ct(with_ct=False),
        reason="series_incomplete",
        profile="pt_ct",
    ),
    "pt.outline": NumberCase(
        clean=pet_ct,
        planted=lambda mm, seed: pet_ct(0.0, mm * (-1) ** seed, seed=seed),
        severities=(6, 12, 20, 35, 55),
        alarm=35,
        not_evaluable=lambda: pet_ct(with_ct=False),
        reason="series_incomplete",
        profile="pt_ct",
    ),
    "pt.infiltration": NumberCase(
        clean=pet_ct,
        planted=lambda percent, seed: pet_ct(focus_percent=percent, seed=seed),
        severities=(1, 2, 5, 10, 20),
        alarm=5,
        not_evaluable=lambda: header_inputs(replace(HEAD_MR, modality="PT")),
        reason="no_volume",
        profile="pt_base",
    ),
}
