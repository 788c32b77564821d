"""
The report for a pull request and a step summary, in GitHub's Markdown.

The order is that of a reviewer's questions: what was decided, why, what to do next, what failed; the rest is
folded. A comment holds 65,536 characters: whole parts are left out in a fixed order, never a row of a table,
and the report says which.
"""

from __future__ import annotations

from collections.abc import Sequence

from gatekeeper.decision import Decision
from gatekeeper.report import outline
from gatekeeper.report.markdown_parts import DROP_ORDER, Part, footer, headline, mark, notices, parts

MAX_CHARS = 60_000
"""Length that is aimed at; GitHub refuses a comment above 65,536, and a sender adds a marker and links."""

_WORST_FIRST = ("deny", "inconclusive", "allow")


def render(decisions: Sequence[Decision]) -> str:
    """Render decisions as Markdown of at most `MAX_CHARS` characters."""
    made = [(decision, parts(decision)) for decision in decisions]
    for dropped in range(len(DROP_ORDER) + 1):
        without = DROP_ORDER[:dropped]
        left_out = [name for name in without if any(each.name == name for _, all_parts in made for each in all_parts)]
        blocks = [_promotion(decision, _kept(all_parts, without)) for decision, all_parts in made]
        text = _join([*_run(decisions), *_left_out(left_out), *blocks])
        if length(text) <= MAX_CHARS:
            return text
    return _headlines(decisions)


def length(text: str) -> int:
    """Count as GitHub may at most: UTF-16 units, of which an emoji is two."""
    return len(text.encode("utf-16-le")) // 2


def _kept(all_parts: Sequence[Part], without: Sequence[str]) -> list[Part]:
    return [each for each in all_parts if each.name not in without]


def _run(decisions: Sequence[Decision], *, always: bool = False) -> list[str]:
    """The headline of the run; exactly one promotion says it all itself."""
    outcome, exit_code = outline.settle_run(decisions)
    if not decisions:
        why = f"{outline.NOTHING_DECIDED}; {outline.NOTHING_HINT}"
        return [f"## {mark(outcome)} · no promotion\n\n**Why:** {why} (exit {exit_code})"]
    if len(decisions) == 1 and not always:
        return []
    counts = outline.count_outcomes(decisions)
    return [f"## {mark(outcome)} · {len(decisions)} promotions\n\n{counts} (exit {exit_code})"]


def _left_out(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    return [f"> [!NOTE]\n> Left out to keep this short enough to post: {', '.join(names)}. The JSON report has all."]


def _promotion(decision: Decision, kept: Sequence[Part]) -> str:
    shown = [each.text for each in kept if not each.folded]
    folded = [each.text for each in kept if each.folded]
    details = f"<details>\n<summary>Details: {_summary(kept)}</summary>\n\n{_blank(folded)}\n\n</details>"
    blocks = [headline(decision), notices(decision), *shown, details if folded else "", footer(decision)]
    return _blank([each for each in blocks if each])


def _summary(kept: Sequence[Part]) -> str:
    return ", ".join(each.name for each in kept if each.folded)


def _headlines(decisions: Sequence[Decision]) -> str:
    """Headlines only, worst first, as many as there is room for; the rest is counted."""
    ordered = sorted(decisions, key=lambda each: _WORST_FIRST.index(each.outcome))
    blocks: list[str] = []
    room = MAX_CHARS - 2_000
    for number, decision in enumerate(ordered):
        block = _blank([each for each in (headline(decision), notices(decision), footer(decision)) if each])
        room -= length(block) + 10
        if room < 0:
            rest = ordered[number:]
            blocks.append(f"**And {len(rest)} more promotions:** {outline.count_outcomes(rest)}.")
            break
        blocks.append(block)
    return _join([*_run(decisions, always=True), *_left_out([*DROP_ORDER, "some promotions"]), *blocks])


def _blank(blocks: Sequence[str]) -> str:
    return "\n\n".join(blocks)


def _join(blocks: Sequence[str]) -> str:
    return "\n\n---\n\n".join(blocks) + "\n"
