"""The tables of image quality: series as judged, alerts, held runs, points of trends. Times are UTC seconds.

No column holds patient data, except what a person writes as a note or reason; a verdict carries none by itself.
"""

from sqlalchemy import JSON, Column, Float, Index, Integer, String, Table, Text, UniqueConstraint

from dicom_gateway.store.tables import metadata

__all__ = ["alert", "alert_message", "baseline", "hold", "judged_series", "point"]

judged_series = Table(
    "quality_series",
    metadata,
    Column("series_uid", String, primary_key=True),
    Column("study_uid", String, nullable=False, index=True),
    Column("modality", String, nullable=False),
    Column("station", String, nullable=False),  # station name or model of the scanner
    Column("serial", String, nullable=False),  # device serial number
    Column("profile", String, nullable=False),
    Column("grade", String, nullable=False),
    Column("provisional", Integer, nullable=False),  # 0 final, 1 arriving, 2 at rest: more may come
    Column("planes", Integer, nullable=False),
    Column("verdict", JSON, nullable=False),
    Column("pictures", JSON, nullable=False),  # check id -> sha256 of a file below store/pictures
    Column("opened", Float, nullable=False),
    Column("changed", Float, nullable=False, index=True),
    Column("closed", Float),
    Column("rejected", Float),  # when a person rejected the series for its quality
    Column("rejected_by", String),
    Column("reject_reason", String),  # may hold patient data
)

alert = Table(
    "quality_alert",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("series_uid", String, nullable=False, index=True),
    Column("study_uid", String, nullable=False),
    Column("cause", String, nullable=False),
    Column("grade", String, nullable=False),
    Column("findings", JSON, nullable=False),  # check id, grade, texts, picture: the worst first
    Column("state", String, nullable=False),  # open, confirmed (in the final verdict), withdrawn
    Column("first_seen", Float, nullable=False, index=True),
    Column("last_seen", Float, nullable=False),
    Column("told", Float),  # when the message had gone out by every way
    Column("told_grade", String),
    Column("acknowledged", Float),
    Column("acknowledged_by", String),
    Column("note", String),  # may hold patient data
    UniqueConstraint("series_uid", "cause"),
)

alert_message = Table(
    "quality_alert_message",
    metadata,
    Column("alert_id", Integer, primary_key=True),
    Column("way", String, primary_key=True),  # "mail", or the digest of a webhook's address, which may hold a secret
    Column("grade", String, nullable=False),  # what was told last
    Column("told", Float, nullable=False),
)

hold = Table(
    "quality_hold",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", String, nullable=False, unique=True),
    Column("study_uid", String, nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("series_uid", String, nullable=False),
    Column("bundles", String, nullable=False),
    Column("reasons", JSON, nullable=False),  # sentences
    Column("plan", JSON, nullable=False),  # the job, so that it can go on
    Column("inputs", JSON, nullable=False),  # (SOP UID, sha256) of the study version
    Column("state", String, nullable=False, index=True),  # open, released, refused, ended
    Column("created", Float, nullable=False),
    Column("decided", Float),
    Column("decided_by", String),
    Column("role", String),
    Column("reason", Text),  # may hold patient data
)

point = Table(
    "quality_point",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("check_id", String, nullable=False),
    Column("station", String, nullable=False),
    Column("serial", String, nullable=False),
    Column("profile", String, nullable=False),
    Column("time", Float, nullable=False),
    Column("value", Float, nullable=False),
    Column("uncertainty", Float),
    Column("unit", String, nullable=False),
    Column("series_digest", String, nullable=False),
    UniqueConstraint("check_id", "series_digest"),
    Index("quality_point_of", "check_id", "station", "profile", "time"),
)

baseline = Table(
    "quality_baseline",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("check_id", String, nullable=False),
    Column("station", String, nullable=False),
    Column("profile", String, nullable=False),
    Column("since", Float, nullable=False),  # points from here on make the baseline
    Column("reason", Text, nullable=False),
    Column("made_by", String, nullable=False),
    Column("created", Float, nullable=False),
)
