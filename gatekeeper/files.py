"""Reading the candidate's files: inside the repository only, bounded, and with the digest of every byte."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from gatekeeper.errors import EvidenceError

MAX_DOCUMENT_BYTES = 32 * 1024 * 1024
"""Size of a file that is parsed whole (JSON, YAML, NDJSON)."""

MAX_DATA_BYTES = 4 * 1024 * 1024 * 1024
"""Size of a file that is streamed (data, stores, model artefacts)."""

_BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class ReadSource:
    """One thing that was read: path or URL, SHA-256 in hex, size in bytes."""

    path: str
    sha256: str
    size_bytes: int


@dataclass
class Workspace:
    """
    The repository of the candidate, read through one door.

    `root` is the folder that no path may leave; `base` is the folder of the manifest, to which paths are
    relative. Every successful read is kept in `sources`, in the order of reading.
    """

    root: Path
    base: Path
    max_document_bytes: int = MAX_DOCUMENT_BYTES
    sources: list[ReadSource] = field(default_factory=list)

    def locate(self, relative: str) -> Path:
        """Resolve a path of the manifest; raises `EvidenceError` when it leaves the root or is absent."""
        if not relative or "\0" in relative or os.path.isabs(relative) or "\\" in relative:
            raise EvidenceError(
                "unverifiable",
                relative or "(empty path)",
                "not a relative path with forward slashes",
                hint="write the path relative to the manifest",
            )
        root = self.root.resolve()
        try:
            path = (self.base / relative).resolve(strict=True)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self._missing(relative, root) from error
        except (OSError, RuntimeError, UnicodeError) as error:
            raise EvidenceError("unverifiable", relative, f"cannot be resolved: {error}") from error
        if not path.is_relative_to(root):
            raise _outside(relative)
        return path

    def _missing(self, relative: str, root: Path) -> EvidenceError:
        if not Path(os.path.abspath(self.base.resolve() / relative)).is_relative_to(root):
            return _outside(relative)
        return EvidenceError(
            "missing", relative, "no such file", hint="make it with the tool named in the manifest, or mend the path"
        )

    def read(self, relative: str) -> bytes:
        """Read a whole document, at most `max_document_bytes`."""
        with self.open(relative, max_bytes=self.max_document_bytes) as file:
            data = _read_block(file, relative, self.max_document_bytes + 1)
        if len(data) > self.max_document_bytes:
            raise _too_large(relative, len(data), self.max_document_bytes)
        self.sources.append(ReadSource(relative, hashlib.sha256(data).hexdigest(), len(data)))
        return data

    def open(self, relative: str, *, max_bytes: int = MAX_DATA_BYTES) -> BinaryIO:
        """Open a regular file for streaming; the caller records the digest (see `record`)."""
        path = self.locate(relative)
        try:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            raise EvidenceError("unverifiable", relative, f"cannot be read: {error.strerror}") from error
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise EvidenceError("unverifiable", relative, "not a regular file")
        if status.st_size > max_bytes:
            os.close(descriptor)
            raise _too_large(relative, status.st_size, max_bytes)
        return os.fdopen(descriptor, "rb")

    def record(self, relative: str) -> ReadSource:
        """Digest a file in blocks and keep it as a source."""
        digest, size = hashlib.sha256(), 0
        with self.open(relative) as file:
            while block := _read_block(file, relative, _BLOCK_BYTES):
                digest.update(block)
                size += len(block)
        source = ReadSource(relative, digest.hexdigest(), size)
        self.sources.append(source)
        return source

    def record_bytes(self, name: str, data: bytes) -> None:
        """Keep bytes that came from elsewhere (a git object, a server's response) as a source."""
        self.sources.append(ReadSource(name, hashlib.sha256(data).hexdigest(), len(data)))


def find_root(start: Path) -> Path:
    """Find the git work tree around a folder; without one the folder itself is the root."""
    start = start.resolve()
    return next((folder for folder in (start, *start.parents) if (folder / ".git").exists()), start)


def _read_block(file: BinaryIO, relative: str, size_bytes: int) -> bytes:
    """Read; a failing disk or file server is a gap."""
    try:
        return file.read(size_bytes)
    except OSError as error:
        raise EvidenceError("unverifiable", relative, f"cannot be read: {error.strerror}") from error


def _outside(relative: str) -> EvidenceError:
    return EvidenceError(
        "unverifiable",
        relative,
        "the path leaves the repository",
        hint="evidence lies inside the repository; symbolic links out of it are not followed",
    )


def _too_large(relative: str, size: int, limit: int) -> EvidenceError:
    return EvidenceError(
        "unverifiable",
        relative,
        f"{size} bytes, at most {limit} are read",
        hint="point at the report, not at the raw data; or raise evidence.max_document_bytes in the settings",
    )
