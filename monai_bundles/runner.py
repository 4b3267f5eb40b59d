"""Runs a bundle on a volume in this process; `monai_bundles.worker` does the same in a child process."""

import time
from collections.abc import Callable

from imaging.errors import RadgateError
from imaging.volume import Region, Volume
from monai_bundles.bundle import Bundle, BundleOutput, SegmentedStructure
from monai_bundles.completeness import completeness_warnings
from monai_bundles.errors import BundleFailed, VolumeOutsideRange, WrongOutput
from monai_bundles.registry import check_weights
from monai_bundles.segmenter import load_segmenter

__all__ = ["Progress", "run_bundle"]

Progress = Callable[[float, str], None]
"""Called with the share done (0 to 1) and a word on the step."""


def run_bundle(bundle: Bundle, volume: Volume, progress: Progress | None = None, device: str = "auto") -> BundleOutput:
    """What the bundle finds in the volume, on the volume's own grid. The same input gives the same output.

    Parameters
    ----------
    bundle
        A bundle from `discover`.
    volume
        In the unit that the bundle accepts. Whether it lies in the declared range is asked beforehand by `misfits`.
    progress
        Called with the share done (0 to 1) and a word on the step.
    device
        "auto" (an accelerator when there is one), "cpu", or a device name of torch.

    Raises
    ------
    VolumeOutsideRange
        The volume has another unit.
    RadgateError
        Weights are missing or not the recorded ones, or the network cannot be built.
    BundleFailed
        The bundle's code raised, or memory ran out.
    WrongOutput
        The output is not what the bundle declares.
    """
    began = time.monotonic()
    tell = progress or _silent
    tell(0.0, "check")
    if bundle.accepts.units and volume.unit not in bundle.accepts.units:
        raise VolumeOutsideRange(
            f"Bundle {bundle.name} needs values in {' or '.join(bundle.accepts.units)}; give it an image in that unit.",
            unit=volume.unit,
        )
    check_weights(bundle)
    try:
        if bundle.needs_network:
            from monai_bundles.inference import segment_with_network

            run = segment_with_network(bundle, volume, tell, device)
            regions, used_device, forward_s = run.regions, run.device, run.forward_s
        else:
            regions, used_device, forward_s = load_segmenter(bundle)(volume, tell), "cpu", 0.0
    except RadgateError:
        raise
    except Exception as error:
        # The boundary to code of others: whatever it raises becomes a result that people see.
        raise BundleFailed(
            f"Bundle {bundle.name} {bundle.version} failed with {type(error).__name__}; run radgate bundles verify, "
            "and report it with the study's digest.",
            bundle=bundle.name,
            kind=type(error).__name__,
        ) from error
    _check_output(bundle, volume, regions)
    found = tuple(
        SegmentedStructure(s.name, regions[s.name])
        for s in bundle.structures
        if s.name in regions and regions[s.name].voxel_count
    )
    names = {s.name for s in found}
    absent = tuple(s.name for s in bundle.structures if s.name not in names)
    tell(1.0, "done")
    return BundleOutput(
        structures=found,
        algorithm=bundle.algorithm,
        device=used_device,
        elapsed_s=time.monotonic() - began,
        forward_s=forward_s,
        warnings=completeness_warnings(found, absent),
        absent=absent,
    )


def _silent(_share: float, _step: str) -> None:
    """Tells nobody."""


def _check_output(bundle: Bundle, volume: Volume, regions: dict[str, Region]) -> None:
    """Every region belongs to a declared structure and to the volume's grid.

    Raises
    ------
    WrongOutput
        One does not.
    """
    undeclared = sorted(set(regions) - {s.name for s in bundle.structures})
    misplaced = sorted(name for name, region in regions.items() if region.shape != volume.array.shape)
    if undeclared or misplaced:
        raise WrongOutput(
            f"Bundle {bundle.name} gave an output that it does not declare, or on another grid; report it.",
            undeclared=undeclared,
            misplaced=misplaced,
        )
