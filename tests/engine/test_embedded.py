"""Every way in which the embedded engine can fail is an error, never a pass, and never the end of the run."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine.making import GATE, document, gate, policy_set

from gatekeeper.engine import open_engine
from gatekeeper.engine.embedded import EmbeddedEngine, discard_early, start_early
from gatekeeper.errors import ConfigurationError, UnavailableError
from gatekeeper.settings import EngineSettings

SLOW = "deny contains count([1 | some x in input.xs; some y in input.xs; some z in input.xs; x == y; y == z])"


@pytest.fixture
def engine() -> Iterator[EmbeddedEngine]:
    engine = EmbeddedEngine(EngineSettings(timeout_seconds=10))
    yield engine
    engine.close()


def loaded(body: str, **settings: Any) -> EmbeddedEngine:
    engine = EmbeddedEngine(EngineSettings(**settings))
    engine.load(policy_set(gate(body)))
    return engine


def process_id(engine: EmbeddedEngine) -> int:
    assert engine._worker is not None
    return engine._worker._process.pid


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_is_the_engine_that_the_settings_name_by_default() -> None:
    """Without settings policies are evaluated without any server."""
    assert isinstance(open_engine(EngineSettings()), EmbeddedEngine)


def test_evaluates_rules_with_data_and_functions_of_other_packages(engine: EmbeddedEngine) -> None:
    """A gate sees its input, the policy data and shared functions."""
    text = gate("deny contains one.f(input.x) if input.x > data.limits.most", imports="import data.lib.one")
    engine.load(policy_set(text, "package lib.one\n\nf(x) := [x]\n", data={"limits": {"most": 3}}))
    assert engine.evaluate(GATE, document(x=4)).result == {"deny": [[4]], "warn": []}
    assert engine.evaluate(GATE, document(x=3)).result == {"deny": [], "warn": []}


def test_names_the_version_of_the_wheel(engine: EmbeddedEngine) -> None:
    """The record says exactly which engine decided."""
    reference = engine.reference()
    assert (reference.name, reference.version) == ("embedded", "gordon-to-regorus 0.13.0")


def test_leaves_out_undefined_rules_and_unknown_packages(engine: EmbeddedEngine) -> None:
    """A misspelt gate has no result at all, which is not an empty one."""
    engine.load(policy_set(gate("deny := input.x")))
    assert engine.evaluate(GATE, document()).result == {"warn": []}
    assert engine.evaluate(GATE + "s", document()).result == {}


def test_sorts_sets(engine: EmbeddedEngine) -> None:
    """The order of findings does not depend on the engine."""
    engine.load(policy_set(gate('deny contains {"b": 1}\n\ndeny contains {"a": 1, "c": 1}\n\ndeny contains {"a": 2}')))
    assert engine.evaluate(GATE, document()).result["deny"] == [{"a": 1, "c": 1}, {"a": 2}, {"b": 1}]


def test_refuses_a_policy_that_does_not_parse(engine: EmbeddedEngine) -> None:
    """A syntax error carries path, line and column."""
    with pytest.raises(ConfigurationError, match="unexpected keyword `import`") as caught:
        engine.load(policy_set(gate("deny contains 1 if true\n\nimport data.x")))
    assert str(caught.value.location) == "gatekeeper/gates/probe.rego:9:1"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("deny contains 1 if false\n\nhelper if { false; misspelt == 1 }", "undefined variable `misspelt`"),
        ("deny contains 1 if { false; not misspelt }", "undefined variable `misspelt`"),
        ("deny contains cuont(input.x) if false", "unknown function cuont"),
        ("deny contains 1 if input.x + 1 > 2", "could give another number"),
        ("deny contains " + "[" * 11 + "]" * 11, "nested deeper than 10"),
    ],
)
def test_refuses_a_faulty_rule_that_would_never_run(engine: EmbeddedEngine, body: str, problem: str) -> None:
    """Faults are found when policies load, even behind a guard that is false."""
    started = time.monotonic()
    with pytest.raises(ConfigurationError, match=problem):
        engine.load(policy_set(gate(body)))
    assert time.monotonic() - started < 5


def test_evaluates_nothing_after_policies_that_were_refused(engine: EmbeddedEngine) -> None:
    """An engine whose policies were refused has none, not the ones before."""
    engine.load(policy_set(gate("deny contains 1")))
    with pytest.raises(ConfigurationError):
        engine.load(policy_set(gate("deny contains 1 if x")))
    with pytest.raises(UnavailableError, match="no policies were loaded"):
        engine.evaluate(GATE, document())


def test_fails_when_a_builtin_fails_and_goes_on(engine: EmbeddedEngine) -> None:
    """A failed builtin is an error with its place, not an undefined rule; the next evaluation is untouched."""
    engine.load(policy_set(gate("deny contains abs(input.x)")))
    with pytest.raises(UnavailableError, match="`abs` expects numeric argument") as caught:
        engine.evaluate(GATE, document(x="a"))
    assert str(caught.value.location) == "gatekeeper/gates/probe.rego:7:63"
    assert engine.evaluate(GATE, document(x=-1)).result["deny"] == [1]


@pytest.mark.parametrize("value", [3, "text", True, None])
def test_fails_when_something_else_than_a_collection_is_walked(engine: EmbeddedEngine, value: Any) -> None:
    """OPA walks a number in silence; here that is an error, so evidence of another shape never passes unseen."""
    engine.load(policy_set(gate("deny contains x if some x in input.x")))
    with pytest.raises(UnavailableError, match="expects array/set/object"):
        engine.evaluate(GATE, document(x=value))


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("deny := 1\n\ndeny := 2", "rule conflicts"),
        ('deny contains {"rule": x}', "var x is unsafe"),
        ("deny contains a\n\na := b\n\nb := a", "recursion detected"),
        ('deny contains sprintf("%v", [{x | some x in [1]}])', "a set in a message"),
    ],
)
def test_fails_on_faults_that_only_show_in_evaluation(engine: EmbeddedEngine, body: str, problem: str) -> None:
    """What regorus notices late is still an error and never an empty set."""
    engine.load(policy_set(gate(body)))
    with pytest.raises(UnavailableError, match=problem):
        engine.evaluate(GATE, document())


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b'{"x": "\\ud800"}', b'{"x": NaN}', b"[" * 500 + b"]" * 500])
def test_fails_on_what_is_not_json(engine: EmbeddedEngine, text: bytes) -> None:
    """A document that the engine cannot read is an error, and the engine survives it or is started again."""
    engine.load(policy_set(gate("deny contains 1 if false")))
    with pytest.raises(UnavailableError):
        engine.evaluate(GATE, text)
    assert engine.evaluate(GATE, b"{}").result == {"deny": [], "warn": []}


def test_refuses_numbers_that_it_could_not_hold(engine: EmbeddedEngine) -> None:
    """Beyond 64 bits regorus rounds; such a document or threshold is refused."""
    engine.load(policy_set(gate("deny contains input.x")))
    with pytest.raises(UnavailableError, match="beyond 64 bits"):
        engine.evaluate(GATE, document(x=2**63))
    with pytest.raises(ConfigurationError, match="beyond 64 bits"):
        engine.load(policy_set(gate("deny contains 1"), data={"x": 2**64}))


def test_kills_a_worker_that_takes_too_long() -> None:
    """The wall-clock limit ends the evaluation; the next one gets a new worker."""
    engine = loaded(SLOW, timeout_seconds=0.5)
    pid, started = process_id(engine), time.monotonic()
    with pytest.raises(UnavailableError, match=r"no answer within 0\.5 s") as caught:
        engine.evaluate(GATE, document(xs=list(range(3000))))
    assert "timeout_seconds" in caught.value.hint
    assert time.monotonic() - started < 2
    assert not runs(pid)
    assert engine.evaluate(GATE, document(xs=[1])).result["deny"] == [1]
    engine.close()


def test_kills_a_worker_that_does_not_even_read() -> None:
    """A worker that is stopped blocks neither a large document nor the run."""
    engine = loaded("deny contains 1", timeout_seconds=0.5)
    os.kill(process_id(engine), signal.SIGSTOP)
    with pytest.raises(UnavailableError, match="no answer within"):
        engine.evaluate(GATE, document(x="a" * 1_000_000))
    assert engine.evaluate(GATE, document()).result["deny"] == [1]
    engine.close()


def test_kills_a_worker_that_takes_too_much_memory() -> None:
    """The address space is limited: what does not fit is an error, not the end of the machine."""
    body = "deny contains count([z | some x in input.xs; some y in input.xs; z := concat(x, [y, y, y])])"
    engine = loaded(body, memory_bytes=96 * 2**20)
    with pytest.raises(UnavailableError, match="out of memory") as caught:
        engine.evaluate(GATE, document(xs=["x" * 100 + str(number) for number in range(3000)]))
    assert "memory_bytes" in caught.value.hint
    assert engine.evaluate(GATE, document(xs=["a"])).result["deny"] == [1]
    engine.close()


def test_needs_no_more_memory_for_a_long_answer_than_there_is() -> None:
    """regorus's allocator would reserve 1 GiB for the first answer beyond 16 KiB; it is told not to."""
    engine = loaded("deny contains x if some x in input.xs", memory_bytes=64 * 2**20)
    answer = engine.evaluate(GATE, document(xs=[f"{number:0100}" for number in range(5000)]))
    assert len(answer.result["deny"]) == 5000
    engine.close()


