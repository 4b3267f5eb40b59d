"""A frame as a picture for people: rescale, window, grey or colour, PNG or JPEG.

Pictures are for looking; whoever measures takes the frames.
"""

import re
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from dicom_gateway.dicomweb.files import header_of
from dicom_gateway.dicomweb.frames import decoded_frame
from imaging.errors import MissingAttribute
from imaging.headers import numbers, text

__all__ = ["Rendering", "parse_rendering", "rendered_frame"]

LARGEST_SIDE = 4096
THUMBNAIL_SIDE = 128


@dataclass(frozen=True)
class Rendering:
    """How a frame is drawn.

    Parameters
    ----------
    media_type
        "image/png" or "image/jpeg".
    window
        Centre and width in rescaled values (HU for CT); None takes the header's, else the full range.
    viewport
        Largest width and height in pixels; the aspect of the image is kept.
    quality
        Of a JPEG, 1 to 100.
    """

    media_type: str = "image/jpeg"
    window: tuple[float, float] | None = None
    viewport: tuple[int, int] | None = None
    quality: int = 90


def parse_rendering(media_type: str, window: str | None, viewport: str | None, quality: str | None) -> Rendering:
    """The rendering that the parameters of a request ask for (PS3.18 section 8.3.5).

    Raises
    ------
    ValueError
        A parameter is malformed; the text says which.
    """
    parsed: tuple[float, float] | None = None
    if window is not None:
        centre, width, *function = [*window.split(","), "", ""][:3]
        try:
            parsed = float(centre), float(width)
        except ValueError:
            raise ValueError("window is centre,width,function.") from None
        if not np.isfinite(parsed).all() or parsed[1] < 1 or function[0].lower() not in {"", "linear"}:
            raise ValueError("window needs a width of at least 1 and the function linear.")
    size: tuple[int, int] | None = None
    if viewport is not None:
        found = re.fullmatch(r"([0-9]{1,5}),([0-9]{1,5})", viewport)
        size = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= min(size) <= max(size) <= LARGEST_SIDE:
            raise ValueError(f"viewport is width,height in pixels, from 1 to {LARGEST_SIDE}.")
    if quality is not None and not re.fullmatch(r"[1-9][0-9]?|100", quality):
        raise ValueError("quality is a whole number from 1 to 100.")
    return Rendering(media_type, parsed, size, int(quality or 90))


def rendered_frame(file: Path, number: int, rendering: Rendering) -> bytes:
    """One frame (from 1) as an encoded picture.

    Raises
    ------
    UndecodablePixels
        No decoder, or a damaged stream.
    """
    dataset = header_of(file).dataset
    array = decoded_frame(file, number)
    picture = Image.fromarray(_colour(array) if array.ndim == 3 else _grey(array, dataset, rendering.window))
    picture = _square_pixels(picture, dataset)
    if rendering.viewport is not None:
        scale = min(rendering.viewport[0] / picture.width, rendering.viewport[1] / picture.height)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    out = BytesIO()
    if rendering.media_type == "image/png":
        picture.save(out, "PNG")
    else:
        picture.save(out, "JPEG", quality=rendering.quality)
    return out.getvalue()


def _grey(array: NDArray[Any], dataset: Dataset, window: tuple[float, float] | None) -> NDArray[np.uint8]:
    """Rescaled values through the linear window of PS3.3 C.11.2.1.2, MONOCHROME1 inverted."""
    values = array.astype(np.float32)
    values = values * _number(dataset, "RescaleSlope", 1.0) + _number(dataset, "RescaleIntercept", 0.0)
    centre, width = window or _window_of(dataset, values)
    # With a width of 1 the window is a threshold at centre - 0.5; the limit of a very narrow ramp is the same.
    shown = (values - (centre - 0.5)) / max(width - 1, 1e-3) + 0.5
    if text(dataset, "PhotometricInterpretation").strip() == "MONOCHROME1":
        shown = 1 - shown
    return np.asarray(np.clip(shown, 0, 1) * 255 + 0.5, dtype=np.uint8)


def _window_of(dataset: Dataset, values: NDArray[np.float32]) -> tuple[float, float]:
    """First window of the header; without one, the range from the smallest to the largest value."""
    centre, width = (text(dataset, k).split("\\")[0] for k in ("WindowCenter", "WindowWidth"))
    try:
        window = float(centre), float(width)
    except ValueError:
        window = (0.0, 0.0)
    if window[1] >= 1 and np.isfinite(window).all():
        return window
    low, high = float(values.min()), float(values.max())
    return (low + high) / 2 + 0.5, max(high - low + 1, 1.0)


def _colour(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    return np.asarray(array >> 8, dtype=np.uint8)


def _square_pixels(picture: Image.Image, dataset: Dataset) -> Image.Image:
    """The picture stretched so that a circle in the patient is a circle on the screen."""
    try:
        between_rows, between_columns = numbers(dataset, "PixelSpacing", 2)
        ratio = between_rows / between_columns
    except (MissingAttribute, ZeroDivisionError):
        return picture
    if not 0.05 < ratio < 20 or abs(ratio - 1) < 1e-3:
        return picture
    return picture.resize((picture.width, max(1, round(picture.height * ratio))), Image.Resampling.BILINEAR)


def _number(dataset: Dataset, keyword: str, default: float) -> float:
    value = text(dataset, keyword).split("\\")[0]
    try:
        number = float(value)
    except ValueError:
        return default
    return number if np.isfinite(number) else default
