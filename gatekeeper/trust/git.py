"""Trusted files at a git ref, read from the object database and never from the work tree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatekeeper.errors import ConfigurationError, EvidenceError
from gatekeeper.repository import Repository
from gatekeeper.trust import MAX_TRUSTED_BYTES, MAX_TRUSTED_FILES

if TYPE_CHECKING:
    from git.objects import Blob, Tree

_SYMLINK = 0o120000


@dataclass(frozen=True)
class GitRef:
    """The repository as it is at a ref."""

    root: Path
    ref: str

    @property
    def name(self) -> str:
        """The ref, and the commit that it names now."""
        return f"git {self.ref} ({self._tree()[1][:12]})"

    @property
    def relaxed(self) -> str:
        """What is merged is not doubted."""
        return ""

    def read(self, path: str) -> bytes | None:
        """Read one file at the ref; see `TrustedFiles.read`."""
        tree, _ = self._tree()
        try:
            entry = tree / path
        except KeyError:
            return None
        if entry.type != "blob":
            raise ConfigurationError(f"{self.ref}:{path}", "is not a regular file")
        return self._bytes(entry, path)

    def list(self, folder: str) -> dict[str, bytes] | None:
        """Read every file below a folder at the ref; see `TrustedFiles.list`."""
        tree, _ = self._tree()
        try:
            top = tree / folder if folder not in ("", ".") else tree
        except KeyError:
            return None
        if top.type != "tree":
            raise ConfigurationError(f"{self.ref}:{folder}", "is not a folder")
        entries: list[Any] = [each for each in top.traverse() if getattr(each, "type", "") != "tree"]
        if len(entries) > MAX_TRUSTED_FILES:
            raise ConfigurationError(f"{self.ref}:{folder}", f"holds more than {MAX_TRUSTED_FILES} files")
        prefix = f"{top.path}/" if top.path else ""
        found = {}
        for entry in entries:
            if entry.type != "blob":
                raise ConfigurationError(f"{self.ref}:{entry.path}", "is a submodule, a file was wanted")
            found[str(entry.path).removeprefix(prefix)] = self._bytes(entry, str(entry.path))
        return found

    def _tree(self) -> tuple[Tree, str]:
        try:
            commit = Repository(self.root).resolve(self.ref)
        except EvidenceError as error:
            raise ConfigurationError(
                f"git ref {self.ref!r}",
                "holds the trusted settings and policies, and is not in this clone",
                hint="fetch it (in CI: a checkout with fetch-depth 0), or name another with --policy-ref",
            ) from error
        return commit.tree, commit.hexsha

    def _bytes(self, entry: Blob, path: str) -> bytes:
        if entry.mode == _SYMLINK:
            raise ConfigurationError(f"{self.ref}:{path}", "is a symbolic link, a regular file was wanted")
        if entry.size > MAX_TRUSTED_BYTES:
            raise ConfigurationError(f"{self.ref}:{path}", f"larger than {MAX_TRUSTED_BYTES} bytes")
        data: bytes = entry.data_stream.read()
        return data
