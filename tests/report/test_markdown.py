"""The Markdown report answers a reviewer in order, fits a comment, and holds evidence only as text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from report.decisions import (
    ALL,
    HOSTILE_TEXTS,
    allowed,
    denied,
    hostile,
    inconclusive,
    make_decision,
    make_finding,
    make_gate,
    make_skipped_gate,
    unreadable,
)
from report.runner import read_commands

from gatekeeper.decision import GateTiming
from gatekeeper.evidence import Source
from gatekeeper.report import markdown_parts, mermaid
from gatekeeper.report.markdown import MAX_CHARS, length, render

GITHUB_LIMIT = 65_536
OUR_HTML = {"<details>\n<summary>", "</details>\n"}
LINKED_BY_GITHUB = re.compile(r"@\w|#\d|GH-\d|://|www\.|:[a-z0-9+_-]+:", re.IGNORECASE)


def parse(text: str) -> list[Token]:
    """Read Markdown as CommonMark with tables and strikethrough, as GitHub has them."""
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def shape(text: str) -> list[str]:
    """The block structure of a report."""
    return [each.type for each in parse(text)]


def inlines(text: str) -> list[Token]:
    """Every inline token of a report."""
    return [child for token in parse(text) for child in token.children or []]


def tables(text: str) -> list[str]:
    """The tables of a report, each as its source."""
    return re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)


def many_findings(count: int, size: int = 300) -> list:
    """A denial with so many findings of as many rules that it cannot be shown whole."""
    findings = tuple(
        make_finding(f"contracts.rule_{number}", message=f"{number} " + "m" * size, remedy=f"do {number}")
        for number in range(count)
    )
    return [make_decision(make_gate("contracts", *findings), make_gate("lineage"))]


@pytest.mark.parametrize("name", ALL)
def test_markdown_golden(golden, name):
    """The Markdown report of each kind of run is the one that was reviewed."""
    golden(f"report/markdown-{name}.md", render(ALL[name]))


def test_answers_in_the_order_of_a_reviewers_questions():
    """What, why, relaxed, what to do, what failed, details, provenance."""
    shown = render([denied()])
    order = (
        "### ⛔ DENY · tumour-classifier 2.3.0 → production · 3 of 4 gates block",
        "**Why:** denied by contracts and experiments",
        "> [!WARNING]",
        "#### What to do next",
        "1. **Keep the column",
        "#### What failed",
        "<details>",
        "**Gates and timing**",
        "```mermaid",
        "**Rules that passed**",
        "**Evidence**",
        "</details>",
        "decision `0b7c2f6e",
    )
    places = [shown.index(each) for each in order]
    assert places == sorted(places)


def test_an_allow_is_short():
    """Before the details an allow without warnings is a headline and a sentence."""
    shown = render([make_decision(make_gate("contracts"))])
    assert shown.split("<details>")[0].strip().splitlines() == [
        "### ✅ ALLOW · tumour-classifier 2.3.0 → production · 1 of 1 gates pass",
        "",
        "**Why:** the required gate passes (model, staging → production, risk tier high, owner team-imaging)",
    ]


def test_findings_of_one_rule_are_one_step():
    """Twelve columns with one remedy are one thing to do, and twelve rows."""
    findings = tuple(make_finding(subject=f"column_{number}", place=None) for number in range(12))
    shown = render([make_decision(make_gate("contracts", *findings))])
    steps = [line for line in shown.splitlines() if re.match(r"\d+\. ", line)]
    assert len(steps) == 1
    assert steps[0].endswith("`contracts.breaking_change` at `column_0`, `column_1`, `column_2` and 9 more")
    assert shown.count("| step 1 |") == 12


def test_says_how_to_read_about_a_rule():
    """A denial by a rule names the command that explains it; a gap has no rule to explain."""
    assert "More about a rule: `gatekeeper explain contracts.breaking_change`" in render([denied()])
    assert "gatekeeper explain" not in render([inconclusive()])


def test_many_sources_are_counted():
    """Twenty sources of a gate are listed and the rest is counted."""
    sources = tuple(Source(path=f"{number}.json", sha256="0" * 64, size_bytes=1) for number in range(25))
    shown = render([make_decision(make_gate("lineage", sources=sources))])
    assert "`19.json`" in shown
    assert "`20.json`" not in shown
    assert "and 5 more, in the JSON report" in shown


def test_open_ends_look_different_from_denials():
    """A gap is marked as inconclusive in a promotion that is denied."""
    shown = render([denied()])
    assert "| ⛔ deny contracts | `contracts.breaking_change` |" in shown
    assert "| ❔ inconclusive slo | `evidence malformed` |" in shown


def test_a_run_without_promotions_is_inconclusive():
    """No decision reads as inconclusive and never as a pass."""
    shown = render([])
    assert shown.startswith("## ❔ INCONCLUSIVE · no promotion")
    assert "ALLOW" not in shown


def test_several_promotions_have_one_headline():
    """The run is settled above its promotions."""
    first = render([allowed(), denied(), unreadable()]).splitlines()[:3]
    assert first == ["## ⛔ DENY · 3 promotions", "", "1 allow, 1 deny, 1 inconclusive (exit 2)"]


def test_gates_that_are_not_required_are_one_line():
    """not_applicable gates are named and have no row."""
    shown = render([make_decision(make_gate("contracts"), make_skipped_gate("slo"), make_skipped_gate("lineage"))])
    assert "Not applicable: slo, lineage." in shown
    assert "| slo |" not in shown


@pytest.mark.parametrize("name", ALL)
def test_tables_are_whole(name):
    """Every row of a table has as many cells as its header, in GitHub's reading."""
    tokens = parse(render(ALL[name]))
    rows: list[int] = []
    for token in tokens:
        if token.type in ("table_open", "tr_open"):
            rows = [] if token.type == "table_open" else [*rows, 0]
        elif token.type in ("th_open", "td_open"):
            rows[-1] += 1
        elif token.type == "table_close":
            assert len(set(rows)) == 1
    assert sum(token.type == "table_open" for token in tokens) == len(tables(render(ALL[name])))


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_hostile_text_changes_no_structure(text):
    """The report has the blocks that it has with harmless text, and no HTML, link or image of the evidence."""
    shown = render([hostile(text)])
    assert shape(shown) == shape(render([hostile("harmless")]))
    assert {each.type for each in inlines(shown)} <= {"text", "code_inline", "strong_open", "strong_close", "softbreak"}
    blocks = [each.content for each in parse(shown) if each.type == "html_block"]
    assert all(any(block.startswith(ours) for ours in OUR_HTML) for block in blocks)
    assert read_commands(shown) == []


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_github_links_nothing_of_hostile_text(text):
    """Outside of code nothing is left that GitHub turns into a mention, a reference, a link or an emoji."""
    for token in inlines(render([hostile(text)])):
        if token.type == "text":
            assert not LINKED_BY_GITHUB.search(token.content)


