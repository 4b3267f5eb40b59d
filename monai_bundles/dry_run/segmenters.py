"""Tries image processing of this package as a bundle configures it: what it finds must be what the bundle declares."""

from monai_bundles.bundle import Bundle
from monai_bundles.dry_run.images import made_companions, made_volume
from monai_bundles.runner import run_here

__all__ = ["try_segmenter"]

SHAPE = (24, 40, 44)
SPACING_MM = (6.0, 5.0, 5.0)
"""A body of 14 x 20 x 22 cm."""


def try_segmenter(bundle: Bundle) -> None:
    """Run the bundle on a made image.

    Raises
    ------
    BundleError
        What is wrong with it.
    """
    volume = made_volume(bundle, SHAPE, SPACING_MM)
    run_here(bundle, volume, device="cpu", companions=made_companions(bundle, SHAPE, SPACING_MM))
