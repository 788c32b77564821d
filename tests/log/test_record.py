"""A record is an OPA decision log event that holds everything the decision was made from."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from conftest import NOW
from support import SHA, make_manifest

from gatekeeper import __version__
from gatekeeper.decision import Decision, EngineReference, GateTiming, GateVerdict, PolicyReference
from gatekeeper.document import canonical_json
from gatekeeper.log.record import make_record


def make_decision(**changes: Any) -> Decision:
    """A denied promotion with three gates."""
    fields: dict[str, Any] = {
        "decision_id": "2c0ab4ee-8a4b-4c3f-8f5e-6b6f2f1d3c55",
        "decided_at": NOW,
        "outcome": "deny",
        "exit_code": 1,
        "reason": "denied by slo",
        "subject": "promotion.yaml",
        "promotion": make_manifest(),
        "risk_tier": "high",
        "thresholds": {"slo": {"max_age_seconds": 60}},
        "gates": (
            GateVerdict(
                gate="slo",
                verdict="deny",
                reason="r",
                timing=GateTiming(queue_seconds=0.1, collect_seconds=1.5, evaluate_seconds=0.0000000015),
            ),
            GateVerdict(gate="lineage", verdict="inconclusive", reason="r"),
            GateVerdict(gate="contracts", verdict="not_applicable", reason="r"),
        ),
        "policy": PolicyReference(name="policies", digest=SHA),
        "engine": EngineReference(name="embedded", version="1.2"),
        "evidence_digest": "e" * 64,
        "commit": "c" * 40,
        "total_seconds": 2.25,
    }
    return Decision(**(fields | changes))


def test_has_the_fields_of_a_decision_log_event() -> None:
    """The names and types that OPA's documentation gives."""
    record = make_record(make_decision(), {"digest": "e" * 64})
    assert set(record) == {
        "labels", "decision_id", "bundles", "path", "input", "result", "timestamp", "metrics", "erased", "masked",
    }  # fmt: skip
    assert record["bundles"] == {"policies": {"revision": f"sha256:{SHA}"}}
    assert record["decision_id"] == "2c0ab4ee-8a4b-4c3f-8f5e-6b6f2f1d3c55"
    assert record["path"] == "gatekeeper/gates"
    assert (record["erased"], record["masked"]) == ([], [])
    assert datetime.fromisoformat(record["timestamp"]) == NOW


def test_labels_are_texts() -> None:
    """OPA's labels are strings; they say what moved, from where to where, and what came of it."""
    labels = make_record(make_decision(), None)["labels"]
    assert labels == {
        "id": "gatekeeper", "version": __version__, "outcome": "deny", "engine": "embedded 1.2", "risk_tier": "high",
        "candidate_kind": "model", "candidate_name": "tumour-classifier", "candidate_version": "2.3.0",
        "from": "staging", "to": "production", "commit": "c" * 40,
    }  # fmt: skip


def test_timers_are_whole_nanoseconds_of_the_gates_that_were_judged() -> None:
    """A gate that was not required took no time, and has no timer."""
    metrics = make_record(make_decision(), None)["metrics"]
    assert metrics == {
        "timer_gatekeeper_total_ns": 2_250_000_000,
        "timer_gatekeeper_slo_queue_ns": 100_000_000,
        "timer_gatekeeper_slo_collect_ns": 1_500_000_000,
        "timer_gatekeeper_slo_evaluate_ns": 2,
        "timer_gatekeeper_lineage_queue_ns": 0,
        "timer_gatekeeper_lineage_collect_ns": 0,
        "timer_gatekeeper_lineage_evaluate_ns": 0,
    }
    assert {type(value) for value in metrics.values()} == {int}


def test_holds_all_that_the_decision_was_made_from() -> None:
    """Promotion, evidence, clock, tier and thresholds: enough to decide again."""
    evidence = {"digest": "e" * 64, "evidence": [{"gate": "slo", "body": {"x": 0.1}}]}
    given = make_record(make_decision(), evidence)["input"]
    assert given["promotion"] == make_manifest().model_dump(mode="json")
    assert given["evidence"] is evidence
    assert datetime.fromisoformat(given["now"]) == NOW
    assert given["settings"] == {"risk_tier": "high", "thresholds": {"slo": {"max_age_seconds": 60}}}


def test_the_decision_can_be_read_back() -> None:
    """Result and input together are the decision, field for field."""
    decision = make_decision()
    record = make_record(decision, None)
    content = record["result"] | {
        "promotion": record["input"]["promotion"],
        "thresholds": record["input"]["settings"]["thresholds"],
    }
    assert Decision.model_validate_json(json.dumps(content)) == decision


def test_an_undecided_promotion_is_recorded_too() -> None:
    """Without manifest, policies and commit: nothing is invented."""
    decision = make_decision(
        outcome="inconclusive",
        exit_code=2,
        promotion=None,
        gates=(),
        thresholds={},
        policy=PolicyReference(name="", digest=""),
        engine=EngineReference(name="none", version=""),
        commit=None,
    )
    record = make_record(decision, None)
    assert record["bundles"] == {}
    assert (record["input"]["promotion"], record["input"]["evidence"]) == (None, None)
    assert record["labels"] == {
        "id": "gatekeeper", "version": __version__, "outcome": "inconclusive", "engine": "none", "risk_tier": "high",
    }  # fmt: skip
    assert record["result"]["exit_code"] == 2


def test_is_json() -> None:
    """A record can be written, digested and read as it is."""
    record = make_record(make_decision(), {"digest": "e" * 64})
    assert json.loads(canonical_json(record)) == record
