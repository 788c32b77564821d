"""Makers of decisions that reports show: an allow, a denial, an open one, one without a promotion, hostile ones."""

from __future__ import annotations

from typing import Any

from conftest import NOW
from support import make_manifest

from gatekeeper.decision import (
    Decision,
    EngineReference,
    Finding,
    GateTiming,
    GateVerdict,
    Place,
    PolicyReference,
    Problem,
    RuleOutcome,
    settle,
    settle_gate,
)
from gatekeeper.errors import ConfigurationError, Location, UnavailableError
from gatekeeper.evidence import Gap, Source

HOSTILE_TEXTS = {
    "workflow command": "::error::all is well",
    "legacy command": "fine\n##[error]forged",
    "indented command": "fine\n   ::set-output name=decision::allow",
    "script": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "table": "a | b \\| c || d\\",
    "backticks": "`code` ```fence``` ``",
    "terminal": "\x1b[2J\x1b[32m✔ ALLOW\x1b[0m \x9b31m \x07",
    "bidirectional": "safe\u202eevil\u2066x\u2069\u200b\ufeff",
    "long": "x" * 100_000,
    "nul": "a\0b",
    "lines": "one\r\n\r\n# two\n- three\n\u2028four\x85five",
    "links": "@octocat #123 GH-7 https://evil.example www.evil.example a@b.example [x](javascript:alert(1)) :tada:",
    "markdown": "**b** _i_ ~~s~~ $x$ ![i](u) <!-- c --> &lt; [^1] \\",
    "tags": "\U000e0041\u3164\ufff9 \ud7ff\ufffe",
    "closing": "]]> --> </details></testcase> ```",
    "wide": "腫瘍" * 80,
    "property": "a,b:c%25%0A%0D",
}
"""Texts by what they try to do to the reader's terminal, browser, runner or parser."""

CONTRACT_RULES = ("breaking_change", "data_conforms", "owner_named", "valid", "version_raised")


def make_finding(rule: str = "contracts.breaking_change", **changes: Any) -> Finding:
    """A denial with a place, and changes."""
    content: dict[str, Any] = {
        "rule": rule,
        "effect": "deny",
        "subject": "tumour_size",
        "message": "column tumour_size was removed; mode BACKWARD allows that in a new major version only",
        "title": "A breaking change has a new major version",
        "remedy": "Keep the column, or raise the contract's major version and state a migration path.",
        "controls": ("eu-ai-act:10(3)", "iso-42001:A.7.4"),
        "place": Place(path="contracts/features.odcs.yaml", line=41, column=9),
    }
    return Finding(**content | changes)


def make_rules(gate: str, findings: tuple[Finding, ...], names: tuple[str, ...]) -> tuple[RuleOutcome, ...]:
    """The outcome of each named rule of a gate, as its findings have it."""
    effects = {each.rule: each.effect for each in sorted(findings, key=lambda each: each.effect == "deny")}
    return tuple(
        RuleOutcome(rule=f"{gate}.{name}", title=f"Title of {name}", outcome=effects.get(f"{gate}.{name}", "pass"))
        for name in names
    )


def make_gate(
    gate: str, *findings: Finding, rules: tuple[str, ...] = ("complete", "fresh", "owned"), **changes: Any
) -> GateVerdict:
    """A gate whose policy ran, with the verdict that its findings settle, and changes."""
    verdict, reason = settle_gate(findings)
    content: dict[str, Any] = {
        "gate": gate,
        "verdict": verdict,
        "reason": reason,
        "findings": findings,
        "rules": make_rules(gate, findings, rules),
        "sources": (Source(path=f"{gate}/evidence.json", sha256="ab" * 32, size_bytes=2048),),
        "timing": GateTiming(queue_seconds=0.0005, collect_seconds=0.0124, evaluate_seconds=0.0031),
    }
    return GateVerdict(**content | changes)


def make_gap_gate(gate: str = "slo", **changes: Any) -> GateVerdict:
    """A gate whose evidence could not be used."""
    content: dict[str, Any] = {
        "kind": "malformed",
        "subject": "slo/prometheus.json",
        "message": "expected an object, found the end of the file",
        "hint": "save the response of /api/v1/query_range again",
        "line": 12,
        "column": 5,
    }
    gap = Gap(**content | changes)
    return make_gate(
        gate,
        verdict="inconclusive",
        reason=f"evidence is {gap.kind}: {gap.subject}",
        rules=(),
        gap=gap,
        sources=(),
        timing=GateTiming(queue_seconds=0.0002, collect_seconds=1.25),
    )


def make_problem_gate(gate: str = "experiments") -> GateVerdict:
    """A gate whose policy could not be evaluated."""
    error = UnavailableError("engine embedded", "no answer within 20.0 s and was killed", hint="raise engine.timeout")
    return make_gate(
        gate,
        verdict="inconclusive",
        reason="the policy could not be evaluated",
        rules=(),
        problem=Problem.of(error),
        timing=GateTiming(queue_seconds=0.01, collect_seconds=0.2, evaluate_seconds=20.0),
    )


