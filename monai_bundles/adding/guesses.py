"""What can be told of a bundle from its configuration and metadata alone: form of the output, inputs, dimensions."""

import re
from collections.abc import Mapping
from typing import Any

from monai_bundles.bundle import BundleInput, Channel, OutputForm
from monai_bundles.config import looked_up, part_names, targets
from monai_bundles.errors import NeedsMore, WrongDimensions

__all__ = [
    "accepted_modalities",
    "guessed_inputs",
    "guessed_modalities",
    "network_dimensions",
    "output_form",
    "require_study_only",
    "unnamed_types",
]

DIMENSIONS = (2, 3)
COLOURS = 3
RGB = frozenset({"R", "G", "B"})

COLOURED = frozenset({"ES", "XC", "GM", "SM"})
"""Modalities whose images are colour pictures."""

POINTS = frozenset({"points", "landmarks", "keypoints"})
"""Formats of outputs that are coordinates."""

CONTRAST = r"(?:gad|gd|post|t1c|km\b|\bce\b|_ce\b|\+ ?c\b|\bc ?\+|(?<!pre[ _-])(?<!non[ _-])(?<!out[ _-])contrast)"
"""How a description says that there is contrast medium: not by the "ce" of SPACE, and not by "without contrast"."""

T1_WITH = f"t1.*{CONTRAST}|{CONTRAST}.*t1"
SERIES_WORDS = {
    "flair": "^(?!.*t1).*flair",
    "t1c": T1_WITH,
    "t1gd": T1_WITH,
    "t1": f"^(?!.*{CONTRAST}).*t1",
    "t2": "^(?!.*flair).*t2",
    "adc": "adc|apparent",
    "dwi": r"dwi|diff|b\d{3,4}",
    "pet": "",
    "ct": "",
}
"""What SeriesDescription must match for a channel of this name, and for no other of these."""

MODALITY_WORDS = {
    **dict.fromkeys(("endoscopic", "endoscopy"), "ES"),
    **dict.fromkeys(("pathology", "histology"), "SM"),
    **dict.fromkeys(("mri", "mr", "magnetic"), "MR"),
    **dict.fromkeys(("us", "ultrasound"), "US"),
    **dict.fromkeys(("mg", "mammography", "mammogram", "mammograms"), "MG"),
    **dict.fromkeys(("dx", "x-ray", "xray"), "DX"),
    "ct": "CT",
    "pet": "PT",
    "pt": "PT",
    "nm": "NM",
    "cr": "CR",
    "xa": "XA",
}

MASK_KEYS = frozenset({"label", "mask", "seg", "guidance", "label_gt"})


def network_dimensions(config: Mapping[str, Any], metadata: Mapping[str, Any]) -> int:
    """Spatial dimensions of the network: 2 or 3.

    Raises
    ------
    WrongDimensions
        They are none that a study has, or metadata and configuration contradict each other.
    """
    declared = {
        int(entry[key])
        for name, entry in targets(dict(config))
        for key in ("spatial_dims", "dimensions")
        if name.split("::")[0] in {"network_def", "network", "net", "model", "backbone"}
        and isinstance(entry.get(key), int)
    }
    shapes = {
        len(image["spatial_shape"])
        for image in metadata["network_data_format"].get("inputs", {}).values()
        if isinstance(image, dict) and isinstance(image.get("spatial_shape"), list) and image.get("spatial_shape")
    }
    for found, where in ((declared, "The network"), (shapes, "metadata.json")):
        foreign = sorted(found - set(DIMENSIONS))
        if foreign:
            raise WrongDimensions(
                f"{where} has {foreign[0]} spatial dimensions, and studies have 2 or 3; the bundle cannot run on one.",
                got=foreign[0],
            )
    if len(declared) == 1 and len(shapes) == 1 and declared != shapes and 2 not in declared:
        raise WrongDimensions(
            f"The network has {min(declared)} spatial dimensions and metadata.json says {min(shapes)}; correct the one "
            "that is wrong.",
            network=min(declared),
            metadata=min(shapes),
        )
    return min(declared or shapes or {3})


