"""What can be wrong with a bundle or with running it.

::

    RadgateError
    └── BundleError
        ├── BadMetadata
        ├── UnreadableBundle
        ├── UnknownBundle
        ├── UnknownVersion
        ├── MissingBundleFolder
        ├── ZooUnreachable
        ├── CodeNotTrusted
        ├── FileMacro
        ├── MissingPackages
        ├── NeedsMore
        ├── UnlabelledOutput
        ├── MissingWeights
        ├── WrongHash
        ├── UnknownNetwork
        ├── WeightsDoNotFit
        ├── BrokenWeights
        ├── NetworkSupportMissing
        ├── WrongDimensions
        ├── WrongChannels
        ├── VolumeOutsideRange
        ├── MissingSeries
        ├── NotEnoughMemory
        ├── NothingToEvaluate
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
    "BrokenWeights",
    "BundleError",
    "BundleFailed",
    "CodeNotTrusted",
    "FileMacro",
    "MissingBundleFolder",
    "MissingPackages",
    "MissingSeries",
    "MissingWeights",
    "NeedsMore",
    "NetworkSupportMissing",
    "NotEnoughMemory",
    "NothingToEvaluate",
    "UnknownBundle",
    "UnknownNetwork",
    "UnknownVersion",
    "UnlabelledOutput",
    "UnreadableBundle",
    "VolumeOutsideRange",
    "WeightsDoNotFit",
    "WorkerCancelled",
    "WorkerCrashed",
    "WorkerError",
    "WorkerOutOfMemory",
    "WorkerTimedOut",
    "WrongChannels",
    "WrongDimensions",
    "WrongHash",
    "WrongOutput",
    "ZooUnreachable",
]


class BundleError(RadgateError):
    """A bundle cannot be used, or its run failed."""


class BadMetadata(BundleError):
    """A file in `configs/` is missing, is no JSON, or lacks or misspells an entry."""


class UnreadableBundle(BundleError):
    """Its files cannot be read, unpacked or copied."""


class UnknownBundle(BundleError):
    """No bundle of this name was found."""


class UnknownVersion(BundleError):
    """A version of a bundle was asked for that was never added, or there is none to go back to."""


class ZooUnreachable(BundleError):
    """A bundle was asked for by name, and the Model Zoo cannot be reached or does not have it."""


class CodeNotTrusted(BundleError):
    """A bundle could run code that is not MONAI's, and nobody has said that it may."""


class FileMacro(BundleError):
    """A macro (`%...`) of a configuration takes its content from a file, or from nowhere."""


class MissingPackages(BundleError):
    """A bundle needs Python packages that are not installed."""


class NeedsMore(BundleError):
    """It needs what a study does not hold, such as clicks of a person, or gives what radgate does not read."""


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


class BrokenWeights(BundleError):
    """The weights hold values that are no numbers."""


class NetworkSupportMissing(BundleError):
    """The bundle needs torch and MONAI, which are not installed."""


class WrongDimensions(BundleError):
    """The network works in a number of dimensions that no study has, or not in that of its metadata."""


class WrongChannels(BundleError):
    """The network takes another number of channels than the bundle's inputs give."""


class VolumeOutsideRange(BundleError):
    """The volume is not what the bundle was made for."""


class MissingSeries(BundleError):
    """A bundle needs several series of a study, and one of them is not there or not in the same frame of reference."""


class NotEnoughMemory(BundleError):
    """The run would need more memory than there is, also with the smallest windows."""


class NothingToEvaluate(BundleError):
    """There is no reference to compare the bundle with in the folder that was named."""


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