def make_skipped_gate(gate: str) -> GateVerdict:
    """A gate that the trusted settings do not ask for."""
    return GateVerdict(gate=gate, verdict="not_applicable", reason="not required for a model entering production")


def make_decision(*gates: GateVerdict, problems: tuple[Problem, ...] = (), **changes: Any) -> Decision:
    """A decision over gates, settled as gatekeeper settles it, and changes."""
    outcome, exit_code, reason = settle(gates, problems)
    content: dict[str, Any] = {
        "decision_id": "0b7c2f6e-3f0f-4e8e-9c55-1c2d3e4f5a6b",
        "decided_at": NOW,
        "outcome": outcome,
        "exit_code": exit_code,
        "reason": reason,
        "subject": "promotion.yaml",
        "promotion": make_manifest(),
        "risk_tier": "high",
        "gates": gates,
        "problems": problems,
        "policy": PolicyReference(name="gatekeeper", digest="12" * 32),
        "engine": EngineReference(name="embedded", version="0.13.0"),
        "evidence_digest": "cd" * 32,
        "commit": "ef" * 20,
        "total_seconds": 0.0412,
    }
    return Decision(**content | changes)


def allowed(**changes: Any) -> Decision:
    """All gates pass, one with a warning."""
    warning = make_finding(
        "experiments.small_sample",
        effect="warn",
        subject="auroc",
        message="auroc was measured on 312 cases; 500 are recommended",
        remedy="Measure on a larger holdout.",
        place=None,
    )
    gates = (
        make_gate("contracts", rules=CONTRACT_RULES),
        make_gate("experiments", warning, rules=("floor_reached", "small_sample")),
        make_gate("lineage"),
        make_skipped_gate("slo"),
    )
    return make_decision(*gates, **changes)


def denied(**changes: Any) -> Decision:
    """Two gates deny, one is open, one passes; a limit was overridden."""
    conforms = make_finding(
        "contracts.data_conforms",
        subject="data/holdout.parquet",
        message="3 of 1,204 rows break the contract: age is -1, at least 0 is allowed",
        remedy="Mend the data, or widen the contract's range with its owner.",
        place=Place(path="data/holdout.parquet", line=17),
    )
    floor = make_finding(
        "experiments.floor_reached",
        subject="auroc",
        message="auroc is 0.871, the template's floor is 0.900",
        remedy="Retrain the candidate, or have the template's owner lower the floor.",
        place=Place(path="experiment.yaml", line=12, column=7),
    )
    gates = (
        make_gate("contracts", make_finding(), conforms, rules=CONTRACT_RULES),
        make_gate("experiments", floor, rules=("floor_reached", "small_sample")),
        make_gate("lineage"),
        make_gap_gate("slo"),
    )
    return make_decision(*gates, notices=("settings override thresholds of gate experiments: floor_ratio",), **changes)


def inconclusive(**changes: Any) -> Decision:
    """One gap, one engine failure, and nothing denied."""
    return make_decision(make_gate("contracts"), make_problem_gate("experiments"), make_gap_gate("slo"), **changes)


def unreadable(**changes: Any) -> Decision:
    """The manifest could not be read: no promotion, no gate, one problem."""
    error = ConfigurationError(
        "promotion.yaml",
        "unknown key 'artefacts'",
        hint="did you mean 'artifacts'?",
        location=Location("promotion.yaml", 12, 5, "    artefacts: [{path: model.onnx}]"),
    )
    content = {"promotion": None, "risk_tier": "unknown", "evidence_digest": "", "commit": None, "total_seconds": 0.002}
    return make_decision(problems=(Problem.of(error),), **content | changes)


def hostile(text: str) -> Decision:
    """A denial in which everything that evidence can write is `text`."""
    finding = make_finding(
        subject=text, message=text, remedy=text, title=text, place=Place(path=text, line=3, column=4)
    )
    gap_gate = make_gap_gate(subject=text, message=text, hint=text)
    problem = Problem(code="evidence", exit_code=3, subject=text, message=text, hint=text)
    gates = (
        make_gate("contracts", finding, rules=CONTRACT_RULES, reason=text,
                  sources=(Source(path=text, sha256="ab" * 32, size_bytes=1),)),
        gap_gate.model_copy(update={"reason": text, "problem": problem}),
    )  # fmt: skip
    candidate = {
        "kind": "model",
        "name": "m",
        "version": text[:100] or "1",
        "artifacts": [{"path": "m", "sha256": "0" * 64}],
    }
    return make_decision(
        *gates,
        problems=(problem,),
        promotion=make_manifest(candidate=candidate, owner=text[:200] or "o"),
        notices=(text,),
        reason=text,
        subject=text,
    )


ALL = {
    "allow": [allowed()],
    "deny": [denied()],
    "inconclusive": [inconclusive()],
    "problem": [unreadable()],
    "several": [allowed(), denied(subject="b/promotion.yaml"), unreadable()],
    "nothing": [],
}
"""The runs that golden files show, by name."""
