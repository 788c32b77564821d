"""Text keeps to its columns, whatever its script."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.report.columns import Page, Row, cell_width, fill, hang, pad, table, wrap

PAGE = Page(60, lambda text, _style: text)


def test_counts_columns_as_terminals_do():
    """A wide character takes two columns and a combining one none."""
    assert cell_width("abc") == 3
    assert cell_width("腫瘍") == 4
    assert cell_width("e\u0301") == 1
    assert cell_width("✔ ✘ → ·") == 7


def test_wraps_at_spaces():
    """A line is as full as it can be and no fuller."""
    assert wrap("one two three", 7) == ["one two", "three"]
    assert wrap("one two three", 6) == ["one", "two", "three"]


def test_breaks_a_word_that_is_too_long():
    """A word longer than the line is broken, also where its characters are wide."""
    assert wrap("a bbbbbbb c", 3) == ["a", "bbb", "bbb", "b c"]
    assert wrap("腫瘍腫", 4) == ["腫瘍", "腫"]


def test_wraps_nothing_to_nothing():
    """Empty text has no line."""
    assert wrap("  ", 10) == []


def test_fills_lines_with_whole_items():
    """An item with a space in it is not parted at the space."""
    assert fill(["a b", "c d"], 4) == ["a b", "c d"]
    assert fill(["a b", "c d"], 7) == ["a b c d"]


@given(st.text(max_size=200), st.integers(2, 40))
def test_never_exceeds_the_width_and_loses_nothing(text, width):
    """Every line fits and every character that is not white space is still there, in order."""
    lines = wrap(text, width)
    assert all(cell_width(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_pads_by_columns():
    """Padding makes texts of different scripts equally wide."""
    assert pad("ab", 4) == "ab  "
    assert pad("ab", 4, right=True) == "  ab"
    assert pad("腫瘍", 5) == "腫瘍 "
    assert pad("abcdef", 4) == "abcdef"


def test_hangs_text_below_its_first_line():
    """Further lines begin where the text of the first began."""
    page = Page(26, lambda text, _style: text)
    assert hang("  1. ", "one two three four five six", page, indent=5) == ["  1. one two three four", "     five six"]
    assert hang("  1. ", "", page, indent=5) == ["  1."]


def test_aligns_a_table():
    """Columns are as wide as their widest cell, figures are aligned on the right, the last column wraps."""
    rows = [Row(("a", "1", "short")), Row(("bbbb", "100", "a reason that is longer than what is left of the page"))]
    assert table(Row(("gate", "n", "why")), rows, PAGE, right=frozenset({1})) == [
        "  gate    n  why",
        "  a       1  short",
        "  bbbb  100  a reason that is longer than what is left of",
        "             the page",
    ]


def test_puts_the_last_column_below_where_there_is_no_room():
    """On a narrow page the last column has lines of its own."""
    rows = [Row(("a" * 20, "b" * 15, "the reason"))]
    assert table(Row(("x", "y", "why")), rows, Page(40, lambda text, _style: text)) == [
        "  x                     y",
        "      why",
        f"  {'a' * 20}  {'b' * 15}",
        "      the reason",
    ]


def test_styles_take_no_room():
    """A styled table has the same columns as a plain one."""
    rows = [Row(("a", "b"), "red"), Row(("cc", "d"), "green")]
    styled = table(Row(("x", "y"), "dim"), rows, Page(60, lambda text, style: f"<{style}>{text}</>" if style else text))
    assert styled[1] == "  <red>a </>  b"
    assert styled[2] == "  <green>cc</>  d"
