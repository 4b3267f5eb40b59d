"""Training of the bundles that ship: data, sampling and the loop. Nothing here is imported when a bundle runs."""

__all__: list[str] = []
