"""What treatment planning systems accept: one TOML file each, and the validator that holds an object against it."""

from contouring.profiles.load import Profile, Rule, load_profile, profile_names

__all__ = ["Profile", "Rule", "load_profile", "profile_names"]
