"""The demo repositories have the same commits on every machine, and replace nothing that is not theirs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from examples_support import EXAMPLES, each_example, events, git, load, sqlite_rows


@pytest.fixture
def demo_repository() -> ModuleType:
    """The script that builds the demo repositories."""
    return load(EXAMPLES / "demo_repository.py")


class TestDemoRepository:
    @each_example
    def test_the_code_is_the_first_commit_of_the_demo_repository(
        self, name: str, demo_repository: ModuleType, tmp_path: Path
    ) -> None:
        """Every event names the commit that demo_repository.py builds, and the file in it."""
        commit = demo_repository.build(name, tmp_path / "demo")
        for event in events(name):
            code = event["job"]["facets"]["sourceCodeLocation"]
            assert code["version"] == commit
            assert git(tmp_path / "demo", "cat-file", "-t", f"{commit}:{code['path']}") == "blob"

    @each_example
    def test_has_the_same_commits_under_any_git_configuration(
        self, name: str, demo_repository: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The caller's identity, line endings, hooks and signing do not reach the commits."""
        demo_repository.build(name, tmp_path / "plain")
        settings = {"core.autocrlf": "true", "commit.gpgsign": "true", "init.defaultObjectFormat": "sha256"}
        (tmp_path / "config").write_text(
            "".join(f"[{k.split('.')[0]}]\n{k.split('.')[1]} = {v}\n" for k, v in settings.items())
        )
        for key, value in {
            "GIT_AUTHOR_NAME": "someone", "GIT_COMMITTER_DATE": "2001-01-01T00:00:00Z", "GIT_DIR": str(tmp_path),
            "GIT_CONFIG_GLOBAL": str(tmp_path / "config"), "GIT_DEFAULT_HASH": "sha256", "TZ": "Asia/Tokyo",
        }.items():  # fmt: skip
            monkeypatch.setenv(key, value)
        demo_repository.build(name, tmp_path / "odd")
        monkeypatch.undo()
        plain, odd = (git(tmp_path / each, "log", "--format=%H %an %ae %s") for each in ("plain", "odd"))
        assert plain == odd
        assert len(plain.splitlines()) == 2

    def test_does_not_depend_on_the_line_endings_of_the_checkout(
        self, demo_repository: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A checkout with CRLF gives the same commits as one with LF, and the same database."""
        shutil.copytree(EXAMPLES / "tumour-classifier", tmp_path / "tumour-classifier")
        for path in (tmp_path / "tumour-classifier").rglob("*.*"):
            if path.is_file() and path.suffix != ".db":
                path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        demo_repository.build("tumour-classifier", tmp_path / "lf")
        monkeypatch.setattr(demo_repository, "EXAMPLES", tmp_path)
        demo_repository.build("tumour-classifier", tmp_path / "crlf")
        assert git(tmp_path / "lf", "rev-parse", "HEAD") == git(tmp_path / "crlf", "rev-parse", "HEAD")
        assert sqlite_rows(tmp_path / "crlf" / "mlflow.db", "SELECT count(*) FROM runs") == [(2,)]

    def test_holds_what_is_in_force_on_main_and_the_candidate_on_promote(
        self, demo_repository: ModuleType, tmp_path: Path
    ) -> None:
        """main has the contract in force and no evidence; promote has the new contract and the evidence."""
        demo_repository.build("clinical-features", tmp_path / "demo")
        main = git(tmp_path / "demo", "ls-tree", "-r", "--name-only", "main").split()
        promote = git(tmp_path / "demo", "ls-tree", "-r", "--name-only", "promote").split()
        assert main == ["contracts/clinical-features.odcs.yaml", "prepare.py"]
        assert set(promote) > set(main) | {"promotion.yaml", "lineage/events.ndjson", "data/features.csv"}
        assert not {"produce.py", "as_of.txt"} & set(promote)
        assert not [path for path in promote if path.startswith("base/")]
        assert git(tmp_path / "demo", "branch", "--show-current") == "promote"
        assert git(tmp_path / "demo", "status", "--porcelain") == ""
        assert "mean_compactness" in git(tmp_path / "demo", "diff", "main", "promote", "--", "contracts")

    def test_is_built_again_in_its_own_folder_only(self, demo_repository: ModuleType, tmp_path: Path) -> None:
        """A second build replaces the first; a folder with anything else in it is left alone."""
        first = demo_repository.build("clinical-features", tmp_path / "demo")
        (tmp_path / "demo" / "stray.txt").write_text("x")
        assert demo_repository.build("clinical-features", tmp_path / "demo") == first
        assert not (tmp_path / "demo" / "stray.txt").exists()
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.txt").write_text("years of work")
        with pytest.raises(FileExistsError, match="not built here"):
            demo_repository.build("clinical-features", tmp_path / "mine")
        assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"

    def test_runs_from_the_command_line(self, tmp_path: Path) -> None:
        """The script prints the first commit's id; an unknown example is a usage error."""
        script = [sys.executable, "-B", str(EXAMPLES / "demo_repository.py")]
        environment = os.environ | {"PYTHONPATH": ""}
        good = subprocess.run(
            [*script, "clinical-features", str(tmp_path / "demo")],
            capture_output=True, text=True, env=environment, check=False, timeout=60,
        )  # fmt: skip
        assert good.returncode == 0
        assert good.stdout.strip() == git(tmp_path / "demo", "rev-parse", "main")
        bad = subprocess.run([*script, "nothing", str(tmp_path)], capture_output=True, check=False, timeout=60)
        assert bad.returncode == 2
