"""After `not` stands only what both engines negate as a whole, so that what is undefined denies on both."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import regorus
from engine.engines import answer, both
from engine.making import document, module, policy_set

from gatekeeper.engine.embedded import EmbeddedEngine
from gatekeeper.engine.opa import OpaEngine
from gatekeeper.engine.portable import check_portable
from gatekeeper.errors import ConfigurationError

HELPERS = """f(x) if x > 1

two(x, y) if x == y

same(x) := x

partial(x) := x if x > 10

_rule := 1 if input.nosuch

warn contains 1 if false
"""
ALIKE = [
    "not input.q", "not input.q.z", 'not input["q"]', 'k := "q"; not input[k]', "not input.l[0]", "not input.l[9].z",
    "not input.q == 1", "not 1 == input.q", "not input.q == input.r", "not input.o.b == 1", "not _rule",
    "not _rule == 1", "not f(3)", "not f(-1)", "not f(input)", "o := input.o; not f(o)", "o := input.o; not two(o, 1)",
    'not two({"a": 1}, {"a": 1})', "o := input.o; not two(o, {o})", "not data.gatekeeper.gates.p0.f(2)", "not true",
    "not false", 'o := input.o; not object.get(o, "z", 0) == 0', 'not object.get(input, "q", 0) == 1',
    "not count([1 | input.q]) == 1", "not f(count([x | x := input.q[_]]))", "l := input.l; not count(l) > 3",
    "l := input.l; not 3 in l", "l := input.l; not l[0] == 3", "not partial(1)", "k := 5; not k > 7",
    "l := input.l; not count(l) + 1 > 3", 'not startswith("ab", "b")', "not {1, 2} == {2, 1}", "not {} == input.z",
    "k := 0; not input.l[k]", "not (1 == 2)", "k := 0; not input.q.a[k].b", "not input.z",
]  # fmt: skip
"""Expressions that the lint accepts; each gives the same on both engines for documents with and without values."""

DIFFERENT = [
    "not f(input.q)", "not f(input.q.z)", "o := input.o; not f(o.q)", "o := input.o; not two(o, input.q)",
    "not input.q > 1", "not input.q != 1", "not input.q in [1]", "not 1 in input.q", "not count(input.q) > 0",
    "not is_object(input.q)", 'not startswith(input.q, "a")', "not f([input.q])", 'not f({"a": input.q})',
    "not f({input.q: 1})", "not f(same(input.q))", "not f(partial(1))", "not partial(1) == 1", "not f(_rule)",
    "not f(data.nosuch.x)", "not [input.q] == [1]", "not {input.q} == {1}", 'not input.o == {"a": input.q}',
    "not input.o[input.q]", "not f(input.o[input.q])", "k := input.o; not input.o[k.z]", "not (input.q == 1)",
    "not input.o[input.q] == 1", "not max([]) == 1", "not regex.match(`a`, input.q)", "not f(input.l[9])",
]  # fmt: skip
"""Expressions that the lint refuses; for OPA they are undefined where regorus takes them for true."""

DOCUMENTS = [
    document(o={"b": 1}, l=[1, 2], z={}),
    document(),
    document(q=1, r=1, o={"b": 2, "q": 2}, l=[3, 3, 3], z=False),
    document(q="b", o={"b": False}, l=[], nosuch=True),
]


def text(number: int, expression: str) -> str:
    return f"package gatekeeper.gates.p{number}\n\ndeny contains 1 if {{ {expression} }}\n\n{HELPERS}"


@pytest.fixture(scope="module")
def engines(opa: str) -> Iterator[tuple[EmbeddedEngine, OpaEngine]]:
    with both(opa, policy_set(*(text(number, expression) for number, expression in enumerate(ALIKE)))) as engines:
        yield engines


@pytest.mark.parametrize("expression", ALIKE)
def test_accepts_what_means_the_same_to_both_engines(
    engines: tuple[EmbeddedEngine, OpaEngine], expression: str
) -> None:
    """Both engines agree on every document, those in which nothing is defined included."""
    package = f"gatekeeper.gates.p{ALIKE.index(expression)}"
    outcomes = [[answer(engine, package, each) for engine in engines] for each in DOCUMENTS]
    assert all(embedded == real for embedded, real in outcomes), outcomes


@pytest.mark.parametrize("expression", DIFFERENT)
def test_refuses_what_may_be_undefined_before_it_is_negated(expression: str) -> None:
    """The place is that of the `not`, and the hint names the way out."""
    with pytest.raises(ConfigurationError, match="not true when a part of it is undefined") as caught:
        check_portable([module(text(0, expression))])
    assert "negate a helper" in caught.value.hint
    assert caught.value.location is not None
    assert caught.value.location.line == 3
    assert caught.value.location.column == 22 + expression.index("not ")


def test_refuses_it_in_helpers_comprehensions_and_every() -> None:
    """A negation is checked wherever it stands."""
    for body in ("h if { not is_string(input.q) }", "h := [1 | not f(input.q)]", "h if every x in [1] { not f(x.y) }"):
        with pytest.raises(ConfigurationError, match="a part of it is undefined"):
            check_portable([module(f"package a\n\n{body}\n\nf(x) if x\n")])


@pytest.mark.parametrize(
    "body",
    [
        "every w in input.l { not input.o[w] }", "every k, w in input.l { w > k; not input.o[k] == 1 }",
        "every w in input.l { x := input.o; not x[w].b }", "every w in {1, 2} { count([1 | not input.o[w]]) == 1 }",
        "every w in input.l { every v in [w] { not input.o[v] } }",
    ],
)  # fmt: skip
def test_refuses_a_variable_in_brackets_within_every(body: str) -> None:
    """There regorus takes what is undefined for false even under `not`."""
    with pytest.raises(ConfigurationError, match="within `every`"):
        check_portable([module(text(0, body))])


def test_accepts_other_negations_within_every() -> None:
    """Literal indexes and helpers are safe there, and so is anything after its body."""
    for body in ("every w in input.l { not w[0]; not f(w) }", "every w in input.l { w }\n\tk := 1; not input.o[k]"):
        check_portable([module(text(0, body))])


def test_knows_the_rules_of_other_files_of_the_package() -> None:
    """A rule without a value is no variable, in whichever file it is."""
    texts = {"1.rego": "package a\n\nb if not f(limit)\n\nf(x) if x\n", "2.rego": "package a\n\nlimit := input.q\n"}
    with pytest.raises(ConfigurationError, match="a part of it is undefined"):
        check_portable([module(each, path) for path, each in texts.items()])


def test_the_engines_do_differ_on_what_is_refused(opa: str, tmp_path: Path) -> None:
    """The reason for the lint: regorus takes the first refused expression for true, and OPA does not."""
    policy = tmp_path / "p.rego"
    policy.write_text(text(0, "not f(input.q)"), "utf-8")
    engine = regorus.Engine()
    engine.add_policy_from_file(str(policy))
    engine.set_input_json("{}")
    command = [opa, "eval", "--data", str(policy), "--format", "raw", "data.gatekeeper.gates.p0.deny"]
    real = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert json.loads(engine.eval_rule_as_json("data.gatekeeper.gates.p0.deny")) == [1]
    assert json.loads(real) == []
