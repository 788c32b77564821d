"""A real Prometheus that scrapes one target for a short while and answers queries."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

_CONFIGURATION = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: {job}
    static_configs: [{{targets: ["127.0.0.1:{port}"], labels: {{instance: {job}-0}}}}]
"""
READY_SECONDS = 30


class Prometheus:
    """The server's query API."""

    def __init__(self, url: str) -> None:
        self._url = url

    def query(self, expression: str, unix_seconds: float) -> dict[str, Any]:
        """Ask `/api/v1/query` for the value at a moment and return the answer as it is."""
        parameters = urlencode({"query": expression, "time": unix_seconds})
        with urlopen(f"{self._url}/api/v1/query?{parameters}", timeout=10) as answer:
            response: dict[str, Any] = json.load(answer)
        return response

    def wait_until_ready(self) -> None:
        """Wait until the server answers; raises `TimeoutError` when it does not."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            try:
                with urlopen(f"{self._url}/-/ready", timeout=1):
                    return
            except (URLError, ConnectionError):
                time.sleep(0.1)
        raise TimeoutError(f"Prometheus was not ready within {READY_SECONDS} seconds")


@contextmanager
def scraping(job: str, target_port: int) -> Iterator[Prometheus]:
    """Run Prometheus over a target on the loopback address, once a second, until the block ends."""
    binary = shutil.which("prometheus")
    if binary is None:
        raise FileNotFoundError("prometheus is not on PATH: install Debian's package `prometheus`")
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder, "prometheus.yml")
        configuration.write_text(_CONFIGURATION.format(job=job, port=target_port), "utf-8")
        options = (
            f"--config.file={configuration}",
            f"--storage.tsdb.path={folder}/data",
            "--storage.tsdb.retention.time=40d",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        )
        process = subprocess.Popen([binary, *options])
        try:
            prometheus = Prometheus(f"http://127.0.0.1:{port}")
            prometheus.wait_until_ready()
            yield prometheus
        finally:
            process.terminate()
            process.wait(timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
