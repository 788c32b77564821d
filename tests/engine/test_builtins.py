"""Every builtin that a policy may call gives the same on both engines."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from engine.engines import FAILED, answer, both
from engine.making import document, policy_set

from gatekeeper.engine.builtins import PORTABLE
from gatekeeper.engine.embedded import EmbeddedEngine
from gatekeeper.engine.opa import OpaEngine

SAMPLES = 150
TEXTS = [
    "", "a", "A", "b", "ab", "abc", "a.b", "1", " x ", "\tx\n", "aXbX", "日本語", "é", "e\u0301", "a\u00a0b", "\u3000",
    "İ", "ß", "ΟΔΟΣ", "\u212a", "model/x", "*", "a*", "aaa", "x,y", ",", "\0", "a\nb", "\u2028", '"', "\\", "%d", "<&>",
]  # fmt: skip
WHOLE = [0, 1, -1, 2, 10, -5, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 1 - 2**63]
NUMBERS = [*WHOLE, 0.1, 0.5, 1.5, 2.5, -1.5, 0.1 + 0.2, 1e-7, 123456.789, 1234567.8, 1e15 + 0.5, 3.0, -0.0, 1e17]
KEYS = ["a", "b", "c", "é", "Z", ""]
Draw = Callable[[Random], Any]


def text(random: Random) -> str:
    return random.choice(TEXTS)


def whole(random: Random) -> int:
    return random.choice(WHOLE)


def number(random: Random) -> float:
    return random.choice(NUMBERS)


def index(random: Random) -> int:
    return random.choice([0, 1, 2, 3, 7])


def anything(random: Random, depth: int = 2) -> Any:
    kind = random.randrange(8 if depth else 5)
    if kind < 5:
        return [text(random), number(random), None, True, False][kind]
    if kind == 5:
        return {random.choice(KEYS): anything(random, depth - 1) for _ in range(random.randrange(4))}
    return [anything(random, depth - 1) for _ in range(random.randrange(4))]


def items(random: Random) -> list[Any]:
    return [anything(random, 1) for _ in range(random.randrange(5))]


def texts(random: Random) -> list[str]:
    return [text(random) for _ in range(random.randrange(4))]


def keys(random: Random) -> list[str]:
    return [random.choice(KEYS) for _ in range(random.randrange(4))]


def mapping(random: Random) -> dict[str, Any]:
    return {key: anything(random) for key in keys(random)}


def mappings(random: Random) -> list[Any]:
    return [mapping(random) for _ in range(random.randrange(3))]


def lists(random: Random) -> list[Any]:
    return [[random.choice([1, 2, "a", None]) for _ in range(random.randrange(4))] for _ in range(random.randrange(4))]


def one_or_more(random: Random) -> Any:
    return random.choice([text, texts])(random)


def path(random: Random) -> Any:
    return random.choice([random.choice(KEYS), [random.choice(["a", "b", 0]) for _ in range(random.randrange(3))]])


def base(random: Random) -> int:
    return random.choice([2, 8, 10, 16])


A_SET = "{x | some x in sample[0]}"
A_SET_OF_SETS = "{s | some l in sample[0]; s := {x | some x in l}}"
NO_SURPRISES: dict[str, tuple[str, list[Draw]]] = {
    "abs": ("abs(sample[0])", [number]),
    "array.concat": ("array.concat(sample[0], sample[1])", [items, items]),
    "array.reverse": ("array.reverse(sample[0])", [items]),
    "array.slice": ("array.slice(sample[0], sample[1], sample[2])", [items, index, index]),
    "concat": ("concat(sample[0], sample[1])", [text, texts]),
    "contains": ("contains(sample[0], sample[1])", [text, text]),
    "count": ("count(sample[0])", [lambda random: random.choice([text, items, mapping])(random)]),
    "endswith": ("endswith(sample[0], sample[1])", [text, text]),
    "format_int": ("format_int(sample[0], sample[1])", [whole, base]),
    "intersection": (f"intersection({A_SET_OF_SETS})", [lists]),
    "is_array": ("is_array(sample[0])", [anything]),
    "is_boolean": ("is_boolean(sample[0])", [anything]),
    "is_null": ("is_null(sample[0])", [anything]),
    "is_number": ("is_number(sample[0])", [anything]),
    "is_object": ("is_object(sample[0])", [anything]),
    "is_set": (f"[is_set({A_SET}), is_set(sample)]", [items]),
    "is_string": ("is_string(sample[0])", [anything]),
    "max": ("[max(sample[0]) | true]", [items]),
    "min": ("[min(sample[0]) | true]", [items]),
    "object.filter": ("object.filter(sample[0], sample[1])", [mapping, keys]),
    "object.get": ("object.get(sample[0], sample[1], sample[2])", [mapping, path, anything]),
    "object.keys": ("object.keys(sample[0])", [mapping]),
    "object.remove": ("object.remove(sample[0], sample[1])", [mapping, keys]),
    "object.union": ("object.union(sample[0], sample[1])", [mapping, mapping]),
    "object.union_n": ("object.union_n(sample[0])", [mappings]),
    "regex.match": (
        '[regex.match("^[a-zé]+(?:\\\\.[a-z]{1,3})?$", sample[0]), regex.match(`X$|^a`, sample[0])]',
        [text],
    ),
    "replace": ('replace(sample[0], "a", sample[1])', [text, text]),
    "round": ("round(sample[0])", [number]),
    "sort": (f"[sort(sample[0]), sort({A_SET})]", [items]),
    "split": ("split(sample[0], sample[1])", [text, text]),
    "sprintf": ('sprintf("%v|%s|%d%%", [sample[0], sample[1], sample[2]])', [anything, anything, anything]),
    "startswith": ("startswith(sample[0], sample[1])", [text, text]),
    "strings.any_prefix_match": ("strings.any_prefix_match(sample[0], sample[1])", [one_or_more, one_or_more]),
    "strings.any_suffix_match": ("strings.any_suffix_match(sample[0], sample[1])", [one_or_more, one_or_more]),
    "strings.reverse": ("strings.reverse(sample[0])", [text]),
    "substring": ("substring(sample[0], sample[1], sample[2])", [text, index, index]),
    "trim": ("trim(sample[0], sample[1])", [text, text]),
    "trim_left": ("trim_left(sample[0], sample[1])", [text, text]),
    "trim_prefix": ("trim_prefix(sample[0], sample[1])", [text, text]),
    "trim_right": ("trim_right(sample[0], sample[1])", [text, text]),
    "trim_space": ("trim_space(sample[0])", [text]),
    "trim_suffix": ("trim_suffix(sample[0], sample[1])", [text, text]),
    "type_name": ("type_name(sample[0])", [anything]),
    "union": (f"union({A_SET_OF_SETS})", [lists]),
}
OPERATORS: dict[str, tuple[str, list[Draw]]] = {
    "less": ("sample[0] < sample[1]", [anything, anything]),
    "equal": ("sample[0] == sample[1]", [anything, anything]),
    "at_least": ("sample[0] >= sample[1]", [number, number]),
    "in": ("sample[0] in sample[1]", [anything, items]),
    "union_of": (f"{A_SET} | {{y | some y in sample[1]}}", [items, items]),
    "common": (f"{A_SET} & {{y | some y in sample[1]}}", [items, items]),
    "without": (f"{A_SET} - {{y | some y in sample[1]}}", [items, items]),
    "whole": ("count(sample[0]) - count(sample[1]) + 1", [items, items]),
    "least_of_set": (f"[min({A_SET}) | true]", [items]),
    "order": (f"[each | some each in {A_SET}]", [items]),
    "keys": ("[[k, v] | some k, v in sample[0]]", [mapping]),
}
EVERY = NO_SURPRISES | OPERATORS


def package(name: str) -> str:
    return "gatekeeper.gates." + name.replace(".", "_") + "_"


@pytest.fixture(scope="module")
def engines(opa: str) -> Iterator[tuple[EmbeddedEngine, OpaEngine]]:
    modules = [
        f"package {package(name)}\n\nwarn contains 1 if false\n\n"
        f"deny contains [index, value] if {{\n\tsome index, sample in input.samples\n\tvalue := {expression}\n}}\n"
        for name, (expression, _) in EVERY.items()
    ]
    with both(opa, policy_set(*modules)) as engines:
        yield engines


def test_samples_every_portable_builtin() -> None:
    """A builtin is portable only with samples here that show it."""
    assert NO_SURPRISES.keys() == PORTABLE.keys()


@pytest.mark.parametrize("name", EVERY)
def test_gives_the_same_on_both_engines(engines: tuple[EmbeddedEngine, OpaEngine], name: str) -> None:
    """The values of a builtin or operator are the same for every sample, byte for byte."""
    random = Random(name)
    draws = EVERY[name][1]
    samples = [[draw(random) for draw in draws] for _ in range(SAMPLES)]
    embedded, real = (answer(engine, package(name), document(samples=samples)) for engine in engines)
    assert json.dumps(embedded) == json.dumps(real)
    assert len(real["deny"]) == SAMPLES


@pytest.mark.parametrize(
    "name", sorted(name for name in PORTABLE if not name.startswith(("is_", "type_name", "union", "intersection")))
)
def test_does_the_same_for_a_value_of_another_type(engines: tuple[EmbeddedEngine, OpaEngine], name: str) -> None:
    """A builtin given what it cannot use fails on both engines, or gives the same on both."""
    values = [None, True, -3, 1.5, "x", [], ["a", 1], {}, {"a": 1}]
    outcomes = set()
    for value in values:
        samples = [[value] * len(NO_SURPRISES[name][1])]
        embedded, real = (answer(engine, package(name), document(samples=samples)) for engine in engines)
        assert json.dumps(embedded) == json.dumps(real), value
        outcomes.add(json.dumps(real))
    assert json.dumps(FAILED) in outcomes or name == "sprintf"
