"""The worker process: what it writes, how it fails, and that it cannot lie about it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import regorus
from engine.making import GATE, document, gate

from gatekeeper.engine import worker as worker_module
from gatekeeper.engine.process import WorkerProcess
from gatekeeper.engine.worker import first_lines, sprintf

FOLDER = str(Path(regorus.__file__).parent.parent)
LIMITS = {"memory_bytes": 2**28, "timeout_seconds": 5}


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    process = WorkerProcess(FOLDER)
    yield process
    process.kill()


def ask(process: WorkerProcess, head: dict[str, Any], payload: bytes = b"") -> tuple[dict[str, Any], Any]:
    process.send(head, payload, seconds=10)
    answer, body = process.receive()
    return answer, json.loads(body) if body else None


def load(process: WorkerProcess, *texts: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
    content = {"modules": [[f"{number}.rego", text] for number, text in enumerate(texts)], "data": data or {}}
    return ask(process, {"op": "load"} | LIMITS, json.dumps(content).encode())[0]


def evaluate(process: WorkerProcess, **content: Any) -> tuple[dict[str, Any], Any]:
    return ask(process, {"op": "evaluate", "package": GATE}, document(**content))


def test_answers_frames_one_after_another() -> None:
    """Each frame gets one answer, an error of the engine included, until the input ends."""
    local, answers = worker_module.Worker(regorus.Engine()), io.BytesIO()
    local.load({"modules": [["a.rego", gate("deny contains max(input.xs)")]], "data": {"a": 1}})
    texts = [document(xs=[1, 2]), document(xs=3), document(xs=[])]
    head = {"op": "evaluate", "package": GATE}
    frames = b"".join(json.dumps(head | {"bytes": len(text)}).encode() + b"\n" + text for text in texts)
    worker_module.serve(local, io.BytesIO(frames), answers)
    lines = answers.getvalue().split(b"\n")
    assert json.loads(lines[0])["bytes"] == 26
    assert lines[1].startswith(b'{"deny":[')
    assert b"requires array/set" in answers.getvalue()
    assert answers.getvalue().endswith(b"]}")


@pytest.mark.parametrize(
    ("form", "arguments", "text"),
    [
        ("%s|%v|%d", ["a", "b", 3], "a|b|3"),
        ("%d %v", [-1, -1], "-1 -1"),
        ("100%% %s", ["x"], "100% x"),
        ("%v %v %v", [None, True, False], "null true false"),
        ("%v %v %v %v", [0.5, 1234567.5, 0.00001, 999999.5], "0.5 1.2345675e+06 1e-05 999999.5"),
        ("%s", [3], "%!s(int64=3)"),
        ("%s", [0.5], "%!s(float64=0.5)"),
        ("%d %d", ["x", None], "%!d(string=x) %!d(string=null)"),
        ("%d", [0.5], "%!d(float64=0.5)"),
        ("%v", [[1, "a", None, {"k": [True]}]], '[1, "a", null, {"k": [true]}]'),
        ("%v", [['\n\x00é\u00a0\u2028\U000e0001\\"']], '["\\n\\x00é\\u00a0\\u2028\\U000e0001\\\\\\""]'),
        ("%s", ["%d"], "%d"),
        ("", [], ""),
    ],
)
def test_formats_as_go_does(form: str, arguments: list[Any], text: str) -> None:
    """Texts that a real OPA 1.22.2 gave; test_builtins compares hundreds more."""
    assert sprintf(form, arguments) == text


def test_formats_no_set_because_python_takes_1_for_true() -> None:
    """What cannot be formatted right is an error."""
    with pytest.raises(TypeError, match="a set in a message"):
        sprintf("%v", [{1}])


def test_cuts_the_backtrace_from_messages() -> None:
    """An engine's message ends where its own stack begins."""
    assert first_lines(RuntimeError("bad\n\nStack backtrace:\n  0: x")) == "bad"


