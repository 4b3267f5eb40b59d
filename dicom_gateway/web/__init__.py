"""The pages: what arrived, what ran, what came out, who has it; live, in Chinese and English."""

from dicom_gateway.web.app import create_app

__all__ = ["create_app"]
