"""Phantoms: recognised by their shape, measured here (water) or by pylinac in an environment of its own."""

from qc.image.phantom.analyse import KINDS, analyse_phantom, recognise_stack
from qc.image.phantom.recognise import recognise
from qc.image.phantom.result import PhantomResult, PhantomValue
from qc.image.phantom.verdict import phantom_verdict
from qc.image.phantom.water import TITLES

__all__ = [
    "KINDS",
    "TITLES",
    "PhantomResult",
    "PhantomValue",
    "analyse_phantom",
    "phantom_verdict",
    "recognise",
    "recognise_stack",
]
