"""The parts of one promotion's Markdown report; everything that evidence wrote is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gatekeeper.decision import Decision, Outcome
from gatekeeper.report import outline
from gatekeeper.report.escape import markdown_code as code
from gatekeeper.report.escape import markdown_text as prose
from gatekeeper.report.mermaid import gantt

MARKS = {
    "allow": "✅ ALLOW",
    "deny": "⛔ DENY",
    "inconclusive": "❔ INCONCLUSIVE",
    "pass": "✅ pass",
    "warn": "⚠️ warn",
    "waived": "🎫 waived",
}
"""Glyph and word for outcomes, in capitals, and for verdicts."""

MAX_PROSE_CHARS = 400
MAX_NAME_CHARS = 120
MAX_PLACES = 3
"""Places of one step that the list of what to do names; the table has all."""

DROP_ORDER = (
    "timing diagram",
    "gates and timing",
    "evidence digests",
    "rules that passed",
    "warnings",
    "what failed",
    "what to do next",
)
"""Names of the parts in the order in which they are left out when a report is too long."""


@dataclass(frozen=True)
class Part:
    """A part that is shown whole or not at all."""

    name: str
    """One of `DROP_ORDER`."""
    text: str
    """Markdown; empty when the promotion has nothing of the kind."""
    folded: bool = False
    """Whether it stands under Details."""


def mark(outcome: Outcome) -> str:
    """Glyph and word of an outcome."""
    return MARKS[outcome]


def headline(decision: Decision) -> str:
    """Say what was decided and why; never left out."""
    promotion = decision.promotion
    name = prose(outline.candidate_of(decision), MAX_NAME_CHARS)
    if promotion is None:
        return f"### {mark(decision.outcome)} · {name}\n\n{_why(decision)}"
    title = f"### {mark(decision.outcome)} · {name} → {prose(promotion.target)} · {_gate_count(decision)}"
    facts = (
        f"{prose(promotion.candidate.kind)}, {prose(promotion.source)} → {prose(promotion.target)}, "
        f"risk tier {prose(decision.risk_tier)}, owner {prose(promotion.owner, MAX_NAME_CHARS)}"
    )
    return f"{title}\n\n{_why(decision)} ({facts})"


def _why(decision: Decision) -> str:
    return f"**Why:** {prose(decision.reason, MAX_PROSE_CHARS)}"


def _gate_count(decision: Decision) -> str:
    total = len(outline.required(decision))
    blocking = len(outline.with_verdict(decision, "deny", "inconclusive"))
    said = f"{blocking} of {total} gates block" if blocking else f"{total} of {total} gates pass"
    return said if total else "no gate ran"


def notices(decision: Decision) -> str:
    """Show every relaxing flag and override as an alert; never left out."""
    if not outline.relaxations(decision):
        return ""
    listed = "\n".join(f"> - In force: {prose(each, MAX_PROSE_CHARS)}" for each in outline.relaxations(decision))
    return f"> [!WARNING]\n> **Relaxed or overridden**\n>\n{listed}"


def parts(decision: Decision) -> list[Part]:
    """The parts that can be left out, in the order in which they are shown; empty ones are absent."""
    steps = outline.next_steps(decision)
    made = [
        Part("what to do next", _to_do(steps)),
        Part("what failed", _failures(steps)),
        Part("warnings", _warnings(outline.notes(decision))),
        Part("gates and timing", _gates(decision), folded=True),
        Part("timing diagram", gantt(outline.required(decision)), folded=True),
        Part("rules that passed", _passed(decision), folded=True),
        Part("evidence digests", _sources(decision), folded=True),
    ]
    return [each for each in made if each.text]


def footer(decision: Decision) -> str:
    """What is needed to find, check and replay the decision; never left out."""
    return " · ".join(f"{name} {code(value, MAX_NAME_CHARS)}" for name, value in outline.provenance(decision))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out cells, which are escaped already, as a GitHub table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _action(step: outline.Step) -> str:
    """A rule's remedy; for a gap or a failure what it is, because its hint alone is seldom a sentence."""
    said = [each for each in (step.message, step.remedy) if each]
    return step.remedy if outline.names_rule(step) and step.remedy else ": ".join(said)


def _group(steps: Sequence[outline.Step]) -> dict[tuple[str, str, str], list[outline.Step]]:
    """Bring together what one action mends: the findings of one rule with one remedy."""
    groups: dict[tuple[str, str, str], list[outline.Step]] = {}
    for step in steps:
        groups.setdefault((step.gate, step.label, _action(step)), []).append(step)
    return groups


