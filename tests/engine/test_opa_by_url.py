"""An OPA by URL: used only when it is an OPA that holds nothing else, and left as it was."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from engine.making import GATE, document, gate, policy_set

from gatekeeper.engine.opa import OpaEngine
from gatekeeper.engine.opa_wire import Address, parse_url
from gatekeeper.errors import ConfigurationError, GatekeeperError, UnavailableError
from gatekeeper.policy import PolicySet
from gatekeeper.settings import EngineSettings

PLAIN = policy_set(gate("deny contains input.x"), data={"limits": {"most": 3}})


@pytest.fixture
def server(opa: str) -> Iterator[str]:
    """URL of an OPA that somebody else runs, without a token."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [opa, "run", "--server", "--addr", f"127.0.0.1:{port}", "--log-level=error", "--skip-version-check"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        for _ in range(500):
            try:
                request("GET", f"{url}/health")
                break
            except OSError:
                time.sleep(0.01)
        yield url
        process.kill()


def request(method: str, url: str, body: str | None = None) -> Any:
    asked = urllib.request.Request(url, method=method, data=body.encode() if body is not None else None)
    with urllib.request.urlopen(asked, timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text else None


@contextmanager
def impostor(respond: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """URL of a server on loopback that answers every request in the same way."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            respond(self)

        do_GET = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def answering(status: int, body: str, *, headers: dict[str, str] | None = None) -> Any:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in ({"content-length": str(len(body.encode()))} | (headers or {})).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body.encode())

    return respond


def fault(url: str, policies: PolicySet = PLAIN, *, timeout_seconds: float = 5.0) -> GatekeeperError:
    engine = OpaEngine(EngineSettings(name="opa", url=url, timeout_seconds=timeout_seconds))
    with pytest.raises(GatekeeperError) as caught:
        engine.load(policies)
    engine.close()
    return caught.value


def test_uses_a_server_by_url_and_leaves_it_as_it_was(server: str) -> None:
    """What was uploaded is removed; another run finds the server empty."""
    for _ in range(2):
        engine = OpaEngine(EngineSettings(name="opa", url=server))
        engine.load(PLAIN)
        assert [each["id"] for each in request("GET", f"{server}/v1/policies")["result"]] == [
            f"gatekeeper/{PLAIN.digest[:12]}/gatekeeper/gates/probe.rego"
        ]
        assert engine.evaluate(GATE, document(x=1)).result["deny"] == [1]
        engine.close()
        assert request("GET", f"{server}/v1/policies")["result"] == []
        assert request("GET", f"{server}/v1/data")["result"] == {}


def test_takes_over_what_an_earlier_run_with_the_same_policies_left(server: str) -> None:
    """A run that was killed does not block the server; its leftovers are replaced."""
    killed = OpaEngine(EngineSettings(name="opa", url=server))
    killed.load(PLAIN)
    request("PUT", f"{server}/v1/policies/gatekeeper/{PLAIN.digest[:12]}/gatekeeper/gates/probe.rego", "package a")
    engine = OpaEngine(EngineSettings(name="opa", url=server))
    engine.load(PLAIN)
    assert engine.evaluate(GATE, document(x=1)).result == {"deny": [1], "warn": []}
    engine.close()


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/v1/policies/other.rego", "package gatekeeper.gates.probe\n\ndeny contains 1", "'other.rego'"),
        ("/v1/policies/gatekeeper/dddd/a.rego", "package a", "'gatekeeper/dddd/a.rego'"),
        ("/v1/data/other", '{"x": 1}', "'other'"),
    ],
)
def test_refuses_a_server_that_holds_anything_else(server: str, path: str, body: str, named: str) -> None:
    """Another's policies or data could change the decision, or be changed by it."""
    request("PUT", server + path, body)
    error = fault(server)
    assert isinstance(error, UnavailableError)
    assert error.problem == f"the server holds {named}, which is not of this run"
    assert error.hint


def test_refuses_policies_that_do_not_compile_on_a_server_by_url(server: str) -> None:
    """A refused upload leaves nothing behind."""
    error = fault(server, policy_set(gate("deny contains x"), "package lib.one\n\na := 1\n", data={"b": {"c": 1}}))
    assert isinstance(error, ConfigurationError)
    assert request("GET", f"{server}/v1/policies")["result"] == []
    assert request("GET", f"{server}/v1/data")["result"] == {}


def test_says_that_nobody_listens() -> None:
    """An unreachable server is an error at once, without a retry."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        started = time.monotonic()
        error = fault(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert isinstance(error, UnavailableError)
    assert "refused" in error.problem
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, ""), (200, "<html>welcome</html>"), (200, "[]"), (200, "{}"), (200, "null"), (200, '{"result": []}'),
        (200, '{"result": {"labels": {"version": 1}}}'), (200, '{"result": {"labels": {"version": "1.0"}}}'),
        (404, "not found"), (500, '{"code": "internal_error", "message": "boom"}'), (500, "{"), (204, ""), (401, "[]"),
        (200, "[" * 3000), (200, '{"result": [{"id": "x"}], "labels": {}}'),
    ],
)  # fmt: skip
def test_refuses_a_server_that_is_no_opa(status: int, body: str) -> None:
    """Whatever answers on the port, only an OPA that holds the policies is believed."""
    with impostor(answering(status, body)) as url:
        error = fault(url)
    assert isinstance(error, UnavailableError)
    assert error.hint


def test_refuses_a_server_that_says_yes_to_everything() -> None:
    """A server that claims every upload but lists nothing is not believed."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        if "/config" in handler.path:
            return answering(200, '{"result": {"labels": {"version": "1.22.2"}}}')(handler)
        if handler.path.endswith("/query"):
            return answering(200, '{"result": [{"found": {}}]}')(handler)
        if handler.command == "PUT":
            return answering(204 if "/data/" in handler.path else 200, "")(handler)
        return answering(200, '{"result": []}')(handler)

    with impostor(respond) as url:
        assert "it does not hold the policies" in fault(url).problem


def test_follows_no_redirect_to_another_server() -> None:
    """Who answers is who was asked."""
    with impostor(answering(302, "", headers={"location": "http://127.0.0.1:9/v1/config"})) as url:
        assert "redirects to 127.0.0.1:9" in fault(url).problem
    with impostor(answering(302, "", headers={"location": "/v1/config"})) as url:
        assert "TooManyRedirects" in fault(url).problem


def test_reads_no_endless_answer() -> None:
    """An answer is read up to a limit."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(200):
                handler.wfile.write(b" " * 2**20)
        except OSError:
            handler.close_connection = True

    with impostor(respond) as url:
        assert "larger than 67108864 bytes" in fault(url).problem


@pytest.mark.parametrize("pause_seconds", [0.1, 30])
def test_waits_no_longer_than_it_may(pause_seconds: float) -> None:
    """Neither a silent server nor one that sends a byte now and then holds a run up."""
    done = threading.Event()

    def respond(handler: BaseHTTPRequestHandler) -> None:
        try:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
            while not done.wait(pause_seconds):
                handler.wfile.write(b"a")
        except OSError:
            handler.close_connection = True

    with impostor(respond) as url:
        started = time.monotonic()
        error = fault(url, timeout_seconds=0.5)
        assert "no answer within 0.5 s" in error.problem or "timed out" in error.problem.lower()
        assert time.monotonic() - started < 2
        done.set()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8181", Address(False, "127.0.0.1", 8181)),
        ("https://opa.example.org/", Address(True, "opa.example.org", 443)),
        ("http://opa", Address(False, "opa", 8181)),
        ("http://[::1]:9", Address(False, "[::1]", 9)),
    ],
)
def test_reads_urls(url: str, address: Address) -> None:
    """A URL names scheme, host and port; OPA's own port is the default."""
    assert parse_url(url) == address


@pytest.mark.parametrize(
    "url", ["", "opa:8181", "ftp://opa", "http://", "http://opa:x", "http://opa:99999", "http://u:p@opa",
            "http://opa/v1/data", "http://opa?x=1", "http://opa#x", "http://[::1"]
)  # fmt: skip
def test_refuses_urls_with_anything_else(url: str) -> None:
    """What the client would ignore or mistake is an error of the settings."""
    with pytest.raises(ConfigurationError) as caught:
        parse_url(url)
    assert "8181" in caught.value.hint
    assert "u:p" not in str(caught.value)
