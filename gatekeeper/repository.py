"""The candidate's git repository, read from the object database and never from the work tree."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatekeeper.errors import EvidenceError

if TYPE_CHECKING:
    from git import Commit, Repo


class Repository:
    """Read-only view of a repository; raises `EvidenceError` (unverifiable) where git cannot answer."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._repo: Repo | None = None

    def _open(self) -> Repo:
        if self._repo is None:
            os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
            import git

            try:
                self._repo = git.Repo(self.root, search_parent_directories=False)
            except git.GitError as error:
                raise EvidenceError(
                    "unverifiable", str(self.root.name), "not a git repository", hint="run in a clone of the repository"
                ) from error
        return self._repo

    def resolve(self, ref: str) -> Commit:
        """Resolve a ref to its commit; raises `EvidenceError` when the clone does not hold it."""
        problem: Any = None
        if ref and not ref.startswith("-"):
            try:
                return self._open().commit(ref)
            except (ValueError, IndexError, OSError) as error:
                problem = error
        raise EvidenceError(
            "unverifiable",
            f"git ref {ref!r}",
            "is not in this clone",
            hint="fetch it first (in CI: a checkout with fetch-depth 0), or mend evidence.base_ref",
        ) from problem

    def head(self) -> str:
        """The commit that is checked out, in hex."""
        return self.resolve("HEAD").hexsha

    def has_commit(self, sha: str) -> bool:
        """Say whether a full commit id (40 or 64 hex digits) is in this clone and is an ancestor of HEAD."""
        if len(sha) not in (40, 64) or not all(char in "0123456789abcdef" for char in sha):
            return False
        try:
            commit = self.resolve(sha)
        except EvidenceError:
            return False
        return bool(self._open().is_ancestor(commit, self.resolve("HEAD")))

    def read_at(self, ref: str, path: Path) -> bytes | None:
        """
        Read a file as it is at a ref; None when the commit does not have it.

        `path` is absolute, below the root. Symbolic links and submodules at the ref are refused.
        """
        commit = self.resolve(ref)
        try:
            entry = commit.tree / path.relative_to(self.root).as_posix()
        except KeyError:
            return None
        if entry.type != "blob" or entry.mode == 0o120000:
            raise EvidenceError("unverifiable", f"git:{ref}:{path.name}", "is not a regular file at that ref")
        data: bytes = entry.data_stream.read()
        return data
