"""Quality: measured verdicts with an action for a person. Images are in `qc.image`."""

__all__: list[str] = []
