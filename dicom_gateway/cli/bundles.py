"""`radgate bundles`: what can run here, taking bundles in, versions, and whether their files are what was recorded."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from imaging.geometry import Grid
    from imaging.volume import Region
    from monai_bundles import Bundle

__all__ = ["app"]

app = typer.Typer(help="Bundles: what can run here, and taking new ones in.", no_args_is_help=True)

Folder = Annotated[
    list[Path] | None, typer.Option("--folder", help="Folder of a site's own bundles; may be repeated.", exists=True)
]
Library = Annotated[
    Path | None, typer.Option("--folder", help="Library to change, instead of the one in the site's store.")
]
Config = Annotated[
    Path | None, typer.Option("--config", help="Settings file, whose bundle folders are used.", exists=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="Name of a bundle.")]


@app.command("list")
def list_bundles(folder: Folder = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the bundles, and the folders that cannot be one with the reason."""
    from monai_bundles import survey
    from monai_bundles.adding import read_record

    folders = _folders(folder, config)
    found = survey(*folders)
    versions: dict[str, Any] = {}
    for place in folders:
        for name, entry in read_record(place).bundles.items():
            versions[name] = {"active": entry.active, "shadow": entry.shadow, "added": sorted(entry.versions)}
    if as_json:
        content = {
            "bundles": [
                {**_described(bundle), **({"versions": versions[bundle.name]} if bundle.name in versions else {})}
                for bundle in found.bundles
            ],
            "refused": [{"name": r.name, "error": r.error.code, "message": r.error.message} for r in found.refused],
        }
        typer.echo(json.dumps(content, ensure_ascii=False, indent=1))
        return
    for bundle in found.bundles:
        needs = "torch and MONAI" if bundle.needs_network else "nothing more"
        code = ", runs code of its own in its own process" if bundle.trusted else ""
        typer.echo(f"{bundle.name} {bundle.version}: {bundle.title.get('en', '')}; needs {needs}{code}")
        typer.echo(f"    {', '.join(s.name for s in bundle.structures)}")
        if bundle.name in versions:
            entry = versions[bundle.name]
            shadow = f", {entry['shadow']} runs in its shadow" if entry["shadow"] else ""
            typer.echo(f"    added: {', '.join(entry['added'])}{shadow}")
            if bundle.broken_shadow[0]:
                typer.echo(f"    the shadow cannot run: {bundle.broken_shadow[1]}")
    for refused in found.refused:
        typer.echo(f"{refused.name}: refused. {refused.error.message}")


@app.command()
def verify(name: Name, folder: Folder = None, config: Config = None, as_json: AsJson = False) -> None:
    """Check a bundle's files and hashes, and try it on a made image; exit code 2 and one sentence if it is no use."""
    from dicom_gateway.cli.sources import known_checks
    from monai_bundles import find
    from monai_bundles import verify as verify_bundle
    from monai_bundles.dry_run import dry_run
    from monai_bundles.radgate_schema import require_known_checks

    bundle = find(name, *_folders(folder, config))
    require_known_checks(bundle, known_checks())
    verify_bundle(bundle, build=not bundle.trusted)
    not_tried = dry_run(bundle)
    if as_json:
        content = {"ok": True, "not_tried": not_tried, **_described(bundle)}
        typer.echo(json.dumps(content, ensure_ascii=False, indent=1))
        return
    typer.echo(f"{bundle.name} {bundle.version}: files, hashes and network are in order")
    for path, sha256 in bundle.weights_sha256.items():
        typer.echo(f"    {sha256}  {path}")
    typer.echo(f"    digest of the bundle {bundle.algorithm.bundle_digest}")
    typer.echo(f"    {not_tried or 'tried on a made image'}")


