"""Builds network, preprocessing, inferer and postprocessing of a bundle from its configuration, with its weights."""

import warnings
from dataclasses import dataclass
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser
from monai.inferers import SimpleInferer

from imaging.errors import RadgateError
from monai_bundles.adding.concerns import require_harmless
from monai_bundles.bundle import Bundle
from monai_bundles.checkpoint import state_of
from monai_bundles.config import looked_up, read_inference, targets
from monai_bundles.errors import UnknownNetwork, WeightsDoNotFit
from monai_bundles.hot import HotModels
from monai_bundles.registry import check_weights
from monai_bundles.repairs import own_code, repair_modules
from monai_bundles.zoo.layers import stand_in_for_torchvision
from monai_bundles.zoo.preparing import Prepared, prepare

__all__ = ["Workflow", "forget_workflows", "load_workflow"]


@dataclass(frozen=True, eq=False)
class Workflow:
    """The parts of a bundle, ready to run.

    Parameters
    ----------
    network
        Module in evaluation mode, on its device.
    preprocessing, postprocessing
        Callables; None where the bundle has none.
    inferer
        Callable (inputs, network).
    channel_first, by_key
        What preprocessing takes; see `Prepared`.
    spatial_dims
        Of the network: 2 or 3.
    repairs
        Ids of the repairs that were needed.
    decollates
        Whether postprocessing takes each image of a batch by itself; else the batch as a whole.
    offered
        Labels that the bundle itself asks its network for, where the network takes prompts.
    """

    network: torch.nn.Module
    preprocessing: Any
    postprocessing: Any
    inferer: Any
    channel_first: bool
    by_key: bool
    spatial_dims: int
    repairs: tuple[str, ...]
    offered: tuple[int, ...] = ()
    decollates: bool = True


def load_workflow(bundle: Bundle, device: str) -> Workflow:
    """The bundle's parts on a device; the last few are kept.

    Raises
    ------
    MissingWeights, WrongHash
        See `monai_bundles.registry.verify`.
    UnknownNetwork
        The configuration describes something that does not exist here.
    WeightsDoNotFit
        The weights belong to another network, or hold more than weights in a bundle that is not trusted.
    """
    check_weights(bundle)
    first = next(iter(bundle.weights_sha256))
    return _hot.get((bundle.algorithm.bundle_digest, first, device), lambda: _built(bundle, device))


def forget_workflows() -> None:
    """Free the memory of all kept networks."""
    _hot.clear()


def _weight_bytes(workflow: Workflow) -> int:
    return sum(p.numel() * p.element_size() for p in workflow.network.parameters())


_hot: HotModels[Workflow] = HotModels(_weight_bytes)


def _built(bundle: Bundle, device: str) -> Workflow:
    """Build the parts.

    Raises
    ------
    RadgateError
        One of them is refused.
    UnknownNetwork
        One of them cannot be built.
    """
    prepared = prepare(
        read_inference(bundle.root), bundle.root, device, keep_channels_apart=bundle.output == "channels"
    )
    if not bundle.trusted:
        # What was judged when it was added is judged as it is built: this is the very configuration that runs.
        require_harmless(bundle.name, prepared.config)
    repairs = prepared.repairs + (repair_modules(own_code(bundle.root)) if bundle.trusted else ())
    if bundle.output == "boxes" and stand_in_for_torchvision():
        repairs += ("layers-without-torchvision",)
    try:
        with warnings.catch_warnings(), LoadingWeightsOnly(bundle):
            warnings.simplefilter("ignore")
            parser = ConfigParser(prepared.config)
            _run_requirements(parser, prepared)
            network = _network(parser, prepared)
            preprocessing = _part(parser, prepared, "preprocessing")
            inferer = _part(parser, prepared, "inferer") or SimpleInferer()
            postprocessing = _part(parser, prepared, "postprocessing")
            offered = _offered(parser, prepared)
    except RadgateError:
        raise
    except Exception as error:
        # MONAI raises whatever the named class raises; every one of them means that the configuration is unusable.
        raise UnknownNetwork(
            f"Bundle {bundle.name} describes a network, preprocessing or inferer that cannot be built here "
            f"({_root_cause(error)}); correct its configuration, or install what it needs.",
            kind=type(error).__name__,
        ) from error
    _load_weights(bundle, network)
    network.to(torch.device(device)).eval()
    return Workflow(
        network=network,
        preprocessing=_callable(preprocessing),
        postprocessing=_callable(postprocessing),
        inferer=inferer,
        channel_first=prepared.channel_first,
        by_key=prepared.by_key,
        spatial_dims=_dimensions(network, prepared),
        repairs=repairs,
        offered=offered,
        decollates=looked_up(prepared.config, f"{prepared.parts.get('evaluator', '')}::decollate") is not False,
    )


