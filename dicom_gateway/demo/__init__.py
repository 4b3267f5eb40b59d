"""The demonstration: the real service on this machine, a digital phantom sent through it, and the truth beside it."""

__all__: list[str] = []
