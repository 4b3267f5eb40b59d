"""Where in an image a classification comes from: the last feature maps, weighted by their gradients (Grad-CAM)."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["attention_map"]

CONVOLUTIONS = (torch.nn.Conv2d, torch.nn.Conv3d)


def attention_map(network: torch.nn.Module, image: torch.Tensor, class_index: int) -> NDArray[np.float32] | None:
    """How much each place of the image (1, C, ...) speaks for a class, 0 to 1; None for a network without convolutions.

    References
    ----------
    Selvaraju et al., Grad-CAM, ICCV 2017.
    """
    layers = [m for m in network.modules() if isinstance(m, CONVOLUTIONS)]
    if not layers:
        return None
    held: dict[str, torch.Tensor] = {}

    def keep(_module: Any, _inputs: Any, output: torch.Tensor) -> None:
        held["features"] = output

    hook = _last_spatial(layers, network, image).register_forward_hook(keep)
    try:
        with torch.enable_grad():
            scores = network(image.clone().requires_grad_())
            scores = scores[0] if isinstance(scores, tuple | list) else scores
            (gradient,) = torch.autograd.grad(scores.reshape(-1)[class_index], held["features"])
    finally:
        hook.remove()
    axes = tuple(range(2, gradient.ndim))
    weighted = (gradient.mean(dim=axes, keepdim=True) * held["features"]).sum(dim=1, keepdim=True).relu().detach()
    mode = "trilinear" if weighted.ndim == 5 else "bilinear"
    full = torch.nn.functional.interpolate(weighted, size=image.shape[2:], mode=mode, align_corners=False)[0, 0]
    highest = float(full.max())
    array: NDArray[np.float32] = (full / highest if highest > 0 else full).cpu().numpy().astype(np.float32)
    return array


def _last_spatial(layers: list[Any], network: torch.nn.Module, image: torch.Tensor) -> torch.nn.Module:
    """The last convolution whose output still has an extent: what follows a pooling has none."""
    with_extent: list[torch.nn.Module] = []
    hooks = []
    for layer in layers:

        def note(module: torch.nn.Module, _inputs: Any, output: torch.Tensor) -> None:
            if max(output.shape[2:], default=1) > 1:
                with_extent.append(module)

        hooks.append(layer.register_forward_hook(note))
    try:
        with torch.inference_mode():
            network(image)
    finally:
        for hook in hooks:
            hook.remove()
    return with_extent[-1] if with_extent else layers[-1]