@settings(max_examples=80, deadline=None)
@given(st.text(alphabet=st.sampled_from(list("|\\`*_[]()<>!#@&;:~$-+=.1 \n\tax/w")), min_size=1, max_size=30))
def test_no_text_changes_the_structure(text):
    """Whatever Markdown's own characters are put together to, rows, cells and blocks stay as they are."""
    shown = render([hostile(f"a{text}")])
    assert shape(shown) == shape(render([hostile("a")]))
    assert {each.type for each in inlines(shown)} <= {"text", "code_inline", "strong_open", "strong_close", "softbreak"}


def test_text_reads_as_it_was_written():
    """Escapes are gone when the report is read; only zero-width spaces part what GitHub would link."""
    message = r"a|b \| *c* <d> & `e` $f$ @g #1 https://h ~i~ [j](k) ![l] _m_"
    decision = make_decision(make_gate("contracts", make_finding(message=message, place=None)))
    cells = [token.content for token in inlines(render([decision])) if token.type == "text"]
    assert message in "".join(cells).replace("\u200b", "")


@pytest.mark.parametrize(
    ("count", "left_out"),
    [
        (60, []),
        (130, ["timing diagram", "gates and timing", "evidence digests", "rules that passed", "what failed"]),
        (2_000, list(markdown_parts.DROP_ORDER)),
    ],
)
def test_leaves_out_whole_parts_in_order(count, left_out):
    """A long report loses whole parts, says which, and keeps its headline."""
    shown = render(many_findings(count))
    assert length(shown) <= MAX_CHARS
    assert "### ⛔ DENY" in shown
    assert "decision `0b7c2f6e" in shown
    note = re.search(r"Left out to keep this short enough to post: (.*)\. The JSON report has all\.", shown)
    named = note[1].split(", ") if note else []
    assert [each for each in named if each != "some promotions"] == [each for each in left_out if each != "warnings"]


