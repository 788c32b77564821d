"""
A real OPA on this machine: started for one run, reachable by this run only, and stopped with it.

It listens on loopback and asks for a token that only this process knows: another user of the machine could
otherwise replace the policies while they decide.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from gatekeeper.errors import UnavailableError

AUTHORIZATION = "authorization.rego"
"""Id under which the server lists its own policy."""

_AUTHORIZATION_TEXT = """package system.authz

default allow := false

allow if input.identity == "{token}"
"""


def find_binary(configured: str | None) -> str:
    """Find the opa binary: the one of the settings, else `opa` on the path; raises `UnavailableError`."""
    found = shutil.which(configured or "opa")
    if found is None:
        raise UnavailableError(
            "engine opa",
            f"{configured} is not a program" if configured else "no opa binary is on the path",
            hint="install it (https://www.openpolicyagent.org/docs#running-opa), or set `engine: embedded`",
        )
    return str(Path(found).absolute())


class LocalServer:
    """One `opa run --server`; `port` and `token` are how it is reached."""

    def __init__(self, binary: str) -> None:
        self.port = _free_port()
        self.token = secrets.token_hex(32)
        self._folder = Path(tempfile.mkdtemp(prefix="gatekeeper-opa-"))
        (self._folder / AUTHORIZATION).write_text(_AUTHORIZATION_TEXT.format(token=self.token), "utf-8")
        try:
            with (self._folder / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    [binary, "run", "--server", "--addr", f"127.0.0.1:{self.port}", "--authentication=token",
                     "--authorization=basic", "--log-level=error", "--skip-version-check", AUTHORIZATION],
                    cwd=self._folder,
                    env={name: value for name, value in os.environ.items() if not name.startswith("OPA_")},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            problem = f"{binary} cannot be run: {error.strerror}"
            raise UnavailableError("engine opa", problem, hint="mend engine.binary") from error
        atexit.register(self.stop)

    @property
    def alive(self) -> bool:
        """Whether the process runs; if not, whoever answers on the port is somebody else."""
        return self._process.poll() is None

    def complaint(self) -> str:
        """The last error that the server logged."""
        for line in reversed((self._folder / "log").read_text("utf-8", errors="replace").splitlines()):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                return str(json.loads(line)["err"])
            return line[:300]
        return f"it ended with status {self._process.poll()}"

    def stop(self) -> None:
        """Kill the process and remove its folder; safe to call twice."""
        atexit.unregister(self.stop)
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
