"""The images with a quality issue as a key object selection; as rejected only where a person has rejected them.

An archive may hide what is listed under the title "Rejected for Quality Reasons", so no check may use it.
"""

from qc.image.result import CheckResult, Grade
from reports.codes import code
from reports.encode.encoded import EncodedObject, encoding, finished
from reports.encode.identity import source_warnings
from reports.errors import NotForSending
from reports.quality.verdict import JudgedSeries, concept, described, evidence_of, identified, object_uid

__all__ = ["ISSUES", "encode_quality_kos"]

SERIES_NUMBER = 9108
"""From the range of series numbers reserved for results."""

ISSUES = {
    "patient_motion": "issue_motion",
    "breathing": "issue_motion",
    "positioning": "issue_positioning",
    "exposure_low": "issue_under_exposed",
    "exposure_high": "issue_over_exposed",
    "detector": "issue_detector",
    "metal": "issue_other_artifact",
    "coil": "issue_other_artifact",
    "reconstruction": "issue_processing",
    "transfer": "issue_software",
    "protocol": "issue_other",
    "labelling": "issue_other",
    "phantom": "issue_other",
    "unknown": "issue_unknown",
}
"""CID 7011 for each of our causes (specification of image quality, section 9)."""

EMPTY_IMAGES = "gen.pixel.empty"


@encoding("list of images with a quality issue")
def encode_quality_kos(series: JudgedSeries) -> EncodedObject:
    """The key object selection of a series with findings, or of one that a person rejected.

    Raises
    ------
    NotForSending
        Nothing is wrong with the series.
    EncodingError
        It cannot be written; the kind of the fault is named.
    """
    from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
    from highdicom.sr import CodeContentItem, RelationshipTypeValues

    bad = [r for r in series.verdict.findings() if r.is_gate]
    if not bad and not series.rejected:
        raise NotForSending("The series has no quality issue, so there is no list of its images.")
    everything = tuple(s.sop_instance_uid for s in series.sources())
    uids = everything if series.rejected else _listed(series, bad, everything)
    evidence = evidence_of(series, uids)
    title = "rejected_for_quality" if series.rejected else "quality_issue"
    sentences = [f"{r.cause.zh} / {r.cause.en}" for r in bad if r.cause is not None]
    content = KeyObjectSelection(
        document_title=code(title), referenced_objects=evidence, description="; ".join(sentences)[:1024] or None
    )
    modifier = CodeContentItem(concept("title_modifier"), concept(_issue(bad)), RelationshipTypeValues.HAS_CONCEPT_MOD)
    # highdicom 0.28 has no argument for the modifier; it belongs before everything else (TID 2010).
    content[0].ContentSequence.insert(0, modifier)
    ds = KeyObjectSelectionDocument(
        evidence=evidence,
        content=content,
        series_instance_uid=object_uid(series, "series", "quality_kos"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=object_uid(series, "instance", "quality_kos"),
        instance_number=1,
        manufacturer="radgate",
    )
    identified(ds, series)
    described(ds, "质控问题图像", "Images with a quality issue", series)
    return finished("quality_kos", ds, warnings=source_warnings(series.headers[0]))


def _listed(series: JudgedSeries, bad: list[CheckResult], everything: tuple[str, ...]) -> tuple[str, ...]:
    named = {uid for r in bad for uid in series.instances_of(r)}
    return tuple(uid for uid in everything if uid in named)


def _issue(bad: list[CheckResult]) -> str:
    """Key of the code for the worst finding's cause."""
    for result in sorted(bad, key=lambda r: r.grade is not Grade.FAIL):
        if result.check_id == EMPTY_IMAGES:
            return "issue_no_image"
        if result.cause is not None:
            return ISSUES.get(result.cause.code, "issue_artifact")
    return "issue_unknown"
