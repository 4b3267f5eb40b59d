"""Retrieves objects over DICOMweb (WADO-RS), as any viewer does."""

from email.message import Message

import httpx

__all__ = ["retrieve"]


def retrieve(web: str, study_uid: str, sop_uid: str) -> list[bytes]:
    """The parts of one instance's answer: complete DICOM files.

    Raises
    ------
    httpx.HTTPStatusError
        The service does not have it.
    """
    found = (
        httpx.get(f"{web}/dicomweb/instances", params={"SOPInstanceUID": sop_uid}, timeout=60).raise_for_status().json()
    )
    series_uid = found[0]["0020000E"]["Value"][0]
    answer = httpx.get(
        f"{web}/dicomweb/studies/{study_uid}/series/{series_uid}/instances/{sop_uid}",
        headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
        timeout=120,
    ).raise_for_status()
    header = Message()
    header["Content-Type"] = answer.headers["Content-Type"]
    boundary = str(header.get_param("boundary")).encode()
    parts = answer.content.split(b"--" + boundary)[1:-1]
    return [part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n") for part in parts]
