"""What to say where a form or a number needs evenly spaced slices, and the image has others."""

from imaging.errors import GantryTilt, MissingSlices
from imaging.geometry import Grid

__all__ = ["check_even"]


def check_even(grid: Grid, need: str, instead: str) -> None:
    """Refuse planes that are unevenly spaced or tilted.

    Parameters
    ----------
    grid
        The planes.
    need
        What needs even ones, as the subject of a sentence.
    instead
        What to do, beside giving the whole series.

    Raises
    ------
    MissingSlices
        The planes are not evenly spaced, or a single one has no thickness.
    GantryTilt
        The planes are shifted against each other.
    """
    try:
        _ = grid.affine_lps
    except MissingSlices as fault:
        if "got_mm" not in fault.fields:
            raise
        expected, got, plane = (fault.fields[key] for key in ("expected_mm", "got_mm", "plane"))
        raise MissingSlices(
            f"{need} needs evenly spaced slices, but their distance is {expected:.3f} mm and {got:.3f} mm after slice "
            f"{plane + 1} of {grid.shape[0]}; give the whole series where images are missing, or {instead}.",
            **fault.fields,
        ) from fault
    except GantryTilt as fault:
        raise GantryTilt(
            f"{need} needs upright slices, but they are tilted by {grid.tilt_deg:.2f} degrees; reconstruct without "
            f"gantry tilt, or {instead}.",
            **fault.fields,
        ) from fault
