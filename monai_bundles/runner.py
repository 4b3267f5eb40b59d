"""Runs a bundle on a volume in this process; `monai_bundles.worker` does the same in a child process."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from imaging.cines import Cine
from imaging.errors import RadgateError
from imaging.pictures import Pictures
from imaging.volume import Region, Volume
from monai_bundles.bundle import Bundle, BundleOutput, Finding, Landmark, Score, SegmentedStructure
from monai_bundles.completeness import completeness_warnings
from monai_bundles.errors import BundleFailed, VolumeOutsideRange, WrongOutput
from monai_bundles.fit import ON_PICTURES, ONLY_POINTS, colour_misfit
from monai_bundles.registry import check_weights
from monai_bundles.segmenter import load_finder, load_segmenter

__all__ = ["SEGMENTING", "Progress", "run_bundle", "run_here"]

Progress = Callable[[float, str], None]
"""Called with the share done (0 to 1) and a word on the step."""


@dataclass(frozen=True, eq=False)
class Gave:
    """What the three ways of running a bundle have in common."""

    regions: dict[str, Region]
    device: str = "cpu"
    forward_s: float = 0.0
    findings: tuple[Finding, ...] = ()
    scores: tuple[Score, ...] = ()
    heat_map: Region | None = None
    plane_scores: tuple[tuple[Score, ...], ...] = ()
    plane: int | None = None
    notes: tuple[str, ...] = ()
    landmarks: tuple[Landmark, ...] = ()


def run_bundle(
    bundle: Bundle,
    volume: Volume | Pictures | Cine,
    progress: Progress | None = None,
    device: str = "auto",
    companions: Mapping[str, Volume] | None = None,
) -> BundleOutput:
    """What the bundle finds in the volume, on the volume's own grid. The same input gives the same output.

    Colour pictures take the place of a volume for a bundle that is made for them, and a cine for one that gives points.

    A bundle that runs code of its own gets a process of its own for it; all others run in this one.

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
    companions
        Further images of the study by the names of the bundle's channels, in the same frame of reference.

    Raises
    ------
    VolumeOutsideRange
        The volume has another unit; or grey values and colours are mixed up.
    MissingSeries
        A further image that the bundle needs is not there.
    RadgateError
        Weights are missing or not the recorded ones, or the network cannot be built.
    BundleFailed
        The bundle's code raised.
    NotEnoughMemory
        Memory does not do, also with smaller windows.
    WrongOutput
        The output is not what the bundle declares.
    """
    if bundle.trusted:
        from monai_bundles.worker import Worker

        with Worker(home=bundle) as worker:
            return worker.run(bundle, volume, progress, device, companions=companions)
    return run_here(bundle, volume, progress, device, companions)


def run_here(
    bundle: Bundle,
    volume: Volume | Pictures | Cine,
    progress: Progress | None = None,
    device: str = "auto",
    companions: Mapping[str, Volume] | None = None,
) -> BundleOutput:
    """The same as `run_bundle` in this process, whatever the bundle runs.

    Raises
    ------
    VolumeOutsideRange
        The volume has another unit; or grey values and colours are mixed up.
    RadgateError
        As `run_bundle`.
    BundleFailed
        The bundle's code raised.
    """
    began = time.monotonic()
    tell = progress or _silent
    tell(0.0, "check")
    _check_values(bundle, volume)
    check_weights(bundle)
    try:
        gave = _run(bundle, volume, tell, device, companions or {})
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
    names = tuple(s.name for s in bundle.structures) if bundle.output in SEGMENTING else tuple(gave.regions)
    shape = volume.grid.shape if isinstance(volume, Volume) else volume.shape
    _check_output(bundle, names, shape, gave.regions)
    found = tuple(
        SegmentedStructure(name, gave.regions[name])
        for name in names
        if name in gave.regions and gave.regions[name].voxel_count
    )
    absent = tuple(name for name in names if name not in {s.name for s in found})
    tell(1.0, "done")
    return BundleOutput(
        structures=found,
        algorithm=bundle.algorithm,
        device=gave.device,
        elapsed_s=time.monotonic() - began,
        forward_s=gave.forward_s,
        warnings=(*gave.notes, *_lacks(found, absent, volume)),
        absent=absent,
        findings=gave.findings,
        scores=gave.scores,
        heat_map=gave.heat_map,
        plane_scores=gave.plane_scores,
        plane=gave.plane,
        landmarks=gave.landmarks,
    )


def _check_values(bundle: Bundle, image: Volume | Pictures | Cine) -> None:
    """Refuse values that the bundle was not made for.

    Raises
    ------
    VolumeOutsideRange
        They are colours, or none, or in another unit.
    """
    wrong = colour_misfit(bundle, image)
    if wrong:
        raise VolumeOutsideRange(f"{wrong} Give the bundle {bundle.name} what it is made for.")
    if not isinstance(image, Pictures) and bundle.accepts.units and image.unit not in bundle.accepts.units:
        raise VolumeOutsideRange(
            f"Bundle {bundle.name} needs values in {' or '.join(bundle.accepts.units)}; give it an image in that unit.",
            unit=image.unit,
        )


SEGMENTING = frozenset({"structures", "labels", "channels"})
"""Forms of output whose structures the bundle declares; findings are numbered as they come."""


def _lacks(
    found: tuple[SegmentedStructure, ...], absent: tuple[str, ...], image: Volume | Pictures | Cine
) -> tuple[str, ...]:
    """Sentences on what is not there; a picture always ends somewhere, which is no word worth."""
    return completeness_warnings(found if isinstance(image, Volume) else (), absent)


def _run(
    bundle: Bundle, volume: Volume | Pictures | Cine, tell: Progress, device: str, companions: Mapping[str, Volume]
) -> Gave:
    """Run it the way that its configuration asks for.

    Raises
    ------
    VolumeOutsideRange
        Pictures, for a form of output that has a place in the patient; or a cine, for one that is no points.
    """
    if isinstance(volume, Cine):
        if bundle.output != "points":
            raise VolumeOutsideRange(f"{ONLY_POINTS} Give bundle {bundle.name} a volume.")
        return _by_workflow(bundle, volume, tell, device, companions)
    if isinstance(volume, Pictures):
        if bundle.output not in ON_PICTURES or not bundle.needs_network:
            raise VolumeOutsideRange(
                f"The output of bundle {bundle.name} has a place in the patient, and colour pictures have none; "
                "correct `inputs` or `output` in its configs/radgate.json."
            )
        return _by_workflow(bundle, volume, tell, device, companions)
    if not bundle.needs_network and bundle.output == "findings":
        found = load_finder(bundle)(volume, companions, tell)
        return Gave(found.regions, findings=found.findings, notes=found.notes)
    if not bundle.needs_network:
        return Gave(load_segmenter(bundle)(volume, tell))
    if bundle.output == "structures":
        from monai_bundles.inference import segment_with_network

        run = segment_with_network(bundle, volume, tell, device)
        return Gave(run.regions, run.device, run.forward_s, notes=run.notes)
    return _by_workflow(bundle, volume, tell, device, companions)


def _by_workflow(
    bundle: Bundle, image: Volume | Pictures | Cine, tell: Progress, device: str, companions: Mapping[str, Volume]
) -> Gave:
    """By the parts of its configuration."""
    from monai_bundles.zoo.run import run_workflow

    gave = run_workflow(bundle, image, companions, tell, device)
    return Gave(
        gave.regions,
        gave.device,
        gave.forward_s,
        gave.findings,
        gave.scores,
        gave.heat_map,
        gave.plane_scores,
        gave.plane,
        gave.notes,
        gave.landmarks,
    )


def _silent(_share: float, _step: str) -> None:
    """Tells nobody."""


def _check_output(bundle: Bundle, names: tuple[str, ...], shape: tuple[int, ...], regions: dict[str, Region]) -> None:
    """Every region belongs to a declared structure and to the volume's grid.

    Raises
    ------
    WrongOutput
        One does not.
    """
    undeclared = sorted(set(regions) - set(names))
    misplaced = sorted(name for name, region in regions.items() if region.shape != shape)
    if undeclared or misplaced:
        raise WrongOutput(
            f"Bundle {bundle.name} gave an output that it does not declare, or on another grid; report it.",
            undeclared=undeclared,
            misplaced=misplaced,
        )