def test_survives_rules_that_refer_to_one_another_3000_deep() -> None:
    """Such a chain overflows the worker's stack; the run goes on with an error."""
    chain = "\n\n".join(f"r{number} := r{number - 1}" for number in range(1, 3000))
    engine = loaded(f"r0 := input.x\n\n{chain}\n\ndeny contains r2999")
    with pytest.raises(UnavailableError, match="the worker died") as caught:
        engine.evaluate(GATE, document(x=1))
    assert "stack overflowed" in caught.value.problem
    engine.close()


def test_survives_a_function_that_calls_itself_for_ever() -> None:
    """OPA refuses recursion; here it ends the worker."""
    engine = loaded("f(x) := f([x])\n\ndeny contains f(1)")
    with pytest.raises(UnavailableError, match="the worker died"):
        engine.evaluate(GATE, document())
    engine.close()


def test_survives_the_death_of_its_worker_between_evaluations(engine: EmbeddedEngine) -> None:
    """Someone killed the worker: one error, then a new worker."""
    engine.load(policy_set(gate("deny contains input.x")))
    pid = process_id(engine)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(UnavailableError, match="it was killed"):
        engine.evaluate(GATE, document(x=1))
    assert engine.evaluate(GATE, document(x=1)).result["deny"] == [1]
    assert process_id(engine) != pid


