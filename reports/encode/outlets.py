"""All objects of a result, in the order in which they are sent, with references between them that resolve."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from imaging.cines import Cine, CineSeries
from imaging.pictures import Pictures, PictureSeries
from imaging.volume import Region, Volume
from reports.colour_pictures import colour_heat, colour_pictures
from reports.encode.encoded import Capability, EncodedObject, encoding
from reports.encode.pdf import encode_pdf
from reports.encode.rtstruct import encode_rtstruct
from reports.encode.seg import encode_seg
from reports.encode.sr import encode_sr
from reports.errors import EncodingError, NotForSending
from reports.landmark_pictures import landmark_pictures
from reports.model import Result
from reports.pictures import Picture, heat_pictures, key_pictures

if TYPE_CHECKING:
    from imaging.series import Stack

__all__ = ["encode_all", "key_images"]


def key_images(
    image: Volume | Pictures | Cine, result: Result, heats: Sequence[tuple[str, Region]] = ()
) -> tuple[Picture, ...]:
    """The key images of a result: planes of its volume or phases of its cine, or the pictures that say most.

    Parameters
    ----------
    heats
        Where classes come from: the label of each, and its map on the image's voxels. They come first.
    """
    if isinstance(image, Cine):
        return landmark_pictures(image, result.landmarks)
    if isinstance(image, Pictures):
        maps = [picture for label, heat in heats for picture in colour_heat(image, heat, label, result)]
        return (*maps, *colour_pictures(image, result))
    maps = [picture for label, heat in heats for picture in heat_pictures(image, heat, label)]
    if result.landmarks:
        maps += landmark_pictures(image, result.landmarks)
        if not result.structures:
            return tuple(maps)
    return (*maps, *key_pictures(image, result.structures))


def encode_all(
    result: Result,
    stack: "Stack | PictureSeries | CineSeries",
    volume: Volume | Pictures | Cine | None = None,
    *,
    capability: Capability | None = None,
    pictures: Sequence[Picture] | None = None,
    made: Callable[[EncodedObject], object] = lambda item: None,
) -> tuple[EncodedObject, ...]:
    """Segmentation, structure set, structured report and PDF, as far as the status and the destination want them.

    On pictures there is no structure set: its contours are coordinates in the patient, and pictures have none.

    Parameters
    ----------
    stack
        The series that the algorithms read; of a refused result, the series that was refused.
    volume
        Its pixels, for the key images; None where it could not be loaded.
    pictures
        Key images where they are already made.
    made
        Called with each object as soon as it is written, while the others are not.

    Raises
    ------
    NotForSending
        The result waits for a person.
    EncodingError
        An object cannot be written; nothing is returned, because half a result must not be sent.
    """
    if result.status == "held":
        raise NotForSending("The result waits for a person and is not sent; release or refuse it first.")
    if isinstance(stack, CineSeries) and result.structures:
        raise EncodingError("A structure cannot lie on the phases of a cine; report it.", what="cine")
    capability = capability or Capability()
    wanted = capability.outlets
    objects: list[EncodedObject] = []
    seg = None
    if result.structures and "seg" in wanted and not isinstance(stack, CineSeries):
        seg = encode_seg(result, stack, capability=capability)
        objects.append(seg)
        made(seg)
    if result.structures and "rtstruct" in wanted and not isinstance(stack, PictureSeries | CineSeries):
        objects.append(encode_rtstruct(result, stack, seg=seg, capability=capability))
        made(objects[-1])
    if "sr" in wanted:
        objects.append(encode_sr(result, stack, seg=seg, capability=capability))
        made(objects[-1])
    if "pdf" in wanted:
        if pictures is None:
            with encoding("key images"):
                pictures = key_images(volume, result) if volume is not None else ()
        objects.append(encode_pdf(result, stack, pictures=pictures, capability=capability))
        made(objects[-1])
    return tuple(objects)
