"""Files to an assessment: the one function behind the commands, the gateway and the pages."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydicom.dataset import Dataset

from contouring.dose.accumulate import MappedDose, StructureSum, check_summable, letter_of, map_dose, sum_on_structure
from contouring.dose.alpha_beta import AlphaBeta, alpha_beta_of
from contouring.dose.assessment import (
    Bounds,
    CourseFacts,
    DoseAssessment,
    DoseGrids,
    Flag,
    ReferenceImage,
    StructureAssessment,
)
from contouring.dose.bounds import NOT_ALIGNED, Reach, bounds_of, is_above
from contouring.dose.cautions import high_doses, other_names, partly_known, unused, warnings_of
from contouring.dose.course_grids import Eqd2Grids, sum_of_grids
from contouring.dose.deformation import Deformation
from contouring.dose.limits import Judged, LimitSet, Verdict, judge
from contouring.dose.patient import check_one_patient, patient_of
from contouring.dose.registration_quality import least_jacobian
from contouring.dose.relate import Organs, Register, Relation, relations
from contouring.dose.resample import check_overlap, sum_on_grid, union_grid
from contouring.dose.rtdose_read import read_rtdose
from contouring.dose.rtplan import PlanFacts, read_rtplan
from contouring.dose.solid import Caps
from contouring.dose.structure import PlanarStructure, structure_of_contours
from contouring.dose.study import check_roi, course_of, named_rois, plan_of, tg263_of
from contouring.dose.transform import RigidTransform
from contouring.dose.volume import DoseVolume
from contouring.errors import ContouringError
from contouring.names import NameTable
from contouring.rtstruct_parse import ParsedRoi, open_structure_set, parse_structure_set
from imaging.attributes import text
from imaging.series import Stack

__all__ = ["AssessOptions", "Progress", "assess"]

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, eq=False)
class AssessOptions:
    """What a person chooses; everything has a default but what would be a guess.

    Parameters
    ----------
    fractions
        Fractions of each dose by hand, None where the plan says it; empty for all by plan.
    prescriptions_gy
        Prescribed dose of each course by hand; empty or None as above.
    labels
        What to call the courses; empty for the labels of their plans.
    registrations
        Spatial Registration or Deformable Spatial Registration objects, each of the image and one or more other frames.
    register
        What radgate computes for the frames that no object relates; None: nothing.
    alpha_beta
        The clinic's alpha/beta in Gy by name.
    site, limits
        The site, for the record, and the sets of limits to apply (`limits.limits_for(site)` or a file's).
    reach
        How far the search for the uncertainty bounds goes.
    caps
        How structures end.
    thickness_mm
        Slice thickness, for structures of a single plane.
    names
        Names of structures with the clinic's aliases; None: those that ship with radgate.
    """

    fractions: tuple[int | None, ...] = ()
    prescriptions_gy: tuple[float | None, ...] = ()
    labels: tuple[str, ...] = ()
    registrations: tuple[Dataset | Path, ...] = ()
    register: Register | None = None
    alpha_beta: Mapping[str, float] = field(default_factory=dict)
    site: str = ""
    limits: tuple[LimitSet, ...] = ()
    reach: Reach = field(default_factory=Reach)
    caps: Caps = "half"
    thickness_mm: float | None = None
    names: NameTable | None = None


def assess(
    rtstruct: Dataset | Path,
    doses: Sequence[Dataset | Path | DoseVolume],
    reference: Stack,
    *,
    made_at: datetime,
    plans: Sequence[Dataset | Path] = (),
    others: Sequence[Stack] = (),
    other_structures: Sequence[Dataset | Path] = (),
    options: AssessOptions | None = None,
    progress: Progress | None = None,
) -> DoseAssessment:
    """What every structure receives from one or more doses, physical and EQD2, with bounds and limits.

    Parameters
    ----------
    rtstruct
        The structures, drawn in the frame of the reference image.
    doses
        RTDOSE of each course.
    reference
        The image that everything is mapped to.
    made_at
        Time of the run, for the registration objects that are made.
    plans
        RTPLANs; each dose finds its own by the UID that it names.
    others
        Images of the other frames, needed to register.
    other_structures
        The organs as drawn on the other images, for the uncertainty bounds.
    options
        What a person chooses.
    progress
        Called as the work goes on.

    Raises
    ------
    DoseError
        The doses make no sum: several patients or kinds, a dose of a fraction, unknown registration, ...
    NotAStructureSet
        The structure set is none, or damaged.
    RadgateError
        A file cannot be read, or an image has no regular geometry.
    """
    chosen = options or AssessOptions()
    tell = progress or (lambda *_: None)
    tell("read", 0, 1)
    volumes = [d if isinstance(d, DoseVolume) else read_rtdose(d) for d in doses]
    check_summable(volumes)
    dataset = open_structure_set(rtstruct)
    patients = [patient_of(reference.header), patient_of(dataset), *(patient_of(v.facts.header) for v in volumes)]
    check_one_patient(*patients)
    read_plans = [read_rtplan(p) for p in plans]
    given = _padded(chosen.fractions, len(volumes))
    courses = [course_of(v, read_plans, n) for v, n in zip(volumes, given, strict=True)]
    organs = _organs((dataset, *other_structures), reference, chosen)
    tell("register", 0, 1)
    related = relations(
        volumes, reference, others,
        registrations=chosen.registrations, register=chosen.register, made_at=made_at, organs=organs,
    )  # fmt: skip
    by_dose = [related[v.grid.frame_of_reference_uid] for v in volumes]
    frame = reference.frame_of_reference_uid
    mapped = [map_dose(v, frame, r.transform, c) for v, r, c in zip(volumes, by_dose, courses, strict=True)]
    check_overlap(mapped, (reference.grid.row_direction, reference.grid.column_direction))
    facts = tuple(
        _facts(n, mapped[n], by_dose[n], read_plans, chosen, is_stated=given[n] is not None) for n in range(len(mapped))
    )
    work = _Work(mapped, facts, reference, chosen, organs)
    rows, refused = [], {}
    rois = named_rois(parse_structure_set(dataset).rois)
    for number, (name, roi) in enumerate(rois):
        tell("structures", number, len(rois))
        try:
            rows.append(work.row(name, roi))
        except ContouringError as reason:
            refused[name] = reason
    meant = {n for name, _ in rois for n in (name, tg263_of(name, chosen.names))}
    tell("grids", 0, 1)
    ratios = sorted({row.alpha_beta.gy for row in rows}) if all(courses) else []
    grids = _grids(mapped, reference, ratios)
    return DoseAssessment(
        reference=ReferenceImage(
            reference.study_instance_uid, reference.series_instance_uid, frame, reference.modality
        ),
        structure_set_uid=text(dataset, "SOPInstanceUID"),
        courses=facts,
        structures=tuple(rows),
        refused=refused,
        caps=chosen.caps,
        site=chosen.site,
        limit_sets=chosen.limits,
        warnings=(
            *warnings_of(facts, rows, chosen.limits, registration=bool(chosen.registrations), register=chosen.register),
            *unused(facts, read_plans, meant, chosen.alpha_beta),
            *high_doses({f.letter: v for f, v in zip(facts, volumes, strict=True)}),
            *other_names([*patients, *(p.patient for p in read_plans)]),
            *partly_known(grids.physical),
        ),
        grids=grids,
        mapped=tuple(mapped),
        registrations={r.registration_uid: r.encoded for r in by_dose if r.encoded},
    )


class _Work:
    """What all structures share."""

    def __init__(
        self,
        mapped: Sequence[MappedDose],
        facts: Sequence[CourseFacts],
        reference: Stack,
        options: AssessOptions,
        organs: Organs,
    ) -> None:
        self.mapped, self.facts, self.options, self.organs = mapped, facts, options, organs
        self.frame, self.along = reference.frame_of_reference_uid, reference.grid.row_direction

    def row(self, name: str, roi: ParsedRoi) -> StructureAssessment:
        """The row of one structure.

        Raises
        ------
        ContouringError
            It cannot be evaluated.
        """
        check_roi(roi, self.frame)
        tg263 = tg263_of(roi.name, self.options.names)
        ratio = self._alpha_beta(name, tg263, roi)
        solid = structure_of_contours(roi.contours, along=self.along, thickness_mm=self.options.thickness_mm)
        found = sum_on_structure(solid, self.mapped, ratio.gy, caps=self.options.caps)
        bounds = self._bounds(solid, found, name, tg263) if len(self.mapped) > 1 else None
        flags = self._flags(solid, found, bounds, ratio)
        return StructureAssessment(
            name=name,
            number=roi.number,
            tg263=tg263,
            interpreted_type=roi.interpreted_type,
            colour_rgb=roi.colour_rgb,
            alpha_beta=ratio,
            courses=found.courses,
            physical=found.physical,
            course_eqd2=found.course_eqd2,
            eqd2=found.eqd2,
            bounds=bounds,
            flags=flags,
            verdicts=self._verdicts(tg263, found, flags),
        )

    def _bounds(self, solid: PlanarStructure, found: StructureSum, name: str, tg263: str) -> Bounds:
        reach = self.options.reach
        radii = [
            0.0
            if f.transform_source == "same_frame"
            else reach.rigid_mm
            if isinstance(m.transform, RigidTransform)
            else reach.deformable_mm
            for f, m in zip(self.facts, self.mapped, strict=True)
        ]
        organs = [
            self.organs.get(f.frame_of_reference_uid, {}).get(tg263 or name) if r else None
            for f, r in zip(self.facts, radii, strict=True)
        ]
        return bounds_of(solid, found, self.mapped, radii, organs, caps=self.options.caps)

    def _folds(self, solid: PlanarStructure) -> bool:
        """Whether a deformation folds within a structure."""
        deformations = [m.transform for m in self.mapped if isinstance(m.transform, Deformation)]
        return any((least_jacobian(d, solid) or 0.0) <= 0 for d in deformations)

    def _alpha_beta(self, name: str, tg263: str, roi: ParsedRoi) -> AlphaBeta:
        own = self.options.alpha_beta
        return alpha_beta_of(name if name in own or not tg263 else tg263, roi.interpreted_type, own)

    def _flags(
        self, solid: PlanarStructure, found: StructureSum, bounds: Bounds | None, ratio: AlphaBeta
    ) -> tuple[Flag, ...]:
        judged = found.eqd2 or found.physical
        rules: dict[Flag, bool] = {
            "outside_dose_grid": found.physical.curve.outside_share > 0,
            "qualitative": any(f.is_qualitative for f in self.facts),
            "non_positive_jacobian": self._folds(solid),
            "organ_not_aligned": bounds is not None and (bounds.not_aligned_share or 0.0) > NOT_ALIGNED,
            "nominal_above_sum_of_maxima": bounds is not None and is_above(found, bounds),
            "alpha_beta_is_default": ratio.is_default,
            "not_converged": not judged.converged,
            "missing_planes": bool(judged.gaps),
        }
        return tuple(flag for flag, holds in rules.items() if holds)

    def _verdicts(self, tg263: str, found: StructureSum, flags: tuple[Flag, ...]) -> tuple[Verdict, ...]:
        blocked = next((BLOCKING[flag] for flag in flags if flag in BLOCKING), "")
        doses = tuple(f.dose_per_fraction_gy for f in self.facts)
        return judge(self.options.limits, tg263, Judged(found.physical, found.eqd2, doses, blocked))


BLOCKING: dict[Flag, str] = {
    "qualitative": "the sum rests on a computed deformable registration, which is qualitative",
    "organ_not_aligned": "the organ does not lie on itself after registration",
    "non_positive_jacobian": "the deformation folds within the structure",
}
"""Flags that forbid a verdict, with the reason (specification, 5.2 and 5.3)."""


def _padded(given: tuple[int | None, ...], count: int) -> tuple[int | None, ...]:
    if given and len(given) != count:
        raise ValueError(f"{len(given)} numbers of fractions for {count} doses")
    return given or (None,) * count


def _facts(
    number: int, mapped: MappedDose, related: Relation, plans: Sequence[PlanFacts], options: AssessOptions, *,
    is_stated: bool,
) -> CourseFacts:  # fmt: skip
    dose, course = mapped.dose.facts, mapped.course
    plan = plan_of(dose, plans)
    prescribed = options.prescriptions_gy[number] if options.prescriptions_gy else None
    return CourseFacts(
        letter=letter_of(number),
        label=options.labels[number] if options.labels else plan.label if plan else "",
        dose_uid=dose.sop_instance_uid,
        plan_uids=dose.plan_uids,
        frame_of_reference_uid=mapped.dose.grid.frame_of_reference_uid,
        fractions=course.fractions if course else None,
        fractions_source="unknown" if course is None else "stated" if is_stated else "plan",
        prescription_gy=prescribed or (plan.prescription_gy if plan else None),
        transform_source=related.source,
        registration_uid=related.registration_uid,
        quality=related.quality,
        is_of_several_plans=dose.is_of_several_plans,
        fractions_planned=sum(n for n in plan.fractions.values() if n) or None if plan else None,
        header=dose.header,
    )


def _organs(sources: Sequence[Dataset | Path], reference: Stack, options: AssessOptions) -> Organs:
    """Structures by frame and meaning (or name); one that cannot be used is as good as none, and has no bounds."""
    found: dict[str, dict[str, PlanarStructure]] = {}
    for source in sources:
        dataset = open_structure_set(source)
        check_one_patient(patient_of(reference.header), patient_of(dataset))
        for name, roi in named_rois(parse_structure_set(dataset).rois):
            frame = roi.frame_of_reference_uid
            try:
                check_roi(roi, frame)
                solid = structure_of_contours(roi.contours, thickness_mm=options.thickness_mm)
            except ContouringError:
                continue
            found.setdefault(frame, {})[tg263_of(roi.name, options.names) or name] = solid
    return found


def _grids(mapped: Sequence[MappedDose], reference: Stack, ratios: Sequence[float]) -> DoseGrids:
    directions = (reference.grid.row_direction, reference.grid.column_direction)
    grid = union_grid(mapped, directions, reference.frame_of_reference_uid)
    courses = tuple(sum_on_grid([m], grid) for m in mapped)
    return DoseGrids(courses, sum_of_grids(mapped, courses), Eqd2Grids(tuple(mapped), courses, tuple(ratios)))