@app.command()
def add(
    source: Annotated[str, typer.Argument(help="A bundle's folder or zip, or its name in MONAI's Model Zoo.")],
    trust: Annotated[bool, typer.Option("--trust", help="Accept the code that the bundle brings.")] = False,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Run it beside the present version; record it, deliver nothing of it.")
    ] = False,
    folder: Library = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Check a bundle and take it in; it runs from now on, and the version before it stays for a roll-back."""
    from dicom_gateway.cli.sources import known_checks
    from monai_bundles.adding.add import add as add_bundle

    library = _library(folder, config)
    addition = add_bundle(source, library, trust=trust, shadow=shadow, resolve=_tg263, checks=known_checks())
    bundle = addition.bundle
    if as_json:
        content = {"ok": True, "shadow": shadow, "notes": list(addition.notes), **_described(bundle)}
        typer.echo(json.dumps(content, ensure_ascii=False, indent=1))
        return
    role = "runs in the shadow of the present version" if shadow else "runs from now on where a route names it"
    typer.echo(f"{bundle.name} {bundle.version} is added and {role}; digest {bundle.algorithm.bundle_digest}")
    for sentence in addition.added.accepted:
        typer.echo(f"    accepted: {sentence}")
    for note in addition.notes:
        typer.echo(f"    {note}")


@app.command()
def rollback(name: Name, folder: Library = None, config: Config = None, as_json: AsJson = False) -> None:
    """Let the version run that ran before the present one."""
    from monai_bundles.adding.add import rollback as roll_back

    entry = roll_back(name, _library(folder, config))
    _say({"name": name, "active": entry.active}, f"{name} {entry.active} runs from now on", as_json=as_json)


@app.command()
def shadow(
    name: Name,
    version: Annotated[str, typer.Argument(help="An added version; empty ends the shadow.")] = "",
    folder: Library = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Let an added version run beside the present one: it is recorded, and nothing of it is delivered."""
    from monai_bundles.adding.add import set_shadow

    entry = set_shadow(name, version, _library(folder, config))
    sentence = f"{name} {version} runs in the shadow of {entry.active}" if version else f"{name} has no shadow now"
    _say({"name": name, "active": entry.active, "shadow": entry.shadow}, sentence, as_json=as_json)


