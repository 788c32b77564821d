"""JSON as evidence is RFC 8259 and nothing more; whatever else it is, it is refused with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.errors import EvidenceError
from gatekeeper.formats.strict_json import MAX_DEPTH, check_depth, decode_utf8, parse_json, parse_json_lines


def refusal(data: bytes) -> EvidenceError:
    """The error with which a document is refused; always malformed, and naming the file."""
    with pytest.raises(EvidenceError) as caught:
        parse_json(data, "f.json")
    assert (caught.value.kind, caught.value.subject) == ("malformed", "f.json")
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2.5, -0.0, 1e3, true, false, null, "é"]}', {"a": [1, 2.5, -0.0, 1e3, True, False, None, "é"]}),
        ("0", 0),
        ('"x"', "x"),
        (" \r\n\t[] \n", []),
        ('"\\ud83d\\ude00"', "😀"),
        ('"\\\\ud800"', "\\ud800"),
        ('"2024-01-01"', "2024-01-01"),
        (str(10**30), 10**30),
    ],
)
def test_reads_json(text: str, value: Any) -> None:
    """Every JSON value is read as it stands."""
    assert parse_json(text.encode(), "f") == value


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text('aé😀"\\\n'), st.lists, max_leaves=9))
def test_reads_what_json_writes(value: Any) -> None:
    """Anything that a JSON library wrote is read back."""
    assert parse_json(json.dumps(value).encode(), "f") == value


def test_a_byte_order_mark_is_no_part_of_the_document() -> None:
    """Windows tools write one; it changes nothing."""
    assert parse_json(b"\xef\xbb\xbf{}", "f") == {}


@pytest.mark.parametrize("data", [b"", b" ", b"\n\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf \n"])
def test_refuses_an_empty_file(data: bytes) -> None:
    """No bytes are no evidence, and not an empty object."""
    assert refusal(data).problem == "the file is empty, a JSON document was wanted"


@pytest.mark.parametrize(
    ("data", "byte"), [(b'{"a": "\xff"}', 7), (b"\xff\xfe{\x00}\x00", 0), (b'"\xed\xa0\x80"', 1), (b'"\xc3', 1)]
)
def test_refuses_what_is_not_utf8(data: bytes, byte: int) -> None:
    """Latin-1, UTF-16, encoded surrogates and a character cut in half are named with their offset."""
    error = refusal(data)
    assert error.problem == f"byte {byte} is not UTF-8"
    assert error.hint == "save the file as UTF-8"


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('{"a": 1', 1, 8),
        ('{"a": 1,\n "b": [1,\n', 3, 1),
        ('{"a": "never ends', 1, 7),
        ("{'a': 1}", 1, 2),
        ('{"a": 1,}', 1, 8),
        ("[1,]", 1, 3),
        ('{"a": 01}', 1, 8),
        ("{} {}", 1, 4),
        ("{}\n}", 2, 1),
        ('"a\tb"', 1, 3),
        ('"\x00"', 1, 2),
        ("// comment\n{}", 1, 1),
        ("+1", 1, 1),
        (".5", 1, 1),
        ("0x10", 1, 2),
        ("True", 1, 1),
    ],
)
def test_refuses_other_text_with_its_place(text: str, line: int, column: int) -> None:
    """Truncated and almost-JSON documents are refused at the character where they stop being JSON."""
    error = refusal(text.encode())
    assert error.location is not None
    assert (error.location.path, error.location.line) == ("f.json", line)
    assert abs(error.location.column - column) <= 1  # CPython moved some messages by one character between versions
    assert error.problem.endswith(f"at line {line}, column {error.location.column}")
    assert "truncated" in error.hint


def test_every_truncation_is_refused() -> None:
    """A file cut off anywhere is never taken for a smaller one."""
    whole = b'{"a": [1, {"b": "text"}], "c": -1.5e3, "d": true, "e": null}'
    for length in range(len(whole)):
        assert refusal(whole[:length]).kind == "malformed"


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("form", ["{}", "[{}]", '{{"a": {}}}'])
def test_refuses_numbers_that_json_does_not_know(name: str, form: str) -> None:
    """NaN compares false with every limit, so it never gets in."""
    assert refusal(form.format(name).encode()).problem == f"{name} is not a number that JSON knows"


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" + "0" * 400 + ".0"])
def test_refuses_numbers_that_overflow(number: str) -> None:
    """A number too large for a double would be infinity."""
    assert refusal(number.encode()).problem == f"{number[:40]} is too large for a number"


def test_refuses_an_integer_that_takes_too_long_to_read() -> None:
    """Reading decimal digits takes quadratic time; Python's own limit is an answer, not a crash."""
    assert "4300" in refusal(b"9" * 5000).problem


