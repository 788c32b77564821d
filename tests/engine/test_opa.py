"""A real OPA as engine: started or reached, used strictly, stopped; every fault of it is an error."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import PROJECT
from engine.making import GATE, document, gate, module, policy_set

from gatekeeper.engine import open_engine
from gatekeeper.engine.opa import OpaEngine
from gatekeeper.engine.opa_wire import Address, parse_url
from gatekeeper.errors import ConfigurationError, GatekeeperError, UnavailableError
from gatekeeper.policy import PolicySet
from gatekeeper.settings import EngineSettings

SLOW = "deny contains count([1 | some x in input.xs; some y in input.xs; some z in input.xs; x == y; y == z])"
PLAIN = policy_set(gate("deny contains input.x"), data={"limits": {"most": 3}})


@pytest.fixture
def engine(opa: str) -> Iterator[OpaEngine]:
    engine = OpaEngine(EngineSettings(name="opa", binary=opa))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def shared(opa: str) -> Iterator[OpaEngine]:
    """One engine for the tests that only evaluate."""
    engine = OpaEngine(EngineSettings(name="opa", binary=opa))
    yield engine
    engine.close()


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


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def fault(url: str, policies: PolicySet = PLAIN, *, timeout_seconds: float = 5.0) -> GatekeeperError:
    engine = OpaEngine(EngineSettings(name="opa", url=url, timeout_seconds=timeout_seconds))
    with pytest.raises(GatekeeperError) as caught:
        engine.load(policies)
    engine.close()
    return caught.value


def test_is_the_engine_that_the_settings_name() -> None:
    """`engine: opa` opens this engine; nothing is started before policies are loaded."""
    engine = open_engine(EngineSettings(name="opa", binary="no-such-opa"))
    assert isinstance(engine, OpaEngine)
    assert engine.reference().version == "not connected"
    engine.close()


def test_evaluates_rules_with_data_and_functions_of_other_packages(shared: OpaEngine) -> None:
    """Modules are uploaded in an order in which OPA can compile them, whatever the order of the files."""
    text = gate("deny contains one.f(input.x) if input.x > data.limits.most", imports="import data.zlib.one")
    policies = policy_set(text, "package zlib.one\n\nf(x) := [x]\n", data={"limits": {"most": 3}})
    shared.load(policies)
    assert shared.evaluate(GATE, document(x=4)).result == {"deny": [[4]], "warn": []}
    assert shared.evaluate(GATE, document(x=3)).result == {"deny": [], "warn": []}
    assert shared.reference().version == "1.22.2"


def test_evaluates_a_package_of_several_files(shared: OpaEngine) -> None:
    """Files of one package may use one another's rules and functions."""
    texts = {"a.rego": gate("deny contains f(limit)"), "b.rego": f"package {GATE}\n\nf(x) := [x]\n",
             "c.rego": f"package {GATE}\n\nlimit := 3\n"}  # fmt: skip
    modules = tuple(module(text, path) for path, text in texts.items())
    shared.load(PolicySet("several", "e" * 64, modules, {}))
    assert shared.evaluate(GATE, document()).result["deny"] == [[3]]


def test_leaves_out_undefined_rules_and_unknown_packages(shared: OpaEngine) -> None:
    """A response without `result` is an undefined rule, not an empty one."""
    shared.load(policy_set(gate("deny := input.x")))
    assert shared.evaluate(GATE, document()).result == {"warn": []}
    assert shared.evaluate(GATE + "s", document()).result == {}


def test_writes_whole_numbers_as_the_embedded_engine_does(shared: OpaEngine) -> None:
    """1.0 in evidence or data is 1 on both engines."""
    shared.load(policy_set(gate('deny contains sprintf("%d %v", [input.x, data.a.b])'), data={"a": {"b": 2.0}}))
    assert shared.evaluate(GATE, b'{"x": 1.0}').result["deny"] == ["1 2"]


@pytest.mark.parametrize(
    ("body", "problem", "place"),
    [
        ("deny contains x", "var x is unsafe", ":7:15"),
        ("deny contains f(1)\n\nf(x) := f(x)", "recursive", ":9:1"),
        ("deny contains 1 if count(3) > 1", "invalid argument", ":7:20"),
        ("deny contains if 1", "unexpected", ":7:15"),
    ],
)
def test_refuses_policies_that_do_not_compile(shared: OpaEngine, body: str, problem: str, place: str) -> None:
    """OPA's own message and place are passed on, with the path that the user knows."""
    with pytest.raises(ConfigurationError) as caught:
        shared.load(policy_set(gate(body)))
    assert problem in caught.value.problem
    assert str(caught.value.location) == f"gatekeeper/gates/probe.rego{place}"
    with pytest.raises(UnavailableError, match="no policies were loaded"):
        shared.evaluate(GATE, document())


def test_refuses_what_the_lint_refuses_before_anything_is_started() -> None:
    """The same lint guards both engines; it needs no server."""
    engine = OpaEngine(EngineSettings(name="opa", binary="no-such-opa"))
    with pytest.raises(ConfigurationError, match=r"time\.now_ns is forbidden"):
        engine.load(policy_set(gate("deny contains time.now_ns()")))
    with pytest.raises(ConfigurationError, match="beyond 64 bits"):
        engine.load(policy_set(gate("deny contains 1"), data={"a": {"b": 10**30}}))
    with pytest.raises(ConfigurationError, match=r"data\.a is not a mapping"):
        engine.load(policy_set(gate("deny contains 1"), data={"a": 3}))


