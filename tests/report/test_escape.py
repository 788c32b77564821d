"""Text from evidence never speaks to what shows it."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.runner import read_commands

from gatekeeper.report.escape import (
    MAX_TEXT_CHARS,
    defuse,
    markdown_code,
    markdown_text,
    mermaid_label,
    one_line,
    visible,
    workflow_data,
    workflow_property,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, 3.2 %", "plain text, 3.2 %"),
        ("größer → 腫瘍 ✔", "größer → 腫瘍 ✔"),
        ("a\0b", "a\\x00b"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u200bb", "a\\u200bb"),
        ("\ufeffa", "\\ufeffa"),
        ("\ud800", "\\ud800"),
        ("\uffff", "\\uffff"),
        ("\U000e0041", "\\U000e0041"),
        ("\u3164\u034f", "\\u3164\\u034f"),
        ("⚠️", "⚠"),
    ],
    ids=lambda value: ascii(value),
)
def test_shows_what_is_hidden(text, shown):
    """Control, bidirectional, zero-width and unassigned characters are shown as escapes; other text is untouched."""
    assert visible(text) == shown


def test_folds_every_kind_of_white_space():
    """Line ends of every standard become one space, so that evidence cannot begin a line."""
    assert one_line(" a\r\n\tb\u2028c\x85d\v e\u3000f ") == "a b c d e f"


def test_shows_text_at_the_limit_whole():
    """Text of exactly the limit is not cut."""
    assert one_line("x" * MAX_TEXT_CHARS) == "x" * MAX_TEXT_CHARS


def test_says_how_much_of_a_long_text_is_missing():
    """Text past the limit is cut and the note counts the rest."""
    assert one_line("x" * 100_000) == "x" * MAX_TEXT_CHARS + " … (99,000 more characters)"
    assert one_line("x" * 11, 10) == "x" * 10 + " … (1 more characters)"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::error::x", ": :error::x"),
        ("  ::error::x", "  : :error::x"),
        (":::error::x", ": : :error::x"),
        ("##[error]x", "## [error]x"),
        ("a ###[group]b", "a ### [group]b"),
        ("tests/test_a.py::test_b", "tests/test_a.py::test_b"),
        ("std::vector", "std::vector"),
        ("# [link]", "# [link]"),
    ],
)
def test_defuses_workflow_commands_only(text, shown):
    """What the runner would take for a command is parted; a test id or a C++ name is left alone."""
    assert defuse(text) == shown
    assert read_commands(defuse(text)) == []


@given(st.text(alphabet=st.sampled_from(list(":#[]error \t\n\r\u2028\u200bx%=,")), max_size=40))
def test_one_line_is_one_harmless_line(text):
    """Whatever the text, the result is one line without a hidden character and without a command."""
    shown = one_line(text)
    assert len(shown.splitlines()) <= 1
    assert read_commands(shown) == []
    assert not re.search(r"(^|\s)::|##\[", shown)


@given(st.text(alphabet=st.characters(), max_size=60))
def test_one_line_holds_no_hidden_character(text):
    """No character of any category that a reader cannot see is left, surrogates included."""
    assert not {unicodedata.category(char) for char in one_line(text)} & {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"}
    one_line(text).encode()


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a | b", "a \\| b"),
        ("a\\|b", "a\\\\\\|b"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("*a* _b_ ~c~ `d`", "\\*a\\* \\_b\\_ \\~c\\~ \\`d\\`"),
        ("![i](u)", "\\!\\[i\\](u)"),
        ("@octocat", "@&#8203;octocat"),
        ("fixes #12", "fixes #&#8203;12"),
        ("GH-12 gh-3", "GH&#8203;-12 gh&#8203;-3"),
        ("https://a.example", "https:&#8203;//a.example"),
        ("WWW.a.example", "WWW&#8203;.a.example"),
        (":tada: a:b", ":&#8203;tada: a:b"),
        ("$x$", "&#36;x&#36;"),
        ("", "(empty)"),
        ("plain, 0.871 >= 0.9", "plain, 0.871 &gt;= 0.9"),
    ],
)
def test_escapes_markdown(text, escaped):
    """Markdown, HTML, mentions, references, addresses and emoji names are shown as they are written."""
    assert markdown_text(text) == escaped


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("a.b_c", "`a.b_c`"),
        ("a`b", "``a`b``"),
        ("`a``", "``` `a`` ```"),
        ("a|b", "a\\|b"),
        ("", "(empty)"),
        ("<script>", "`<script>`"),
    ],
)
def test_makes_code_spans_that_nothing_ends(text, span):
    """A code span is longer than every run of backticks in it; a pipe, which would end a cell, makes it prose."""
    assert markdown_code(text) == span


@pytest.mark.parametrize(
    ("text", "label"),
    [("contracts", "contracts"), ("a:b;c#d\n", "a_b_c_d_"), ("", "_"), ("x" * 50, "x" * 40), ("ü<br>", "__br_")],
)
def test_reduces_mermaid_labels(text, label):
    """A label holds no character that a Mermaid grammar reads as its own."""
    assert mermaid_label(text) == label


def test_escapes_workflow_commands():
    """Per cent, line ends, colons and commas survive the runner's own unescaping."""
    assert workflow_data("50 %\r\n: ,") == "50 %25%0D%0A: ,"
    assert workflow_property("a:b,c%") == "a%3Ab%2Cc%25"
