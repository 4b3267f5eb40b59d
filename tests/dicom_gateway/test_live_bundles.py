"""A running service takes up what `radgate bundles` changes, and reports a job by the version that ran."""

from pathlib import Path

import pytest

from dicom_gateway.flow.job import Tools
from dicom_gateway.flow.journal import Journal
from dicom_gateway.flow.live_bundles import LiveBundles
from dicom_gateway.flow.local import process_folder
from dicom_gateway.settings import load_settings
from imaging.testing.phantom import make_phantom, write_phantom
from imaging.volume import Volume
from monai_bundles import Bundle, BundleOutput, discover, errors, run_bundle
from monai_bundles.adding.add import add, rollback, set_shadow
from tests.monai_bundles.test_adding import with_version
from tests.monai_bundles.zoo_making import make_zoo_bundle


def read(library: Path) -> dict[str, Bundle]:
    return {b.name: b for b in discover(*([library] if library.is_dir() else []))}


def test_versions_added_rolled_back_and_put_into_the_shadow_are_seen_without_a_restart(tmp_path: Path) -> None:
    library, root = tmp_path / "library", make_zoo_bundle(tmp_path)
    bundles = LiveBundles(lambda: read(library), lambda: [library])
    assert root.name not in bundles
    add(str(root), library)
    assert bundles[root.name].version == "0.5.3"
    first = bundles[root.name]
    assert bundles[root.name] is first, "nothing is read anew where nothing has changed"

    add(str(with_version(root, "0.6.0")), library)
    assert bundles[root.name].version == "0.6.0"
    rollback(root.name, library)
    assert (bundles[root.name].version, bundles[root.name].shadow) == ("0.5.3", None)
    set_shadow(root.name, "0.6.0", library)
    shadow = bundles[root.name].shadow
    assert shadow is not None and shadow.version == "0.6.0"


def test_a_library_that_cannot_be_read_leaves_the_bundles_as_they_were(tmp_path: Path) -> None:
    record = tmp_path / "registry.json"
    answers = [read(tmp_path)]

    def reading() -> dict[str, Bundle]:
        if not answers:
            raise errors.MissingBundleFolder("The bundle folder cannot be listed.")
        return answers.pop()

    bundles = LiveBundles(reading, lambda: [tmp_path])
    known = set(bundles)
    record.write_text("{", encoding="utf-8")

    assert set(bundles) == known
    assert len(bundles) == len(known) > 0


def test_a_job_is_reported_by_the_version_that_ran_although_another_came_meanwhile(tmp_path: Path) -> None:
    from dataclasses import replace

    write_phantom(tmp_path / "study", make_phantom(shape=(96, 100, 90)))
    (tmp_path / "radgate.toml").write_text(
        '[[route]]\nname = "ct"\nbundle = "ct_body_segmentation"\nwhen.all = [ { tag = "Modality", equals = "CT" } ]\n',
        encoding="utf-8",
    )
    body = next(b for b in discover() if b.name == "ct_body_segmentation")
    present = {body.name: body}
    later = replace(body, version="9.9.9", algorithm=replace(body.algorithm, version="9.9.9"))

    def run(bundle: Bundle, volume: Volume, progress: object, companions: object = None) -> BundleOutput:
        present[body.name] = later
        return run_bundle(bundle, volume)

    settings = load_settings(tmp_path / "radgate.toml")
    done = process_folder(tmp_path / "study", tmp_path / "out", settings, Tools(present, run), Journal())

    (job,) = done.jobs
    assert job.result is not None
    assert [r["algorithm"]["version"] for r in job.result["runs"]] == [body.version]
    assert job.result["runs"][0]["algorithm"]["bundle_digest"] == body.algorithm.bundle_digest


@pytest.mark.parametrize("name", ["no_such_bundle", "ct_body_segmentation@7.0.0"])
def test_a_bundle_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    write_phantom(tmp_path / "study", make_phantom(shape=(96, 100, 90)))
    (tmp_path / "radgate.toml").write_text(
        f'[[route]]\nname = "ct"\nbundle = "{name}"\nwhen.all = [ {{ tag = "Modality", equals = "CT" }} ]\n',
        encoding="utf-8",
    )
    settings, tools = load_settings(tmp_path / "radgate.toml"), Tools(read(tmp_path / "none"), run_bundle)

    (job,) = process_folder(tmp_path / "study", tmp_path / "out", settings, tools, Journal()).jobs

    assert job.status == "failed"
    assert "is not installed" in job.reason
