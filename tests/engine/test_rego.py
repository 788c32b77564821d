"""What the tokens of a module tell is what the parsers of both engines find."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import regorus
from conftest import PROJECT
from engine.making import module

from gatekeeper.engine.rego import MAX_NESTING, read_outline
from gatekeeper.errors import ConfigurationError

LIBRARY = sorted((PROJECT / "policies").rglob("*.rego"))
INFIX = {"assign", "eq", "equal", "neq", "gt", "gte", "lt", "lte", "plus", "minus", "mul", "div", "rem", "and", "or"}

TORTURE = """package torture.a

import data.lib.x as y
import data.lib.z
import rego.v1

default f(_) := false

f(a) if { a > 1 } else if { upper(a) == "A" } else := count(a) if { true }

g(a, b) := sprintf("%s)(", [a,]) if count(b) > 0

h(a) := {"k": g(a, "(x)")} # f(1) in a comment, and a quote: "

one_line if f(1)
other_line(v) if f(v)

partial contains y.f(v) if {
	some v in input.xs
	not f(v)
}

map[k] := v if some k, v in object.keys(input)

deny contains trim(`a "(" b`, ")") if (1 == 2)

every_rule if every k, v in input.xs { f(k); startswith(v, "(") }

compr := [z.g(n, m) | n := input.a[_]; m := count([q | q := f(n)])]

ref := data.lib.x.f(input["count(1)"])

neg := -1

grp := (count([1]) + 2) - 1

nested if f(g(h(1), count([f(2)])))

raw := `
f(9)
`

none := set()

esc := "\\"f(1)\\\\"

late if {
	x := input.x # comment ( [ {
	contains(x, "é(")
	not contains(x, "b")
	x in {1, 2}
	(x == 3)
}

deep.er.fun(p) := p

uses := deep.er.fun(1)
"""


def parsed_by_regorus(path: str, text: str) -> tuple[list[tuple[int, str, int]], dict[str, int | None]]:
    """Calls as (line, name, arguments) and functions, as regorus's syntax tree has them."""
    engine = regorus.Engine()
    engine.set_policy_length_config(max_col=1000, max_file_bytes=2**20, max_lines=20_000)
    engine.add_policy(path, text)
    tree = json.loads(engine.get_ast_as_json())[0]["ast"]
    calls: list[tuple[int, str, int]] = []
    functions: dict[str, int | None] = {}
    pending = [tree["rules"]]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, dict):
            if isinstance(call := node.get("Call"), dict):
                calls.append(_call(call))
            if isinstance(head := node.get("Func"), dict) and "args" in head:
                functions[_dotted(head["refr"])] = len(head["args"])
            pending.extend(node.values())
    return sorted(calls), functions


def _call(call: dict[str, Any]) -> tuple[int, str, int]:
    node = call["fcn"]
    while "RefDot" in node:
        node = node["RefDot"]["refr"]
    return node["Var"]["span"]["line"], _dotted(call["fcn"]), len(call["params"])


def _dotted(node: dict[str, Any]) -> str:
    if "RefDot" in node:
        return f"{_dotted(node['RefDot']['refr'])}.{node['RefDot']['field'][1]}"
    return node["Var"]["value"]


def parsed_by_opa(opa: str, path: Path) -> list[tuple[int, str, int]]:
    """Calls as (line, name, arguments), as `opa parse` has them; infix operators are left out."""
    command = [opa, "parse", "--format", "json", "--json-include", "locations", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    calls, pending = [], [json.loads(done.stdout)["rules"]]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, dict):
            parts = node.get("terms") if isinstance(node.get("terms"), list) else None
            if node.get("type") == "call":
                parts = node["value"]
            if parts:
                name = ".".join(part["value"] for part in parts[0]["value"])
                if name not in INFIX and not name.startswith("internal."):
                    calls.append((parts[0]["location"]["row"], name, len(parts) - 1))
            pending.extend(value for key, value in node.items() if key != "location")
    return sorted(calls)


def found(path: str, text: str) -> tuple[list[tuple[int, str, int]], dict[str, int]]:
    """The same from the tokens."""
    outline = read_outline(module(text, path))
    calls = []
    for call in outline.calls:
        place = outline.refuse(call.opening - 1, "").location
        assert place is not None
        calls.append((place.line, call.name, call.arguments))
    return sorted(calls), {name: arity for name, arity in outline.heads.items() if arity is not None}


