"""DICOMweb over the store: QIDO-RS, WADO-RS and STOW-RS."""

from dicom_gateway.dicomweb.router import router

__all__ = ["router"]
