"""Labels of the phantom's truth: one number per voxel, from which the regions with TG-263 names follow."""

from enum import IntEnum

__all__ = ["REGIONS", "Label"]


class Label(IntEnum):
    """What a voxel belongs to, exclusively; structures that contain others are joined in `REGIONS`."""

    OUTSIDE = 0
    OTHER = 1
    LUNG_L = 2
    LUNG_R = 3
    TRACHEA = 4
    BONE = 5
    MANDIBLE = 6
    CORD = 7
    BRAINSTEM = 8
    PAROTID_L = 9
    PAROTID_R = 10
    LARYNX = 11
    ESOPHAGUS = 12
    CANAL = 13


REGIONS: dict[str, tuple[Label, ...]] = {
    "Body": tuple(label for label in Label if label),
    "Lung_L": (Label.LUNG_L,),
    "Lung_R": (Label.LUNG_R,),
    "Trachea": (Label.TRACHEA,),
    "Bone": (Label.BONE, Label.MANDIBLE),
    "SpinalCanal": (Label.CANAL, Label.CORD),
    "SpinalCord": (Label.CORD,),
    "Brainstem": (Label.BRAINSTEM,),
    "Parotid_L": (Label.PAROTID_L,),
    "Parotid_R": (Label.PAROTID_R,),
    "Bone_Mandible": (Label.MANDIBLE,),
    "Larynx": (Label.LARYNX,),
    "Esophagus": (Label.ESOPHAGUS,),
}
"""TG-263 name of each region and the labels it is made of. Trachea is the lumen, with that of the main bronchi."""
