"""Reproduces every figure of a bundle's card: scores, intervals, worst cases and their pictures."""

__all__: list[str] = []
