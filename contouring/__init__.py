"""Structures: masks and contours, RTSTRUCT and SEG, names, metrics, margins, lesion measurement."""

from contouring.roi import Generation, Roi

__all__ = ["Generation", "Roi"]
