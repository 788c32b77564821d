"""
Build the git repository of an example, with the same commit ids on every machine.

    python examples/demo_repository.py tumour-classifier build/demo/tumour-classifier

Branch `main` holds what is in force: the code that the lineage events name, the plan of the experiment, and the
contract (from `base/` where the candidate changes it). Branch `promote`, which is checked out, holds the candidate with its evidence.
Needs only Python's standard library and git.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent
MARKER = "gatekeeper-demo"
"""File inside `.git` that says that this repository was built here and may be built again."""

IN_FORCE = {
    "tumour-classifier": ("train.py", "serve.py", "experiment.yaml"),
    "clinical-features": ("prepare.py",),
}
"""Files of the first commit beside the contracts, by example."""

LEFT_OUT = ("produce.py", "promotion.template.yaml", "as_of.txt")
"""Files that make the example and are not part of it."""

_BINARY = (".db",)
_DATE_OF_MAIN = "2026-11-23T09:00:00+00:00"
_MESSAGES = {"main": "What is in force", "promote": "Ask for the promotion"}
_CONFIGURATION = (
    "core.autocrlf=false",
    "core.safecrlf=false",
    "core.fileMode=false",
    "core.symlinks=false",
    f"core.attributesFile={os.devnull}",
    f"core.excludesFile={os.devnull}",
    f"core.hooksPath={os.devnull}",
    "commit.gpgSign=false",
    "gc.auto=0",
    "i18n.commitEncoding=UTF-8",
)


def read_base(example: str) -> dict[str, bytes]:
    """Read the files of the first commit: code and plan, and contracts as they are in force."""
    folder = EXAMPLES / example
    in_force = folder / "base" if (folder / "base").is_dir() else folder
    contracts = sorted((in_force / "contracts").glob("*.yaml"))
    files = {name: folder / name for name in IN_FORCE[example]}
    files |= {path.relative_to(in_force).as_posix(): path for path in contracts}
    return {name: _read(path) for name, path in files.items()}


def read_head(example: str) -> dict[str, bytes]:
    """Read the files of the second commit: the candidate with its evidence."""
    folder = EXAMPLES / example
    paths = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        name.as_posix(): _read(path)
        for name, path in paths.items()
        if name.parts[0] not in ("base", *LEFT_OUT) and "__pycache__" not in name.parts
    }


def build(example: str, target: Path, *, with_head: bool = True) -> str:
    """
    Build the repository in `target` and return the id of the first commit.

    `with_head=False` stops after the first commit, for which the evidence need not exist yet. Raises
    `FileExistsError` when `target` holds anything that was not built here.
    """
    _clear(target)
    _git(target, "init", "--quiet", "--template=")
    (target / ".git" / MARKER).write_text(example + "\n", "utf-8")
    _git(target, "symbolic-ref", "HEAD", "refs/heads/main")
    _commit(target, "main", read_base(example))
    base = _git(target, "rev-parse", "HEAD")
    if with_head:
        _git(target, "checkout", "--quiet", "-b", "promote")
        made_at = (EXAMPLES / example / "as_of.txt").read_text("utf-8").strip()
        _commit(target, "promote", read_head(example), date=made_at)
    return base


def _read(path: Path) -> bytes:
    # A checkout may have turned line endings; the digests in the example are of those in the repository.
    data = path.read_bytes()
    return data if path.suffix in _BINARY else data.replace(b"\r\n", b"\n")


def _clear(target: Path) -> None:
    if target.is_dir() and any(target.iterdir()):
        if not (target / ".git" / MARKER).is_file():
            raise FileExistsError(f"{target} holds files that were not built here; name another folder")
        shutil.rmtree(target)
    target.mkdir(parents=True, exist_ok=True)


def _commit(target: Path, branch: str, files: dict[str, bytes], *, date: str = _DATE_OF_MAIN) -> None:
    for name, data in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(data)
    _git(target, "add", "--all", "--force")
    _git(target, "commit", "--quiet", "--no-verify", "--message", _MESSAGES[branch], date=date)


def _git(target: Path, *arguments: str, date: str = _DATE_OF_MAIN) -> str:
    # None of the caller's git variables, identities or settings may reach the commit.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_DEFAULT_HASH": "sha1",
        "GIT_AUTHOR_NAME": "Example",
        "GIT_AUTHOR_EMAIL": "example@example.org",
        "GIT_COMMITTER_NAME": "Example",
        "GIT_COMMITTER_EMAIL": "example@example.org",
        "GIT_AUTHOR_DATE": date,
        "GIT_COMMITTER_DATE": date,
        "LC_ALL": "C",
    }
    settings = [part for setting in _CONFIGURATION for part in ("-c", setting)]
    done = subprocess.run(
        ["git", *settings, *arguments], cwd=target, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def main() -> int:
    """Build one example's repository from the command line."""
    if len(sys.argv) != 3 or sys.argv[1] not in IN_FORCE:
        print(f"usage: demo_repository.py {{{','.join(IN_FORCE)}}} TARGET_DIR", file=sys.stderr)
        return 2
    print(build(sys.argv[1], Path(sys.argv[2])))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
