"""Where a bundle is tried out: here, or in a process of its own if it runs code of its own."""

from monai_bundles.bundle import Bundle
from monai_bundles.errors import NotEnoughMemory, WorkerOutOfMemory, WorkerTimedOut

__all__ = ["dry_run", "dry_run_here"]

LIMIT_S = 120.0
"""A bundle with code of its own that is not done by then is not waited for."""


def dry_run(bundle: Bundle) -> str:
    """Run the whole chain once on a small made image of what the bundle declares to take, as a patient's would run.

    Parameters
    ----------
    bundle
        With weights that are those recorded.

    Returns
    -------
    str
        A sentence why it could not be tried here; empty where it was tried and nothing is wrong.

    Raises
    ------
    BundleError
        What is wrong with it.
    """
    if not bundle.trusted:
        return dry_run_here(bundle)
    from monai_bundles.worker import Worker

    try:
        with Worker(home=bundle) as worker:
            return worker.dry_run(bundle, LIMIT_S)
    except (WorkerTimedOut, WorkerOutOfMemory) as error:
        return f"The bundle was not tried out before its first study: {error.message}"


def dry_run_here(bundle: Bundle) -> str:
    """The same as `dry_run` in this process, whatever the bundle runs.

    Raises
    ------
    BundleError
        What is wrong with it.
    """
    if bundle.output == "points":
        return "The network was built and not tried: where a made image has no landmarks, its points mean nothing."
    try:
        _tried(bundle)
    except NotEnoughMemory as error:
        return f"The bundle was not tried out before its first study: {error.message}"
    return ""


def _tried(bundle: Bundle) -> None:
    if bundle.needs_network:
        from monai_bundles.dry_run.networks import try_network

        try_network(bundle)
    else:
        from monai_bundles.dry_run.segmenters import try_segmenter

        try_segmenter(bundle)