def require_study_only(config: dict[str, Any]) -> None:
    """Refuse a bundle that a study alone cannot feed.

    Raises
    ------
    NeedsMore
        It needs clicks or whole slides.
    """
    names = [entry["_target_"].rpartition(".")[2] for _, entry in targets(config)]
    if any("ClickSignal" in name for name in names):
        raise NeedsMore(
            "The bundle needs points that a person clicks on each image, and nobody clicks here; use it in an "
            "annotation program, or take a bundle that runs by itself.",
        )
    if any("WSI" in name for name in names):
        raise NeedsMore(
            "The bundle reads whole slides of pathology, which radgate does not; run it where the slides are kept.",
        )


def output_form(config: dict[str, Any], metadata: Mapping[str, Any]) -> OutputForm:
    """What the network's output is after postprocessing."""
    names = [entry["_target_"].rpartition(".")[2] for _, entry in targets(config)]
    if any("RetinaNet" in n or "BoxToWorld" in n or n == "DetectionEvaluator" for n in names):
        return "boxes"
    outputs = metadata["network_data_format"].get("outputs", {})
    if any(isinstance(o, dict) and str(o.get("format", "")).lower() in POINTS for o in outputs.values()):
        return "points"
    words = f"{metadata.get('task', '')} {metadata.get('name', '')}".lower()
    formats = " ".join(
        str(o.get("format", "")) + str(o.get("type", "")) for o in outputs.values() if isinstance(o, dict)
    )
    maps = "segmentation" in formats.lower()
    if (not maps and re.search(r"classif|probabilit", formats.lower())) or (
        "classif" in words and "segment" not in words
    ):
        return "scores"
    for _, entry in targets(config):
        if entry["_target_"].rpartition(".")[2] in {"AsDiscreted", "AsDiscrete"} and entry.get("argmax"):
            return "labels"
    for _, entry in targets(config):
        if entry["_target_"].rpartition(".")[2] in {"Activationsd", "Activations"} and entry.get("sigmoid"):
            return "channels"
    return "labels"


def unnamed_types(config: dict[str, Any], named: int) -> list[str]:
    """A sentence where the objects that are found have types, and the metadata name no more than the objects."""
    typed = any("NuclearTypePostProcessing" in entry["_target_"] for _, entry in targets(config))
    if not typed or named > 1:
        return []
    return [
        "The network tells types of objects apart, and metadata.json does not name them; all become one structure. To "
        "have them apart, write one entry for each type under `structures`, in the network's order."
    ]


def guessed_modalities(metadata: Mapping[str, Any]) -> list[str]:
    """Values of Modality that the metadata point to; empty where they do not."""
    found: list[str] = []
    images = metadata["network_data_format"].get("inputs", {}).values()
    for image in images:
        if not isinstance(image, dict):
            continue
        for word in re.findall(r"[a-z-]+", str(image.get("modality", "")).lower()):
            if word in MODALITY_WORDS and MODALITY_WORDS[word] not in found:
                found.append(MODALITY_WORDS[word])
        if not found and image.get("format") == "hounsfield":
            found.append("CT")
    if not found:
        words = re.findall(r"[a-z-]+", f"{metadata.get('task', '')} {metadata.get('description', '')}".lower())
        found = sorted({MODALITY_WORDS[w] for w in words if w in MODALITY_WORDS})[:1]
    return found


def accepted_modalities(modalities: list[str], *, colours: bool) -> list[str]:
    """What a bundle may be given of what was guessed; the pictures of a microscope say GM, where slides say SM."""
    if not colours:
        return modalities or ["OT"]
    more = ["GM"] if "SM" in modalities else []
    return [*modalities, *more] or ["ES", "XC", "GM"]


