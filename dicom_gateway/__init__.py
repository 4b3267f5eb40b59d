"""The service: studies come in over DICOM, are checked, contoured and reported, and results go out."""

__all__: list[str] = []
