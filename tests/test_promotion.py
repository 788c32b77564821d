"""Deciding: evidence that is missing, wrong or old is inconclusive, and only a clean pass allows."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from conftest import NOW
from fake_gates import FakeEngine, doubt, finding, install, judge, make_bundle, make_evidence, policies, verdict

from gatekeeper.engine.embedded import EmbeddedEngine
from gatekeeper.errors import (
    UnavailableError,
)
from gatekeeper.evidence import Gap
from gatekeeper.promotion import MAX_CLOCK_SKEW
from gatekeeper.settings import EngineSettings, Settings

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def gates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collectors of the fake gates; deciding uses their models only."""
    install(monkeypatch)


def test_allows_when_every_required_gate_passes() -> None:
    """With everything that a report shows."""
    bundle = make_bundle()
    decision = judge(bundle, notices=("moved clock",))
    assert (decision.outcome, decision.exit_code) == ("allow", 0)
    assert decision.reason == "all 2 required gates pass"
    assert [(each.gate, each.verdict) for each in decision.gates] == [
        ("alpha", "pass"), ("beta", "pass"), ("gamma", "not_applicable"),
    ]  # fmt: skip
    assert [(each.rule, each.outcome) for each in decision.gates[0].rules] == [
        ("alpha.floor", "pass"), ("alpha.top", "pass"),
    ]  # fmt: skip
    assert (decision.evidence_digest, decision.commit) == (bundle.digest, "c" * 40)
    assert (decision.policy.digest, decision.engine.version) == ("d" * 64, "fake")
    assert (decision.decided_at, decision.risk_tier, decision.subject) == (NOW, "high", "promotion.yaml")
    assert decision.notices == ("moved clock",)
    assert set(decision.thresholds) == {"alpha", "beta"}
    assert uuid.UUID(decision.decision_id).version == 4


def test_the_real_engine_gives_the_same() -> None:
    """The fake stands for the embedded engine: the same policies, evaluated."""
    engine = EmbeddedEngine(EngineSettings())
    try:
        engine.load(policies())
        low = make_evidence("beta", body={"observed_at": None, "ratio": 0.25})
        outcomes = [judge(engine=engine), judge(make_bundle(low), engine)]
        strict = judge(engine=engine, settings=Settings(thresholds={"alpha": {"floor_ratio": 0.8}}))
    finally:
        engine.close()
    assert [(each.outcome, each.reason) for each in outcomes] == [
        ("allow", "all 2 required gates pass, 2 with warnings"),
        ("deny", "denied by beta"),
    ]
    assert (strict.outcome, strict.reason) == ("deny", "denied by alpha")
    assert strict.notices == ("threshold alpha.floor_ratio is set to 0.8 by the settings, over the policies' own",)


def test_a_warning_allows_and_shows() -> None:
    """Warnings are for people."""
    decision = judge(engine=FakeEngine({"beta": {"deny": [], "warn": [finding("beta", "top")]}}))
    assert (decision.outcome, verdict(decision, "beta").verdict) == ("allow", "warn")
    assert decision.reason == "all 2 required gates pass, 1 with warnings"


def test_one_denial_denies() -> None:
    """Beside a gate that passes and beside one that nobody could judge."""
    denied = {"deny": [finding("alpha")], "warn": []}
    decision = judge(engine=FakeEngine({"alpha": denied}))
    assert (decision.outcome, decision.exit_code, decision.reason) == ("deny", 1, "denied by alpha")
    broken = judge(engine=FakeEngine({"alpha": denied, "beta": UnavailableError("engine", "is gone")}))
    assert (broken.outcome, broken.exit_code) == ("deny", 1)
    assert verdict(broken, "beta").verdict == "inconclusive"


