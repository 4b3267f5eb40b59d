"""Whether the instances of one series may be put together: they are of one patient, and each is another instance."""

from collections.abc import Sequence

from imaging.attributes import text
from imaging.errors import DuplicateInstance, MissingAttribute, MixedPatients
from imaging.headers import Header

__all__ = ["check_instance_uids", "check_one_patient"]


def check_one_patient(headers: Sequence[Header]) -> None:
    """Refuse a series whose slices name several patients; the name counts where no slice has an id.

    Raises
    ------
    MixedPatients
        The slices differ in it.
    """
    for keyword in ("PatientID", "PatientName"):
        named = {_stated(h, keyword) for h in headers}
        if len(named) > 1:
            raise MixedPatients(
                f"The slices of one series differ in {keyword}; settle in the archive which patient each belongs to, "
                "and send the series again.",
                keyword=keyword,
                patients=len(named),
            )
        if named != {b""}:
            return


def _stated(header: Header, keyword: str) -> bytes:
    """What stands in the file, undecoded: names in characters that nobody can decode still differ."""
    element = header.dataset.get_item(keyword)
    value = b"" if element is None or element.value is None else element.value
    return (value if isinstance(value, bytes) else str(value).encode()).strip(b" \0")


def check_instance_uids(headers: Sequence[Header]) -> None:
    """Refuse instances without a UID, and different ones with the same.

    Raises
    ------
    MissingAttribute
        One has none.
    DuplicateInstance
        Two share one.
    """
    uids = [text(h.dataset, "SOPInstanceUID") for h in headers]
    if not all(uids):
        raise MissingAttribute("SOPInstanceUID is absent; export the series again with it.", keyword="SOPInstanceUID")
    if len(set(uids)) < len(uids):
        raise DuplicateInstance(
            "Different files claim the same SOPInstanceUID; export the series again from its source.",
            files=len(uids),
            instances=len(set(uids)),
        )
