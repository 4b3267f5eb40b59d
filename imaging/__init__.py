"""Images, their geometry and their origin: the ground floor that every other package stands on."""

__all__: list[str] = []
