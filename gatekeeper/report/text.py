"""The report for a terminal: what was decided, why, what to do next, and what it rests on."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gatekeeper.decision import Decision
from gatekeeper.report import outline
from gatekeeper.report.columns import MIN_WIDTH, Page, Row, fill, hang, table
from gatekeeper.report.escape import defuse, one_line, visible

STYLES = {
    "allow": "bold green",
    "pass": "green",
    "warn": "yellow",
    "deny": "bold red",
    "waived": "yellow",
    "inconclusive": "bold magenta",
    "heading": "bold",
    "quiet": "dim",
}
"""Style by verdict or part, in rich's words; the eight basic colours, so that a terminal's theme applies."""

_LINE_COMMAND = re.compile(r"^(\s*)(:{2,})", re.MULTILINE)
_STEP_INDENT = 5


def render(decisions: Sequence[Decision], *, colour: bool = False, width: int = 100) -> str:
    """Show decisions in at most `width` columns, 60 at least; colour adds ANSI styles and changes no text."""
    page = Page(max(width, MIN_WIDTH), _rich_paint if colour else _plain_paint)
    blocks = ["\n".join(_promotion(each, page)) for each in decisions]
    if len(decisions) != 1:
        blocks.append("\n".join(_run(decisions, page)))
    rule = f"\n\n{page.paint('─' * page.width, 'dim')}\n\n"
    # A long word that was broken may have put `::` at the start of a line: part it as escape.defuse does.
    return _LINE_COMMAND.sub(lambda match: match[1] + " ".join(match[2]), rule.join(blocks)) + "\n"


def _plain_paint(text: str, _style: str) -> str:
    return text


def _rich_paint(text: str, style: str) -> str:
    from rich.color import ColorSystem
    from rich.style import Style

    return Style.parse(STYLES.get(style, style)).render(text, color_system=ColorSystem.STANDARD) if style else text


def _run(decisions: Sequence[Decision], page: Page) -> list[str]:
    outcome, exit_code = outline.settle_run(decisions)
    mark = page.paint(f"{outline.GLYPHS[outcome]} {outcome.upper()}", outcome)
    if not decisions:
        said = f"{outline.NOTHING_DECIDED}; {outline.NOTHING_HINT}"
    else:
        said = f"{len(decisions)} promotions: {outline.count_outcomes(decisions)}"
    return hang(f"{mark}  ", f"{said} (exit {exit_code})", page, indent=len(outcome) + 4)


def _promotion(decision: Decision, page: Page) -> list[str]:
    parts = (_headline, _notices, _gates, _steps, _warnings, _passed, _sources, _footer)
    blocks = [block for part in parts if (block := part(decision, page))]
    return [line for number, block in enumerate(blocks) for line in ([""] if number else []) + block]


def _headline(decision: Decision, page: Page) -> list[str]:
    mark = page.paint(f"{outline.GLYPHS[decision.outcome]} {decision.outcome.upper()}", decision.outcome)
    promotion = decision.promotion
    said = one_line(outline.candidate_of(decision))
    if promotion is not None:
        said = f"{promotion.candidate.kind} {said} · {promotion.source} → {promotion.target}"
        said += f" · risk tier {one_line(decision.risk_tier)} · owner {one_line(promotion.owner)}"
    indent = len(decision.outcome) + 4
    return [
        *hang(f"{mark}  ", said, page, indent=indent),
        *hang(" " * indent, f"Why: {one_line(decision.reason)}", page, indent=indent),
    ]


def _notices(decision: Decision, page: Page) -> list[str]:
    if not outline.relaxations(decision):
        return []
    lines = [line for each in outline.relaxations(decision) for line in hang("  ! ", one_line(each), page, indent=4)]
    return [page.paint("RELAXED OR OVERRIDDEN", "warn"), *lines]


def _gates(decision: Decision, page: Page) -> list[str]:
    asked = outline.required(decision)
    skipped = [one_line(each.gate) for each in outline.with_verdict(decision, "not_applicable")]
    lines = []
    if asked:
        header = Row(("verdict", "gate", "rules", "collect", "evaluate", "why"), "quiet")
        rows = [
            Row(
                (
                    f"{outline.GLYPHS[each.verdict]} {each.verdict.upper()}",
                    one_line(each.gate, 60),
                    outline.rules_score(each),
                    outline.duration(each.timing.collect_seconds),
                    outline.duration(each.timing.evaluate_seconds),
                    one_line(each.reason),
                ),
                each.verdict,
            )
            for each in asked
        ]
        lines += table(header, rows, page, right=frozenset({2, 3, 4}))
    if skipped:
        lines += hang("  - not applicable: ", ", ".join(skipped), page, indent=20)
    return [page.paint("GATES", "heading"), *lines] if lines else []


def _steps(decision: Decision, page: Page) -> list[str]:
    steps = outline.next_steps(decision)
    if not steps:
        return []
    lines = [page.paint("WHAT TO DO NEXT", "heading"), *_numbered(steps, page, decision.outcome)]
    rule = next((one_line(each.label) for each in steps if outline.names_rule(each)), "")
    return lines + (hang("  ", f"More about a rule: gatekeeper explain {rule}", page, indent=2) if rule else [])


def _warnings(decision: Decision, page: Page) -> list[str]:
    steps = outline.notes(decision)
    if not steps:
        return []
    return [page.paint("SHOWN, NOT BLOCKING", "heading"), *_numbered(steps, page, "warn")]


def _numbered(steps: Sequence[outline.Step], page: Page, style: str) -> list[str]:
    lines = []
    for number, step in enumerate(steps, start=1):
        first = f"{number:>3}. "
        title = page.paint(one_line(outline.title(step)), style)
        subject = one_line(step.subject)
        lines += [f"{first}{title}", *hang(" " * _STEP_INDENT, _message(subject, step), page, indent=_STEP_INDENT)]
        for name, value in (("at ", outline.where(step)), ("fix", step.remedy)):
            if value:
                start = " " * _STEP_INDENT + page.paint(name, "quiet") + " "
                lines += hang(start, one_line(value), page, indent=_STEP_INDENT + 4)
            if name == "at ":
                lines += _excerpt(step.caret, page)
    return lines


def _excerpt(caret: str, page: Page) -> list[str]:
    """The line of a file and its caret, cut at the page and not wrapped, so that the caret keeps its column."""
    lines = [defuse(visible(line.replace("\t", " "))) for line in caret.split("\n") if line]
    return [" " * (_STEP_INDENT + 4) + line[4:][: page.width - _STEP_INDENT - 4] for line in lines]


def _message(subject: str, step: outline.Step) -> str:
    message = one_line(step.message)
    return message if not subject or subject in message else f"{subject}: {message}"


def _passed(decision: Decision, page: Page) -> list[str]:
    rows = [
        Row((one_line(each.gate, 60), ", ".join(one_line(rule) for rule in outline.passed_rules(each))))
        for each in decision.gates
        if outline.passed_rules(each)
    ]
    return (
        [page.paint("RULES THAT PASSED", "heading"), *table(Row(("gate", "rules"), "quiet"), rows, page)]
        if rows
        else []
    )


def _sources(decision: Decision, page: Page) -> list[str]:
    rows = []
    for gate in outline.required(decision):
        name = one_line(gate.gate, 60)
        for source in gate.sources[: outline.MAX_SOURCES]:
            digest = source.sha256[: outline.SHORT_DIGEST_CHARS]
            rows.append(Row((name, digest, outline.size(source), one_line(source.path))))
        more = len(gate.sources) - outline.MAX_SOURCES
        if more > 0:
            rows.append(Row((name, "", "", f"and {more} more, in the JSON report")))
    if not rows:
        return []
    header = Row(("gate", "sha256", "size", "source"), "quiet")
    return [page.paint("EVIDENCE", "heading"), *table(header, rows, page, right=frozenset({2}))]


def _footer(decision: Decision, page: Page) -> list[str]:
    facts = [f"{name} {one_line(value)}" for name, value in outline.provenance(decision)]
    separated = [f"{each} ·" for each in facts[:-1]] + facts[-1:]
    return [page.paint(line, "quiet") for line in fill(separated, page.width)]
