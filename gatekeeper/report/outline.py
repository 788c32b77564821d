"""What every report for people says, free of any format: names, marks, what to do next, durations; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatekeeper.decision import Decision, Finding, GateVerdict, Outcome, Place, Problem, VerdictName
from gatekeeper.errors import EXIT_ALLOW, EXIT_INTERNAL, worst
from gatekeeper.evidence import Gap, Source

NOTHING_DECIDED = "no promotion was decided, and no promotion is not a pass"
NOTHING_HINT = "name at least one promotion.yaml or evidence bundle"
SHORT_DIGEST_CHARS = 12
MAX_SOURCES = 20
"""Sources of one gate that a report for people lists."""

GLYPHS: dict[str, str] = {
    "allow": "✔",
    "pass": "✔",
    "warn": "!",
    "deny": "✘",
    "waived": "~",
    "inconclusive": "?",
    "not_applicable": "-",
}
"""A glyph always stands beside its word: colour and shape alone say nothing to some readers."""

_PROBLEM_LABELS = {
    "configuration": "configuration error",
    "evidence": "evidence not usable",
    "unavailable": "service unavailable",
    "internal": "error inside gatekeeper",
    "interrupted": "run interrupted",
}


@dataclass(frozen=True)
class Step:
    """One objection and what to do about it."""

    gate: str
    """The gate; empty when gatekeeper could not even begin."""
    label: str
    """Rule id, or what is wrong with the evidence."""
    subject: str
    """What it is about."""
    message: str
    """What was found and what was wanted."""
    remedy: str
    """What to do; empty when nobody said."""
    place: Place | None = None
    """Where in a file, if there is one."""
    caret: str = ""
    """The line there and a caret below it, for monospaced reports."""


def settle_run(decisions: Sequence[Decision]) -> tuple[Outcome, int]:
    """
    Settle the outcome and exit code of a run; one that decided nothing is inconclusive.

    A denial stands whatever else is unknown. A decision whose outcome and exit code contradict each other is
    gatekeeper's own fault, never an allow.
    """
    code = worst(
        [each.exit_code if (each.outcome == "allow") == (each.exit_code == 0) else EXIT_INTERNAL for each in decisions]
    )
    if any(each.outcome == "deny" for each in decisions):
        return "deny", code
    return ("allow" if code == EXIT_ALLOW else "inconclusive"), code


def count_outcomes(decisions: Sequence[Decision]) -> str:
    """Say how many promotions were allowed, denied and left open: `1 allow, 2 deny, 0 inconclusive`."""
    return ", ".join(
        f"{sum(each.outcome == outcome for each in decisions)} {outcome}"
        for outcome in ("allow", "deny", "inconclusive")
    )


def candidate_of(decision: Decision) -> str:
    """Name the candidate and its version, or the file that could not be read."""
    if decision.promotion is None:
        return decision.subject
    return f"{decision.promotion.candidate.name} {decision.promotion.candidate.version}"


def required(decision: Decision) -> list[GateVerdict]:
    """The gates that had a say."""
    return [each for each in decision.gates if each.verdict != "not_applicable"]


def with_verdict(decision: Decision, *verdicts: VerdictName) -> list[GateVerdict]:
    """The gates with one of these verdicts."""
    return [each for each in decision.gates if each.verdict in verdicts]


def next_steps(decision: Decision) -> list[Step]:
    """
    List what stands between the candidate and its promotion, each with what to do about it.

    A gate or a decision that blocks always has at least one step, even if all it can say is its reason.
    """
    if decision.outcome == "allow":
        return []
    steps = [_problem_step("", each) for each in dict.fromkeys(decision.problems)]
    for gate in with_verdict(decision, "deny", "inconclusive"):
        steps.extend(_gate_steps(gate))
    return steps or [Step("", "decision", decision.subject, decision.reason, "")]


def _gate_steps(gate: GateVerdict) -> list[Step]:
    denials = [finding_step(gate.gate, each) for each in gate.findings if each.effect == "deny"]
    return denials + open_ends(gate) or [Step(gate.gate, gate.verdict, gate.gate, gate.reason, "")]


def open_ends(gate: GateVerdict) -> list[Step]:
    """List what kept a gate from deciding: a gap in its evidence, a failure of its policy or engine."""
    steps = [_gap_step(gate.gate, gate.gap)] if gate.gap else []
    return steps + ([_problem_step(gate.gate, gate.problem)] if gate.problem else [])


def relaxations(decision: Decision) -> tuple[str, ...]:
    """Say everything that made the decision easier to get, or less sure: the ledger, and waivers that need a look."""
    ledger = [
        f"{each.kind} {each.subject}: {each.effect}" + (f" ({each.reason})" if each.reason else "")
        for each in decision.ledger
    ]
    waivers = [
        f"waiver {each.id}: {each.state}{', ' + ' and '.join(each.warnings) if each.warnings else ''}: {each.message}"
        for each in decision.waivers
        if each.warnings or each.state not in ("applied", "out_of_scope")
    ]
    return (*decision.notices, *ledger, *waivers, *_preview(decision))


def _preview(decision: Decision) -> tuple[str, ...]:
    """Put what the change's own policies would say beside what was decided, gate by gate."""
    preview = decision.preview
    if preview is None:
        return ()
    decided: dict[str, str] = {each.gate: each.verdict for each in decision.gates}
    gates = [
        f"{gate} {decided.get(gate, 'absent')} → {preview.verdicts.get(gate, 'absent')}"
        for gate in sorted({*decided, *preview.verdicts})
        if decided.get(gate) != preview.verdicts.get(gate)
    ]
    differs = ", ".join(gates) or "no gate differs"
    said = f"the change's own policies ({preview.policy.digest[:12] or 'none'}) would say {preview.outcome}"
    return (f"preview, which decides nothing: {said}: {differs}; {preview.reason}",)


