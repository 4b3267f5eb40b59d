"""Runs any bundle in the MONAI layout by its own parts. Importing this loads neither torch nor MONAI."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monai_bundles.bundle import Bundle

__all__ = ["check_workflow"]


def check_workflow(bundle: "Bundle") -> None:
    """Build the bundle's parts with their weights; one that runs code of its own is built in a process of its own.

    Raises
    ------
    BundleError
        What is wrong with them.
    """
    if bundle.trusted:
        from monai_bundles.worker import Worker

        with Worker(home=bundle) as worker:
            worker.warm(bundle)
        return
    from monai_bundles.zoo.workflow import load_workflow

    load_workflow(bundle, "cpu")
