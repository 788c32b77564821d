"""A real OPA with a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from trust.bundle_making import Opa


@pytest.fixture
def real(opa: str, tmp_path: Path) -> Opa:
    """A real OPA that works in a folder of its own."""
    folder = tmp_path / "opa"
    folder.mkdir()
    return Opa(opa, folder)