def test_a_gate_that_is_not_required_is_not_asked() -> None:
    """Its evidence, good or bad, changes nothing, and its policy does not run."""
    engine = FakeEngine({"gamma": {"deny": [finding("gamma")], "warn": []}})
    bad = make_evidence("gamma", body={"nonsense": True})
    decision = judge(make_bundle(bad), engine)
    assert decision.outcome == "allow"
    assert verdict(decision, "gamma").reason == "not required for a model entering production"
    assert set(engine.asked) == {"alpha", "beta"}


def test_the_policy_sees_the_agreed_input() -> None:
    """Promotion under the manifest's own keys, gate, evidence, clock and resolved settings; nothing else."""
    engine = FakeEngine({})
    judge(engine=engine)
    asked = engine.asked["alpha"]
    assert set(asked) == {"promotion", "gate", "evidence", "now", "settings"}
    assert (asked["promotion"]["from"], asked["promotion"]["to"]) == ("staging", "production")
    assert (asked["gate"], datetime.fromisoformat(asked["now"])) == ("alpha", NOW)
    assert asked["evidence"]["ratio"] == 0.75
    assert asked["settings"] == {
        "environment": "production",
        "risk_tier": "high",
        "thresholds": {"max_age_seconds": 3600, "floor_ratio": 0.5},
    }


def test_evidence_that_was_never_collected_is_missing() -> None:
    """A manifest that leaves a required gate out does not leave the gate out."""
    decision = judge(make_bundle(evidence=(make_evidence("beta"),)))
    gap = doubt(decision)
    assert (gap.kind, gap.subject) == ("missing", "evidence.alpha")
    assert "add evidence.alpha" in gap.hint
    assert doubt(judge(make_bundle(evidence=())), "beta").kind == "missing"


@pytest.mark.parametrize("kind", ["missing", "stale", "malformed", "unverifiable"])
def test_a_gap_stays_the_gap_that_it_was(kind: Any) -> None:
    """Kind, subject, place and hint reach the report, and the policy is not asked."""
    recorded = Gap(kind=kind, subject="a.json", message="is cut", hint="write it again", line=3, column=7)
    engine = FakeEngine({})
    gap = doubt(judge(make_bundle(make_evidence("alpha", body=None, gap=recorded)), engine))
    assert (gap.kind, gap.subject, gap.hint) == (kind, "a.json", "write it again")
    assert gap.message == "is cut (line 3, column 7)"
    assert set(engine.asked) == {"beta"}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "observed_at"), ({"observed_at": None}, "ratio"), ({"observed_at": None, "ratio": "1"}, "ratio"),
        ({"observed_at": None, "ratio": 1.01}, "ratio"), ({"observed_at": None, "ratio": -0.01}, "ratio"),
        ({"observed_at": None, "ratio": None}, "ratio"), ({"observed_at": None, "ratio": True}, "ratio"),
        ({"observed_at": None, "ratio": float("nan")}, "ratio"), ({"observed_at": None, "ratio": 0.7, "x": 1}, "x"),
        ({"observed_at": "2026-11-23T12:00:00", "ratio": 0.7}, "observed_at"),
        ({"observed_at": 1767225600, "ratio": 0.7}, "observed_at"),
        ({"observed_at": None, "ratio": 0.7, "origin": "y"}, "origin"), ({"ratio": 0.7}, "observed_at"),
    ],
)  # fmt: skip
def test_a_body_of_another_shape_is_malformed(body: dict[str, Any], where: str) -> None:
    """A bundle is not trusted to hold what its collector would have written."""
    engine = FakeEngine({})
    gap = doubt(judge(make_bundle(make_evidence("alpha", body=body)), engine))
    assert (gap.kind, gap.subject) == ("malformed", "evidence of alpha")
    assert gap.message.startswith(f"{where}: ")
    assert "alpha" not in engine.asked


