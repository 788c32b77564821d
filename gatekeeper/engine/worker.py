"""
The process in which the embedded engine runs; it can be killed, and imports nothing of gatekeeper.

It reads frames from standard input and answers on standard output. A frame is one line of JSON, followed by
`bytes` bytes when that key is there. Requests: `limit`, `load`, `evaluate`. Answers carry `error` when the
request failed. Started by `gatekeeper.engine.embedded` as `python -I worker.py`.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

FORBIDDEN = (
    "http.",
    "net.",
    "opa.runtime",
    "rand.",
    "time.now_ns",
    "uuid.",
    "trace",
    "walk_files",
    "rego.parse_module",
)
"""Builtins that read the network, the clock, the environment or chance; a decision could not be replayed."""

UNPORTABLE = frozenset(
    {"json.match_schema", "json.verify_schema", "semver.is_valid", "strings.replace_n", "strings.count"}
    | {"rego.metadata.chain", "rego.metadata.rule", "time.parse_duration_ns", "print", "io.jwt.decode"}
)
"""Builtins on which regorus and OPA differ, found by running OPA's own test suite on both."""

PORTABLE = {
    "abs": 1, "all": 1, "any": 1, "array.concat": 2, "array.reverse": 1, "array.slice": 3, "base64.decode": 1,
    "base64.encode": 1, "bits.and": 2, "bits.or": 2, "ceil": 1, "concat": 2, "contains": 2, "count": 1,
    "endswith": 2, "floor": 1, "format_int": 2, "glob.match": 3, "graph.reachable": 2, "indexof": 2,
    "intersection": 1, "is_array": 1, "is_boolean": 1, "is_null": 1, "is_number": 1, "is_object": 1, "is_set": 1,
    "is_string": 1, "json.filter": 2, "json.marshal": 1, "json.remove": 2, "json.unmarshal": 1, "lower": 1,
    "max": 1, "min": 1, "numbers.range": 2, "object.filter": 2, "object.get": 3, "object.keys": 1,
    "object.remove": 2, "object.subset": 2, "object.union": 2, "object.union_n": 1, "regex.match": 2,
    "regex.replace": 3, "regex.split": 2, "replace": 3, "round": 1, "semver.compare": 2, "sort": 1, "split": 2,
    "sprintf": 2, "startswith": 2, "strings.any_prefix_match": 2, "strings.any_suffix_match": 2,
    "strings.reverse": 1, "substring": 3, "sum": 1, "product": 1, "time.parse_rfc3339_ns": 1, "to_number": 1,
    "trim": 2, "trim_left": 2, "trim_prefix": 2, "trim_right": 2, "trim_space": 1, "trim_suffix": 2,
    "type_name": 1, "union": 1, "upper": 1, "walk": 1,
}  # fmt: skip
"""Builtins that may be called, with their number of arguments."""

MAX_FILE_BYTES, MAX_LINES, MAX_COLUMNS = 1024 * 1024, 20_000, 1_000
MAX_NESTING = 24
"""Brackets within brackets; the parser's time doubles with each level."""


class PolicyError(Exception):
    """A policy that does not compile, or calls what it must not."""


def _calls(node: Any) -> Iterator[dict[str, Any]]:
    """Find every call below a node of regorus's AST, without recursion."""
    pending = [node]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            call = item.get("Call")
            if isinstance(call, dict):
                yield call
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)


def _dotted(node: dict[str, Any]) -> str:
    """Name what a reference refers to: `a.b.c`."""
    parts: list[str] = []
    while "RefDot" in node:
        parts.append(node["RefDot"]["field"][1])
        node = node["RefDot"]["refr"]
    parts.append(node.get("Var", {}).get("value", "?"))
    return ".".join(reversed(parts))


def _head(rule: dict[str, Any]) -> dict[str, Any]:
    """The head of a rule, whichever kind it is."""
    spec: dict[str, Any] = rule.get("Spec", {}).get("head", {})
    return next(iter(spec.values()), {}) if spec else {}


def _functions(tree: list[dict[str, Any]]) -> dict[str, int]:
    """Full names and arities of the functions that the modules define."""
    found: dict[str, int] = {}
    for module in tree:
        package = _dotted(module["ast"]["package"]["refr"])
        for rule in module["ast"]["rules"]:
            head = rule.get("Spec", {}).get("head", {}).get("Func")
            if head is not None:
                found[f"data.{package}.{_dotted(head['refr'])}"] = len(head["args"])
    return found


