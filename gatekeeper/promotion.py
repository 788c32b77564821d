"""
From evidence to a decision: the whole flow in one function, `decide`.

It judges only what was collected; clock, policies and engine come with the run.
"""

from __future__ import annotations

import functools
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import ValidationError

from gatekeeper.collectors import COLLECTORS, Collector
from gatekeeper.collectors.registry import BUILT_IN, Collectors
from gatekeeper.decision import (
    Decision,
    EngineReference,
    Finding,
    GateTiming,
    GateVerdict,
    LedgerEntry,
    PolicyReference,
    Problem,
    RuleOutcome,
    policy_input,
    settle,
    settle_gate,
)
from gatekeeper.document import dump_json
from gatekeeper.enforcement import (
    RuleLevel,
    check_enforcement,
    enforce,
    ledger_of,
    levels_of,
    outcomes_of,
    silent_gates,
)
from gatekeeper.errors import ConfigurationError, EvidenceError, GatekeeperError, InternalError
from gatekeeper.evidence import Evidence, EvidenceBody, EvidenceBundle, Gap, GateThresholds
from gatekeeper.findings import read_findings
from gatekeeper.organisation import is_own
from gatekeeper.requirements import Requirements, require
from gatekeeper.waiving import Waived, WaiverContext, waive_gates

if TYPE_CHECKING:
    from gatekeeper.engine import Engine
    from gatekeeper.policy import PolicySet
    from gatekeeper.settings import Settings
    from gatekeeper.waivers import Waiver

MAX_CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead of the run's clock a measurement may lie."""


