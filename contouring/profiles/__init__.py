"""What treatment planning systems accept: one TOML file each, and the validator that holds an object against it."""

from contouring.profiles.check import check_profile, findings_of
from contouring.profiles.finding import Finding
from contouring.profiles.load import Profile, Rule, load_profile, profile_names

__all__ = ["Finding", "Profile", "Rule", "check_profile", "findings_of", "load_profile", "profile_names"]
