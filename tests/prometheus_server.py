"""A real Prometheus on the loopback address: history written by promtool, and a live target that it scrapes."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, make_wsgi_app

READY_SECONDS = 15
OUTAGE_MINUTES = 90
"""How long the history's service has been failing: one request in five, ten requests a minute."""


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        return


@contextmanager
def exporting() -> Iterator[int]:
    """Serve the counter of a small service of which one request in fifty fails; yields the port."""
    registry = CollectorRegistry()
    requests = Counter("live_requests", "Requests", ["code"], registry=registry)
    requests.labels("200").inc(98)
    requests.labels("500").inc(2)
    server: WSGIServer = make_server("127.0.0.1", 0, make_wsgi_app(registry), handler_class=_Quiet)
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.1):
            requests.labels("200").inc(98)
            requests.labels("500").inc(2)

    threads = [threading.Thread(target=server.serve_forever), threading.Thread(target=work)]
    for thread in threads:
        thread.start()
    try:
        yield server.server_port
    finally:
        stop.set()
        server.shutdown()
        for thread in threads:
            thread.join()
        server.server_close()


@contextmanager
def running(prometheus: str, promtool: str, folder: Path) -> Iterator[str]:
    """Run Prometheus with 31 days of history until the block ends; yields its URL once it has scraped."""
    _backfill(promtool, folder)
    with exporting() as target:
        port = _free_port()
        configuration = folder / "prometheus.yml"
        configuration.write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
            f"scrape_configs: [{{job_name: live, static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}]\n",
            "utf-8",
        )
        arguments = [
            f"--config.file={configuration}", f"--storage.tsdb.path={folder / 'data'}",
            "--storage.tsdb.retention.time=60d", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
        ]  # fmt: skip
        process = subprocess.Popen([prometheus, *arguments], stderr=subprocess.DEVNULL)
        try:
            _wait(f"http://127.0.0.1:{port}/api/v1/query?query=count_over_time(live_requests_total[1m])%3E1")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def _backfill(promtool: str, folder: Path) -> None:
    """Counters for 31 days: a sample a minute for the last day, one an hour before, and four an hour at the start."""
    now = int(time.time()) // 60 * 60
    minutes = [*range(-31 * 1440, -29 * 1440, 15), *range(-29 * 1440, -1500, 60), *range(-1500, 1)]
    series = {"200": [], "500": []}
    for minute in minutes:
        failing = max(0, OUTAGE_MINUTES + minute)
        total = 10 * (minute + 31 * 1440)
        series["500"].append((2 * failing, now + minute * 60))
        series["200"].append((total - 2 * failing, now + minute * 60))
    lines = ["# TYPE history_requests counter"]
    for code, samples in series.items():
        lines += [f'history_requests_total{{code="{code}"}} {value} {moment}' for value, moment in samples]
    source = folder / "history.om"
    source.write_text("\n".join([*lines, "# EOF", ""]), "utf-8")
    subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "--max-block-duration=744h", "openmetrics", source, folder / "data"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip


def _wait(url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            with urlopen(url, timeout=1) as reply:
                if b'"value"' in reply.read():
                    return
        except (URLError, ConnectionError):
            pass
        time.sleep(0.1)
    raise TimeoutError(f"Prometheus was not ready within {READY_SECONDS} seconds")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
