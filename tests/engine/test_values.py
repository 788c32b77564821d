"""Numbers that an engine could not carry are refused; results have one form."""

from __future__ import annotations

import json
import math
from random import Random

import pytest
from engine.making import document, policy_set

from gatekeeper.engine.values import MAX_WHOLE, find_inexact, refuse_inexact, refuse_inexact_data, settle, whole
from gatekeeper.errors import ConfigurationError, UnavailableError


@pytest.mark.parametrize("value", [MAX_WHOLE, -MAX_WHOLE, 0, 1e15 + 0.5, 1e-300, -0.0, 9e18, True, None, "9" * 40])
def test_takes_numbers_of_64_bits_and_long_text(value: object) -> None:
    """The largest whole number that both engines hold is taken, either way; digits in text are not numbers."""
    refuse_inexact(document(x=[{"y": value}]), "engine")
    assert find_inexact(value) == ""


@pytest.mark.parametrize("value", [MAX_WHOLE + 1, -MAX_WHOLE - 1, 10**30, 1e19, -1e300, math.inf])
def test_refuses_numbers_beyond_64_bits(value: float) -> None:
    """One past the limit is refused, wherever it stands and however it is written."""
    for text in (document(x=[{"y": value}]), json.dumps({"a": [0, value]}, indent=1).encode()):
        if b"Infinity" not in text:
            with pytest.raises(UnavailableError, match="beyond 64 bits"):
                refuse_inexact(text, "engine")
    assert find_inexact([{"y": value}])


@pytest.mark.parametrize("text", [b'{"x":1E40}', b'{"x":1e+40}', b'{"x" : [ -1e40]}', b'{"x":1.5E40}', b"1e40"])
def test_refuses_large_numbers_in_every_notation_of_json(text: bytes) -> None:
    """An exponent may have a capital E, a plus, a blank before it."""
    with pytest.raises(UnavailableError, match="beyond 64 bits"):
        refuse_inexact(text, "engine")


def test_finds_a_large_number_among_many_others() -> None:
    """The quick look before the exact one misses nothing: every large number of random documents is found."""
    random = Random(3)
    for _ in range(300):
        large = random.choice([10.0 ** random.randint(19, 300), -(10 ** random.randint(19, 40)), 2**63])
        items = [random.choice(["e5", "0e", "1" * 30, 0.1, 1e-9, 123, None]) for _ in range(8)]
        items.insert(random.randrange(9), large)
        with pytest.raises(UnavailableError):
            refuse_inexact(json.dumps({"x": items}).encode(), "engine")


def test_refuses_policy_data_beyond_64_bits() -> None:
    """A threshold that the engines would read differently is an error of the configuration."""
    with pytest.raises(ConfigurationError, match="the number 1e\\+30 in the data"):
        refuse_inexact_data(policy_set("package a\n\nb := 1\n", data={"thresholds": {"x": 1e30}}))


def test_writes_whole_numbers_without_a_point() -> None:
    """1.0 becomes 1 everywhere, because regorus writes it so; other values stay."""
    assert json.dumps(whole({"a": [1.0, -0.0, 1e17, 0.5, True, None, "1.0"]})) == (
        '{"a": [1, 0, 100000000000000000, 0.5, true, null, "1.0"]}'
    )


def test_sorts_sets_and_keeps_everything_else() -> None:
    """The order in which an engine lists a set does not show; a result of another shape is left for others to judge."""
    assert settle({"deny": [{"b": 1}, {"a": 2.0}], "warn": True}) == {"deny": [{"a": 2}, {"b": 1}], "warn": True}
    assert settle({}) == {}