def _to_do(steps: Sequence[outline.Step]) -> str:
    lines = []
    for number, ((_, _, action), group) in enumerate(_group(steps).items(), start=1):
        places = list(dict.fromkeys(outline.where(each) or each.subject for each in group))
        listed = ", ".join(code(each, MAX_NAME_CHARS) for each in places[:MAX_PLACES])
        more = f" and {len(places) - MAX_PLACES} more" if len(places) > MAX_PLACES else ""
        name = code(outline.title(group[0]), MAX_NAME_CHARS)
        said = prose(action[:1].upper() + action[1:], MAX_PROSE_CHARS)
        lines.append(f"{number}. **{said}** {name} at {listed}{more}")
    return "#### What to do next\n\n" + "\n".join(lines) if lines else ""


def _failures(steps: Sequence[outline.Step]) -> str:
    rows = []
    for number, group in enumerate(_group(steps).values(), start=1):
        for step in group:
            verdict = "⛔ deny" if outline.names_rule(step) else "❔ inconclusive"
            gate = f"{verdict} {prose(step.gate, MAX_NAME_CHARS)}" if step.gate else verdict
            rows.append((gate, code(step.label, MAX_NAME_CHARS), _found(step), f"step {number}"))
    if not rows:
        return ""
    rule = next((each.label for each in steps if outline.names_rule(each)), "")
    more = f"\n\nMore about a rule: {code(f'gatekeeper explain {rule}', MAX_NAME_CHARS)}" if rule else ""
    return "#### What failed\n\n" + table(("gate", "rule", "found and expected", "fix"), rows) + more


def _found(step: outline.Step) -> str:
    message = prose(step.message, MAX_PROSE_CHARS)
    if step.subject not in step.message:
        message = f"{code(step.subject, MAX_NAME_CHARS)}: {message}"
    place = outline.where(step)
    return f"{message} ({code(place, MAX_NAME_CHARS)})" if place else message


def _warnings(steps: Sequence[outline.Step]) -> str:
    rows = [(code(each.label, MAX_NAME_CHARS), _found(each), prose(each.remedy, MAX_PROSE_CHARS)) for each in steps]
    return "#### Shown, not blocking\n\n" + table(("rule", "found and expected", "fix"), rows) if rows else ""


def _gates(decision: Decision) -> str:
    rows = []
    for gate in outline.required(decision):
        timing = gate.timing
        times = (timing.queue_seconds, timing.collect_seconds, timing.evaluate_seconds)
        verdict = MARKS[gate.verdict].lower()
        name = prose(gate.gate, MAX_NAME_CHARS)
        rows.append((name, verdict, outline.rules_score(gate), *map(outline.duration, times), prose(gate.reason, 200)))
    skipped = ", ".join(prose(each.gate, MAX_NAME_CHARS) for each in outline.with_verdict(decision, "not_applicable"))
    header = ("gate", "verdict", "rules passed", "queue", "collect", "evaluate", "why")
    blocks = ["**Gates and timing**"]
    blocks += [table(header, rows)] if rows else []
    blocks += [f"Not applicable: {skipped}."] if skipped else []
    return "\n\n".join(blocks) if len(blocks) > 1 else ""


def _passed(decision: Decision) -> str:
    rows = [
        (prose(gate.gate, MAX_NAME_CHARS), ", ".join(code(rule, MAX_NAME_CHARS) for rule in rules))
        for gate in decision.gates
        if (rules := outline.passed_rules(gate))
    ]
    return "**Rules that passed**\n\n" + table(("gate", "rules"), rows) if rows else ""


def _sources(decision: Decision) -> str:
    rows = []
    for gate in outline.required(decision):
        name = prose(gate.gate, MAX_NAME_CHARS)
        for source in gate.sources[: outline.MAX_SOURCES]:
            digest = code(source.sha256[: outline.SHORT_DIGEST_CHARS])
            rows.append((name, code(source.path, MAX_NAME_CHARS), digest, outline.size(source)))
        more = len(gate.sources) - outline.MAX_SOURCES
        if more > 0:
            rows.append((name, f"and {more} more, in the JSON report", "", ""))
    header = ("gate", "source", "sha256", "size")
    return "**Evidence**\n\n" + table(header, rows) if rows else ""
