"""Body, lungs, trachea, bone and spinal canal of a CT by image processing: the code of ct_body_segmentation."""

from monai_bundles.body.segment import BodySegmenter

__all__ = ["BodySegmenter"]
