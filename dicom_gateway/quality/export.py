"""Verdicts as a table for statistics: one row for each check of each series, without any identity."""

import csv
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from dicom_gateway.errors import OutputRefused
from dicom_gateway.store.quality_tables import judged_series
from imaging.provenance import digest

__all__ = ["COLUMNS", "export_rows", "write_export"]

COLUMNS = (
    "series", "closed", "station", "serial", "modality", "profile", "profile_sha256", "planes", "series_grade",
    "rejected", "check_id", "check_version", "value", "state", "unit", "uncertainty", "grade", "role", "reason",
    "cause",
)  # fmt: skip
"""`series` is a digest: rows of one series belong together, and no UID leaves."""


def export_rows(connection: Connection, *, since: float = 0.0) -> Iterator[dict[str, Any]]:
    """The rows of all final verdicts since a time, oldest first; measurements without limits have no grade."""
    rows = connection.execute(
        select(judged_series)
        .where(judged_series.c.closed.is_not(None), judged_series.c.closed >= since)
        .order_by(judged_series.c.closed, judged_series.c.series_uid)
    ).mappings()
    for row in rows:
        verdict = row["verdict"]
        shared = {
            "series": digest(["export", row["series_uid"]])[:24],
            "closed": datetime.fromtimestamp(row["closed"], UTC).isoformat(timespec="seconds"),
            **{key: row[key] for key in ("station", "serial", "modality", "profile", "planes")},
            "profile_sha256": verdict["profile_sha256"],
            "series_grade": row["grade"],
            "rejected": row["rejected"] is not None,
        }
        for item in [*verdict["results"], *verdict["measurements"]]:
            yield {**shared, **_of_check(item)}


def _of_check(item: Mapping[str, Any]) -> dict[str, Any]:
    value = item["value"]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {
        "check_id": item["check_id"],
        "check_version": item.get("check_version", ""),
        "value": float(value) if is_number else None,
        "state": value if isinstance(value, str) else "",
        "unit": item["unit"],
        "uncertainty": item["uncertainty"],
        "grade": item.get("grade", ""),
        "role": (item.get("limits") or {}).get("role", ""),
        "reason": item.get("reason", ""),
        "cause": (item.get("cause") or {}).get("code", ""),
    }


def write_export(connection: Connection, file: Path, *, since: float = 0.0) -> int:
    """Write the rows as CSV or Parquet, by the name's ending; how many there are.

    Raises
    ------
    OutputRefused
        The ending is neither, the file cannot be written, or Parquet is asked for without pyarrow.
    """
    if file.suffix not in {".csv", ".parquet"}:
        raise OutputRefused("The name must end with .csv or .parquet.")
    rows = list(export_rows(connection, since=since))
    try:
        if file.suffix == ".csv":
            with file.open("w", encoding="utf-8", newline="") as stream:
                writer = csv.DictWriter(stream, COLUMNS)
                writer.writeheader()
                writer.writerows(rows)
        else:
            _write_parquet(rows, file)
    except OSError as error:
        raise OutputRefused(f"The file cannot be written ({error.strerror}); name another place.") from error
    return len(rows)


def _write_parquet(rows: list[dict[str, Any]], file: Path) -> None:
    """One typed table.

    Raises
    ------
    OutputRefused
        pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise OutputRefused("Parquet needs pyarrow; install radgate[parquet], or write .csv.") from None
    kinds = {
        "planes": pyarrow.int64(),
        "rejected": pyarrow.bool_(),
        "value": pyarrow.float64(),
        "uncertainty": pyarrow.float64(),
    }
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.string())) for name in COLUMNS])
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema), file)
