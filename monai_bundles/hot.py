"""Networks kept in memory between runs, the last used ones, within a limit on the bytes of their weights."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["HOT_LIMIT_BYTES", "HotModels"]

Parts = TypeVar("Parts")

HOT_LIMIT_BYTES = 2 << 30
"""Weights of about ten large networks; activations come on top while one runs."""


class HotModels(Generic[Parts]):
    """A cache by key that drops what was used longest ago when the rest no longer fits.

    Parameters
    ----------
    size_bytes
        Size of a value.
    limit_bytes
        Of all values together; the one in use stays whatever its size.
    """

    def __init__(self, size_bytes: Callable[[Parts], int], limit_bytes: int = HOT_LIMIT_BYTES) -> None:
        self._size_bytes = size_bytes
        self.limit_bytes = limit_bytes
        self._kept: OrderedDict[tuple[str, ...], tuple[Parts, int]] = OrderedDict()

    def get(self, key: tuple[str, ...], make: Callable[[], Parts]) -> Parts:
        """The value of a key, made if it is not there."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key][0]
        parts = make()
        self._kept[key] = (parts, self._size_bytes(parts))
        while self.held_bytes > self.limit_bytes and len(self._kept) > 1:
            self._kept.popitem(last=False)
        return parts

    @property
    def held_bytes(self) -> int:
        """Bytes of everything that is kept."""
        return sum(size for _, size in self._kept.values())

    def __len__(self) -> int:
        return len(self._kept)

    def clear(self) -> None:
        """Forget everything."""
        self._kept.clear()
