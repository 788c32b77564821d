"""The text report fits its terminal, says what to do next, and cannot be spoken through."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from report.decisions import (
    ALL,
    HOSTILE_TEXTS,
    allowed,
    denied,
    hostile,
    inconclusive,
    make_decision,
    make_gate,
    unreadable,
)
from report.runner import read_commands

from gatekeeper.evidence import Source
from gatekeeper.report import wants_colour
from gatekeeper.report.columns import cell_width
from gatekeeper.report.text import render

STYLE = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize(("name", "width"), [(name, 100) for name in ALL] + [("deny", 80), ("deny", 60)])
def test_text_golden(golden, name, width):
    """The text report of each kind of run is the one that was reviewed."""
    golden(f"report/text-{name}-{width}.txt", render(ALL[name], width=width))


@pytest.mark.parametrize("width", [0, 60, 61, 80, 120, 200])
@pytest.mark.parametrize("name", ALL)
def test_no_line_is_wider_than_the_page(name, width):
    """Every line keeps to the width, and below 60 columns to 60."""
    assert all(cell_width(line) <= max(width, 60) for line in render(ALL[name], width=width).splitlines())


@pytest.mark.parametrize("name", [name for name in ALL if name != "nothing"])
def test_colour_changes_no_text(name):
    """Styles apart, the coloured report is the plain one."""
    coloured = render(ALL[name], colour=True)
    assert STYLE.search(coloured)
    assert STYLE.sub("", coloured) == render(ALL[name])


def test_colours_say_what_the_words_say():
    """Red is a denial, green a pass, magenta a doubt."""
    assert "\x1b[1;31m✘ DENY\x1b[0m" in render([denied()], colour=True)
    assert "\x1b[1;32m✔ ALLOW\x1b[0m" in render([allowed()], colour=True)
    assert "\x1b[1;35m? INCONCLUSIVE\x1b[0m" in render([inconclusive()], colour=True)


def test_plain_text_does_not_import_rich():
    """Plain output costs no import of rich."""
    code = (
        "import sys; from gatekeeper.report import render; render('text', []);"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'rich'], 'rich was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("environment", "is_tty", "wanted"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": ""}, False, False),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"FORCE_COLOR": "0"}, True, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, False, True),
        ({"TERM": "xterm-256color"}, True, True),
    ],
    ids=str,
)
def test_colour_is_a_terminals_and_a_readers_choice(environment, is_tty, wanted):
    """NO_COLOR wins, then FORCE_COLOR, then a dumb terminal, then whether there is a terminal at all."""
    assert wants_colour(environment, is_tty=is_tty) is wanted


@pytest.mark.parametrize("colour", [False, True], ids=["plain", "colour"])
@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_hostile_text_stays_text(text, colour):
    """Evidence moves no cursor, sets no colour, reverses no line and speaks no command to a runner."""
    shown = render([hostile(text)], colour=colour, width=80)
    assert read_commands(shown) == []
    plain = STYLE.sub("", shown) if colour else shown
    assert all(line.isprintable() for line in plain.split("\n"))
    assert all(cell_width(line) <= 81 for line in plain.split("\n"))
    assert plain.startswith("? INCONCLUSIVE  ")


@pytest.mark.parametrize("width", range(60, 80))
def test_a_broken_word_does_not_begin_a_command(width):
    """Where a long word is broken just before `::error::`, the next line is still no command."""
    for length in range(60):
        assert read_commands(render([hostile("x" * length + "::error::y")], width=width)) == []


def test_a_long_message_is_cut_with_a_note():
    """100,000 characters do not flood the terminal, and the note counts what is missing."""
    shown = render([hostile("x" * 100_000)])
    assert len(shown) < 25_000
    assert "(99,000 more characters)" in shown.replace("\n", " ")


def test_a_run_without_promotions_is_inconclusive():
    """No decision reads as inconclusive and names the exit code."""
    shown = render([])
    assert shown.startswith("? INCONCLUSIVE")
    assert "(exit 3)" in shown
    assert "ALLOW" not in shown


def test_several_promotions_end_with_one_line_about_the_run():
    """The last line settles the run."""
    last = render([allowed(), denied(), unreadable()]).splitlines()[-1]
    assert last == "✘ DENY  3 promotions: 1 allow, 1 deny, 1 inconclusive (exit 2)"


def test_shows_the_line_and_a_caret_at_a_configuration_error():
    """The caret stands under the column, after the same indentation as the line."""
    lines = render([unreadable()]).splitlines()
    at = next(number for number, line in enumerate(lines) if line.strip() == "^")
    assert lines[at - 1].index("artefacts") == lines[at].index("^")


def test_a_caret_keeps_its_column_behind_tabs():
    """A tab takes one column in both lines, because a terminal's tab stops differ."""
    problem = unreadable().problems[0].model_copy(update={"caret": "    \tkey: x\n    \t^"})
    lines = render([unreadable().model_copy(update={"problems": (problem,)})]).splitlines()
    at = next(number for number, line in enumerate(lines) if line.strip() == "^")
    assert lines[at - 1].index("key") == lines[at].index("^")


def test_the_excerpt_of_a_file_speaks_no_command():
    """The line that is quoted from a file is evidence as well."""
    problem = unreadable().problems[0].model_copy(update={"caret": "    ::error::\x1b[2J\n    ##[error]^"})
    shown = render([unreadable().model_copy(update={"problems": (problem,)})])
    assert read_commands(shown) == []
    assert "\x1b" not in shown


def test_many_sources_are_counted():
    """Twenty sources are listed and the rest is counted."""
    sources = tuple(Source(path=f"{number}.json", sha256="0" * 64, size_bytes=1) for number in range(25))
    shown = render([make_decision(make_gate("lineage", sources=sources))])
    assert "19.json" in shown
    assert "20.json" not in shown
    assert "and 5 more, in the JSON report" in shown


def test_says_how_to_read_about_a_rule():
    """A denial by a rule names the command that explains it; a gap has no rule to explain."""
    assert "  More about a rule: gatekeeper explain contracts.breaking_change\n" in render([denied()])
    assert "gatekeeper explain" not in render([inconclusive()])


def test_relaxations_stand_before_the_gates():
    """A reader sees what was relaxed before what passed."""
    shown = render([allowed(notices=("judged as of an earlier time",))])
    assert shown.index("judged as of an earlier time") < shown.index("GATES")
