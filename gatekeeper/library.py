"""Where the policies lie: the folder that the settings name, or the library that ships with gatekeeper."""

from __future__ import annotations

from pathlib import Path

from gatekeeper.settings import Settings

_SHIPPED = Path(__file__).with_name("_policies")
LIBRARY = _SHIPPED if _SHIPPED.is_dir() else Path(__file__).parent.parent / "policies"
"""Inside the wheel, or beside the package in a checkout."""


def find_policies(settings: Settings) -> Path:
    """Return the folder of the policies in force."""
    return Path(settings.policies) if settings.policies is not None else LIBRARY