@app.command()
def remove(
    name: Name,
    version: Annotated[str, typer.Option("--version", help="Only this version.")] = "",
    folder: Library = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Remove a bundle that was added, or one version of it."""
    from monai_bundles.adding.add import remove as remove_bundle

    gone = remove_bundle(name, _library(folder, config), version)
    _say({"name": name, "removed": list(gone)}, f"{name}: removed {', '.join(gone)}", as_json=as_json)


@app.command()
def describe(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle in MONAI's layout.", exists=True, file_okay=False)],
    init: Annotated[bool, typer.Option("--init", help="Write configs/radgate.json into the bundle.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the one that is there.")] = False,
) -> None:
    """Print what configs/radgate.json should say of a bundle of the Model Zoo, and what could not be guessed."""
    from monai_bundles.adding.describe import describe as describe_bundle
    from monai_bundles.errors import BadMetadata

    description = describe_bundle(bundle, _tg263)
    if init:
        if (bundle / "configs" / "radgate.json").is_file() and not force:
            raise BadMetadata("The bundle has a configs/radgate.json; use --force to replace it.")
        description.write(bundle)
        typer.echo("configs/radgate.json is written")
    else:
        typer.echo(json.dumps(description.content, ensure_ascii=False, indent=1))
    for note in description.notes:
        typer.echo(f"not guessed: {note}", err=not init)


@app.command()
def bench(
    name: Name,
    study: Annotated[
        Path | None, typer.Option("--study", help="Folder of DICOM files; else the digital patient.", exists=True)
    ] = None,
    folder: Folder = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Choose a network's engine on this machine anew, and measure it beside MONAI's sliding window."""
    from dicom_gateway.cli.bench_study import bench_inputs
    from monai_bundles import find
    from monai_bundles.engines.benchmark import benchmark

    bundle = find(name, *_folders(folder, config))
    volume, companions = bench_inputs(bundle, study)
    result = benchmark(bundle, volume, companions=companions)
    if as_json:
        typer.echo(json.dumps(result.to_json(), ensure_ascii=False, indent=1))
        return
    for trial in result.choice.trials:
        seconds = "-" if trial.seconds_per_window is None else f"{trial.seconds_per_window:.3f} s a window"
        mark = "chosen" if trial.engine == result.choice.engine else trial.reason
        typer.echo(f"{trial.engine:14} {seconds:20} equal {trial.voxels:.4%}, Dice {trial.dice:.4f}  {mark}")
    typer.echo(f"MONAI's sliding window: {result.monai_s:.2f} s for {result.windows} windows, {result.threads} threads")
    ways = [("the same windows", result.same_windows)]
    ways += [("cropped to the body", result.cropped)] if result.cropped is not None else []
    for what, way in ways:
        typer.echo(
            f"{what}: {way.seconds:.2f} s ({way.ratio:.2f} of it, {way.processor_ratio:.2f} of its processor time) for "
            f"{way.windows} windows; equal {way.equal_voxels:.4%}, least Dice {way.least_dice:.4f}"
        )


@app.command()
def evaluate(
    name: Name,
    data: Annotated[Path, typer.Option("--data", help="Folder of patients with a reference.", exists=True)],
    split: Annotated[str, typer.Option("--split", help="Which of the patients, where the data say so.")] = "validation",
    pictures: Annotated[Path | None, typer.Option("--pictures", help="Folder for pictures of the worst cases.")] = None,
    tolerance_mm: Annotated[float, typer.Option("--tolerance", help="Tolerance of the surface Dice, mm.")] = 3.0,
    folder: Folder = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Score a bundle on patients with a reference: every figure of its card, with bootstrap intervals."""
    from contouring.metrics import surface_dice
    from contouring.surface import surface_distances
    from contouring.suv import suv_volume
    from monai_bundles import find
    from monai_bundles.evaluation.cases import cases_of
    from monai_bundles.evaluation.evaluate import evaluate as evaluate_bundle

    def told(patient: str, scores: dict[str, float]) -> None:
        typer.echo(f"{patient}: " + ", ".join(f"{n} {v:.3f}" for n, v in scores.items()), err=True)

    bundle = find(name, *_folders(folder, config))
    cases = cases_of(data, split, suv_volume, bundle.accepts.modalities[0])

    def on_surface(found: "Region", truth: "Region", grid: "Grid") -> float:
        return surface_dice(surface_distances(found, truth, grid), tolerance_mm)

    result = evaluate_bundle(bundle, cases, split, pictures, told, on_surface)
    if as_json:
        content = {"surface_tolerance_mm": tolerance_mm, **result.to_json()}
        typer.echo(json.dumps(content, ensure_ascii=False, indent=1))
        return
    tables = {"": result.rows, **{f"{name}: ": rows for name, rows in (result.variants | result.methods).items()}}
    for title, rows in tables.items():
        for structure, row in rows.items():
            typer.echo(
                f"{title}{structure:16} {row.mean_dice:.3f} ({row.interval[0]:.3f} to {row.interval[1]:.3f}), median "
                f"{row.median_dice:.3f}, {row.patients} patients, worst {row.worst_dice:.3f} ({row.worst})"
                + ("" if row.mean_surface_dice is None else f"; surface Dice {row.mean_surface_dice:.3f}")
            )
    for way, differences in result.differences.items():
        for structure, gap in differences.items():
            typer.echo(
                f"Dice above {way}, {structure}: {gap.mean:+.3f} ({gap.interval[0]:+.3f} to {gap.interval[1]:+.3f}), "
                f"higher in {gap.better} of {gap.patients} patients"
            )
    for sentence, share in result.held.items():
        low, high = share.interval
        typer.echo(
            f"{sentence}: {share.mean:.1%} ({low:.1%} to {high:.1%}), all in {share.whole} of {share.patients} "
            f"patients, worst {share.worst_share:.1%} ({share.worst})"
        )
    everybody = result.found["patients"]
    counts = [f"{name} {count}" for name, count in result.found.items() if name != "patients"]
    typer.echo(f"found in {everybody} patients: {', '.join(counts) or 'nothing'}")
    mean = f"mean over structures {result.mean_dice:.3f}; " if result.rows else ""
    typer.echo(
        f"{mean}{result.seconds['median']:.1f} s a patient (at most {result.seconds['largest']:.1f}), at most "
        f"{result.memory_mib:.0f} MiB in this process"
    )


def _folders(folder: list[Path] | None, config: Path | None) -> list[Path]:
    """The folders of the options; without any, those of the site."""
    if folder and config is None:
        return list(folder)
    from dicom_gateway.cli.sources import bundle_folders
    from dicom_gateway.settings import Settings, load_settings

    return [*(folder or ()), *bundle_folders(Settings() if config is None else load_settings(config))]


def _library(folder: Path | None, config: Path | None) -> Path:
    """The library to change."""
    if folder is not None:
        return folder
    from dicom_gateway.cli.sources import library_of
    from dicom_gateway.settings import Settings, load_settings

    return library_of(Settings() if config is None else load_settings(config))


def _tg263(word: str) -> str:
    """The TG-263 name of a bundle's word, by the table of structures; nothing where there is none."""
    from contouring.names import NameTable, match_name

    name = match_name(word, NameTable.default()).name
    return "" if name is None else name.tg263


def _say(content: dict[str, Any], sentence: str, *, as_json: bool) -> None:
    typer.echo(json.dumps(content, ensure_ascii=False) if as_json else sentence)


def _described(bundle: "Bundle") -> dict[str, Any]:
    """A bundle as JSON values."""
    from dataclasses import asdict

    return {
        "name": bundle.name,
        "version": bundle.version,
        "title": dict(bundle.title),
        "licence": bundle.licence,
        "needs_network": bundle.needs_network,
        "trusted": bundle.trusted,
        "output": bundle.output,
        "inputs": [asdict(entry) for entry in bundle.inputs],
        "structures": [{k: v for k, v in asdict(s).items() if v != ""} for s in bundle.structures],
        "accepts": asdict(bundle.accepts),
        "required_checks": list(bundle.required_checks),
        "weights_sha256": dict(bundle.weights_sha256),
        "bundle_digest": bundle.algorithm.bundle_digest,
    }
