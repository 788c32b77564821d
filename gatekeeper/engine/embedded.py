"""
The embedded engine: regorus in a worker process that is killed when it takes too long or too much.

Its death, a panic or a timeout is an engine error, never a pass; the next evaluation gets a new worker. Nothing
but the standard library is imported here, so that `start_early` costs little.
"""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatekeeper.engine import Answer
from gatekeeper.engine.process import WorkerProcess
from gatekeeper.errors import ConfigurationError, Location, UnavailableError

if TYPE_CHECKING:
    from gatekeeper.decision import EngineReference
    from gatekeeper.policy import PolicySet
    from gatekeeper.settings import EngineSettings

_DISTRIBUTION = "gordon-to-regorus"
_SUBJECT = "engine embedded"
_PLACE = re.compile(r"--> (?P<path>.+):(?P<line>\d+):(?P<column>\d+)\n")
_DEATHS = {
    -6: "it ran out of memory or failed within itself",
    -9: "it was killed",
    -11: "its stack overflowed: rules refer to one another too deeply",
    1: "it ran out of memory or failed within itself",
}
_GRACE_SECONDS = 0.5
_early: list[WorkerProcess] = []


def start_early() -> None:
    """Start a worker before the heavy imports of a run, so that it is ready when they are done."""
    folder = _regorus_folder()
    if folder is not None:
        _early.append(WorkerProcess(str(folder)))


def discard_early() -> None:
    """Stop a worker that was started early and not used."""
    while _early:
        _early.pop().kill()


def _regorus_folder() -> Path | None:
    """Find the folder that holds the package `regorus`; None where it has no wheel."""
    spec = importlib.util.find_spec("regorus")
    return Path(spec.origin).parent.parent if spec is not None and spec.origin else None


class EmbeddedEngine:
    """regorus behind `gatekeeper.engine.Engine`."""

    def __init__(self, settings: EngineSettings) -> None:
        folder = _regorus_folder()
        if folder is None:
            raise UnavailableError(
                _SUBJECT,
                f"the package {_DISTRIBUTION} is not installed; it has no wheel for some platforms",
                hint="set `engine: opa` in gatekeeper.yaml and install the opa binary",
            )
        self._folder = folder
        self._settings = settings
        self._policies = b""
        self._worker: WorkerProcess | None = None

    def load(self, policies: PolicySet) -> None:
        """Compile the policies in a worker and check them meanwhile; see `Engine.load`."""
        from gatekeeper.engine.portable import bind_all_heads, check_outlines
        from gatekeeper.engine.rego import read_outline
        from gatekeeper.engine.values import refuse_inexact_data

        self.close()
        refuse_inexact_data(policies)
        outlines = [read_outline(module) for module in policies.modules]
        modules = list(bind_all_heads(outlines).items())
        self._policies = json.dumps({"modules": modules, "data": policies.data}).encode()
        try:
            worker = self._start()
            check_outlines(outlines)
            self._finish_start(worker)
        except BaseException:
            self.close()
            raise

    def evaluate(self, package: str, document: bytes) -> Answer:
        """Evaluate one gate; see `Engine.evaluate`."""
        from gatekeeper.engine.values import refuse_inexact, settle

        refuse_inexact(document, _SUBJECT)
        if self._worker is None:
            self._finish_start(self._start())
        head, body = self._ask({"op": "evaluate", "package": package}, document)
        if "error" in head:
            problem, place = _explain(head["error"])
            raise UnavailableError(
                _SUBJECT, problem, hint="a builtin failed; a policy checks types before it calls", location=place
            )
        return Answer(settle(json.loads(body)), head["seconds"])

    def reference(self) -> EngineReference:
        """Name and version of the wheel."""
        from gatekeeper.decision import EngineReference

        return EngineReference(name="embedded", version=f"{_DISTRIBUTION} {self._version()}")

    def close(self) -> None:
        """Kill the worker and forget the policies."""
        self._policies = b""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()

    def _version(self) -> str:
        """Read the version off the wheel's metadata folder; `importlib.metadata` takes 15 ms for that."""
        name = _DISTRIBUTION.replace("-", "_")
        found = [path.name.removeprefix(f"{name}-") for path in self._folder.glob(f"{name}-*.dist-info")]
        return found[0].removesuffix(".dist-info") if len(found) == 1 else "of unknown version"

    def _start(self) -> WorkerProcess:
        """Start a worker and send it the policies."""
        if not self._policies:
            raise UnavailableError(_SUBJECT, "no policies were loaded")
        worker = self._worker = _early.pop() if _early else WorkerProcess(str(self._folder))
        limits = {"memory_bytes": self._settings.memory_bytes, "timeout_seconds": self._settings.timeout_seconds}
        self._send(worker, {"op": "load"} | limits, self._policies)
        return worker

    def _finish_start(self, worker: WorkerProcess) -> None:
        head, _ = self._receive(worker)
        if "error" in head:
            problem, place = _explain(head["error"])
            self.close()
            raise ConfigurationError("policies", problem, hint="run `opa check --strict` on them", location=place)

    def _ask(self, head: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        worker = self._worker
        if worker is None:
            raise UnavailableError(_SUBJECT, "the worker is not running")
        self._send(worker, head, payload)
        return self._receive(worker)

    def _send(self, worker: WorkerProcess, head: dict[str, Any], payload: bytes) -> None:
        try:
            worker.send(head, payload, seconds=self._settings.timeout_seconds)
        except OSError as error:
            raise self._death(worker) from error

    def _receive(self, worker: WorkerProcess) -> tuple[dict[str, Any], bytes]:
        try:
            return worker.receive()
        except (OSError, EOFError, ValueError) as error:
            raise self._death(worker) from error

    def _death(self, worker: WorkerProcess) -> UnavailableError:
        self._worker = None
        status = worker.kill(grace_seconds=0.0 if worker.expired else _GRACE_SECONDS)
        if worker.expired:
            return UnavailableError(
                _SUBJECT,
                f"no answer within {self._settings.timeout_seconds:g} s; the worker was killed",
                hint="simplify the policy, or raise engine.timeout_seconds in gatekeeper.yaml",
            )
        return UnavailableError(
            _SUBJECT,
            f"the worker died: {_DEATHS.get(status, 'it failed within itself')} (status {status})",
            hint="simplify the policy, or raise engine.memory_bytes in gatekeeper.yaml",
        )


def _explain(message: str) -> tuple[str, Location | None]:
    """Take an error of regorus apart: what is wrong, and where."""
    match = _PLACE.search(message)
    problem = message.rpartition("error: ")[2].strip().split("\n")[0] or "it gave no reason"
    if match is None:
        return problem, None
    return problem, Location(match["path"], int(match["line"]), int(match["column"]))
