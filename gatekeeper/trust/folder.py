"""Trusted files in a folder on disk: the work tree of a developer, or a folder that the platform mounted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gatekeeper.errors import ConfigurationError
from gatekeeper.trust import MAX_TRUSTED_BYTES, MAX_TRUSTED_FILES


@dataclass(frozen=True)
class Folder:
    """A folder outside the candidate's repository."""

    root: Path

    @property
    def name(self) -> str:
        """The folder's path."""
        return f"folder {self.root}"

    @property
    def relaxed(self) -> str:
        """A folder that the change cannot reach is not doubted."""
        return ""

    def read(self, path: str) -> bytes | None:
        """Read one file; see `TrustedFiles.read`."""
        target = self.root / path
        if not target.exists():
            return None
        return self._read(target)

    def list(self, folder: str) -> dict[str, bytes] | None:
        """Read every file below a folder; see `TrustedFiles.list`."""
        top = self.root / folder
        if not top.is_dir():
            return None
        paths = [path for path in sorted(top.rglob("*")) if not path.is_dir() or path.is_symlink()]
        if len(paths) > MAX_TRUSTED_FILES:
            raise ConfigurationError(str(top), f"holds more than {MAX_TRUSTED_FILES} files")
        return {path.relative_to(top).as_posix(): self._read(path) for path in paths}

    def _read(self, path: Path) -> bytes:
        if not path.resolve().is_relative_to(self.root.resolve()) or not path.is_file():
            raise ConfigurationError(
                str(path), "is not a regular file of its folder", hint="links out are not followed"
            )
        try:
            with path.open("rb") as file:
                data = file.read(MAX_TRUSTED_BYTES + 1)
        except OSError as error:
            raise ConfigurationError(str(path), f"cannot be read: {error.strerror}") from error
        if len(data) > MAX_TRUSTED_BYTES:
            raise ConfigurationError(str(path), f"larger than {MAX_TRUSTED_BYTES} bytes")
        return data


@dataclass(frozen=True)
class WorkTree(Folder):
    """The repository as it is checked out, which the change under review may have edited."""

    flagged: bool = False
    """It was asked for in CI, with a flag."""

    @property
    def name(self) -> str:
        """What the report calls it."""
        return "work tree"

    @property
    def relaxed(self) -> str:
        """Why a reader should doubt it."""
        flag = " (--trust-work-tree)" if self.flagged else ""
        return f"settings, policies and waivers were read from the work tree, which the change may have edited{flag}"
