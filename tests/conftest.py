"""Fixtures that all tests share: a pinned clock, a workspace, real tools, golden files."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
SHARED = PROJECT.parent / "shared"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare text with a golden file of tests/golden, or rewrite it with --update-golden."""

    def compare(name: str, text: str) -> None:
        path = PROJECT / "tests" / "golden" / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        assert path.read_text("utf-8") == text

    return compare


def find_tool(name: str) -> str:
    """Find a real tool that `make tools` built; skip without Go, fail when Go is there and the tool is not."""
    local = PROJECT / ".tools" / "bin" / name
    if local.is_file():
        return str(local)
    if shutil.which("go") is None:
        pytest.skip(f"{name} is not built, and there is no Go toolchain to build it with (make tools)")
    pytest.fail(f"{name} is not built although Go is here: run `make tools`")


@pytest.fixture(scope="session")
def opa() -> str:
    """Path of the real opa binary."""
    return find_tool("opa")


@pytest.fixture(scope="session")
def corpus() -> Path:
    """Folder of real evidence files, or skip."""
    folder = SHARED / "corpus"
    if not folder.is_dir():
        pytest.skip("../shared/corpus is not here")
    return folder


@pytest.fixture
def git_repository(tmp_path: Path) -> Callable[..., Path]:
    """Make real git repositories: `git_repository({"path": "text"}, …)` is one commit for each mapping, on main."""

    def make(*commits: dict[str, str | bytes], name: str = "repo") -> Path:
        root = tmp_path / name
        root.mkdir()
        git(root, "init", "-q", "-b", "main")
        for number, files in enumerate(commits):
            for path, content in files.items():
                target = root / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content if isinstance(content, bytes) else content.encode())
            git(root, "add", "-A")
            git(root, "commit", "-q", "-m", f"commit {number}")
        return root

    return make


def git(root: Path, *arguments: str) -> str:
    """Run real git with an identity and a date that never change."""
    environment = os.environ | {
        "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
        "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org",
        "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull,
    }  # fmt: skip
    done = subprocess.run(
        ["git", *arguments], cwd=root, env=environment, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()
