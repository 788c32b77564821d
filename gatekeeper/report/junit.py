"""
The report for test dashboards: JUnit XML as Jenkins, GitLab and GitHub actions read it.

A promotion is a test suite. Each gate is a test case of its own, which carries its time and is an error when
the gate could not decide; each of its rules is a test case, which fails when the rule denies; and one test
case is the decision, so that no suite is green unless the promotion is allowed.
Source: https://github.com/testmoapp/junitxml, and the schema of Jenkins' xUnit plugin.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Literal

from gatekeeper.decision import Decision, GateVerdict
from gatekeeper.report import outline
from gatekeeper.report.escape import one_line

DECISION_CLASS = "gatekeeper"
"""Class name of the test case that is the decision."""


Result = Literal["pass", "failure", "error", "skipped"]


@dataclass(frozen=True)
class _Case:
    """One test case; its texts are clean already."""

    gate: str
    name: str
    result: Result = "pass"
    kind: str = ""
    message: str = ""
    lines: tuple[str, ...] = ()
    seconds: float = 0.0


def render(decisions: Sequence[Decision]) -> str:
    """Render decisions as JUnit XML; a run that decided nothing is one error."""
    root = ElementTree.Element("testsuites", name="gatekeeper")
    for decision in decisions:
        root.append(_suite(decision))
    if not decisions:
        hint = (outline.NOTHING_HINT,)
        case = _Case(DECISION_CLASS, "decision", "error", "inconclusive", outline.NOTHING_DECIDED, hint)
        suite = ElementTree.SubElement(root, "testsuite", name="no promotion")
        _fill(suite, [case], 0.0)
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    root.set("time", f"{sum(each.total_seconds for each in decisions):.6f}")
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _suite(decision: Decision) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=_suite_name(decision))
    suite.set("timestamp", decision.decided_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    properties = ElementTree.SubElement(suite, "properties")
    facts = [("outcome", decision.outcome), *outline.provenance(decision)]
    facts += [("notice", each) for each in outline.relaxations(decision)]
    for name, value in facts:
        ElementTree.SubElement(properties, "property", name=name, value=one_line(value))
    cases = [_decision_case(decision)]
    for gate in decision.gates:
        cases.append(_gate_case(gate))
        cases.extend(_rule_cases(gate))
    _fill(suite, cases, decision.total_seconds)
    return suite


def _suite_name(decision: Decision) -> str:
    name = one_line(outline.candidate_of(decision))
    promotion = decision.promotion
    return f"{promotion.candidate.kind} {name} {promotion.source} → {promotion.target}" if promotion else name


def _fill(suite: ElementTree.Element, cases: Sequence[_Case], seconds: float) -> None:
    results = [each.result for each in cases]
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(results.count("failure")))
    suite.set("errors", str(results.count("error")))
    suite.set("skipped", str(results.count("skipped")))
    suite.set("time", f"{seconds:.6f}")
    suite.extend(_element(each) for each in cases)


def _element(case: _Case) -> ElementTree.Element:
    element = ElementTree.Element("testcase", classname=case.gate, name=case.name, time=f"{case.seconds:.6f}")
    text = "\n".join(case.lines)
    if case.result == "pass":
        if text:
            ElementTree.SubElement(element, "system-out").text = text
        return element
    found = ElementTree.SubElement(element, case.result, message=case.message)
    if case.result != "skipped":
        found.set("type", case.kind)
        found.text = text
    return element


def _decision_case(decision: Decision) -> _Case:
    reason = one_line(decision.reason)
    if decision.outcome == "allow":
        return _Case(DECISION_CLASS, "decision", lines=(reason,))
    lines = [f"{number}. {_sentence(step)}" for number, step in enumerate(outline.next_steps(decision), start=1)]
    result: Result = "failure" if decision.outcome == "deny" else "error"
    return _Case(DECISION_CLASS, "decision", result, decision.outcome, reason, tuple(lines))


def _gate_case(gate: GateVerdict) -> _Case:
    """The case that says whether the gate could decide; a denial shows in the cases of its rules."""
    name, reason = one_line(gate.gate), one_line(gate.reason)
    seconds = gate.timing.queue_seconds + gate.timing.collect_seconds + gate.timing.evaluate_seconds
    if gate.verdict == "not_applicable":
        return _Case(name, name, "skipped", message=reason)
    if gate.verdict == "inconclusive":
        kind = gate.gap.kind if gate.gap else gate.problem.code if gate.problem else "inconclusive"
        lines = tuple(_sentence(each) for each in outline.open_ends(gate))
        return _Case(name, name, "error", kind, reason, lines, seconds)
    if gate.verdict == "deny" and not any(each.effect == "deny" for each in gate.findings):
        return _Case(name, name, "failure", "deny", reason, seconds=seconds)
    return _Case(name, name, lines=(reason,), seconds=seconds)


def _rule_cases(gate: GateVerdict) -> Iterator[_Case]:
    """One case for each rule that was evaluated, and for any other that a finding names."""
    outcomes = {each.rule: each.outcome for each in gate.rules}
    for rule in dict.fromkeys([*outcomes, *(each.rule for each in gate.findings)]):
        found = [each for each in gate.findings if each.rule == rule]
        lines = tuple(_sentence(outline.finding_step(gate.gate, each)) for each in found)
        denies = outcomes.get(rule) == "deny" or any(each.effect == "deny" for each in found)
        if denies and gate.verdict != "waived":
            message = f"{len(found)} findings" if len(found) > 1 else "".join(one_line(each.message) for each in found)
            yield _Case(one_line(gate.gate), one_line(rule), "failure", "deny", message, lines)
        else:
            said = tuple(f"{'waived' if denies else 'warning'}: {each}" for each in lines)
            yield _Case(one_line(gate.gate), one_line(rule), lines=said)


def _sentence(step: outline.Step) -> str:
    """A step on one line, its parts cleaned one by one so that a long one does not hide the others."""
    parts = [f"{one_line(step.label)}: {one_line(step.subject)}: {one_line(step.message)}"]
    parts += [
        f"{name} {one_line(value)}" for name, value in (("At", outline.where(step)), ("Fix:", step.remedy)) if value
    ]
    return " · ".join(parts)
