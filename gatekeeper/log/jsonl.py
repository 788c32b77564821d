"""A decision log in one JSONL file: appended under a lock, fsynced, and never left with half a record."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gatekeeper.document import dump_json
from gatekeeper.errors import UnavailableError

LOCK_SECONDS = 30.0
"""How long another process may hold the log before the decision counts as not recorded."""

_POLL_SECONDS = 0.01

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
"""A symbolic link in the log's place could come with the change under review."""


def append(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Append records; see `append_lines`."""
    append_lines(path, [dump_json(record) for record in records])


def append_lines(path: Path, lines: Sequence[bytes]) -> None:
    """
    Append records that are JSON already, one line each, and return when they are on the disk.

    Several processes may append at once. A write that fails halfway is taken back.
    Raises `UnavailableError` when the file cannot be written, locked or synced.
    """
    data = b"".join(line + b"\n" for line in lines)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        created = not path.exists()
        descriptor = os.open(path, _FLAGS, 0o644)
        try:
            with _locked(descriptor):
                _write(descriptor, data)
        finally:
            os.close(descriptor)
        if created:
            _sync_folder(path.parent)
    except OSError as error:
        raise UnavailableError(
            f"decision log {path}",
            f"cannot be written: {error.strerror or error}",
            hint="a decision that is not recorded does not count; mend log.path in the settings or free the disk",
        ) from error


def _write(descriptor: int, data: bytes) -> None:
    before = os.fstat(descriptor).st_size
    if before and os.pread(descriptor, 1, before - 1) != b"\n":
        data = b"\n" + data  # an earlier writer died halfway: its fragment keeps a line of its own
    try:
        written = 0
        while written < len(data):
            written += os.write(descriptor, data[written:])
        os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, before)
        raise


@contextlib.contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # Windows: a single append is the best there is
        yield
        return
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(PermissionError):  # Windows cannot open folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
