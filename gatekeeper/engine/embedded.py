"""
The embedded engine: regorus in a worker process that is killed when it takes too long or too much.

Its death, a panic or a timeout is an engine error, never a pass; the next evaluation gets a new worker.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import selectors
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatekeeper.engine import Answer
from gatekeeper.errors import ConfigurationError, UnavailableError

if TYPE_CHECKING:
    from gatekeeper.decision import EngineReference
    from gatekeeper.policy import PolicySet
    from gatekeeper.settings import EngineSettings

_WORKER = Path(__file__).with_name("worker.py")
_DISTRIBUTION = "gordon-to-regorus"
_BLOCK_BYTES = 65536
_early: list[subprocess.Popen[bytes]] = []


def start_early() -> None:
    """Start a worker before the heavy imports of a run, so that it is ready when they are done."""
    if importlib.util.find_spec("regorus") is not None:
        _early.append(_start())


def discard_early() -> None:
    """Stop a worker that was started early and not used."""
    while _early:
        _stop(_early.pop())


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", str(_WORKER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


class EmbeddedEngine:
    """regorus behind `gatekeeper.engine.Engine`."""

    def __init__(self, settings: EngineSettings) -> None:
        if importlib.util.find_spec("regorus") is None:
            raise UnavailableError(
                "engine embedded",
                "the package gordon-to-regorus has no wheel for this platform",
                hint="set `engine: opa` in gatekeeper.yaml and install the opa binary",
            )
        self._timeout_seconds = settings.timeout_seconds
        self._memory_bytes = settings.memory_bytes
        self._policies: bytes | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def load(self, policies: PolicySet) -> None:
        """Compile the policies in a worker; see `Engine.load`."""
        modules = [[module.path, module.text] for module in policies.modules]
        self._policies = json.dumps({"modules": modules, "data": policies.data}).encode()
        self._ready()

    def evaluate(self, package: str, document: bytes) -> Answer:
        """Evaluate one gate; see `Engine.evaluate`."""
        self._ready()
        head, body = self._ask({"op": "evaluate", "package": package}, document)
        return Answer(json.loads(body), head["seconds"])

    def reference(self) -> EngineReference:
        """Name and version of the wheel."""
        from gatekeeper.decision import EngineReference

        return EngineReference(name="embedded", version=f"{_DISTRIBUTION} {metadata.version(_DISTRIBUTION)}")

    def close(self) -> None:
        """Kill the worker."""
        process, self._process = self._process, None
        if process is not None:
            _stop(process)

    def _ready(self) -> None:
        if self._process is not None:
            return
        if self._policies is None:
            raise UnavailableError("engine embedded", "no policies were loaded")
        self._process = _early.pop() if _early else _start()
        self._ask({"op": "limit", "memory_bytes": self._memory_bytes})
        self._ask({"op": "load"}, self._policies)

    def _ask(self, request: dict[str, Any], payload: bytes = b"") -> tuple[dict[str, Any], bytes]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise UnavailableError("engine embedded", "the worker is not running")
        frame = json.dumps(request | {"bytes": len(payload)}).encode() + b"\n" + payload
        try:
            head, body = _exchange(process, frame, time.monotonic() + self._timeout_seconds)
        except TimeoutError as error:
            self.close()
            raise UnavailableError(
                "engine embedded",
                f"no answer within {self._timeout_seconds:g} s; the worker was killed",
                hint="simplify the policy, or raise engine.timeout_seconds in gatekeeper.yaml",
            ) from error
        except (OSError, EOFError, ValueError) as error:
            self.close()
            raise UnavailableError(
                "engine embedded",
                f"the worker died (exit status {process.returncode})",
                hint="it may have run out of memory; see engine.memory_bytes in gatekeeper.yaml",
            ) from error
        if "error" in head:
            return self._refuse(head)
        return head, body

    def _refuse(self, head: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        if head["kind"] == "policy":
            self.close()
            raise ConfigurationError("policies", head["error"], hint="run `opa check --strict` on the policies")
        raise UnavailableError("engine embedded", head["error"], hint="evaluation stops at a failed builtin")


def _exchange(process: subprocess.Popen[bytes], frame: bytes, deadline: float) -> tuple[dict[str, Any], bytes]:
    """Send a frame and read its answer, both before the deadline (monotonic seconds)."""
    assert process.stdin is not None and process.stdout is not None
    reader, writer = process.stdout.fileno(), process.stdin.fileno()
    os.set_blocking(writer, False)
    received, sent, expected = bytearray(), 0, -1
    with selectors.DefaultSelector() as selector:
        selector.register(reader, selectors.EVENT_READ)
        selector.register(writer, selectors.EVENT_WRITE)
        while True:
            ready = selector.select(deadline - time.monotonic())
            if not ready or time.monotonic() > deadline:
                raise TimeoutError
            for key, _ in ready:
                if key.fd == writer:
                    sent += os.write(writer, frame[sent : sent + _BLOCK_BYTES])
                    if sent == len(frame):
                        selector.unregister(writer)
                    continue
                block = os.read(reader, _BLOCK_BYTES)
                if not block:
                    raise EOFError
                received += block
            line_end = received.find(b"\n")
            if expected < 0 <= line_end:
                expected = line_end + 1 + json.loads(received[:line_end])["bytes"]
            if 0 <= expected <= len(received):
                return json.loads(received[:line_end]), bytes(received[line_end + 1 : expected])
