"""One run of a bundle on a made image, before a patient is near. Importing this loads neither torch nor MONAI."""

from monai_bundles.dry_run.start import dry_run, dry_run_here

__all__ = ["dry_run", "dry_run_here"]