def guessed_inputs(
    config: dict[str, Any], metadata: Mapping[str, Any], modalities: list[str]
) -> tuple[list[BundleInput], list[str]]:
    """Entries of the dictionary that preprocessing takes, and sentences on what could not be told.

    A list of files under one key becomes channels of one image; several keys are several images; a mask or label that
    a hospital does not have becomes zeros.
    """
    keys = _image_keys(config)
    images = metadata["network_data_format"].get("inputs", {})
    channel_names = [str(n) for i in images.values() if isinstance(i, dict) for n in i.get("channel_def", {}).values()]
    modality = modalities[0] if len(modalities) == 1 else ""
    stacked = not any("ChannelFirst" in e["_target_"] or "AddChannel" in e["_target_"] for _, e in targets(config))
    wanted = [k for k in keys if k not in MASK_KEYS] or ["image"]
    notes: list[str] = []
    inputs: list[BundleInput] = []
    channels_in = _in_channels(config, images)
    colours = _takes_pictures(modalities, channel_names, images, channels_in if not stacked else 0)
    for key in wanted:
        if len(wanted) == 1 and colours:
            inputs.append(BundleInput(key, (_channel(key, modality, several=False),), colours=True))
            notes.append("It is taken to be made for colour pictures, red first; check that with its card.")
            continue
        names = channel_names if len(wanted) == 1 and stacked and channels_in > 1 else [key]
        if len(names) != channels_in and len(wanted) == 1 and stacked and channels_in > 1:
            names = [f"channel {n + 1}" for n in range(channels_in)]
            notes.append(f"Which {channels_in} series become the channels cannot be told; name them under `inputs`.")
        several = len(names) > 1 or len(wanted) > 1
        coloured = channels_in == COLOURS or set(channel_names) >= RGB
        repeat = COLOURS if not stacked and not several and coloured else 1
        inputs.append(BundleInput(key, tuple(_channel(n, modality, several=several) for n in names), repeat=repeat))
        if repeat > 1:
            notes.append(
                "The network was made for colours; it gets the grey image three times: check that it bears it."
            )
    if any(len(i.channels) > 1 for i in inputs) or len(inputs) > 1:
        notes.append("Each channel's series is found by SeriesDescription; check the patterns under `inputs`.")
    inputs += [BundleInput(key, zeros=True) for key in keys if key in MASK_KEYS]
    if any(k in MASK_KEYS for k in keys):
        notes.append("The mask or label that preprocessing reads is taken as empty; check that the bundle bears it.")
    return inputs, notes


def _takes_pictures(
    modalities: list[str], channel_names: list[str], images: Mapping[str, Any], channels_of_one_file: int
) -> bool:
    """Whether the channels are red, green and blue of one picture, and the modality does not speak against it."""
    if not set(modalities) <= COLOURED:
        return False
    formats = [str(image.get("format", "")).upper() for image in images.values() if isinstance(image, dict)]
    says_so = set(channel_names) >= RGB or "RGB" in formats
    return says_so or (bool(modalities) and channels_of_one_file == COLOURS)


def _channel(name: str, modality: str, *, several: bool) -> Channel:
    """A channel by its name; a pattern for the description only where there are several to tell apart."""
    folded = re.sub(r"[^a-z0-9]", "", name.lower())
    pattern = ""
    if several:
        pattern = next((p for word, p in SERIES_WORDS.items() if word in folded), re.escape(name))
    own = next((code for word, code in MODALITY_WORDS.items() if folded == word), modality)
    return Channel(name, own, pattern)


def _image_keys(config: dict[str, Any]) -> list[str]:
    """Keys that the loaders of preprocessing read."""
    keys: list[str] = []
    scope = part_names(config).get("preprocessing", "")
    for where, entry in targets(config):
        if entry["_target_"].rpartition(".")[2] not in {"LoadImaged", "LoadImageD", "LoadImageDict"}:
            continue
        if scope and not where.startswith((scope, "preprocessing", "pre")):
            continue
        value = entry.get("keys", "image")
        for item in value if isinstance(value, list) else [value]:
            text = looked_up(config, item[1:]) if isinstance(item, str) and item.startswith("@") else item
            keys += [str(t) for t in (text if isinstance(text, list) else [text]) if str(t) not in keys]
    return keys or ["image"]


def _in_channels(config: dict[str, Any], images: Mapping[str, Any]) -> int:
    """Channels of the network's input: what it says itself, else the metadata; 1 where a formula says it."""
    for where, entry in targets(config):
        if where.split("::")[0] in {"network_def", "network", "net", "model"}:
            for key in ("in_channels", "n_input_channels"):
                if key in entry:
                    return int(entry[key]) if isinstance(entry[key], int) else 1
    counts = [
        i["num_channels"] for i in images.values() if isinstance(i, dict) and isinstance(i.get("num_channels"), int)
    ]
    return int(counts[0]) if len(counts) == 1 else 1
