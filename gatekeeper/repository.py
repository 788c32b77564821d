"""The candidate's git repository, read from the object database and never from the work tree."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatekeeper.errors import EvidenceError

if TYPE_CHECKING:
    from git import Commit, Repo

MAX_VERSIONS = 200
"""Commits that may have changed one file, and files that may mention one name, before an answer is refused."""


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
        repository = self._open()
        from git.exc import GitError, ODBError

        if ref and not ref.startswith("-"):
            try:
                commit = repository.commit(ref)
                _ = commit.tree  # a full id is taken on trust until something of the commit is read
                self._refuse_ambiguous(repository, ref)
                return commit
            except (ODBError, GitError, ValueError, IndexError, NotImplementedError, OSError) as error:
                problem = error
        raise EvidenceError(
            "unverifiable",
            f"git ref {ref!r}",
            "is not in this clone",
            hint="fetch it first (in CI: a checkout with fetch-depth 0), or mend evidence.base_ref",
        ) from problem

    def _refuse_ambiguous(self, repository: Repo, ref: str) -> None:
        """Refuse a name of several commits: a pushed tag `origin/main` would stand before the branch of that name."""
        from git.exc import ODBError

        found = set()
        for folder in ("tags", "heads", "remotes"):
            with contextlib.suppress(ODBError, ValueError, IndexError):
                found.add(repository.commit(f"refs/{folder}/{ref}").hexsha)
        if len(found) > 1:
            raise EvidenceError(
                "unverifiable",
                f"git ref {ref!r}",
                f"names {len(found)} different commits as tag, branch and remote branch",
                hint=f"write it in full, such as refs/remotes/{ref}",
            )

    def head(self) -> str:
        """The commit that is checked out, in hex."""
        return self.resolve("HEAD").hexsha

    def has_commit(self, sha: str) -> bool:
        """
        Say whether a full commit id (40 or 64 hex digits) is in this clone and is an ancestor of HEAD.

        Raises `EvidenceError` when the clone is shallow and its part of the history does not hold the commit.
        """
        if len(sha) not in (40, 64) or not all(char in "0123456789abcdef" for char in sha):
            return False
        try:
            commit = self.resolve(sha)
        except EvidenceError:
            self._refuse_shallow(f"commit {sha}")
            return False
        from git.exc import GitError

        try:
            found = self._open().is_ancestor(commit, self.resolve("HEAD"))
        except GitError as error:
            raise EvidenceError(
                "unverifiable",
                f"commit {sha}",
                "git could not compare it with HEAD",
                hint="check out with fetch-depth 0",
            ) from error
        if not found:
            self._refuse_shallow(f"commit {sha}")
        return bool(found)

    def _refuse_shallow(self, subject: str) -> None:
        """Refuse an answer that rests on history which a shallow clone does not have."""
        from git.exc import GitError

        try:
            shallow = self._open().git.rev_parse("--is-shallow-repository") != "false"
        except GitError as error:
            raise EvidenceError("unverifiable", subject, f"git could not look: {_last_line(error)}") from error
        if shallow:
            raise EvidenceError(
                "unverifiable", subject, "the clone is shallow, its history is cut", hint="check out with fetch-depth 0"
            )

    def read_at(self, ref: str, path: Path) -> bytes | None:
        """
        Read a file as it is at a ref; None when the commit does not have it.

        `path` is absolute, below the root. Symbolic links and submodules at the ref are refused.
        """
        commit, relative = self.resolve(ref), path.relative_to(self.root).as_posix()
        from git.exc import GitError, ODBError

        try:
            entry = commit.tree / relative
            if entry.type == "blob" and entry.mode != 0o120000:
                data: bytes = entry.data_stream.read()
                return data
        except KeyError:
            return None
        except (ODBError, GitError, ValueError, OSError) as error:
            raise EvidenceError("unverifiable", f"git:{ref}:{relative}", f"git could not read it: {error}") from error
        raise EvidenceError("unverifiable", f"git:{ref}:{relative}", "is not a regular file at that ref")

    def history(self, ref: str, path: Path) -> list[tuple[str, bytes]]:
        """
        List the versions of a file in the commits reachable from a ref, newest first, equal contents once.

        Commits in which the file is absent are left out; renames are not followed. Raises `EvidenceError` when
        the clone is shallow, or when more than `MAX_VERSIONS` commits touched the file.
        """
        import git

        commit, relative = self.resolve(ref), path.relative_to(self.root).as_posix()
        subject = f"git:{ref}:{relative}"
        try:
            self._refuse_shallow(subject)
            found = list(
                self._open().iter_commits(
                    commit, paths=[f":(literal){relative}"], full_history=True, max_count=MAX_VERSIONS + 1
                )
            )
        except (git.GitError, ValueError, OSError) as error:
            raise EvidenceError("unverifiable", subject, "git could not list its history") from error
        if len(found) > MAX_VERSIONS:
            raise EvidenceError("unverifiable", subject, f"more than {MAX_VERSIONS} commits changed it")
        contents: dict[bytes, str] = {}
        for each in found:
            data = self.read_at(each.hexsha, path)
            if data is not None:
                contents.setdefault(data, each.hexsha)
        return [(sha, data) for data, sha in contents.items()]

    def paths_mentioning(self, ref: str, texts: list[str], *, limit: int = MAX_VERSIONS) -> list[Path]:
        """
        Find the text files of a ref that contain every one of some texts; absolute paths, below the root.

        Raises `EvidenceError` when more than `limit` do.
        """
        import git

        sha = self.resolve(ref).hexsha
        patterns = [part for text in texts for part in ("-e", text)]
        try:
            output = self._open().git.grep("-I", "-l", "-z", "-F", "--full-name", "--all-match", *patterns, sha)
        except git.GitCommandError as error:
            if error.status == 1:
                return []
            raise EvidenceError("unverifiable", f"git ref {ref!r}", "git could not search it") from error
        names = [name.removeprefix(f"{sha}:") for name in str(output).split("\0") if name]
        if len(names) > limit:
            raise EvidenceError("unverifiable", f"git ref {ref!r}", f"more than {limit} files mention {texts}")
        return [self.root / name for name in names]


def _last_line(error: Exception) -> str:
    """What git said, without the command that was run."""
    return str(error).strip().splitlines()[-1].strip()