def notes(decision: Decision) -> list[Step]:
    """List what is shown and does not block: warnings, and denials that a waiver lets through."""
    return [
        finding_step(gate.gate, each)
        for gate in decision.gates
        for each in gate.findings
        if each.effect in ("warn", "waived")
    ]


def finding_step(gate: str, finding: Finding) -> Step:
    """Turn a finding into a step."""
    return Step(gate, finding.rule, finding.subject, finding.message, finding.remedy, finding.place)


def _gap_step(gate: str, gap: Gap) -> Step:
    place = Place(path=gap.subject, line=gap.line, column=gap.column or 1) if gap.line else None
    return Step(gate, f"evidence {gap.kind}", gap.subject, gap.message, gap.hint, place)


def _problem_step(gate: str, problem: Problem) -> Step:
    label = _PROBLEM_LABELS[problem.code]
    return Step(gate, label, problem.subject, problem.message, problem.hint, problem.place, problem.caret)


def title(step: Step) -> str:
    """Name a step: the rule, or the gate and what is wrong with it."""
    return step.label if names_rule(step) or not step.gate else f"{step.gate}: {step.label}"


def names_rule(step: Step) -> bool:
    """Say whether a step is a rule's objection, not a gap or a failure."""
    return bool(step.gate) and step.label.startswith(f"{step.gate}.")


def where(step: Step) -> str:
    """Show a step's place as editors read it, `path:line:column`; empty when there is none."""
    return f"{step.place.path}:{step.place.line}:{step.place.column}" if step.place else ""


def passed_rules(gate: GateVerdict) -> list[str]:
    """Names of the rules that were evaluated and found nothing, without the gate before them."""
    return [each.rule.removeprefix(f"{gate.gate}.") for each in gate.rules if each.outcome == "pass"]


def rules_score(gate: GateVerdict) -> str:
    """Rules passed of rules evaluated, `5/7`; a dash when the policy did not run."""
    return f"{len(passed_rules(gate))}/{len(gate.rules)}" if gate.rules else "-"


def duration(seconds: float) -> str:
    """Show a duration for people; exactly nothing means that the phase did not run."""
    if seconds <= 0:
        return "-"
    if seconds < 0.001:
        return "<1 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.995:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def size(source: Source) -> str:
    """Show the size of a source for people."""
    amount = float(source.size_bytes)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def provenance(decision: Decision) -> list[tuple[str, str]]:
    """What a reader needs to find, check and replay the decision, as name and value."""
    policy, engine = decision.policy, decision.engine
    return [
        ("subject", decision.subject),
        ("decision", decision.decision_id),
        ("clock", decision.decided_at.isoformat().replace("+00:00", "Z")),
        ("policies", f"{policy.name} {policy.digest[:SHORT_DIGEST_CHARS] or '(none loaded)'}".strip()),
        ("engine", f"{engine.name} {engine.version}".strip()),
        ("evidence", decision.evidence_digest[:SHORT_DIGEST_CHARS] or "-"),
        ("commit", (decision.commit or "-")[:SHORT_DIGEST_CHARS]),
        ("total", duration(decision.total_seconds)),
    ]
