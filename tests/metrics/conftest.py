"""Tools that only the tests of metrics need."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture(scope="session")
def promtool() -> str:
    """Path of Prometheus' own linter, or skip: it comes with the Debian package `prometheus`."""
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("promtool is not on PATH (Debian package prometheus)")
    return path
