"""`radgate bundles`: what can run here, what each bundle is for, and whether its files are what was recorded."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from monai_bundles import Bundle

__all__ = ["app"]

app = typer.Typer(help="Bundles: what can run here.", no_args_is_help=True)

Folder = Annotated[
    list[Path] | None, typer.Option("--folder", help="Folder of a site's own bundles; may be repeated.", exists=True)
]
Config = Annotated[
    Path | None, typer.Option("--config", help="Settings file, whose bundle folders are listed too.", exists=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_bundles(folder: Folder = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the bundles, and the folders that cannot be one with the reason."""
    from monai_bundles import survey

    folders = list(folder or ())
    if config is not None:
        from dicom_gateway.settings import load_settings

        folders += load_settings(config).bundles.folders
    found = survey(*folders)
    if as_json:
        content = {
            "bundles": [_described(bundle) for bundle in found.bundles],
            "refused": [{"name": r.name, "error": r.error.code, "message": r.error.message} for r in found.refused],
        }
        typer.echo(json.dumps(content, ensure_ascii=False, indent=1))
        return
    for bundle in found.bundles:
        needs = "torch and MONAI" if bundle.needs_network else "nothing more"
        typer.echo(f"{bundle.name} {bundle.version}: {bundle.title.get('en', '')}; needs {needs}")
        typer.echo(f"    {', '.join(s.name for s in bundle.structures)}")
    for refused in found.refused:
        typer.echo(f"{refused.name}: refused. {refused.error.message}")


@app.command()
def verify(
    name: Annotated[str, typer.Argument(help="Name of a bundle.")], folder: Folder = None, as_json: AsJson = False
) -> None:
    """Check a bundle's files, hashes and network; exit code 2 and one sentence if it cannot be used."""
    from monai_bundles import find
    from monai_bundles import verify as verify_bundle

    bundle = find(name, *(folder or ()))
    verify_bundle(bundle, build=True)
    if as_json:
        typer.echo(json.dumps({"ok": True, **_described(bundle)}, ensure_ascii=False, indent=1))
        return
    typer.echo(f"{bundle.name} {bundle.version}: files, hashes and network are in order")
    for path, sha256 in bundle.weights_sha256.items():
        typer.echo(f"    {sha256}  {path}")
    typer.echo(f"    digest of the bundle {bundle.algorithm.bundle_digest}")


def _described(bundle: "Bundle") -> dict[str, Any]:
    """A bundle as JSON values."""
    from dataclasses import asdict

    return {
        "name": bundle.name,
        "version": bundle.version,
        "title": dict(bundle.title),
        "licence": bundle.licence,
        "needs_network": bundle.needs_network,
        "structures": [asdict(s) for s in bundle.structures],
        "accepts": asdict(bundle.accepts),
        "required_checks": list(bundle.required_checks),
        "weights_sha256": dict(bundle.weights_sha256),
        "bundle_digest": bundle.algorithm.bundle_digest,
    }