def test_answers_deny_and_warn_and_leaves_out_what_is_undefined(worker: WorkerProcess) -> None:
    """A rule that is undefined, or not there, is absent from the answer."""
    assert load(worker, gate("deny := input.x")) == {"bytes": 0}
    assert evaluate(worker, x=[1])[1] == {"deny": [1], "warn": []}
    assert evaluate(worker)[1] == {"warn": []}
    assert ask(worker, {"op": "evaluate", "package": "no.such.gate"}, b"{}")[1] == {}


def test_says_how_long_the_evaluation_took(worker: WorkerProcess) -> None:
    """The time is that of the evaluation, in seconds."""
    load(worker, gate("deny contains count([1 | some x in input.xs; some y in input.xs; x == y])"))
    head, body = evaluate(worker, xs=list(range(300)))
    assert body["deny"] == [300]
    assert 0.001 < head["seconds"] < 5


def test_answers_after_an_error_as_if_there_had_been_none(worker: WorkerProcess) -> None:
    """A failed evaluation leaves nothing behind in the engine."""
    load(worker, gate("value := max(input.xs)\n\ndeny contains value"))
    assert evaluate(worker, xs=[1, 2])[1] == {"deny": [2], "warn": []}
    assert "requires array/set" in evaluate(worker, xs=7)[0]["error"]
    assert evaluate(worker, xs=[1, 3])[1] == {"deny": [3], "warn": []}


def test_keeps_nothing_of_one_document_for_the_next(worker: WorkerProcess) -> None:
    """Rules are evaluated anew for each document."""
    load(worker, gate("found := input.x\n\ndeny contains found"))
    assert [evaluate(worker, x=number)[1]["deny"] for number in (1, 2, 1)] == [[1], [2], [1]]
    assert evaluate(worker)[1]["deny"] == []


def test_dies_of_a_panic(worker: WorkerProcess) -> None:
    """A panic ends the process: an engine that panicked answers wrongly from then on."""
    load(worker, gate("deny contains 1 if object.subset(input.a, input.b)"))
    with pytest.raises(EOFError):
        evaluate(worker, a=["b", "a"], b=[])
    assert worker.kill(grace_seconds=5) == 1
    assert not worker.expired


def test_dies_of_a_request_that_it_does_not_know() -> None:
    """Its only peer is gatekeeper; anything else is a fault of ours."""
    process = WorkerProcess(FOLDER)
    with pytest.raises(EOFError):
        ask(process, {"op": "evaluate"}, b"{}")
    assert process.kill(grace_seconds=5) == 1


def test_ends_when_its_parent_does() -> None:
    """A worker whose parent is gone reads the end of its input and ends; nobody has to kill it."""
    process = WorkerProcess(FOLDER)
    stdin = process._process.stdin
    assert stdin is not None
    stdin.close()
    assert process._process.wait(timeout=5) == 0
    process.kill()


def test_lets_nothing_but_answers_into_the_channel(tmp_path: Path) -> None:
    """A library that writes to standard output cannot forge or spoil an answer."""
    (tmp_path / "regorus").mkdir()
    (tmp_path / "regorus" / "__init__.py").write_text(
        "import os, sys\n"
        "class Engine:\n"
        "    def __getattr__(self, name):\n"
        "        return lambda *_, **__: (os.write(1, b'{\"bytes\": 0}\\n'), print('noise', flush=True))\n",
        "utf-8",
    )
    process = WorkerProcess(str(tmp_path))
    assert load(process, "package a\n") == {"bytes": 0}
    process.send({"op": "evaluate", "package": "a"}, b"{}", seconds=5)
    with pytest.raises(EOFError):
        process.receive()
    process.kill()


def test_imports_nothing_of_gatekeeper_and_little_else() -> None:
    """The worker starts in milliseconds because it imports next to nothing."""
    code = (
        "import sys, runpy; runpy.run_path(sys.argv[1]); "
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'gatekeeper', 'pydantic', 'site', 'yaml'}))"
    )
    command = [sys.executable, "-I", "-S", "-c", code, worker_module.__file__]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout == "[]\n"
