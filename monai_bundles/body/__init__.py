"""Body, lungs, trachea and bone of a CT by image processing: the code of the bundle ct_body_segmentation."""

from monai_bundles.body.segment import BodySegmenter

__all__ = ["BodySegmenter"]
