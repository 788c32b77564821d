"""The base of all documents is strict, closed and frozen, and equal documents have equal bytes."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gatekeeper.document import Document, canonical_json, dump_json, sha256_hex

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class Sample(Document):
    """A document with one field of each risky kind."""

    count: int = 0
    ratio: float = 0.0
    name: str = ""
    on: bool = False


@pytest.mark.parametrize(
    "content",
    [
        '{"count": "1"}', '{"count": 1.0}', '{"count": true}', '{"count": null}', '{"ratio": "0.5"}',
        '{"ratio": NaN}', '{"ratio": Infinity}', '{"ratio": -Infinity}', '{"ratio": 1e999}', '{"name": 1}',
        '{"on": 1}', '{"on": "yes"}', '{"on": "true"}', '{"unknown": 1}', "[]", "null", '"x"', "", "{",
    ],
)  # fmt: skip
def test_refuses_what_is_not_exactly_the_shape(content: str) -> None:
    """No coercion, no unknown key, no number that is none."""
    with pytest.raises(ValidationError):
        Sample.model_validate_json(content)


def test_accepts_its_shape() -> None:
    """The same fields with the right types are a document; an integer is a number."""
    sample = Sample.model_validate_json('{"count": 1, "ratio": 1, "name": "a", "on": true}')
    assert (sample.count, sample.ratio, sample.name, sample.on) == (1, 1.0, "a", True)


def test_cannot_be_changed() -> None:
    """What was validated is what is used."""
    with pytest.raises(ValidationError, match="frozen"):
        Sample().count = 2  # type: ignore[misc]  # the refusal is the claim


@given(JSON)
def test_canonical_json_reads_back_as_itself(value: Any) -> None:
    """The digested form holds the whole value."""
    try:
        data = canonical_json(value)
    except UnicodeEncodeError:  # half a surrogate pair has no UTF-8 form
        assert "\\ud" in json.dumps(value)
        return
    assert json.loads(data) == value


@given(st.dictionaries(st.text(alphabet="abcé", min_size=1), st.integers(), min_size=2))
def test_canonical_json_does_not_depend_on_the_order_of_keys(value: dict[str, int]) -> None:
    """Equal mappings have equal bytes, in whatever order they were written."""
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


def test_canonical_json_is_compact_sorted_utf8() -> None:
    """The exact bytes, so that a digest of last year still compares."""
    assert canonical_json({"b": [1, 2.5, None], "a": "é"}) == '{"a":"é","b":[1,2.5,null]}'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_canonical_json_refuses_what_json_does_not_know(value: float) -> None:
    """NaN has no JSON form, hence no digest."""
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json([value])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_quick_json_refuses_it_too(value: float) -> None:
    """An engine and a log get JSON or nothing; the words alone are text."""
    with pytest.raises(ValueError, match="not a number that JSON knows"):
        dump_json({"NaN": "Infinity", "a": [value]})
    assert dump_json({"NaN": ["Infinity", "-Infinity"]}) == b'{"NaN":["Infinity","-Infinity"]}'


@given(JSON)
def test_quick_json_reads_back_as_itself(value: Any) -> None:
    """What an engine or a log gets is the whole value."""
    try:
        data = dump_json(value)
    except ValueError:  # half a surrogate pair has no UTF-8 form
        assert "\\ud" in json.dumps(value)
        return
    assert json.loads(data) == value


def test_sha256_hex_is_sha256() -> None:
    """64 lower-case digits of the usual digest."""
    assert sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256_hex(b"abc") == hashlib.sha256(b"abc").hexdigest()
