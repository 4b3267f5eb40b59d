"""What differs in a job on a cine: image quality is that of its first phase, for checks look at volumes."""

from dicom_gateway.flow.job import Job
from imaging.cine_scan import first_phase
from imaging.cines import Cine, CineSeries
from imaging.errors import RadgateError
from imaging.volume import Volume
from qc.image import SeriesVerdict, check_series

__all__ = ["graded_cine"]


def graded_cine(job: Job, series: CineSeries) -> SeriesVerdict:
    """Image quality of the first phase, as one plane."""
    volume, refusal = _first_volume(job)
    return check_series(
        first_phase(series.detached()),
        volume,
        profile=job.plan.profile,
        refusal=refusal,
        profile_folders=job.tools.profiles,
    )


def _first_volume(job: Job) -> tuple[Volume | None, RadgateError | None]:
    """The first phase, or why there is none: the pixels were refused, or its plane has no thickness."""
    image = job.image
    if not isinstance(image, Cine):
        return None, job.refusal
    try:
        return Volume(image.array[:1], image.grid, image.sources[:1], image.unit), None
    except RadgateError as error:
        return None, error