@dataclass(frozen=True)
class Run:
    """What one run of gatekeeper decides with."""

    settings: Settings
    policies: PolicySet
    engine: Engine
    now: datetime
    notices: tuple[str, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    requesters: tuple[str, ...] = ()
    ledger: tuple[LedgerEntry, ...] = ()
    collectors: Collectors = BUILT_IN
    monotonic: Callable[[], float] = field(default=time.monotonic)
    levels: dict[str, dict[str, RuleLevel]] = field(default_factory=dict, repr=False)
    """Levels by environment, worked out once for all promotions of the run."""


@dataclass(frozen=True)
class _Case:
    """One promotion before the gates."""

    bundle: EvidenceBundle
    required: Requirements
    levels: dict[str, RuleLevel]
    run: Run


def decide(bundle: EvidenceBundle, subject: str, run: Run) -> Decision:
    """
    Decide one promotion from its evidence: no network, no file of the candidate.

    Every doubt ends as inconclusive; an error that concerns the whole promotion is a problem of the decision.
    """
    started = run.monotonic()
    try:
        _check_candidate(bundle, run.now)
        required = require(bundle.promotion, run.policies, run.settings)
        _check_thresholds(required, run)
        case = _Case(bundle, required, _levels(required, run), run)
        gates, waived = _waive(tuple(_judge(gate, case) for gate in required.known_gates), case)
    except GatekeeperError as error:
        return undecided(error, subject, run, bundle=bundle)
    outcome, exit_code, reason = settle(gates, ())
    return Decision(
        decision_id=str(uuid.uuid4()),
        decided_at=run.now,
        outcome=outcome,
        exit_code=exit_code,
        reason=reason,
        subject=subject,
        promotion=bundle.promotion,
        risk_tier=required.risk_tier,
        thresholds={gate: required.thresholds.get(gate, {}) for gate in required.gates},
        gates=gates,
        ledger=(*run.ledger, *_unjudged(bundle, required), *_relaxed_levels(case), *waived.ledger),
        waivers=waived.statuses,
        notices=(*run.notices, *required.notices, *_base_notices(bundle, run)),
        policy=PolicyReference(name=run.policies.name, digest=run.policies.digest),
        engine=run.engine.reference(),
        evidence_digest=bundle.digest,
        commit=bundle.commit,
        total_seconds=bundle.collect_seconds + run.monotonic() - started,
    )


def _levels(required: Requirements, run: Run) -> dict[str, RuleLevel]:
    if required.environment not in run.levels:
        rules, enforcement = tuple(run.policies.rules.values()), run.settings.enforcement
        check_enforcement(enforcement, rules, required.environments)
        found = levels_of(rules, enforcement, environment=required.environment, now=run.now)
        run.levels[required.environment] = found
    return run.levels[required.environment]


def _relaxed_levels(case: _Case) -> tuple[LedgerEntry, ...]:
    """List the rules of required gates that count for less than they ask; those of other gates decided nothing."""
    rules = [rule for gate in case.required.gates for rule in case.run.policies.rules_of(gate)]
    return ledger_of(case.levels, rules)


def _unjudged(bundle: EvidenceBundle, required: Requirements) -> tuple[LedgerEntry, ...]:
    """List gates that the settings leave out, and evidence that no required gate asked for."""
    skipped = [
        LedgerEntry(kind="skipped_gate", subject=gate, effect="the policies require it, the settings do not")
        for gate in required.skipped_gates
    ]
    extra = [
        LedgerEntry(kind="extra_data", subject=each.gate, effect="evidence was given that no required gate judges")
        for each in bundle.evidence
        if each.gate not in required.gates
    ]
    return (*skipped, *extra)


def _waive(gates: tuple[GateVerdict, ...], case: _Case) -> tuple[tuple[GateVerdict, ...], Waived]:
    run = case.run
    context = WaiverContext(
        case.bundle.promotion, run.policies.rules, run.settings.waivers, run.now, requesters=run.requesters
    )
    return waive_gates(gates, run.waivers, context)


def undecided(
    error: GatekeeperError, subject: str, run: Run | datetime, *, bundle: EvidenceBundle | None = None
) -> Decision:
    """Make the inconclusive decision for a promotion that could not be judged; a time when there is no run yet."""
    problem = Problem.of(error)
    outcome, exit_code, reason = settle((), (problem,))
    known = run if isinstance(run, Run) else None
    return Decision(
        decision_id=str(uuid.uuid4()),
        decided_at=run.now if isinstance(run, Run) else run,
        outcome=outcome,
        exit_code=exit_code,
        reason=reason,
        subject=subject,
        promotion=bundle.promotion if bundle else None,
        risk_tier="unknown",
        gates=(),
        problems=(problem,),
        ledger=known.ledger if known else (),
        notices=known.notices if known else (),
        policy=PolicyReference(
            name=known.policies.name if known else "", digest=known.policies.digest if known else ""
        ),
        engine=EngineReference(name=known.settings.engine_settings.name if known else "none", version=""),
        evidence_digest=bundle.digest if bundle else "",
        commit=bundle.commit if bundle else None,
    )


def _base_notices(bundle: EvidenceBundle, run: Run) -> tuple[str, ...]:
    wanted = run.settings.evidence.base_ref
    if bundle.base_ref == wanted:
        return ()
    return (f"contracts were compared with {bundle.base_ref or 'no ref'!r}, the settings name {wanted!r}",)


def _check_candidate(bundle: EvidenceBundle, now: datetime) -> None:
    """Refuse a bundle that goes nowhere, that was not verified, or that was collected after the run's clock."""
    if bundle.promotion.source == bundle.promotion.target:
        raise ConfigurationError(
            "promotion",
            f"'from' and 'to' are both {bundle.promotion.target!r}",
            hint="a promotion moves between two environments",
        )
    if bundle.gap is not None:
        raise _reopened(bundle.gap)
    if bundle.collected_at - now > MAX_CLOCK_SKEW:
        raise EvidenceError(
            "unverifiable",
            "evidence bundle",
            f"collected at {bundle.collected_at.isoformat()}, after the run's clock {now.isoformat()}",
            hint="mend the clock of the machine that collected it, or the one given with --as-of",
        )


def _check_thresholds(required: Requirements, run: Run) -> None:
    """Refuse thresholds that are missing, misspelt or of the wrong type: they would leave a rule without its limit."""
    for gate in required.gates:
        collector = _collector(gate, run)
        if collector is None:
            continue
        try:
            _valid_thresholds(collector.Thresholds, dump_json(required.thresholds.get(gate, {}), strict=False))
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            where = ".".join(str(step) for step in fault["loc"])
            raise ConfigurationError(
                f"thresholds of gate {gate!r}",
                f"{where}: {fault['msg']}",
                hint="mend thresholds in the settings or the policies",
            ) from error


@functools.lru_cache(maxsize=256)
def _valid_thresholds(model: type[GateThresholds], thresholds: bytes) -> None:
    """Validate once what every promotion of a run is judged by."""
    model.model_validate_json(thresholds)


def _collector(gate: str, run: Run) -> Collector | None:
    """Find a required gate's collector; an organisation's own gate without one can never pass, which is an error."""
    if not is_own(run.policies, gate):
        return run.collectors.find(gate) if gate in COLLECTORS else None
    if gate in COLLECTORS:
        raise ConfigurationError(f"gate {gate!r}", "has the name of a gate of the library", hint="rename the gate")
    collector = run.collectors.find(gate)
    if collector is None:
        raise ConfigurationError(
            f"gate {gate!r}", "is required, and nothing says what its evidence looks like",
            hint=f"add custom_gates.{gate} with a schema to the settings, or install the package of its collector",
        )  # fmt: skip
    return collector


def _judge(gate: str, case: _Case) -> GateVerdict:
    """Judge one gate: not required, no usable evidence, or what its policy says."""
    candidate, target = case.bundle.promotion.candidate, case.bundle.promotion.target
    if gate not in case.required.gates:
        return GateVerdict(
            gate=gate, verdict="not_applicable", reason=f"not required for a {candidate.kind} entering {target}"
        )
    evidence = case.bundle.for_gate(gate)
    if evidence is None:
        gap = Gap(
            kind="missing",
            subject=f"evidence.{gate}",
            message="the manifest names no evidence for this gate, which is required",
            hint=f"add evidence.{gate} to the manifest and collect again",
        )
        return GateVerdict(gate=gate, verdict="inconclusive", reason=_sentence(gap), gap=gap)
    started = case.run.monotonic()
    verdict = _judge_evidence(gate, evidence, case)
    timing = GateTiming(
        queue_seconds=evidence.queue_seconds,
        collect_seconds=evidence.duration_seconds,
        evaluate_seconds=case.run.monotonic() - started,
    )
    return verdict.model_copy(update={"sources": evidence.sources, "timing": timing})


def _judge_evidence(gate: str, evidence: Evidence, case: _Case) -> GateVerdict:
    try:
        body = _usable_body(gate, evidence, case)
        findings, rules = _enforced(gate, _evaluate(gate, body, case), case)
    except EvidenceError as error:
        gap = Gap.of(error)
        return GateVerdict(gate=gate, verdict="inconclusive", reason=_sentence(gap), gap=gap)
    except GatekeeperError as error:
        problem = Problem.of(error)
        reason = f"{problem.subject}: {problem.message}"
        return GateVerdict(gate=gate, verdict="inconclusive", reason=reason, problem=problem)
    verdict, reason = settle_gate(findings)
    return GateVerdict(gate=gate, verdict=verdict, reason=reason, findings=findings, rules=rules)


def _enforced(
    gate: str, findings: tuple[Finding, ...], case: _Case
) -> tuple[tuple[Finding, ...], tuple[RuleOutcome, ...]]:
    """Give findings the effect that the settings ask for; a gate that is left without a voice is an error."""
    rules = case.run.policies.rules_of(gate)
    if silent_gates(case.levels, rules, (gate,)):
        raise ConfigurationError(
            f"gate {gate!r}",
            "is required and every rule of it is off, and a gate without a rule is no pass",
            hint="leave a rule in force, or take the gate out of required_gates",
        )
    enforced = enforce(findings, case.levels)
    return enforced, outcomes_of(rules, enforced, case.levels)


def _usable_body(gate: str, evidence: Evidence, case: _Case) -> EvidenceBody:
    """Return the body as its gate's model holds it, when it has that shape and is fresh; otherwise raise its gap."""
    if evidence.body is None:
        raise _reopened(evidence.gap or Gap(kind="missing", subject=gate, message="no evidence"))
    subject = f"evidence of {gate}"
    collector = _collector(gate, case.run)
    if collector is None:
        raise EvidenceError("unverifiable", subject, "no collector knows its shape", hint="update gatekeeper")
    try:
        content = dump_json(evidence.body, strict=False)
        body = collector.Body.model_validate_json(content, by_alias=True, by_name=False)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in fault["loc"]) or "the body"
        raise EvidenceError("malformed", subject, f"{where}: {fault['msg']}", hint="collect it again") from error
    now, required = case.run.now, case.required
    _check_age(subject, "collected", evidence.collected_at, limit_seconds=required.max_bundle_age_seconds, now=now)
    _check_age(subject, "measured", body.observed_at, limit_seconds=required.max_age_seconds(gate), now=now)
    return body


