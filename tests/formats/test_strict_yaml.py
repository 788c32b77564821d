"""YAML as evidence and settings is the JSON subset of it, every value with its place, nothing executed or guessed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.errors import EvidenceError
from gatekeeper.formats.strict_json import MAX_DEPTH
from gatekeeper.formats.strict_yaml import MAX_NODES, parse_located, parse_yaml, parse_yaml_documents


def read(text: str) -> Any:
    """Parse text."""
    return parse_yaml(text.encode(), "f.yaml")


def refusal(text: str | bytes, parse: Callable[[bytes, str], Any] = parse_yaml) -> EvidenceError:
    """The error with which a document is refused; always malformed, and naming the file."""
    with pytest.raises(EvidenceError) as caught:
        parse(text.encode() if isinstance(text, str) else text, "f.yaml")
    assert (caught.value.kind, caught.value.subject) == ("malformed", "f.yaml")
    return caught.value


@pytest.mark.parametrize(
    "word",
    [
        "yes", "no", "Yes", "NO", "on", "off", "y", "n", "2024-01-01", "2024-01-01T10:00:00Z", "12:30:45", "1_000",
        "0b1", "1e", "e1", "+", ".", "1.2.3", "=", "nULL", "tRUE", "none", "0o8", "0xg", "1e5x", "٣",
    ],
)  # fmt: skip
def test_a_word_stays_a_word(word: str) -> None:
    """Dates, `no` and other guesses of YAML 1.1 stay the text that was written."""
    assert read(f"a: {word}") == {"a": word}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None), ("Null", None), ("~", None), ("", None), ("true", True), ("TRUE", True), ("False", False),
        ("0", 0), ("-7", -7), ("+7", 7), ("017", 17), ("0o17", 15), ("0xFf", 255), ("1.", 1.0), (".5", 0.5),
        ("-1.5e3", -1500.0), ("1e3", 1000.0), ("1E-3", 0.001), ("9007199254740993", 9007199254740993),
    ],
)  # fmt: skip
def test_plain_scalars_follow_the_core_schema(text: str, value: Any) -> None:
    """Numbers, booleans and null are those of YAML 1.2, with the right type."""
    found = read(f"a: {text}")["a"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", ["'12'", '"12"', "|-\n  12", ">-\n  12", "!!str 12", '!!str "12"', "&x !!str 12"])
def test_quoted_and_declared_text_is_text(text: str) -> None:
    """A version in quotes is no number."""
    assert read(f"a: {text}") == {"a": "12"}


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text("aé:-#'"),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab:#"), inner, max_size=3),
        max_leaves=10,
    )
)
def test_reads_what_yaml_libraries_write(value: Any) -> None:
    """Whatever PyYAML dumps, JSON values come back as they were."""
    import yaml

    assert read(yaml.safe_dump(value, allow_unicode=True)) == value


@pytest.mark.parametrize("data", [b"", b"  \n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_refuses_an_empty_file(data: bytes) -> None:
    """An empty file is not an empty mapping."""
    assert refusal(data).problem == "the file is empty, a YAML document was wanted"


def test_refuses_a_file_of_comments() -> None:
    """Everything commented out is no document."""
    assert refusal("# only\n# words\n").problem == "0 YAML documents found, one was wanted"


def test_refuses_several_documents() -> None:
    """A second document would be a silent one."""
    assert refusal("---\na: 1\n---\na: 2\n").problem == "2 YAML documents found, one was wanted"


def test_reads_a_stream_where_one_is_wanted() -> None:
    """Several documents are read in order, empty ones left out, anchors not shared."""
    assert parse_yaml_documents(b"---\na: 1\n---\n---\n# none\n---\n[2]\n...\n", "f") == [{"a": 1}, [2]]
    assert parse_yaml_documents(b"# none", "f") == []
    assert "anchored" in refusal("a: &x 1\n---\nb: *x\n", parse_yaml_documents).problem


@pytest.mark.parametrize("data", [b"a: \xff", b"\xff\xfea\x00", b"a: '\xc3'"])
def test_refuses_what_is_not_utf8(data: bytes) -> None:
    """UTF-16 is valid YAML, and not read here: one encoding, one meaning."""
    assert "is not UTF-8" in refusal(data).problem


@pytest.mark.parametrize("text", ["a: '\x1b[2J'", "a\x00: 1", "a: \x07", 'a: "\\ud800"'])
def test_refuses_control_characters(text: str) -> None:
    """Escape sequences for a terminal never get in raw."""
    assert refusal(text).problem.startswith("not YAML: ")


@pytest.mark.parametrize(
    ("text", "place", "key"),
    [
        ("a: 1\nb: 2\na: 3\n", "3:1", "a"),
        ("x:\n  - {a: 1,\n     a: 1}\n", "3:6", "a"),
        ("1: x\n'1': y\n", "2:1", "1"),
        ('a: 1\n"\\x61": 2\n', "2:1", "a"),
    ],
)
def test_refuses_duplicate_keys_with_their_place(text: str, place: str, key: str) -> None:
    """The second one is pointed at, however it is spelt."""
    error = refusal(text)
    assert error.problem == f"duplicate key {key!r}"
    assert str(error.location) == f"f.yaml:{place}"


@pytest.mark.parametrize(
    "text", ["a: &a {x: 1}\nb: {<<: *a}", "<<: {x: 1}", "? [1]\n: 2", "? {a: 1}\n: 2", "a: &a v\n? *a\n: 1"]
)
def test_refuses_keys_that_are_not_text(text: str) -> None:
    """Merge keys bring in what a reader does not see; lists and mappings are no JSON keys."""
    assert refusal(text).problem == "a key must be plain text (no merge keys, lists or mappings)"


def test_a_quoted_merge_sign_is_a_key() -> None:
    """Written as text it means itself."""
    assert read("'<<': 1") == {"<<": 1}


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system [id]", "a: !!python/name:os.system x", "a: !custom {b: 1}",
        "a: !custom [1]", "a: !custom x", "!custom a: 1", "a: !!binary aGk=", "a: !!set {x, y}", "a: !!omap [x: 1]",
        "a: !!timestamp 2001-01-01", "a: !!int '3'", "a: !!float 1", "a: !!bool yes", "a: ! 12",
        "a: !<tag:example.org,2024:x> 1", "!!str a: !!map [1]", "a: &x !custom 1", "!!python/none : 1",
    ],
)  # fmt: skip
def test_refuses_tags(text: str) -> None:
    """A tag changes what a value means, or builds an object; neither is read."""
    error = refusal(text)
    assert "is not allowed" in error.problem
    assert error.location is not None


def test_a_tag_that_says_what_is_there_is_read() -> None:
    """`!!map`, `!!seq` and `!!str` on what they are change nothing."""
    assert read("!!map {!!str a: !!seq [!!str 1]}") == {"a": ["1"]}


@pytest.mark.parametrize("word", [".inf", "-.inf", "+.INF", ".nan", ".NaN"])
def test_refuses_numbers_that_json_does_not_know(word: str) -> None:
    """NaN and infinity are refused at their place."""
    error = refusal(f"a:\n  b: {word}")
    assert error.problem == f"{word} is not a number that JSON knows"
    assert str(error.location) == "f.yaml:2:6"


def test_refuses_a_number_that_overflows() -> None:
    """It would become infinity."""
    assert refusal("a: 1e999").problem == "1e999 is too large for a number"


def test_a_number_of_more_than_400_digits_is_text() -> None:
    """Reading it takes quadratic time; where a number is wanted the text is refused."""
    assert read("a: " + "9" * 400)["a"] == int("9" * 400)
    assert read("a: " + "9" * 401)["a"] == "9" * 401


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{level}: &a{level} [{','.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 10)
)


def test_stops_a_billion_laughs() -> None:
    """Nine aliases of nine aliases of … are counted before they are expanded."""
    error = refusal(BOMB)
    assert error.problem == f"more than {MAX_NODES} values or {MAX_DEPTH} levels"
    assert error.location is not None
    assert error.location.line == 7


def test_an_alias_repeats_its_value() -> None:
    """Honest aliases are read, of scalars, collections and keys; the latest anchor of a name counts."""
    assert read("a: &x {b: [1]}\nc: *x\nd: &y s\ne: *y") == {"a": {"b": [1]}, "c": {"b": [1]}, "d": "s", "e": "s"}
    assert read("&k a: 1\nb: *k\nc: &k 2\nd: *k") == {"a": 1, "b": "a", "c": 2, "d": 2}


def test_an_alias_is_a_value_of_its_own() -> None:
    """Changing one of the two leaves the other as it was written."""
    value = read("a: &x {b: [1]}\nc: *x")
    value["a"]["b"].append(2)
    assert value["c"] == {"b": [1]}


@pytest.mark.parametrize("text", ["&a [*a]", "a: &a {b: [*a]}"])
def test_refuses_a_value_that_holds_itself(text: str) -> None:
    """There is no end to it."""
    assert "holds itself" in refusal(text).problem


def test_refuses_an_alias_without_an_anchor() -> None:
    """It repeats nothing, and is pointed at."""
    error = refusal("a:\n  - *b\n")
    assert "no value is anchored as 'b'" in error.problem
    assert str(error.location) == "f.yaml:2:5"


def test_depth_is_bounded_exactly() -> None:
    """A hundred levels are read, one more is refused."""
    read("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert "levels" in refusal("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)).problem


def test_depth_counts_through_aliases() -> None:
    """Levels behind an alias are levels: a chain of them ends at the bound too."""
    half = MAX_DEPTH // 2
    nested = "[" * half + "{}" + "]" * half
    around = MAX_DEPTH - half - 2
    read(f"a: &a {nested}\nb: {'[' * around}*a{']' * around}")
    error = refusal(f"a: &a {nested}\nb: {'[' * (around + 1)}*a{']' * (around + 1)}")
    assert "levels" in error.problem


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "- - ", "a:\n "])
def test_survives_a_depth_bomb(opening: str) -> None:
    """A deep file is malformed; it does not kill the process, whose death no log would show."""
    program = (
        "import sys\n"
        "from gatekeeper.errors import EvidenceError\n"
        "from gatekeeper.formats.strict_yaml import parse_yaml\n"
        "try:\n    parse_yaml(sys.argv[1].encode() * 200_000, 'f')\n"
        "except EvidenceError as error:\n    print(error.kind)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, opening], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "malformed\n")


@pytest.mark.parametrize(
    ("text", "place"),
    [("a: [1,\n", "2:1"), ("a: b: c", "1:5"), ("\ta: 1", "1:1"), ("a: 'x", "1:6"), ("- a\nb: 1", "2:1"), ("a: @x", "1:4")],
)  # fmt: skip
def test_refuses_broken_yaml_with_its_place(text: str, place: str) -> None:
    """The parser's own words, at the parser's own place."""
    error = refusal(text)
    assert error.problem.startswith("not YAML: ")
    assert str(error.location) == f"f.yaml:{place}"


def test_every_value_and_key_has_its_place() -> None:
    """Lines and columns count from 1, through lists, mappings and Windows line ends."""
    located = parse_located(b"a: 1\r\nlist:\r\n  - x: {y: 2}\r\n", "f")
    assert str(located.location(("a",))) == "f:1:4"
    assert str(located.location(("list", 0, "x", "y"))) == "f:3:12"
    assert str(located.location(("list", 0, "x", "y"), key=True)) == "f:3:9"
    assert located.location(("list", 0, "x")).excerpt == "  - x: {y: 2}"


def test_what_is_not_in_the_file_is_placed_at_its_nearest_ancestor() -> None:
    """A missing key is missing somewhere."""
    located = parse_located(b"a:\n  b: 1\n", "f")
    assert str(located.location(("a", "none", 3))) == "f:2:3"
    assert str(located.location(("none",), key=True)) == "f:1:1"


def test_keeps_the_bytes_that_it_read() -> None:
    """The digest is made of the file, not of what was understood."""
    data = b"\xef\xbb\xbfa: 1\n"
    assert parse_located(data, "f").data == data
