"""The command `radgate` and its verbs."""

from dicom_gateway.cli.app import app, main

__all__ = ["app", "main"]
