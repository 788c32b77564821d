"""
From findings to a decision; pure.

A gate passes only when its policy ran, denied nothing and every piece of its evidence was there. A promotion
is allowed only when at least one gate was required and every required gate passed or warned.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, model_validator

from gatekeeper.document import Document
from gatekeeper.errors import (
    EXIT_ALLOW,
    EXIT_DENY,
    EXIT_INCONCLUSIVE,
    GatekeeperError,
    worst,
)
from gatekeeper.evidence import Gap, Seconds, Source
from gatekeeper.manifest import PromotionManifest

Effect = Literal["deny", "warn", "waived"]
VerdictName = Literal["pass", "warn", "deny", "waived", "inconclusive", "not_applicable"]
Outcome = Literal["allow", "deny", "inconclusive"]
WaiverState = Literal[
    "applied", "unused", "out_of_scope", "valid", "not_waivable", "inconsistent", "expired", "not_yet", "too_long",
    "self_approved", "unknown_approver", "unsigned", "bad_signature",
]  # fmt: skip
_PASSING = ("pass", "warn", "waived")


class Place(Document):
    """Where in a file a finding lies; counts from 1."""

    path: str
    """Path as the manifest writes it."""
    line: Annotated[int, Field(ge=1)]
    """Line, from 1."""
    column: Annotated[int, Field(ge=1)] = 1
    """Column, from 1."""


class Finding(Document):
    """One rule's objection."""

    rule: str
    """Rule id, `<gate>.<name>`."""
    effect: Effect
    """deny blocks; warn is shown; waived is a denial that an approved waiver sets aside."""
    subject: str
    """What it is about: a column, a metric, a dataset."""
    message: str
    """What was found and what was wanted."""
    title: str
    """The rule's title."""
    remedy: str
    """What to do about it."""
    controls: tuple[str, ...] = ()
    """Controls of public frameworks that the rule serves."""
    place: Place | None = None
    """Where in a file, if there is one."""
    waiver: str | None = None
    """Id of the waiver that sets a denial aside."""

    @model_validator(mode="after")
    def _waived_by_somebody(self) -> Finding:
        if (self.effect == "waived") != (self.waiver is not None):
            raise ValueError("a waived finding names its waiver, and no other finding does")
        return self


class RuleOutcome(Document):
    """What became of one rule of a gate; rules that passed are named too."""

    rule: str
    """Rule id."""
    title: str
    """The rule's title."""
    outcome: Literal["pass", "warn", "deny", "waived", "off"]
    """pass when it was evaluated and found nothing; off when the settings do not enforce it here."""


class GateTiming(Document):
    """Seconds by phase, from a monotonic clock."""

    queue_seconds: Seconds = 0.0
    """Waiting for a collector to begin."""
    collect_seconds: Seconds = 0.0
    """Reading and computing evidence."""
    evaluate_seconds: Seconds = 0.0
    """Evaluating the policy."""


class Problem(Document):
    """Something that kept gatekeeper from deciding."""

    code: Literal["configuration", "evidence", "unavailable", "internal", "interrupted"]
    """The family; each has its own exit code."""
    exit_code: Annotated[int, Field(ge=1, le=255)]
    """Exit code of the family."""
    subject: str
    """The thing at fault."""
    message: str
    """What was found and what was wanted."""
    hint: str = ""
    """What to do next."""
    place: Place | None = None
    """Where in a file, if there is one."""
    caret: str = ""
    """The line at that place and a caret below it, indented by four spaces; for monospaced reports."""

    @classmethod
    def of(cls, error: GatekeeperError) -> Problem:
        """Turn an error into a value that a report can show."""
        place = error.location
        return cls(
            code=PROBLEM_CODES.get(error.exit_code, "internal"),
            exit_code=error.exit_code,
            subject=error.subject,
            message=error.problem,
            hint=error.hint,
            place=Place(path=place.path, line=place.line, column=place.column) if place else None,
            caret=place.caret() if place else "",
        )


PROBLEM_CODES: dict[int, Literal["configuration", "evidence", "unavailable", "internal", "interrupted"]] = {
    2: "configuration",
    3: "evidence",
    4: "unavailable",
    70: "internal",
    130: "interrupted",
}


class GateVerdict(Document):
    """What one gate says."""

    gate: str
    """The gate's name."""
    verdict: VerdictName
    """pass, warn, deny, waived, inconclusive or not_applicable."""
    reason: str
    """One sentence that says why."""
    findings: tuple[Finding, ...] = ()
    """Objections, denials first."""
    rules: tuple[RuleOutcome, ...] = ()
    """Every rule that was evaluated; empty when the policy did not run."""
    gap: Gap | None = None
    """Why evidence was not usable."""
    problem: Problem | None = None
    """Why the policy could not be evaluated."""
    sources: tuple[Source, ...] = ()
    """What the evidence was read from."""
    timing: GateTiming = Field(default_factory=GateTiming)
    """Seconds by phase."""


class LedgerEntry(Document):
    """One thing that made a decision easier to get, or less sure, than the policies alone would have it."""

    kind: Literal["flag", "override", "level", "waiver", "skipped_gate", "extra_data", "source"]
    """Which kind of relaxation."""
    subject: str
    """The flag, threshold, rule, waiver, gate or place."""
    effect: str
    """What it changed."""
    reason: str = ""
    """Why, where somebody said so."""


