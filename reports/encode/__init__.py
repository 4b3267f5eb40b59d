"""From a result to DICOM objects: one module for each outlet, and the order in which they leave."""

from reports.encode.encoded import Capability, EncodedObject
from reports.encode.outlets import encode_all, key_images
from reports.encode.pdf import encode_pdf
from reports.encode.rtstruct import encode_rtstruct
from reports.encode.seg import encode_seg
from reports.encode.sr import encode_sr

__all__ = [
    "Capability",
    "EncodedObject",
    "encode_all",
    "encode_pdf",
    "encode_rtstruct",
    "encode_seg",
    "encode_sr",
    "key_images",
]
