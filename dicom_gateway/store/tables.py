"""The tables of the index: what was received, what was decided, what ran, what was made and what was delivered.

Times are UTC seconds since the epoch (float). Columns marked *patient* may hold patient data and are read only by the
pages and DICOMweb; nothing else logs or exports them. The index of received objects can be rebuilt from the files.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = [
    "cancellation",
    "delivery",
    "dose_sum",
    "encoded_object",
    "event",
    "instance",
    "job",
    "metadata",
    "quarantine",
    "result",
    "series",
    "step_log",
    "study",
    "study_version",
    "version_input",
]

metadata = MetaData()

study = Table(
    "study",
    metadata,
    Column("study_uid", String, primary_key=True),
    Column("patient_name", String),  # patient
    Column("patient_id", String),  # patient
    Column("patient_birth_date", String),  # patient
    Column("patient_sex", String),  # patient
    Column("accession_number", String),  # patient
    Column("study_id", String),  # patient
    Column("study_date", String),
    Column("study_time", String),
    Column("study_description", String),  # patient
    Column("referring_physician", String),  # patient
    Column("first_received", Float, nullable=False),
    Column("last_received", Float, nullable=False),
)

series = Table(
    "series",
    metadata,
    Column("series_uid", String, primary_key=True),
    Column("study_uid", String, ForeignKey("study.study_uid"), nullable=False, index=True),
    Column("modality", String),
    Column("series_number", Integer),
    Column("series_description", String),  # patient
    Column("body_part", String),
    Column("frame_of_reference_uid", String),
    Column("first_received", Float, nullable=False),
    Column("last_received", Float, nullable=False),
)

instance = Table(
    "instance",
    metadata,
    Column("sop_uid", String, primary_key=True),
    Column("series_uid", String, ForeignKey("series.series_uid"), nullable=False, index=True),
    Column("study_uid", String, nullable=False, index=True),
    Column("sop_class_uid", String, nullable=False),
    Column("transfer_syntax_uid", String, nullable=False),
    Column("sha256", String, nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("instance_number", Integer),
    Column("rows", Integer),
    Column("columns", Integer),
    Column("number_of_frames", Integer),
    Column("origin", String, nullable=False),  # "received", or "result" for an object that radgate made
    Column("peer", String),
    Column("association", String),
    Column("copies", Integer, nullable=False, default=1),  # how often the same bytes came
    Column("received", Float, nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sha256", String, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("reason", String, nullable=False),  # code of the typed error
    Column("message", Text, nullable=False),  # what is wrong and what to do; no patient data
    Column("sop_uid", String),
    Column("study_uid", String, index=True),
    Column("peer", String),
    Column("received", Float, nullable=False),
    Column("settled", Float),  # when a person dealt with it
)

study_version = Table(
    "study_version",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_uid", String, ForeignKey("study.study_uid"), nullable=False, index=True),
    Column("version", Integer, nullable=False),  # from 1; a late instance makes the next
    Column("input_digest", String),  # over the sorted (SOP UID, sha256) pairs, once complete
    Column("state", String, nullable=False),  # the states of docs/architecture.md
    Column("reason", Text),  # sentence for people where the state is not a good one
    Column("evidence", JSON),  # why it was held to be complete
    Column("opened", Float, nullable=False),
    Column("changed", Float, nullable=False),
    UniqueConstraint("study_uid", "version"),
)

version_input = Table(
    "version_input",
    metadata,
    Column("study_uid", String, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("inputs", JSON, nullable=False),  # sorted [SOP UID, sha256] pairs that the version was decided on
)

event = Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("time", Float, nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("study_uid", String, index=True),
    Column("detail", JSON, nullable=False),  # counts, codes, UIDs; no patient data
)

job = Table(
    "job",
    metadata,
    Column("id", String, primary_key=True),  # digest of study version, stack and route
    Column("study_uid", String, nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("series_uid", String, nullable=False),
    Column("stack", String, nullable=False),  # id of the stack within its study version
    Column("route", String, nullable=False),
    Column("bundle", String, nullable=False),
    Column("state", String, nullable=False),
    Column("reason", Text),
    Column("progress", Float),  # 0 to 1 within the running step
    Column("created", Float, nullable=False),
    Column("changed", Float, nullable=False),
)

cancellation = Table(
    "cancellation",
    metadata,
    Column("job_id", String, primary_key=True),
    Column("study_uid", String, nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("state", String, nullable=False),  # cancelled, or begun_again
    Column("by", String, nullable=False),
    Column("reason", Text, nullable=False),  # what the person wrote, perhaps nothing; no patient data
    Column("requested", Float, nullable=False),
    Column("plan", JSON),  # flow.plan.JobPlan and its inputs, once nobody works on the job any more
    Column("inputs", JSON),
    Column("begun_again", Float),
    Column("begun_again_by", String),
)

step_log = Table(
    "step_log",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study_uid", String, nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("job_id", String, index=True),  # empty for steps of the whole study
    Column("step", String, nullable=False),
    Column("state", String, nullable=False),  # running, done, failed, refused, skipped, cancelled
    Column("attempt", Integer, nullable=False, default=1),
    Column("started", Float, nullable=False),
    Column("ended", Float),
    Column("message", Text),  # no patient data
    Column("detail", JSON),
)

result = Table(
    "result",
    metadata,
    Column("id", String, primary_key=True),
    Column("job_id", String, nullable=False, index=True),
    Column("study_uid", String, nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("status", String, nullable=False),  # findings, none_found, partial, failed, refused, held
    Column("supersedes", String),
    Column("document", JSON, nullable=False),  # reports.Result as JSON
    Column("pictures", JSON, nullable=False),  # list of {name, sha256, caption}; files below store/pictures
    Column("created", Float, nullable=False),
)

encoded_object = Table(
    "encoded_object",
    metadata,
    Column("sop_uid", String, primary_key=True),
    Column("result_id", String, ForeignKey("result.id"), nullable=False, index=True),
    Column("outlet", String, nullable=False),  # seg, rtstruct, sr, pdf
    Column("sop_class_uid", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("position", Integer, nullable=False),  # order of sending within the result
    Column("created", Float, nullable=False),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sop_uid", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("destination", String, nullable=False),
    Column("study_uid", String, nullable=False, index=True),
    Column("result_id", String, nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("state", String, nullable=False),  # PENDING SENDING ACCEPTED WARNED VERIFIED REJECTED DEAD CANCELLED
    Column("attempts", Integer, nullable=False, default=0),
    Column("last_status", String),
    Column("last_error", Text),  # no patient data
    Column("created", Float, nullable=False),
    Column("next_try", Float, nullable=False),
    Column("finished", Float),
    UniqueConstraint("sop_uid", "sha256", "destination"),
    Index("delivery_due", "state", "next_try"),
)

dose_sum = Table(
    "dose_sum",
    metadata,
    Column("id", String, primary_key=True),  # digest of the choice, or of what was proposed
    Column("study_uid", String, nullable=False, index=True),  # of the reference image
    Column("state", String, nullable=False),  # PROPOSED ACCEPTED DISMISSED QUEUED RUNNING, then as a job's
    Column("reason", Text),  # no patient data
    Column("progress", String),  # what is being done
    Column("choice", JSON, nullable=False),  # dose.choice.DoseChoice
    Column("created", Float, nullable=False),
    Column("changed", Float, nullable=False),
)