def test_never_cuts_a_table():
    """At every length the table of what failed has all its rows or is not there."""
    for count in range(60, 140, 4):
        rows = render(many_findings(count)).count("| ⛔ deny contracts |")
        assert rows in (0, count)


def test_hundreds_of_promotions_keep_the_worst():
    """Headlines come worst first, and what there is no room for is counted."""
    decisions = [allowed()] * 400 + [denied()] * 3 + [inconclusive()] * 2
    shown = render(decisions)
    assert length(shown) <= MAX_CHARS < GITHUB_LIMIT
    assert shown.count("### ⛔ DENY") == 3
    assert shown.count("### ❔ INCONCLUSIVE") == 2
    kept = shown.count("### ✅ ALLOW")
    assert f"**And {400 - kept} more promotions:** {400 - kept} allow, 0 deny, 0 inconclusive." in shown


def test_one_promotion_that_is_too_long_keeps_the_runs_headline():
    """Even when the headline of the only promotion does not fit, the outcome is said."""
    shown = render([denied().model_copy(update={"notices": ("n" * 390,) * 500})])
    assert length(shown) <= MAX_CHARS
    assert "## ⛔ DENY · 1 promotions" in shown


def test_counts_length_as_github_may():
    """A character outside the basic plane counts as two."""
    assert length("a✅🎫") == 4


def test_draws_what_the_table_says():
    """The diagram has the phases of each gate that ran, in milliseconds, end to end."""
    assert mermaid.gantt([make_gate("contracts")]).splitlines() == [
        "```mermaid",
        "gantt",
        "  accTitle: Time that each gate took, by phase",
        "  dateFormat x",
        "  axisFormat %L ms",
        "  section contracts",
        "  queue :0, 1",
        "  collect :1, 13",
        "  evaluate :13, 16",
        "```",
    ]


def test_a_long_run_has_an_axis_in_seconds():
    """Beyond a second the axis shows seconds and milliseconds."""
    gate = make_gate("contracts", timing=GateTiming(collect_seconds=1.0))
    assert "  axisFormat %s.%L s" in mermaid.gantt([gate])


def test_draws_no_empty_and_no_crowded_diagram():
    """Without a measured phase, or with more than forty bars, there is only the table."""
    assert mermaid.gantt([make_gate("contracts", timing=GateTiming())]) == ""
    gates = [make_gate(f"gate{number}") for number in range(13)]
    assert mermaid.gantt(gates).count(":") == 39 + 1
    assert mermaid.gantt([*gates, make_gate("gate13")]) == ""


def test_a_gates_name_cannot_break_the_diagram():
    """A name is reduced to letters, digits and a few signs."""
    assert "  section a_b_c_d_" in mermaid.gantt([make_gate("a:b;c#d`")])
