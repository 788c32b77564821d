"""A worker process: started, asked, and killed when it takes too long; see `gatekeeper.engine.worker`."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

_WORKER = Path(__file__).with_name("worker.py")
_POLL_SECONDS = 0.02
_ARENA_KIBIBYTES = 32 * 1024
"""regorus's allocator reserves memory in steps of this; its own 1 GiB would be all that the worker may have."""

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Size of what a worker may answer; a gate's findings are a few kilobytes."""


class WorkerProcess:
    """
    One worker; used from one thread.

    Time is kept by a thread that looks at a clock and kills. That costs an exchange nothing, works on every
    system, and ends a write to a worker that does not read as well as a read from one that does not write.
    """

    def __init__(self, folder: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_WORKER), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"MIMALLOC_ARENA_RESERVE": str(_ARENA_KIBIBYTES)},
            start_new_session=True,
        )
        self._deadline = 0.0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._watch: threading.Thread | None = None
        self.expired = False

    def send(self, head: dict[str, Any], payload: bytes, *, seconds: float) -> None:
        """Send a request; the answer must be read within the seconds, or the worker is killed."""
        if self._watch is None:
            self._watch = threading.Thread(target=self._keep_time, daemon=True)
            self._watch.start()
        with self._lock:
            self._deadline = time.monotonic() + seconds
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(head | {"bytes": len(payload)}).encode() + b"\n" + payload)
        self._process.stdin.flush()

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """Read the answer; raises `OSError`, `EOFError` or `ValueError` when the worker is dead or mad."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline(MAX_ANSWER_BYTES)
        head: dict[str, Any] = json.loads(line) if line else {}
        size = head.get("bytes", -1)
        body = self._process.stdout.read(size) if 0 <= size <= MAX_ANSWER_BYTES else b""
        with self._lock:
            self._deadline = 0.0
        if self.expired or len(body) != size:
            raise EOFError("no whole answer")
        return head, body

    def kill(self, *, grace_seconds: float = 0.0) -> int:
        """
        Kill the worker, if it lives, and return how it ended: an exit status, or a signal as a negative number.

        A worker that closed its channel is given the grace to end by itself, so that the status is its own.
        """
        self._stopped.set()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_seconds)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        status = self._process.wait()
        if self._watch is not None:
            self._watch.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        return status

    def _keep_time(self) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            with self._lock:
                if self._deadline and time.monotonic() > self._deadline:
                    self.expired = True
                    self._process.kill()
                    return