@pytest.mark.parametrize("path", LIBRARY, ids=[path.name for path in LIBRARY])
def test_finds_the_calls_and_functions_of_the_library_that_regorus_finds(path: Path) -> None:
    """No call of the library or its tests is missed, misplaced or invented."""
    text = path.read_text("utf-8")
    assert found(str(path), text) == parsed_by_regorus(str(path), text)


def test_finds_the_calls_of_the_library_that_opa_finds(opa: str) -> None:
    """OPA's own parser finds the same calls; the library is large enough to mean something."""
    seen = 0
    for path in LIBRARY:
        calls, _ = found(str(path), path.read_text("utf-8"))
        assert calls == parsed_by_opa(opa, path), path
        seen += len(calls)
    assert seen > 100


def test_finds_every_call_in_unusual_syntax(opa: str, tmp_path: Path) -> None:
    """Text literals, comments, one-line rules, else chains, references and trailing commas hide no call."""
    path = tmp_path / "torture.rego"
    path.write_text(TORTURE, "utf-8")
    calls, functions = found(str(path), TORTURE)
    assert (calls, functions) == parsed_by_regorus(str(path), TORTURE)
    assert calls == parsed_by_opa(opa, path)
    assert len(calls) == 26
    assert functions == {"f": 1, "g": 2, "h": 1, "other_line": 1, "deep.er.fun": 1}


def test_reads_imports_with_and_without_alias() -> None:
    """An alias stands for the full path, a plain import for its last part."""
    outline = read_outline(module(TORTURE))
    assert outline.imports == {"y": "data.lib.x", "z": "data.lib.z", "v1": "rego.v1"}


def test_reads_files_with_windows_line_ends() -> None:
    """Places stay right when lines end as on Windows."""
    outline = read_outline(module("package a\r\n\r\nb := f(1)\r\n"))
    assert outline.refuse(outline.calls[0].opening - 1, "").location is not None
    assert str(outline.refuse(outline.calls[0].opening - 1, "").location) == "a.rego:3:6"


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ('package a\n\nb := $"{x}"\n', "a.rego:3:6", "'$' is not Rego"),
        ('package a\n\nb := "x\n', "a.rego:3:6", "is not Rego"),
        ("package a\n\nb := `x\n", "a.rego:3:6", "is not Rego"),
        ("package a\n\nb := é\n", "a.rego:3:6", "'é' is not Rego"),
        ("package a\n\nb := 1\u00a0\n", "a.rego:3:7", "is not Rego"),
        ("package a\n\nb := 1 # x\r c := 2\n", "a.rego:3:11", "carriage return"),
        ("package a\n\nb := [1, 2\n", "a.rego:3:6", "never closed"),
        ("package a\n\nb := [1, 2)\n", "a.rego:3:11", "')' closes nothing"),
        ("package a\n\nb := 1}\n", "a.rego:3:7", "'}' closes nothing"),
        ("package a\n\nb := x[0](1)\n", "a.rego:3:10", "plain name"),
        ("package a\n\nb := x[0].f(1)\n", "a.rego:3:12", "plain name"),
        ("package a\n\nb := data . f(1)\n", "a.rego:3:14", "plain name"),
        ("package a\n\nb(x) := x\n\nb(x, y) := y\n", "a.rego:5:1", "different numbers of arguments"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_refuses_text_that_the_engines_could_read_differently(text: str, place: str, problem: str) -> None:
    """What is not plainly Rego is refused with its place."""
    with pytest.raises(ConfigurationError, match=re.escape(problem)) as caught:
        _ = read_outline(module(text)).calls
    assert str(caught.value.location) == place


def test_refuses_one_level_more_than_the_deepest_nesting() -> None:
    """The limit itself is allowed, one level more is not; regorus's time doubles with each."""
    for depth, fits in ((MAX_NESTING, True), (MAX_NESTING + 1, False)):
        text = "package a\n\nb := " + "[" * depth + "]" * depth + "\n"
        if fits:
            assert read_outline(module(text)).heads == {"b": None}
        else:
            with pytest.raises(ConfigurationError, match="nested deeper than 10"):
                read_outline(module(text))


def test_reads_long_runs_of_blanks_and_comments_quickly() -> None:
    """A file of blank lines takes no more time than its length asks."""
    text = "package a\n" + "\n \t" * 20_000 + "# f(x)\n" * 20_000
    assert read_outline(module(text)).tokens == ["package", "a"]
