"""Writes `configs/radgate.json` for a bundle of the Model Zoo from its metadata, and says what it could not guess."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from monai_bundles.adding.guesses import (
    accepted_modalities,
    guessed_inputs,
    guessed_modalities,
    network_dimensions,
    output_form,
    require_study_only,
    unnamed_types,
)
from monai_bundles.adding.labels import Resolver, is_background, named
from monai_bundles.adding.objects import object_input, object_name
from monai_bundles.adding.points import absence_px, point_input, point_names
from monai_bundles.adding.refusals import refusing
from monai_bundles.bundle import OutputForm
from monai_bundles.checkpoint import weights_files
from monai_bundles.config import part_names, read_inference
from monai_bundles.contents import licence_of, refuse_links_outside
from monai_bundles.errors import BadMetadata, UnlabelledOutput
from monai_bundles.metadata import declared_images, read_metadata
from monai_bundles.radgate_schema import check_radgate
from monai_bundles.registry import file_sha256

__all__ = ["Description", "describe"]

LICENCES = (
    (r"apache license", "Apache-2.0"),
    (r"mit license", "MIT"),
    (r"bsd 3-clause", "BSD-3-Clause"),
    (r"attribution-noncommercial-sharealike", "CC-BY-NC-SA-4.0"),
    (r"attribution-noncommercial", "CC-BY-NC-4.0"),
    (r"attribution 4\.0", "CC-BY-4.0"),
    (r"gnu general public license", "GPL-3.0-only"),
)

OBJECTS = (
    "The outputs have no names, and the metadata speak of single objects: each number of the label map is taken as one "
    "of them, and all become one structure; check that with its card."
)

CHECKS = {"CT": ["gen.geometry.missing", "gen.geometry.tilt", "gen.pixel.rescale"]}
CHECKS_ELSE = ["gen.geometry.missing", "gen.geometry.tilt"]

MOST_SENTENCE = 2000

UNITS = {"CT": ["[hnsf'U]"]}


@dataclass(frozen=True)
class Description:
    """What `describe` found: the content of `radgate.json`, and sentences on what it could not guess."""

    content: Mapping[str, Any]
    notes: tuple[str, ...]

    def write(self, root: Path) -> Path:
        """Write it into the bundle; the file."""
        path = root / "configs" / "radgate.json"
        path.write_text(json.dumps(self.content, indent=4, ensure_ascii=False) + "\n", encoding="utf-8")
        return path


def describe(root: Path, resolve: Resolver | None = None) -> Description:
    """What `configs/radgate.json` of the bundle in folder `root` should say.

    Parameters
    ----------
    root
        The bundle.
    resolve
        The TG-263 name of a word, from a larger table than the one here.

    Raises
    ------
    BadMetadata
        Metadata, configuration or licence are missing or wrong, or a link leads out of the folder.
    NeedsMore
        It needs more than a study, or gives what radgate does not read.
    UnknownNetwork
        The configuration defines no network.
    WrongDimensions
        The network has dimensions that no study has.
    UnlabelledOutput
        An output has no meaning that could be guessed.
    MissingWeights
        The weights are not there.
    """
    with refusing():
        return _described(root, resolve)


def _described(root: Path, resolve: Resolver | None) -> Description:
    """See `describe`."""
    refuse_links_outside(root)
    metadata = read_metadata(root)
    config = read_inference(root)
    require_study_only(config)
    part_names(config)
    network_dimensions(config, metadata)
    form = output_form(config, metadata)
    modalities = guessed_modalities(metadata)
    notes = [] if modalities else ["The modality cannot be guessed; write it under `accepts`."]
    objects = object_name(metadata) if form in {"labels", "channels"} else ""
    form = "labels" if objects else form
    structures, more = ([{"label": 1, "name": objects}], [OBJECTS]) if objects else _structures(metadata, form, resolve)
    inputs, on_inputs = guessed_inputs(config, metadata, modalities)
    colours = any(entry.colours for entry in inputs)
    output: dict[str, Any] = {"form": form}
    if objects:
        inputs = [object_input(entry, config) for entry in inputs]
        output["instances"] = True
    if form == "points":
        inputs = [point_input(entry, config) for entry in inputs]
        output["absent_within_px"], on_points = absence_px(config)
        on_inputs = [*on_inputs, on_points]
    licence = _licence(root)
    notes += [*more, *on_inputs, *unnamed_types(config, len(structures))]
    if licence == "LicenseRef-unknown":
        notes.append("The licence cannot be told from LICENSE; write its SPDX identifier.")
    notes.append("Body part, slice thickness and contrast are not in the metadata; write them under `accepts`.")
    title = _sentence(metadata.get("name")) or _sentence(metadata["task"]) or root.name
    use = _sentence(metadata.get("intended_use")) or _sentence(metadata["description"])
    if not use:
        notes.append("What the bundle is made for is not in the metadata; write it under `intended_use`.")
        use = title
    content = {
        "title": {"en": title, "zh": title},
        "intended_use": {"en": use, "zh": use},
        "licence": licence,
        "accepts": {
            "modalities": accepted_modalities(modalities, colours=colours),
            "units": UNITS.get(modalities[0], []) if len(modalities) == 1 else [],
        },
        "inputs": [_input_json(entry) for entry in inputs],
        "output": output,
        **_empty_windows(modalities, form),
        "structures": structures,
        "required_checks": _checks(modalities, is_stacked=not colours and form != "points"),
        "weights_sha256": {name: file_sha256(root / name) for name in weights_files(root, config)},
        "not_guessed": notes,
    }
    check_radgate(json.loads(json.dumps(content)))
    return Description(content, tuple(notes))


def _sentence(value: Any) -> str:
    """A text of the metadata on one line and without what cannot be printed; nothing where it is no text."""
    words = " ".join(value.split()) if isinstance(value, str) else ""
    return "".join(letter for letter in words if letter.isprintable())[:MOST_SENTENCE]


def _checks(modalities: list[str], *, is_stacked: bool) -> list[str]:
    """Image quality that must not fail; pictures, and planes by themselves, have no stack that could."""
    if not is_stacked:
        return []
    return CHECKS.get(modalities[0], CHECKS_ELSE) if modalities else CHECKS_ELSE


def _empty_windows(modalities: list[str], form: OutputForm) -> dict[str, str]:
    """On a CT the body can be told from air, so that windows in the air need not be computed."""
    return {"empty_windows": "skip"} if modalities == ["CT"] and form in {"labels", "channels"} else {}


def _structures(
    metadata: Mapping[str, Any], form: OutputForm, resolve: Resolver | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """What each label or channel means.

    Raises
    ------
    UnlabelledOutput
        The metadata name no output, or one in words without meaning.
    """
    if form == "points":
        return point_names(metadata), []
    words: dict[int, str] = {}
    for output in declared_images(metadata, "outputs").values():
        words = {int(k): str(v) for k, v in _meanings(output).items() if re.fullmatch(r"-?[0-9]{1,6}", str(k))}
        if words:
            break
    if form == "boxes":
        found = {k: v for k, v in words.items() if k >= 0 and not is_background(v)} or {0: "nodule"}
        return [{"label": n + 1, "name": _finding_name(w)} for n, w in enumerate(found.values())], []
    wanted = {k: w for k, w in words.items() if not is_background(w)}
    if not wanted:
        raise UnlabelledOutput(
            "metadata.json does not say what the outputs mean (`channel_def` of the outputs is empty); write it there, "
            "or write configs/radgate.json by hand."
        )
    # A background in front of channels that may overlap is left out by the runner.
    shift = 0 if form in {"labels", "channels"} and 0 not in wanted else 1
    structures, notes, used = [], [], set()
    for number, word in sorted(wanted.items()):
        if form == "scores":
            name, note = " ".join(word.split()), ""
        else:
            name, note = named(word, resolve)
        if not name:
            raise UnlabelledOutput(note, label=number)
        if name in used:
            name, note = (
                f"{name}_{number + shift}",
                f"Two outputs are {name}; the second is called {name}_{number + shift}.",
            )
        used.add(name)
        notes += [note] if note else []
        structures.append({"label": number + shift, "name": name})
    return structures, notes


def _meanings(output: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the values of an output mean, under whichever of its names a bundle wrote it."""
    return next((output[key] for key in ("channel_def", "label_def") if isinstance(output.get(key), dict)), {})


def _finding_name(word: str) -> str:
    return re.sub(r"[^0-9A-Za-z]+", "_", word).strip("_")[:64] or "Finding"


def _licence(root: Path) -> str:
    """SPDX identifier of the licence's text.

    Raises
    ------
    BadMetadata
        There is none.
    """
    path = licence_of(root)
    if path is None:
        raise BadMetadata(
            "The bundle has no LICENSE, so nobody knows whether it may be used; add the text of its licence."
        )
    text = " ".join(path.read_text(encoding="utf-8", errors="replace")[:4000].lower().split())
    return next((spdx for pattern, spdx in LICENCES if re.search(pattern, text)), "LicenseRef-unknown")


def _input_json(entry: Any) -> dict[str, Any]:
    """An input without what is left at its default."""
    content = asdict(entry)
    content["channels"] = [{k: v for k, v in channel.items() if v or k == "name"} for channel in content["channels"]]
    return {k: v for k, v in content.items() if k == "key" or (v and not (k == "repeat" and v == 1))}