def test_keeps_the_largest_double() -> None:
    """Just below the overflow it is a number."""
    assert parse_json(b"1.7976931348623157e308", "f") == 1.7976931348623157e308


@pytest.mark.parametrize(
    ("text", "key"),
    [('{"a": 1, "a": 2}', "a"), ('{"a": 1, "b": {"c": 1, "c": 1}}', "c"), ('{"a": 1, "\\u0061": 2}', "a"), ('{"":1,"":1}', "")],
)  # fmt: skip
def test_refuses_duplicate_keys(text: str, key: str) -> None:
    """Two readers could take different ones; escapes do not hide it."""
    assert refusal(text.encode()).problem == f"duplicate key {key!r}"


def test_equal_keys_in_different_objects_are_no_duplicates() -> None:
    """Only the same object counts."""
    assert parse_json(b'[{"a": 1}, {"a": {"a": 2}}]', "f") == [{"a": 1}, {"a": {"a": 2}}]


@pytest.mark.parametrize("text", ['"\\ud800"', '{"a\\udfff": 1}', '["\\ud800x"]', '"\\udc00\\ud800"'])
def test_refuses_half_a_surrogate_pair(text: str) -> None:
    """Text without a UTF-8 form could be neither digested nor recorded."""
    assert "half a surrogate pair" in refusal(text.encode()).problem


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth_is_bounded_exactly(opening: str, closing: str) -> None:
    """A hundred levels are read, one more is refused."""
    inside = MAX_DEPTH - 1
    parse_json(f"{opening * inside}[]{closing * inside}".encode(), "f")
    over = inside + 1
    assert refusal(f"{opening * over}[]{closing * over}".encode()).problem == f"nested deeper than {MAX_DEPTH} levels"


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("levels", [20_000, 1_000_000])
def test_survives_a_depth_bomb(opening: str, levels: int) -> None:
    """A file of brackets is malformed; it does not exhaust the stack."""
    assert refusal((opening * levels).encode()).problem == "nested too deeply"


def test_check_depth_takes_a_value_that_was_built_elsewhere() -> None:
    """The same bound holds for values of other parsers, however deep."""
    value: list[Any] = []
    for _ in range(10_000):
        value = [value]
    with pytest.raises(EvidenceError, match="nested deeper"):
        check_depth(value, "f")
    check_depth({"a": [1, {"b": []}]}, "f")


def test_lines_are_documents_with_their_numbers() -> None:
    """Blank lines count but are no documents; Windows line ends and a missing last one are read."""
    data = b'{"a": 1}\r\n\n  \n[2]\n"three"'
    assert list(parse_json_lines(data, "f")) == [(1, {"a": 1}), (4, [2]), (5, "three")]


def test_lines_of_an_empty_file_are_none() -> None:
    """Whether no event is a gap is for the collector to say."""
    assert list(parse_json_lines(b"", "f")) == []
    assert list(parse_json_lines(b"\n\n", "f")) == []


@pytest.mark.parametrize("bad", ['{"a": ', '{"a": 1} {"b": 2}', "NaN", '{"a": 1, "a": 2}', "x"])
def test_a_bad_line_is_refused_at_its_number(bad: str) -> None:
    """A log cut off in the last line is malformed, not shorter."""
    with pytest.raises(EvidenceError) as caught:
        list(parse_json_lines(f"{{}}\n\n{bad}\n".encode(), "f"))
    assert caught.value.kind == "malformed"
    if caught.value.location is not None:
        assert caught.value.location.line == 3
        assert caught.value.location.excerpt == bad


def test_the_excerpt_is_the_line_that_json_counts() -> None:
    """A line separator inside a string is no line end in JSON."""
    error = refusal('{"a": "x\u2028y\x85z",\n"b": oops}'.encode())
    assert error.location is not None
    assert error.location.caret() == '    "b": oops}\n         ^'


def test_decode_utf8_keeps_text() -> None:
    """Only the mark at the very start is dropped."""
    assert decode_utf8("\ufeffa\ufeffé".encode(), "f") == "a\ufeffé"
