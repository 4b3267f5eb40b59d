"""A heat map over a picture: from dark red to yellow, the stronger the less of the image shows through."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["blend_heat", "heat_caption"]

WEAKEST, STRONGEST = np.array([150.0, 0.0, 30.0]), np.array([255.0, 225.0, 60.0])
MOST_ALPHA = 0.65


def blend_heat(canvas: NDArray[np.float32], heat: NDArray[np.floating]) -> None:
    """Blend values of 0 to 1 of the same field of view, at any size, into a canvas (rows, columns, 3)."""
    large = Image.fromarray(np.asarray(heat, dtype=np.float32))
    level = np.asarray(large.resize((canvas.shape[1], canvas.shape[0]), Image.Resampling.BILINEAR))
    level = np.clip(level, 0, 1)[:, :, None]
    colour = WEAKEST + level * (STRONGEST - WEAKEST)
    canvas += MOST_ALPHA * np.sqrt(level) * (colour - canvas)


def heat_caption(label: str) -> tuple[str, str]:
    """What the colours mean, in Chinese and English."""
    return (
        f"热力图：图像中支持“{label}”的部位（Grad-CAM），不是轮廓",
        f"Heat map: what speaks for {label} (Grad-CAM); no outline",
    )
