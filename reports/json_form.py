"""The JSON form of a result: plain values with a schema name, masks by their hash, bytes as base64, times as ISO 8601.

`reports.model` puts the parts together again and checks them; nothing here does.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from contouring.names import Code, StructureName
from imaging.provenance import Algorithm
from imaging.volume import Region
from reports.errors import InvalidResult
from reports.findings import ClassScore, Finding
from reports.landmarks import Landmark
from reports.parts import InputVersion, ObjectRef, RefusedPart, Run, StackRef, Structure, StudyRef

__all__ = ["SCHEMA", "form_of", "parts_of"]

SCHEMA = "radgate.result/1"


def form_of(result: Any) -> dict[str, Any]:
    """The JSON form of a `reports.model.Result`."""
    return {
        "schema": result.schema,
        "status": result.status,
        "created_at": result.created_at.isoformat(),
        "study": _plain(asdict(result.study)),
        "input": _plain(asdict(result.input)),
        "runs": [_run(run) for run in result.runs],
        "qc": [json.loads(json.dumps(verdict)) for verdict in result.qc],
        "structures": [_structure(s) for s in result.structures],
        **({"findings": [_plain(asdict(f)) for f in result.findings]} if result.findings else {}),
        **({"scores": [asdict(s) for s in result.scores]} if result.scores else {}),
        **({"landmarks": [_plain(asdict(item)) for item in result.landmarks]} if result.landmarks else {}),
        "review": {"state": result.review},
        "supersedes": result.supersedes,
        "predecessors": [asdict(item) for item in result.predecessors],
    }


def parts_of(data: Mapping[str, Any], regions: Mapping[str, Region]) -> dict[str, Any]:
    """The arguments of a `reports.model.Result` from its JSON form.

    Raises
    ------
    InvalidResult
        Another schema.
    KeyError, TypeError, ValueError
        A missing, unknown or damaged field.
    """
    if data.get("schema") != SCHEMA:
        raise InvalidResult(f"This is no '{SCHEMA}' result; convert it with the version that wrote it.")
    study = dict(data["study"])
    study["raw_patient_name"] = base64.b64decode(study["raw_patient_name"])
    study["undecodable"] = tuple(study.get("undecodable", ()))
    return {
        "study": StudyRef(**study),
        "input": InputVersion(
            digest=data["input"]["digest"],
            stacks=tuple(StackRef(**s) for s in data["input"]["stacks"]),
            refused=tuple(RefusedPart(**r) for r in data["input"]["refused"]),
        ),
        "runs": tuple(_run_from(r) for r in data["runs"]),
        "status": data["status"],
        "created_at": datetime.fromisoformat(data["created_at"]),
        "qc": tuple(data["qc"]),
        "structures": tuple(_structure_from(s, regions) for s in data["structures"]),
        "findings": tuple(_finding_from(f) for f in data.get("findings", ())),
        "scores": tuple(ClassScore(**s) for s in data.get("scores", ())),
        "landmarks": tuple(_landmark_from(item) for item in data.get("landmarks", ())),
        "review": data["review"]["state"],
        "supersedes": data["supersedes"],
        "predecessors": tuple(ObjectRef(**item) for item in data["predecessors"]),
    }


def _plain(value: Any) -> Any:
    """`value` in types that JSON has."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if isinstance(value, datetime) else value


def _run(run: Run) -> dict[str, Any]:
    algorithm = {name: getattr(run.algorithm, name) for name in Algorithm.__dataclass_fields__}
    rest = {name: getattr(run, name) for name in Run.__dataclass_fields__ if name != "algorithm"}
    form: dict[str, Any] = _plain({**rest, "algorithm": algorithm})
    return form


def _run_from(form: Mapping[str, Any]) -> Run:
    fields = dict(form)
    algorithm = dict(fields.pop("algorithm"))
    algorithm["weights_sha256"] = tuple(algorithm["weights_sha256"])
    for key in ("started", "ended"):
        fields[key] = datetime.fromisoformat(fields[key]) if fields[key] else None
    for key in ("targets", "warnings"):
        fields[key] = tuple(fields[key])
    return Run(algorithm=Algorithm(**algorithm), **fields)


def _structure(structure: Structure) -> dict[str, Any]:
    name = structure.name
    return {
        "id": structure.id,
        "number": structure.number,
        "name": {
            "tg263": name.tg263,
            "zh": name.zh,
            "en": name.en,
            "category": _code(name.category),
            "type": _code(name.type),
            "modifier": None if name.modifier is None else _code(name.modifier),
            "fma": name.fma,
            "colour_rgb": list(name.colour_rgb),
            "interpreted_type": name.interpreted_type,
        },
        "mask_sha256": structure.mask_sha256,
        "geometry_digest": structure.geometry_digest,
        **_size(structure),
        "run": structure.run,
        "tracking_uid": structure.tracking_uid,
        "edited": structure.edited,
    }


def _size(structure: Structure) -> dict[str, Any]:
    """Its volume; or, of pictures, [number of the picture, pixels], which have no size in millimetres."""
    if structure.volume_cc is None:
        return {"areas": {"value": [list(area) for area in structure.areas_px], "unit": "{pixels}"}}
    return {"volume": {"value": structure.volume_cc, "unit": "cm3"}}


def _structure_from(form: Mapping[str, Any], regions: Mapping[str, Region]) -> Structure:
    fields, name = dict(form), dict(form["name"])
    for key in ("category", "type", "modifier"):
        name[key] = None if name[key] is None else Code(name[key][1], name[key][0], name[key][2])
    name["colour_rgb"] = tuple(name["colour_rgb"])
    volume, areas = fields.pop("volume", {"value": None}), fields.pop("areas", {"value": ()})
    return Structure(**{
        **fields,
        "name": StructureName(**name),
        "volume_cc": volume["value"],
        "areas_px": tuple((int(picture), int(pixels)) for picture, pixels in areas["value"]),
        "region": regions.get(form["id"]),
    })


def _finding_from(form: Mapping[str, Any]) -> Finding:
    fields = dict(form)
    for key in ("centre_lps", "size_mm"):
        fields[key] = tuple(fields[key])
    fields["directions"] = tuple(tuple(axis) for axis in fields.get("directions", ()))
    fields["measured"] = tuple((str(name), float(value)) for name, value in fields["measured"])
    return Finding(**fields)


def _landmark_from(form: Mapping[str, Any]) -> Landmark:
    return Landmark(**{**form, "position_lps": tuple(float(v) for v in form["position_lps"])})


def _code(code: Code) -> list[str]:
    """A code as [scheme, value, meaning]."""
    return [str(code.scheme_designator), str(code.value), str(code.meaning)]
