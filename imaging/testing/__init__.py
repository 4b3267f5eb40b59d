"""What tests, demonstrations and other people's projects need besides: a digital patient, and strategies for values."""

__all__: list[str] = []
