"""A promotion that is allowed, as a real repository, and the command as its users run it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import PROJECT

EXAMPLES = PROJECT / "examples"


def load_builder() -> object:
    """The module that builds the demo's repositories."""
    spec = importlib.util.spec_from_file_location("demo_repository", EXAMPLES / "demo_repository.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Promotion:
    """An example's repository in a folder of its own."""

    root: Path
    as_of: str

    @property
    def manifest(self) -> Path:
        return self.root / "promotion.yaml"

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text that must be there."""
        path = self.root / name
        text = path.read_text("utf-8")
        assert old in text, f"{old!r} is not in {name}"
        path.write_text(text.replace(old, new), "utf-8")

    def run(
        self, *arguments: str, command: str = "check", clock: bool = True, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run the command in the repository as a process of its own."""
        when = ["--as-of", self.as_of, "--allow-past"] if clock else []
        return subprocess.run(
            [sys.executable, "-m", "gatekeeper", command, *arguments, *when],
            cwd=self.root, capture_output=True, text=True, timeout=timeout, env=environment(),
        )  # fmt: skip


def environment() -> dict[str, str]:
    """The environment without what colours or steers the output."""
    dropped = ("NO_COLOR", "FORCE_COLOR", "GITHUB_", "CI")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)} | {"COLUMNS": "100"}


@pytest.fixture(scope="session")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    builder = load_builder()
    for example in ("tumour-classifier", "clinical-features"):
        builder.build(example, folder / example)  # type: ignore[attr-defined]  # loaded from a file
    return folder


def _copy(built: Path, example: str, target: Path) -> Promotion:
    shutil.copytree(built / example, target, symlinks=True)
    shutil.copy(EXAMPLES / "gatekeeper.yaml", target / "gatekeeper.yaml")
    return Promotion(target, (EXAMPLES / example / "as_of.txt").read_text("utf-8").strip())


@pytest.fixture
def allowed(_built: Path, tmp_path: Path) -> Promotion:
    """The model example, which is allowed."""
    return _copy(_built, "tumour-classifier", tmp_path / "tumour-classifier")


@pytest.fixture
def denied(_built: Path, tmp_path: Path) -> Promotion:
    """The dataset example, which is denied."""
    return _copy(_built, "clinical-features", tmp_path / "clinical-features")
