"""Digests of files."""

from __future__ import annotations

import hashlib
from pathlib import Path


def sha256_of(path: Path) -> str:
    """Digest a file as 64 lower-case hex digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
