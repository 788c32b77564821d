"""
Decision records in the shape of OPA's decision log events.

Source: https://www.openpolicyagent.org/docs/management-decision-logs#decision-log-event; gatekeeper's own
content stands under `result` and in string labels.
"""

from __future__ import annotations

from typing import Any

from gatekeeper import __version__
from gatekeeper.decision import Decision

POLICY_PATH = "gatekeeper/gates"
"""The `path` of every record: the part of the policy tree that was asked."""


def make_record(decision: Decision, evidence: dict[str, Any] | None) -> dict[str, Any]:
    """
    Make the record of one decision; `evidence` is what it was made from, when there was any.

    Timers are integers in nanoseconds. The bundle's revision is the digest of the exact policy bytes.
    """
    content = decision.model_dump(mode="json", exclude={"promotion", "thresholds"})
    promotion = decision.promotion.model_dump(mode="json") if decision.promotion else None
    revision = {"revision": f"sha256:{decision.policy.digest}"}
    return {
        "labels": _labels(decision),
        "decision_id": decision.decision_id,
        "bundles": {decision.policy.name: revision} if decision.policy.digest else {},
        "path": POLICY_PATH,
        "input": {
            "promotion": promotion,
            "evidence": evidence,
            "now": decision.decided_at.isoformat(),
            "settings": {"risk_tier": decision.risk_tier, "thresholds": decision.thresholds},
        },
        "result": content,
        "timestamp": decision.decided_at.isoformat(),
        "metrics": _metrics(decision),
        "erased": [],
        "masked": [],
    }


def _labels(decision: Decision) -> dict[str, str]:
    labels = {
        "id": "gatekeeper",
        "version": __version__,
        "outcome": decision.outcome,
        "engine": f"{decision.engine.name} {decision.engine.version}".strip(),
        "risk_tier": decision.risk_tier,
    }
    if decision.promotion is not None:
        candidate = decision.promotion.candidate
        labels |= {
            "candidate_kind": candidate.kind,
            "candidate_name": candidate.name,
            "candidate_version": candidate.version,
            "from": decision.promotion.source,
            "to": decision.promotion.target,
        }
    if decision.commit:
        labels["commit"] = decision.commit
    return labels


def _metrics(decision: Decision) -> dict[str, int]:
    metrics = {"timer_gatekeeper_total_ns": _nanoseconds(decision.total_seconds)}
    for gate in decision.gates:
        if gate.verdict == "not_applicable":
            continue
        for phase in ("queue", "collect", "evaluate"):
            seconds = getattr(gate.timing, f"{phase}_seconds")
            metrics[f"timer_gatekeeper_{gate.gate}_{phase}_ns"] = _nanoseconds(seconds)
    return metrics


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000_000)
