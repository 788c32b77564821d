"""
The process in which the embedded engine runs; it can be killed, and imports nothing of gatekeeper.

It reads frames from standard input and answers on standard output. A frame is one line of JSON with the key
`bytes`, followed by as many bytes. Requests: `load`, `evaluate`, `test`. An answer carries `error` when the request
failed. Whatever is not an ordinary error of the engine (a panic, no memory) ends the process.

Started by `gatekeeper.engine.embedded` as `python -I -S worker.py FOLDER`, where FOLDER holds regorus.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from typing import Any, BinaryIO

MAX_FILE_BYTES, MAX_LINES, MAX_COLUMNS = 1024 * 1024, 20_000, 100_000
GRACE_SECONDS = 5
"""Added to the time limit after which the process ends itself, should nobody be left to kill it."""

_ESCAPES = {'"': '\\"', "\\": "\\\\"} | dict(zip("\a\b\f\n\r\t\v", map("\\{}".format, "abfnrtv"), strict=True))
_UNDEFINED = '"<undefined>"'
_NO_SUCH_RULE = "not a valid rule path"


class Worker:
    """One engine and the requests that it answers."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.limit_seconds = 0

    def answer(self, request: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        """Answer one request; raises `RuntimeError` with the engine's message."""
        if request["op"] == "load":
            self.limit_seconds = int(request["timeout_seconds"]) + GRACE_SECONDS
            limit_memory(request["memory_bytes"])
            self.load(json.loads(payload))
            return {}, b""
        if request["op"] == "test":
            return {}, self.test(request["rule"])
        started = time.perf_counter()
        body = self.evaluate(request["package"], payload.decode("utf-8"))
        return {"seconds": time.perf_counter() - started}, body

    def load(self, content: dict[str, Any]) -> None:
        """Take modules and data; a query of nothing makes the engine analyse all modules."""
        self.engine.set_policy_length_config(max_col=MAX_COLUMNS, max_file_bytes=MAX_FILE_BYTES, max_lines=MAX_LINES)
        self.engine.add_extension("sprintf", 2, sprintf)
        for path, text in content["modules"]:
            self.engine.add_policy(path, text)
        self.engine.add_data_json(json.dumps(content["data"]))
        self.engine.eval_query_as_json("1")

    def evaluate(self, package: str, document: str) -> bytes:
        """Evaluate two rules on a copy of the engine (8 µs), so that nothing is left of an earlier failure."""
        engine = self.engine.clone()
        engine.set_input_json(document)
        found = ((name, _evaluate_rule(engine, f"data.{package}.{name}")) for name in ("deny", "warn"))
        return ("{" + ",".join(f'"{name}":{text}' for name, text in found if text is not None) + "}").encode()

    def test(self, rule: str) -> bytes:
        """Evaluate one rule on a copy, and say which lines of each module it reached and which it did not."""
        engine = self.engine.clone()
        engine.set_enable_coverage(True)
        text = _evaluate_rule(engine, rule)
        files = json.loads(engine.get_coverage_report_as_json())["files"]
        lines = {each["path"]: [each["covered"], each["not_covered"]] for each in files}
        return json.dumps({"value": None if text is None else json.loads(text), "lines": lines}).encode()


def _evaluate_rule(engine: Any, path: str) -> str | None:
    """The rule's value as JSON; None when it is undefined or does not exist, as for OPA."""
    try:
        text: str = engine.eval_rule_as_json(path)
    except RuntimeError as error:
        if first_lines(error) == _NO_SUCH_RULE:
            return None
        raise
    return None if text == _UNDEFINED else text


def sprintf(form: str, arguments: list[Any]) -> str:
    """
    Format as OPA does: Go's `fmt` for %s, %d and %v (https://pkg.go.dev/fmt).

    regorus's own differs: it doubles the sign of -1, and never writes an exponent. The lint has checked that
    the arguments are as many as the verbs.
    """
    remaining = iter(arguments)
    return re.sub("%(.)", lambda match: "%" if match[1] == "%" else _format(match[1], next(remaining)), form)


def _format(verb: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        text, kind, fitting = value if isinstance(value, str) else _compose(value), "string", "sv"
    elif isinstance(value, int):
        text, kind, fitting = str(value), "int64", "dv"
    else:
        text, kind, fitting = _float(value), "float64", "v"
    return text if verb in fitting else f"%!{verb}({kind}={text})"


def _float(value: float) -> str:
    """Write the fewest digits that read back as the same number, with an exponent where strconv's 'g' has one."""
    if 1e-4 <= abs(value) < 1e6:
        return repr(value)
    return next(text for places in range(17) if float(text := f"{value:.{places}e}") == value)


def _compose(value: Any) -> str:
    """Write as OPA's terms do: a space after `,` and `:`, text in Go's quotes."""
    match value:
        case str():
            return '"' + "".join(map(_quote, value)) + '"'
        case dict():
            return "{" + ", ".join(f"{_compose(key)}: {_compose(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_compose, value)) + "]"
        case set():
            raise TypeError("a set in a message: sort it, or join it with concat")  # Python takes 1 for true in it
        case _:
            return json.dumps(value)


def _quote(char: str) -> str:
    """Quote one character as https://pkg.go.dev/strconv#Quote does."""
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def limit_memory(memory_bytes: int) -> None:
    """Limit the address space where the system knows such a limit; a dump of it would show evidence."""
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "darwin":  # macOS refuses the limit
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def first_lines(error: BaseException) -> str:
    """The engine's message without its stack backtrace."""
    return str(error).split("Stack backtrace:")[0].strip()


def serve(worker: Worker, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer frames until the input ends; the kernel ends the process when one takes far too long."""
    while line := requests.readline():
        request = json.loads(line)
        payload = requests.read(request["bytes"])
        _alarm(worker.limit_seconds)
        try:
            head, body = worker.answer(request, payload)
        except RuntimeError as error:
            head, body = {"error": first_lines(error)}, b""
        _alarm(0)
        answers.write(json.dumps(head | {"bytes": len(body)}).encode() + b"\n" + body)
        answers.flush()


def _alarm(seconds: int) -> None:
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def main(folder: str) -> None:
    """Load regorus from its folder and serve; nothing but answers can reach the channel of the answers."""
    sys.path.append(folder)
    import regorus

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(Worker(regorus.Engine()), sys.stdin.buffer, answers)


if __name__ == "__main__":
    main(sys.argv[1])