def test_survives_the_death_of_its_worker_during_an_evaluation(engine: EmbeddedEngine) -> None:
    """An evaluation that is cut off is an error, never half an answer."""
    engine.load(policy_set(gate(SLOW)))
    killer = threading.Timer(0.3, os.kill, (process_id(engine), signal.SIGKILL))
    killer.start()
    with pytest.raises(UnavailableError, match="it was killed"):
        engine.evaluate(GATE, document(xs=list(range(3000))))
    killer.join()
    assert engine.evaluate(GATE, document(xs=[1])).result["deny"] == [1]


def test_uses_the_worker_that_was_started_early(engine: EmbeddedEngine) -> None:
    """The worker that started before the heavy imports is the one that is used."""
    start_early()
    engine.load(policy_set(gate("deny contains 1")))
    early = process_id(engine)
    assert engine.evaluate(GATE, document()).result["deny"] == [1]
    engine.load(policy_set(gate("deny contains 2")))
    assert process_id(engine) != early
    assert not runs(early)


def test_discards_a_worker_that_was_started_early_and_not_used() -> None:
    """A run that evaluates nothing leaves no process behind."""
    from gatekeeper.engine import embedded

    start_early()
    pid = embedded._early[0]._process.pid
    assert runs(pid)
    discard_early()
    discard_early()
    assert not runs(pid)


def test_closes_twice_and_leaves_no_process(engine: EmbeddedEngine) -> None:
    """Closing kills the worker and is safe to repeat; a closed engine evaluates nothing."""
    engine.load(policy_set(gate("deny contains 1")))
    pid = process_id(engine)
    engine.close()
    engine.close()
    assert not runs(pid)
    with pytest.raises(UnavailableError, match="no policies were loaded"):
        engine.evaluate(GATE, document())


def test_says_what_to_do_where_regorus_has_no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """gatekeeper installs everywhere; where the embedded engine does not, it names the other."""
    monkeypatch.setitem(sys.modules, "regorus", None)
    start_early()
    with pytest.raises(UnavailableError, match="gordon-to-regorus is not installed") as caught:
        EmbeddedEngine(EngineSettings())
    assert "engine: opa" in caught.value.hint


def test_can_be_used_from_any_one_thread(engine: EmbeddedEngine) -> None:
    """The engine lives in its process, so that the thread that asks does not matter."""
    engine.load(policy_set(gate("deny contains input.x")))
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(engine.evaluate(GATE, document(x=1)).result["deny"]))
    thread.start()
    thread.join(10)
    assert found == [[1]]


def test_costs_little_more_than_the_evaluation_itself(engine: EmbeddedEngine) -> None:
    """The way to the worker and back takes well under a millisecond, so hundreds of bundles take no longer for it."""
    engine.load(policy_set(gate("deny contains input.x")))
    text = document(x=1, evidence={"filler": ["a" * 50] * 100})
    times = []
    for _ in range(200):
        started = time.perf_counter()
        answer = engine.evaluate(GATE, text)
        times.append(time.perf_counter() - started - answer.seconds)
    assert sorted(times)[len(times) // 2] < 0.001


def test_reports_the_time_of_an_evaluation_in_seconds(engine: EmbeddedEngine) -> None:
    """The seconds are those that the engine evaluated."""
    engine.load(policy_set(gate(SLOW)))
    started = time.perf_counter()
    answer = engine.evaluate(GATE, document(xs=list(range(100))))
    assert 0 < answer.seconds < time.perf_counter() - started
    assert json.dumps(answer.result) == '{"deny": [100], "warn": []}'


def test_needs_no_folder_of_its_own(engine: EmbeddedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module named like one of Python's in the working folder changes nothing."""
    (tmp_path / "json.py").write_text("raise SystemExit(3)", "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    engine.load(policy_set(gate("deny contains 1")))
    assert engine.evaluate(GATE, document()).result["deny"] == [1]
