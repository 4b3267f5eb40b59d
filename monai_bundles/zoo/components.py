"""Keeps the largest component of each label, as MONAI's transform of that name does, without scikit-image."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["KeepLargest"]


class KeepLargest(MapTransform):
    """For label maps (1, ...) or one channel a label (C, ...).

    Parameters
    ----------
    keys
        Entries of the dictionary.
    applied_labels
        Labels that it is applied to; None takes all but 0.
    is_onehot
        Whether each channel is a label; None: where there are several.
    independent
        Whether each label has a component of its own; else their union has one.
    connectivity
        Steps to a neighbour; None takes diagonal ones too.
    num_components
        How many components stay.
    """

    def __init__(
        self,
        keys: str | Sequence[str],
        applied_labels: int | Sequence[int] | None = None,
        is_onehot: bool | None = None,
        independent: bool = True,
        connectivity: int | None = None,
        num_components: int = 1,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self._labels = [applied_labels] if isinstance(applied_labels, int) else applied_labels
        self._is_onehot = is_onehot
        self._independent = independent
        self._connectivity = connectivity
        self._count = num_components

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The dictionary with everything but the largest components set to 0."""
        result = dict(data)
        for key in self.key_iterator(result):
            values = result[key]
            array = np.array(values.cpu())
            one_hot = len(array) > 1 if self._is_onehot is None else self._is_onehot
            kept = self._one_hot(array) if one_hot else self._label_map(array)
            tensor = torch.from_numpy(kept)
            result[key] = MetaTensor(tensor, meta=values.meta) if isinstance(values, MetaTensor) else tensor
            if isinstance(values, MetaTensor):
                result[key].applied_operations = values.applied_operations
        return result

    def _label_map(self, array: NDArray[Any]) -> NDArray[Any]:
        labels = self._labels if self._labels is not None else [int(v) for v in np.unique(array) if v != 0]
        groups = [[label] for label in labels] if self._independent else [list(labels)]
        for group in groups:
            mask = np.isin(array[0], group)
            array[0][mask & ~self._largest(mask)] = 0
        return array

    def _one_hot(self, array: NDArray[Any]) -> NDArray[Any]:
        labels = self._labels if self._labels is not None else range(len(array))
        groups = [[label] for label in labels] if self._independent else [list(labels)]
        for group in groups:
            mask = np.asarray((array[group] > 0).any(axis=0), dtype=np.bool_)
            drop = mask & ~self._largest(mask)
            for label in group:
                array[label][drop] = 0
        return array

    def _largest(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        steps = ndimage.generate_binary_structure(mask.ndim, self._connectivity or mask.ndim)
        labels, count = ndimage.label(mask, steps)
        if count <= self._count:
            return mask
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        kept: NDArray[np.bool_] = np.isin(labels, np.argsort(-sizes, kind="stable")[: self._count])
        return kept