def check_portable(tree: list[dict[str, Any]]) -> None:
    """
    Refuse calls of unknown, forbidden or unportable functions and calls with the wrong number of arguments.

    regorus looks functions up when it reaches them, so a rule behind a false guard would never be checked.
    Raises `PolicyError` with path, line and column.
    """
    functions = _functions(tree)
    for module in tree:
        package = _dotted(module["ast"]["package"]["refr"])
        imports = {}
        for each in module["ast"].get("imports", []):
            full = _dotted(each["refr"])
            alias = each.get("as")
            imports[alias["text"] if isinstance(alias, dict) and "text" in alias else full.split(".")[-1]] = full
        for call in _calls(module["ast"]["rules"]):
            name = _dotted(call["fcn"])
            first, _, rest = name.partition(".")
            full = f"{imports[first]}.{rest}".rstrip(".") if first in imports else name
            local = f"data.{package}.{name}"
            arity = functions.get(local, functions.get(full, PORTABLE.get(name)))
            span = call["span"]
            where = f"{module['source']['file']}:{span['line']}:{span['col']}"
            _check_call(where, name, arity, len(call["params"]), local in functions or full in functions)


def _check_call(where: str, name: str, arity: int | None, given: int, ours: bool) -> None:
    if not ours and any(name == each or (each.endswith(".") and name.startswith(each)) for each in FORBIDDEN):
        raise PolicyError(f"{where}: {name} is forbidden: a policy sees only its input, so that it can be replayed")
    if not ours and name in UNPORTABLE:
        raise PolicyError(f"{where}: {name} means different things to the two engines")
    if arity is None:
        raise PolicyError(f"{where}: unknown function {name}")
    if given != arity:
        raise PolicyError(f"{where}: {name} takes {arity} arguments, {given} given")


def check_text(path: str, text: str) -> None:
    """Refuse text that the parser could choke on; raises `PolicyError`."""
    depth = 0
    for number, line in enumerate(text.split("\n"), start=1):
        bare = re.sub(r'"(?:[^"\\]|\\.)*"|`[^`]*`|#.*', "", line)
        depth += sum(map(bare.count, "([{")) - sum(map(bare.count, ")]}"))
        if depth > MAX_NESTING or len(re.findall(r"[(\[{]", bare)) > 4 * MAX_NESTING:
            raise PolicyError(f"{path}:{number}: nested deeper than {MAX_NESTING} brackets")
        if '$"' in bare or "$`" in bare:
            raise PolicyError(f"{path}:{number}: string interpolation means different things to the two engines")


class Worker:
    """One engine and the requests that it answers."""

    def __init__(self) -> None:
        self.engine: Any = None

    def answer(self, request: dict[str, Any], payload: bytes) -> tuple[dict[str, Any], bytes]:
        """Answer one request; raises `PolicyError` or what the engine raises."""
        match request["op"]:
            case "limit":
                _limit_memory(request["memory_bytes"])
                return {}, b""
            case "load":
                return self._load(json.loads(payload)), b""
            case "evaluate":
                return self._evaluate(request["package"], payload.decode("utf-8"))
            case other:
                raise PolicyError(f"unknown request {other!r}")

    def _load(self, request: dict[str, Any]) -> dict[str, Any]:
        import regorus

        engine = regorus.Engine()
        engine.set_policy_length_config(max_col=MAX_COLUMNS, max_file_bytes=MAX_FILE_BYTES, max_lines=MAX_LINES)
        for path, text in request["modules"]:
            check_text(path, text)
            try:
                engine.add_policy(path, text)
            except (RuntimeError, ValueError) as error:
                raise PolicyError(f"{path}: does not compile: {_first_lines(error)}") from error
        check_portable(json.loads(engine.get_ast_as_json()))
        engine.add_data_json(json.dumps(request["data"]))
        self.engine = engine
        return {}

    def _evaluate(self, package: str, document: str) -> tuple[dict[str, Any], bytes]:
        started = time.perf_counter()
        self.engine.set_input_json(document)
        found: dict[str, Any] = {}
        for rule in ("deny", "warn"):
            text = self.engine.eval_query_as_json(f"data.{package}.{rule}")
            results = json.loads(text).get("result", [])
            if results:
                found[rule] = results[0]["expressions"][0]["value"]
        return {"seconds": time.perf_counter() - started}, json.dumps(found).encode()


def _limit_memory(memory_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no rlimits; the wall clock still bounds the worker
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _first_lines(error: BaseException) -> str:
    """The engine's message without its stack backtrace."""
    return str(error).split("Stack backtrace:")[0].strip()


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer frames until the input ends."""
    worker = Worker()
    while line := requests.readline():
        request = json.loads(line)
        payload = requests.read(request.get("bytes", 0))
        try:
            head, body = worker.answer(request, payload)
        except PolicyError as error:
            head, body = {"error": str(error), "kind": "policy"}, b""
        except MemoryError:
            head, body = {"error": "out of memory", "kind": "engine"}, b""
        except (RuntimeError, ValueError, TypeError, KeyError, ImportError) as error:
            head, body = {"error": _first_lines(error), "kind": "engine"}, b""
        answers.write(json.dumps(head | {"bytes": len(body)}).encode() + b"\n" + body)
        answers.flush()


if __name__ == "__main__":
    import regorus  # noqa: F401  # loaded while the parent is still importing

    serve(sys.stdin.buffer, sys.stdout.buffer)
