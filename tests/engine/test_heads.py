"""A finding without a value is left out, and no other with it; the lines of a policy keep their numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import regorus
from conftest import PROJECT
from engine.engines import answer, both
from engine.making import GATE, document, gate, module, policy_set

from gatekeeper.engine.embedded import EmbeddedEngine
from gatekeeper.engine.heads import bind_heads
from gatekeeper.engine.opa import OpaEngine
from gatekeeper.engine.portable import bind_all_heads, check_portable
from gatekeeper.engine.rego import read_outline
from gatekeeper.errors import ConfigurationError
from gatekeeper.policy import load_policies
from gatekeeper.settings import EngineSettings

BODIES = [
    'deny contains {"a": x.a} if some x in input.xs',
    "deny contains x.a if some x in input.xs",
    "deny contains f(x) if some x in input.xs\n\nf(x) := x.a",
    "deny contains f(x.a) if {\n\tsome x in input.xs\n}\n\nf(x) := x",
    'deny contains sprintf("%v", [x.a]) if some x in input.xs # comment }',
    "deny contains x.a if { x := input.xs[_] }",
    "deny contains x.a if { x := input.xs[_]; y := x.a; y > 1 }",
    "deny contains [x.a, y] if {\n\tsome x in input.xs # { comment\n\tsome y in input.xs\n}",
    'deny contains {\n\t"m": m, # comment ,\n\t"s": x.s,\n} if {\n\tsome x in input.xs\n\tm := sprintf("%v", [x])\n}',
    "deny contains input.xs[i].a if some i",
    "deny contains\n\tx.a\n\tif {\n\t\tsome x in input.xs }",
    'deny contains {"rule": "r", "n": count(x.l)} if some x in input.xs',
    "_s contains x.a if some x in input.xs\n\ndeny contains y if some y in _s",
    "deny contains input.nosuch",
    "deny contains input.xs",
    "deny contains x if x := input.xs[_].a",
    "deny contains {x.a: 1} if some x in input.xs",
    "deny contains {`a\n`: x.a} if {\n\tsome x in input.xs\n}",
    'deny contains p(x, {"q": x.a}) if some x in input.xs\n\np(x, f) := object.union(f, {"b": x.b}) if is_number(x.b)'
    "\n\np(x, f) := f if not h(x)\n\nh(x) if is_number(x.b)",
    "some_name[k] := v if some k, v in input.xs\n\ndeny contains x.a if some x in some_name",
]
DOCUMENTS = [
    document(xs=[{"a": 1}, {}, {"a": 3}]),
    document(xs=[{}, {"a": 3}]),
    document(xs=[{"a": 1}, {}]),
    document(xs=[{"a": 1, "b": 2, "s": "t", "l": [1]}, {"a": 2, "l": []}]),
    document(xs={"k": {"a": 1}, "l": {}}),
    document(xs=[[], 1, {"a": 1}, None]),
    document(xs=[]),
    document(),
]


@pytest.fixture(scope="module")
def engines(opa: str) -> Iterator[tuple[EmbeddedEngine, OpaEngine]]:
    texts = [gate(body).replace(GATE, f"{GATE}{number}") for number, body in enumerate(BODIES)]
    with both(opa, policy_set(*texts)) as engines:
        yield engines


@pytest.mark.parametrize("number", range(len(BODIES)))
def test_leaves_out_only_what_has_no_value(engines: tuple[EmbeddedEngine, OpaEngine], number: int) -> None:
    """However a rule is written, both engines have the same findings, also where one of them lacks a part."""
    for each in DOCUMENTS:
        embedded, real = (answer(engine, f"{GATE}{number}", each) for engine in engines)
        assert embedded == real, (BODIES[number], each)


def test_regorus_alone_would_lose_findings() -> None:
    """The reason for the rewriting: with one nameless column regorus forgets the others."""
    engine = regorus.Engine()
    engine.add_policy("a.rego", "package a\n\ndeny contains x.a if some x in input.xs\n")
    engine.set_input_json('{"xs": [{"a": 1}, {}]}')
    assert json.loads(engine.eval_rule_as_json("data.a.deny")) == []


@pytest.mark.parametrize("number", range(len(BODIES)))
def test_rewrites_to_what_means_the_same_to_opa(opa: str, number: int, shared: OpaEngine) -> None:
    """The rewritten policy is Rego, and OPA finds the same with it as with the original."""
    plain = policy_set(gate(BODIES[number]))
    bound = policy_set(*bind_all_heads([read_outline(each) for each in plain.modules]).values())
    found = []
    for policies in (plain, bound):
        # The lint refuses the variable's name in policies that people write.
        shared.load(policy_set(*(each.text.replace("gatekeeper_head", "bound") for each in policies.modules)))
        found.append([answer(shared, GATE, each) for each in DOCUMENTS[:3]])
    assert found[0] == found[1]


@pytest.fixture(scope="module")
def shared(opa: str) -> Iterator[OpaEngine]:
    engine = OpaEngine(EngineSettings(name="opa", binary=opa))
    yield engine
    engine.close()


def test_keeps_every_line_where_it_was() -> None:
    """Whatever follows a rewritten rule stands on the line on which the user sees it."""
    modules = [module(gate(f"{body}\n\nlast := 1")) for body in BODIES]
    modules += load_policies(PROJECT / "policies").modules
    rewritten = 0
    for each in modules:
        bound = bind_heads(read_outline(each), frozenset()).split("\n")
        lines = each.text.split("\n")
        starts = [(number, line.split(" ")[0]) for number, line in enumerate(lines) if line[:1].isalpha()]
        assert [(number, bound[number].split(" ")[0]) for number, _ in starts] == starts
        assert len(bound) == len(lines)
        rewritten += "\n".join(bound).count("gatekeeper_head :=")
    assert rewritten > 40


def test_leaves_rules_alone_whose_heads_always_have_a_value() -> None:
    """Variables, literals and calls of builtins on them need no rewriting."""
    text = gate('deny contains {"m": sprintf("%v", [x])} if some x in input.xs\n\ndeny contains "a"')
    outline = read_outline(module(text.replace("contains input.never", "contains 1 if false")))
    assert bind_heads(outline, frozenset()) == outline.module.text


@pytest.mark.parametrize("rule", ["r[k] := x.a if some k, x in input.xs", "r[x.a] := 1 if some x in input.xs",
                                  "r[x.a] if some x in input.xs", "r[k] := f(k) if some k in input.xs\n\nf(x) := x.a"])  # fmt: skip
def test_refuses_keyed_rules_that_could_lose_entries(rule: str) -> None:
    """`rule[key] := value` has the same fault and is not rewritten, so it takes plain variables."""
    with pytest.raises(ConfigurationError, match="regorus forgets other entries") as caught:
        check_portable([module(gate(rule))])
    assert caught.value.location is not None
    assert caught.value.location.line == 7


@pytest.mark.parametrize(
    "rule",
    [
        "f(x) if x.q else := x.z if x.o", "f(x) := x.z if x.o else := 3", "f(x) := 1 if x.q else := x.z",
        "f(x) := 1 if x.q else := 2 if x.z else := g(x)\n\ng(x) := x.y", "r := input.q if input.o else := 3",
    ],
)  # fmt: skip
def test_refuses_else_chains_with_values_that_may_be_undefined(rule: str) -> None:
    """OPA goes on to the next `else` where regorus stops, or gives `true` for a value that is not there."""
    with pytest.raises(ConfigurationError, match="before or after `else`"):
        check_portable([module(gate(rule))])


def test_accepts_else_chains_with_plain_values() -> None:
    """Variables and literals are values on both engines, whatever the rules around the chain are."""
    rules = "a := input.x\n\nf(x) := y if {\n\ty := x.z\n} else := 3 if x.o else := [x]\n\nb := input.y if f(1)"
    assert check_portable([module(gate(rules))])


def test_refuses_a_body_that_only_begins_with_a_brace() -> None:
    """A comparison of a set as the whole body could be taken for a body in braces."""
    with pytest.raises(ConfigurationError, match="ends with it"):
        check_portable([module(gate("deny contains input.x if {1} == input.y"))])


def test_refuses_the_name_that_it_uses() -> None:
    """A policy with that variable would change its meaning."""
    with pytest.raises(ConfigurationError, match="the name gatekeeper_head is taken"):
        check_portable([module(gate("deny contains 1 if gatekeeper_head := 1"))])
