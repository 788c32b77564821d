"""The commit that the lineage events name."""

from __future__ import annotations

import tempfile
from pathlib import Path

import demo_repository


def commit_of_code(example: str) -> str:
    """Build the example's first commit and return its id, which is the same on every machine."""
    with tempfile.TemporaryDirectory() as folder:
        return demo_repository.build(example, Path(folder), with_head=False)