def _check_age(subject: str, verb: str, moment: datetime | None, *, limit_seconds: int, now: datetime) -> None:
    if moment is None:
        return
    age, limit = now - moment, timedelta(seconds=limit_seconds)
    if age > limit:
        problem = f"{verb} {moment.isoformat()}, {_span(age)} ago; at most {_span(limit)} is allowed"
        raise EvidenceError("stale", subject, problem, hint="measure and collect again")
    if -age > MAX_CLOCK_SKEW:
        raise EvidenceError("unverifiable", subject, f"{verb} {moment.isoformat()}, which is in the future")


def _evaluate(gate: str, body: EvidenceBody, case: _Case) -> tuple[Finding, ...]:
    document = policy_input(
        promotion=case.bundle.promotion,
        gate=gate,
        evidence=body,
        now=case.run.now.isoformat(),
        settings=case.required.settings_of(gate),
    )
    policies = case.run.policies
    answer = case.run.engine.evaluate(policies.packages[gate], dump_json(document))
    if set(answer.result) - {"deny", "warn"}:
        raise InternalError("engine", "answered with more than deny and warn")
    findings, _ = read_findings(gate, answer.result, policies.rules_of(gate))
    return findings


def _reopened(gap: Gap) -> EvidenceError:
    """A recorded gap as the error that it was."""
    where = f" (line {gap.line}, column {gap.column or 1})" if gap.line else ""
    return EvidenceError(gap.kind, gap.subject, gap.message + where, hint=gap.hint)


def _sentence(gap: Gap) -> str:
    return f"evidence is {gap.kind}: {gap.subject}: {gap.message}"


def _span(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours:.1f} h" if hours < 72 else f"{hours / 24:.1f} days"