class WaiverStatus(Document):
    """What became of one waiver in a decision; every waiver of the file has one."""

    id: str
    """Id of the waiver."""
    rule: str
    """`<rule>` or `<rule>:<subject>`, as the waiver says."""
    state: WaiverState
    """applied, unused, out_of_scope, valid (outside a decision), or the first reason why it never applies."""
    message: str
    """What that means, with every reason."""
    warnings: tuple[Literal["expiring", "over_broad"], ...] = ()
    """expiring: ends within 30 days. over_broad: for any subject, any version, any content."""
    reason: str
    """Why the exception was accepted."""
    ticket: str
    """Where it was discussed."""
    approver: str
    """Who approved it."""
    expires_at: AwareDatetime
    """When it ends."""


class PolicyReference(Document):
    """Which policies decided."""

    name: str
    """Where they were loaded from."""
    digest: str
    """SHA-256 of the exact bytes evaluated; empty when none were loaded."""


class EngineReference(Document):
    """Which engine evaluated."""

    name: str
    """`embedded` or `opa`."""
    version: str
    """Its version."""


class Preview(Document):
    """What the policies of the change itself would say; shown beside the decision, and never a part of it."""

    outcome: Outcome
    """allow, deny or inconclusive."""
    reason: str
    """One sentence that says why."""
    policy: PolicyReference
    """The policies of the work tree."""
    verdicts: dict[str, VerdictName]
    """Verdict by gate."""


class Decision(Document):
    """The answer to one promotion, with everything that a report shows."""

    schema_version: Literal["1"] = "1"
    """Version of this shape."""
    decision_id: str
    """UUID, version 4."""
    decided_at: AwareDatetime
    """The run's pinned clock: staleness and dates are judged by it."""
    outcome: Outcome
    """allow, deny or inconclusive."""
    exit_code: Annotated[int, Field(ge=0, le=255)]
    """0 only for allow."""
    reason: str
    """One sentence that says why."""
    subject: str
    """Path of the manifest or bundle."""
    promotion: PromotionManifest | None
    """The promotion; absent when its manifest could not be read."""
    risk_tier: str
    """From the trusted settings."""
    thresholds: dict[str, dict[str, Any]] = {}
    """Resolved thresholds of the required gates."""
    gates: tuple[GateVerdict, ...]
    """Every known gate."""
    problems: tuple[Problem, ...] = ()
    """What kept gatekeeper from deciding."""
    ledger: tuple[LedgerEntry, ...] = ()
    """Everything that made this decision easier to get, or less sure."""
    waivers: tuple[WaiverStatus, ...] = ()
    """What became of every waiver."""
    notices: tuple[str, ...] = ()
    """Every relaxing flag or override in force."""
    policy: PolicyReference
    """Which policies decided."""
    engine: EngineReference
    """Which engine evaluated."""
    evidence_digest: str = ""
    """Digest of the evidence bundle."""
    commit: str | None = None
    """Head commit of the repository, where there is one."""
    preview: Preview | None = None
    """What the change's own policies would say, when that was asked for."""
    total_seconds: Seconds = 0.0
    """From the start of collection to the decision, from a monotonic clock."""

    @model_validator(mode="after")
    def _only_allow_exits_zero(self) -> Decision:
        if (self.outcome == "allow") != (self.exit_code == EXIT_ALLOW):
            raise ValueError("only allow has the exit code 0")
        return self


def settle_gate(findings: tuple[Finding, ...]) -> tuple[VerdictName, str]:
    """Turn the findings of a policy that ran into a verdict and its reason."""
    denied = [each.rule for each in findings if each.effect == "deny"]
    if denied:
        verb = "denies" if len(denied) == 1 else "deny"
        return "deny", f"{_count(len(denied), 'finding')} of {_count(len(set(denied)), 'rule')} {verb} it"
    waived = sum(each.effect == "waived" for each in findings)
    if waived:
        return "waived", f"{_count(waived, 'denial')} waived; nothing else denies it"
    if findings:
        return "warn", f"{_count(len(findings), 'warning')}; nothing denies it"
    return "pass", "every rule is satisfied"


def settle(gates: tuple[GateVerdict, ...], problems: tuple[Problem, ...]) -> tuple[Outcome, int, str]:
    """
    Settle the outcome, the exit code and the reason.

    A denial stands whatever else is unknown; any doubt that remains is inconclusive; no required gate at all
    is a doubt.
    """
    if problems:
        code = worst([each.exit_code for each in problems])
        first = next((each for each in problems if each.exit_code == code), problems[0])
        return "inconclusive", code, f"{first.subject}: {first.message}"
    required = [each for each in gates if each.verdict != "not_applicable"]
    denied = [each.gate for each in required if each.verdict == "deny"]
    if denied:
        return "deny", EXIT_DENY, f"denied by {_listed(denied)}"
    open_gates = [each for each in required if each.verdict not in _PASSING]
    if open_gates:
        codes = [each.problem.exit_code for each in open_gates if each.problem]
        return (
            "inconclusive",
            worst(codes),
            f"could not be decided by {_listed([each.gate for each in open_gates])}",
        )
    if not required:
        return "inconclusive", EXIT_INCONCLUSIVE, "no gate was required, and no gate is not a pass"
    waived = sum(each.verdict == "waived" for each in required)
    warned = sum(each.verdict == "warn" for each in required)
    reason = f"all {len(required)} required gates pass" if len(required) > 1 else "the required gate passes"
    notes = [f", {waived} only by waiver"] if waived else []
    notes += [f", {warned} with warnings"] if warned else []
    return "allow", EXIT_ALLOW, reason + "".join(notes)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def policy_input(**parts: Any) -> dict[str, Any]:
    """Shape the engine's input for one gate: promotion, gate, evidence, now, settings; nothing else."""
    return {name: parts[name] for name in ("promotion", "gate", "evidence", "now", "settings")}
