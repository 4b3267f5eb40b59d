"""Taking a bundle into a site's library: what it is, what could be wrong with it, and which version runs."""

from monai_bundles.adding.record import Added, Entry, Record, read_record

__all__ = ["Added", "Entry", "Record", "read_record"]
