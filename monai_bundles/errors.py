"""What can be wrong with a bundle or with running it.

::

    RadgateError
    └── BundleError
        ├── BadMetadata
        ├── UnknownBundle
        ├── MissingBundleFolder
        ├── UnlabelledOutput
        ├── MissingWeights
        ├── WrongHash
        ├── UnknownNetwork
        ├── WeightsDoNotFit
        ├── NetworkSupportMissing
        ├── VolumeOutsideRange
        ├── BundleFailed
        ├── WrongOutput
        └── WorkerError
            ├── WorkerCrashed
            ├── WorkerTimedOut
            ├── WorkerOutOfMemory
            └── WorkerCancelled
"""

from imaging.errors import RadgateError

__all__ = [
    "BadMetadata",
    "BundleError",
    "BundleFailed",
    "MissingBundleFolder",
    "MissingWeights",
    "NetworkSupportMissing",
    "UnknownBundle",
    "UnknownNetwork",
    "UnlabelledOutput",
    "VolumeOutsideRange",
    "WeightsDoNotFit",
    "WorkerCancelled",
    "WorkerCrashed",
    "WorkerError",
    "WorkerOutOfMemory",
    "WorkerTimedOut",
    "WrongHash",
    "WrongOutput",
]


class BundleError(RadgateError):
    """A bundle cannot be used, or its run failed."""


class BadMetadata(BundleError):
    """A file in `configs/` is missing, is no JSON, or lacks or misspells an entry."""


class UnknownBundle(BundleError):
    """No bundle of this name was found."""


class MissingBundleFolder(BundleError):
    """A folder that is to hold bundles is not there or cannot be listed."""


class UnlabelledOutput(BundleError):
    """An output channel or label has no meaning, or a meaning no output."""


class MissingWeights(BundleError):
    """A weights file is absent, or its hash was never recorded."""


class WrongHash(BundleError):
    """A weights file is not the one whose hash was recorded."""


class UnknownNetwork(BundleError):
    """The network or segmenter that the configuration names does not exist or may not be used."""


class WeightsDoNotFit(BundleError):
    """The weights are not those of the network that the configuration defines."""


class NetworkSupportMissing(BundleError):
    """The bundle needs torch and MONAI, which are not installed."""


class VolumeOutsideRange(BundleError):
    """The volume is not what the bundle was made for."""


class BundleFailed(BundleError):
    """The bundle's own code raised an error."""


class WrongOutput(BundleError):
    """The bundle gave an output of another shape or kind than it declares."""


class WorkerError(BundleError):
    """The worker process did not bring a run to its end."""


class WorkerCrashed(WorkerError):
    """The worker process ended during a run (out of memory, a signal, a crash in native code)."""


class WorkerTimedOut(WorkerError):
    """A run took longer than it may."""


class WorkerOutOfMemory(WorkerError):
    """A run held more memory than it may."""


class WorkerCancelled(WorkerError):
    """A run was cancelled."""
