"""What differs in a job on colour pictures: without geometry there is no volume, no measure and no structure set."""

from typing import Any

from dicom_gateway.flow.job import Job
from imaging.cines import Cine
from imaging.pictures import Pictures, PictureSeries
from imaging.volume import Volume
from monai_bundles import BundleOutput
from qc.image import SeriesVerdict, check_pictures

__all__ = ["graded_pictures", "on_pictures", "scores_of_pictures", "volume_of"]

NO_STRUCTURE_SET = (
    "Pictures have no place in the patient, so that what was outlined is delivered as a segmentation on their pixels "
    "and not as a structure set; areas are in pixels."
)


def graded_pictures(job: Job, series: PictureSeries) -> SeriesVerdict:
    """Image quality of pictures, judged as the board judges them."""
    from qc.image.planar import read_planar

    files = tuple(dict.fromkeys(series.files))
    return check_pictures(read_planar(files), job.plan.profile, profile_folders=job.tools.profiles)


def volume_of(image: Volume | Pictures | Cine | None) -> Volume | None:
    """The image where it is a volume."""
    return image if isinstance(image, Volume) else None


def on_pictures(output: BundleOutput) -> list[str]:
    """Sentences on what cannot be delivered of an output on pictures."""
    return [NO_STRUCTURE_SET] if output.structures else []


def scores_of_pictures(output: BundleOutput) -> dict[str, Any]:
    """Scores of every picture or plane and the index of the most certain; nothing without a classifier of planes."""
    if output.plane is None:
        return {}
    scores = [[[s.label, round(s.value, 4)] for s in scores] for scores in output.plane_scores]
    return {"plane_scores": scores, "plane": output.plane}