def test_fails_when_a_builtin_fails(shared: OpaEngine) -> None:
    """OPA would take it for undefined; it is asked to be strict, and says where it failed."""
    shared.load(policy_set(gate("deny contains abs(input.x)")))
    with pytest.raises(UnavailableError, match="abs: operand 1 must be number") as caught:
        shared.evaluate(GATE, document(x="a"))
    assert str(caught.value.location) == "gatekeeper/gates/probe.rego:7:15"
    assert shared.evaluate(GATE, document(x=-1)).result["deny"] == [1]


def test_fails_on_two_values_of_one_rule(shared: OpaEngine) -> None:
    """A conflict is an error of the evaluation."""
    shared.load(policy_set(gate("deny := 1 if input.x\n\ndeny := 2 if input.y")))
    with pytest.raises(UnavailableError, match="produced conflicting values") as caught:
        shared.evaluate(GATE, document(x=1, y=1))
    assert "1 at gatekeeper/gates/probe.rego:7\n" in caught.value.problem


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b'{"x": 1e400}', b'{"x": 9223372036854775808}'])
def test_fails_on_documents_that_it_cannot_carry(shared: OpaEngine, text: bytes) -> None:
    """What is not JSON, or holds a number beyond 64 bits, is not evaluated."""
    shared.load(PLAIN)
    with pytest.raises(UnavailableError):
        shared.evaluate(GATE, text)


def test_stops_an_evaluation_that_takes_too_long(opa: str) -> None:
    """The server is killed with it; the next evaluation starts another."""
    engine = OpaEngine(EngineSettings(name="opa", binary=opa, timeout_seconds=2))
    engine.load(policy_set(gate(SLOW)))
    assert engine._server is not None
    pid, started = engine._server._process.pid, time.monotonic()
    with pytest.raises(UnavailableError, match="no answer within 2 s"):
        engine.evaluate(GATE, document(xs=list(range(3000))))
    assert time.monotonic() - started < 4
    assert not runs(pid)
    assert engine.evaluate(GATE, document(xs=[1])).result["deny"] == [1]
    engine.close()


def test_survives_the_death_of_its_server(engine: OpaEngine) -> None:
    """Someone killed it: one error, then another server with the same policies."""
    engine.load(PLAIN)
    assert engine._server is not None
    os.kill(engine._server._process.pid, signal.SIGKILL)
    with pytest.raises(UnavailableError):
        engine.evaluate(GATE, document(x=1))
    assert engine.evaluate(GATE, document(x=1)).result["deny"] == [1]


def test_is_reachable_by_nobody_else(engine: OpaEngine) -> None:
    """Without the run's token nobody reads or replaces the policies of a local server."""
    engine.load(PLAIN)
    assert engine._server is not None
    url = f"http://127.0.0.1:{engine._server.port}/v1/policies"
    for method, body in (("GET", None), ("PUT", "package gatekeeper.gates.probe")):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            request(method, url, body)
    command = Path(f"/proc/{engine._server._process.pid}/cmdline")
    assert not command.exists() or engine._server.token not in command.read_text("utf-8")


def test_closes_twice_and_leaves_nothing(engine: OpaEngine) -> None:
    """The process and its folder are gone; a closed engine evaluates nothing."""
    engine.load(PLAIN)
    assert engine._server is not None
    pid, folder = engine._server._process.pid, engine._server._folder
    assert folder.is_dir()
    engine.close()
    engine.close()
    assert not runs(pid)
    assert not folder.exists()
    with pytest.raises(UnavailableError, match="no policies were loaded"):
        engine.evaluate(GATE, document())


@pytest.mark.parametrize("ending", ["pass", "raise KeyboardInterrupt", "raise SystemExit(3)"])
def test_leaves_no_server_behind_when_the_run_ends(opa: str, ending: str) -> None:
    """However Python ends, the server that it started ends with it."""
    code = textwrap.dedent(f"""
        import sys; sys.path.insert(0, {str(PROJECT / "tests")!r})
        from engine.making import gate, policy_set
        from gatekeeper.engine.opa import OpaEngine
        from gatekeeper.settings import EngineSettings
        engine = OpaEngine(EngineSettings(name="opa", binary={opa!r}))
        engine.load(policy_set(gate("deny contains 1")))
        print(engine._server._process.pid, engine._server._folder, flush=True)
        {ending}
        """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    pid, folder = done.stdout.split()
    assert not runs(int(pid))
    assert not Path(folder).exists()


@pytest.mark.parametrize(("binary", "problem"), [("no-such-opa", "no-such-opa is not a program"),
                                                 (sys.executable, "does not start"), ("false", "does not start")])  # fmt: skip
def test_says_what_is_wrong_with_the_binary(binary: str, problem: str) -> None:
    """No binary, or one that is no OPA, is named."""
    with pytest.raises(UnavailableError, match=problem):
        OpaEngine(EngineSettings(name="opa", binary=binary, timeout_seconds=5)).load(PLAIN)


def test_looks_for_opa_on_the_path(opa: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a setting the binary is `opa` of the path; without that the hint says what to do."""
    engine = OpaEngine(EngineSettings(name="opa"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="no opa binary is on the path") as caught:
        engine.load(PLAIN)
    assert "engine: embedded" in caught.value.hint
    (tmp_path / "opa").symlink_to(opa)
    engine.load(PLAIN)
    assert engine.evaluate(GATE, document(x=1)).result["deny"] == [1]
    engine.close()


def test_goes_around_proxies_on_this_machine(engine: OpaEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment is not asked for loopback."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    engine.load(PLAIN)
    assert engine.evaluate(GATE, document(x=1)).result["deny"] == [1]


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
