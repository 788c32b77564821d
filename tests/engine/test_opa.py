"""A real OPA as engine: started or reached, used strictly, stopped; every fault of it is an error."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import PROJECT
from engine.making import GATE, document, gate, module, policy_set

from gatekeeper.engine import open_engine
from gatekeeper.engine.opa import OpaEngine
from gatekeeper.errors import ConfigurationError, UnavailableError
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


def request(method: str, url: str, body: str | None = None) -> Any:
    asked = urllib.request.Request(url, method=method, data=body.encode() if body is not None else None)
    with urllib.request.urlopen(asked, timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


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


def test_says_that_a_binary_cannot_be_run(tmp_path: Path) -> None:
    """A file that is no program, or for another machine, leaves no folder behind."""
    (tmp_path / "opa").write_bytes(b"\x7fELF but not really")
    (tmp_path / "opa").chmod(0o755)
    before = set(Path(tempfile.gettempdir()).glob("gatekeeper-opa-*"))
    with pytest.raises(UnavailableError, match="cannot be run: Exec format error"):
        OpaEngine(EngineSettings(name="opa", binary=str(tmp_path / "opa"))).load(PLAIN)
    assert set(Path(tempfile.gettempdir()).glob("gatekeeper-opa-*")) <= before


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