class LoadingWeightsOnly:
    """`torch.load` inside a configuration reads no more than tensors and arrays, unless the bundle is trusted."""

    def __init__(self, bundle: Bundle) -> None:
        self._trusted = bundle.trusted
        self._original = torch.load

    def __enter__(self) -> None:
        def load(file: Any, *arguments: Any, **named: Any) -> Any:
            named |= {"weights_only": not self._trusted, "map_location": "cpu"}
            with torch.serialization.safe_globals(_array_globals()):
                return self._original(file, **named)

        torch.load = load  # type: ignore[assignment]

    def __exit__(self, *_: object) -> None:
        torch.load = self._original


def _array_globals() -> list[Any]:
    """What a pickled numpy array needs besides tensors."""
    rebuild = np._core.multiarray._reconstruct  # type: ignore[attr-defined]
    kinds = [
        type(np.dtype(kind)) for kind in ("float32", "float64", "int8", "int16", "int32", "int64", "bool", "uint8")
    ]
    return [rebuild, np.ndarray, np.dtype, *kinds]


def _run_requirements(parser: ConfigParser, prepared: Prepared) -> None:
    """What the evaluator `_requires_` first, such as the settings of a detector."""
    where = prepared.parts.get("evaluator", "")
    if where and looked_up(prepared.config, f"{where}::_requires_") is not None:
        parser.get_parsed_content(f"{where}::_requires_")
    elif "detector_ops" in prepared.config:
        parser.get_parsed_content("detector_ops")


def _network(parser: ConfigParser, prepared: Prepared) -> torch.nn.Module:
    """The network.

    Raises
    ------
    UnknownNetwork
        What is called so is none.
    """
    network = parser.get_parsed_content(prepared.parts["network"])
    if not isinstance(network, torch.nn.Module):
        raise UnknownNetwork(f"`{prepared.parts['network']}` of the configuration is no network; correct it.")
    return network


def _part(parser: ConfigParser, prepared: Prepared, name: str) -> Any:
    where = prepared.parts.get(name)
    return parser.get_parsed_content(where) if where else None


def _offered(parser: ConfigParser, prepared: Prepared) -> tuple[int, ...]:
    """Labels that the evaluator asks for where nobody chose any."""
    where = f"{prepared.parts.get('evaluator', '')}::hyper_kwargs::everything_labels"
    found = parser.get_parsed_content(where) if looked_up(prepared.config, where) is not None else ()
    return tuple(int(n) for n in found)


def _callable(part: Any) -> Any:
    """A list of transforms as one."""
    if isinstance(part, list | tuple):
        from monai.transforms import Compose

        return Compose([step for step in part if step is not None])
    return part


def _load_weights(bundle: Bundle, network: torch.nn.Module) -> None:
    """Put the first weights file into the network.

    Raises
    ------
    WeightsDoNotFit
        They belong to another network, or hold more than weights.
    """
    path = next(iter(bundle.weights_sha256))
    try:
        with torch.serialization.safe_globals(_array_globals()):
            content = torch.load(bundle.root / path, map_location="cpu", weights_only=not bundle.trusted)
        network.load_state_dict(state_of(content, network))
    except (RuntimeError, TypeError, AttributeError, UnpicklingError, EOFError, ValueError, KeyError) as error:
        raise WeightsDoNotFit(
            f"The weights {path} of bundle {bundle.name} do not fit its network, or hold more than weights; take both "
            "from the same version, or add the bundle with --trust if you accept what they hold.",
            kind=type(error).__name__,
        ) from error


def _dimensions(network: torch.nn.Module, prepared: Prepared) -> int:
    """Spatial dimensions from the weights of the first convolution."""
    for module in network.modules():
        for dims, kind in ((3, torch.nn.Conv3d), (2, torch.nn.Conv2d), (1, torch.nn.Conv1d)):
            if isinstance(module, kind):
                return dims
    return next((int(e["spatial_dims"]) for _, e in targets(prepared.config) if "spatial_dims" in e), 3)


def _root_cause(error: BaseException) -> str:
    """The kind of error at the bottom of a chain, and the name it could not find, where it is one."""
    while error.__cause__ is not None:
        error = error.__cause__
    name = getattr(error, "name", None)
    if isinstance(error, ModuleNotFoundError) and name:
        return f"the package {str(name).partition('.')[0]} is missing"
    return type(error).__name__
