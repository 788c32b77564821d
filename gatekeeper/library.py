"""Where the policy library lies that ships with gatekeeper."""

from __future__ import annotations

from pathlib import Path

_SHIPPED = Path(__file__).with_name("_policies")
LIBRARY = _SHIPPED if _SHIPPED.is_dir() else Path(__file__).parent.parent / "policies"
"""Inside the wheel, or beside the package in a checkout."""