@pytest.mark.parametrize(("age", "fresh"), [(2 * HOUR, True), (2 * HOUR + timedelta(microseconds=1), False)])
def test_a_bundle_ages(age: timedelta, fresh: bool) -> None:
    """At its limit it is evidence, past it it is stale."""
    body = {"observed_at": None, "ratio": 1}
    old = [make_evidence(gate, collected_at=NOW - age, body=body) for gate in ("alpha", "beta")]
    decision = judge(make_bundle(*old, collected_at=NOW - age))
    if fresh:
        assert decision.outcome == "allow"
        return
    gap = doubt(decision)
    assert (gap.kind, gap.hint) == ("stale", "measure and collect again")
    assert gap.message.endswith("2.0 h ago; at most 2.0 h is allowed")
    assert gap.message.startswith("collected ")


@pytest.mark.parametrize(("age", "fresh"), [(HOUR, True), (HOUR + timedelta(microseconds=1), False)])
def test_a_measurement_ages(age: timedelta, fresh: bool) -> None:
    """Collected just now, but measured too long ago."""
    body = {"observed_at": (NOW - age).isoformat(), "ratio": 1}
    decision = judge(make_bundle(make_evidence("alpha", body=body)))
    if fresh:
        assert decision.outcome == "allow"
        return
    gap = doubt(decision)
    assert gap.kind == "stale"
    assert gap.message.startswith("measured ")


def test_age_is_counted_in_instants_not_in_clock_faces() -> None:
    """A zone ahead of the run's does not make a measurement younger."""
    zone = timezone(timedelta(hours=14))
    for age, outcome in ((HOUR, "allow"), (HOUR + timedelta(seconds=1), "inconclusive")):
        moment = (NOW - age).astimezone(zone)
        body = {"observed_at": moment.isoformat(), "ratio": 1}
        assert judge(make_bundle(make_evidence("alpha", body=body))).outcome == outcome


@pytest.mark.parametrize("field", ["observed_at", "collected_at"])
def test_what_comes_from_the_future_is_not_trusted(field: str) -> None:
    """Clocks differ by minutes; more would let evidence stay fresh for ever."""
    for ahead, outcome in ((MAX_CLOCK_SKEW, "allow"), (MAX_CLOCK_SKEW + timedelta(seconds=1), "inconclusive")):
        moment = NOW + ahead
        evidence = (
            make_evidence("alpha", collected_at=moment)
            if field == "collected_at"
            else make_evidence("alpha", body={"observed_at": moment.isoformat(), "ratio": 1})
        )
        decision = judge(make_bundle(evidence))
        assert decision.outcome == outcome
        if outcome != "allow":
            gap = doubt(decision)
            assert gap.kind == "unverifiable"
            assert gap.message.endswith("which is in the future")


def test_a_default_of_the_body_is_seen_by_the_policy() -> None:
    """What was validated is what is evaluated: a field that the bundle left out has its default, not undefined."""
    engine = FakeEngine({})
    judge(engine=engine)
    assert engine.asked["alpha"]["evidence"]["from"] == "x"


def test_times_are_told_by_phase() -> None:
    """Queue and collection from the bundle, evaluation from the run's monotonic clock."""
    ticks = iter(range(100))
    decision = judge(monotonic=lambda: float(next(ticks)))
    timing = verdict(decision).timing
    assert (timing.queue_seconds, timing.collect_seconds, timing.evaluate_seconds) == (0.25, 2.0, 1.0)
    assert verdict(decision).sources[0].path == "a"
    assert verdict(decision, "gamma").timing.evaluate_seconds == 0
    assert decision.total_seconds == 3.0 + 5.0


def test_deciding_again_gives_the_same() -> None:
    """Only the id differs."""
    ticks: Callable[[], float] = lambda: 1.0  # noqa: E731
    one, two = judge(monotonic=ticks), judge(monotonic=ticks)
    assert one.decision_id != two.decision_id
    assert one.model_copy(update={"decision_id": ""}) == two.model_copy(update={"decision_id": ""})


def test_another_base_ref_than_the_settings_name_is_noticed() -> None:
    """A bundle whose contracts were compared with another ref says so in the decision."""
    decision = judge(make_bundle(base_ref="HEAD"))
    assert any("'HEAD'" in notice and "'origin/main'" in notice for notice in decision.notices)
