"""Deciding: a promotion, a policy, a threshold or an engine that is wrong leaves it undecided, with its own exit code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from conftest import NOW
from fake_gates import FakeEngine, doubt, finding, install, judge, make_bundle, policies, verdict
from support import make_manifest

from gatekeeper.collectors import COLLECTORS
from gatekeeper.decision import Decision
from gatekeeper.errors import (
    ConfigurationError,
    EvidenceError,
    GatekeeperError,
    InternalError,
    Interrupted,
    Location,
    UnavailableError,
)
from gatekeeper.evidence import Gap
from gatekeeper.policy import Module, PolicySet
from gatekeeper.promotion import MAX_CLOCK_SKEW, Run, undecided
from gatekeeper.settings import Settings


@pytest.fixture(autouse=True)
def gates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collectors of the fake gates; deciding uses their models only."""
    install(monkeypatch)


def problem(decision: Decision, code: str, exit_code: int) -> str:
    """The problem that kept a whole promotion undecided, as one line; no gate was judged."""
    assert (decision.outcome, decision.exit_code) == ("inconclusive", exit_code)
    assert decision.gates == ()
    (found,) = decision.problems
    assert (found.code, found.exit_code) == (code, exit_code)
    return f"{found.subject}: {found.message}"


def test_a_bundle_from_the_future_is_not_judged() -> None:
    """Up to the skew it is; further ahead somebody's clock is wrong."""
    assert judge(make_bundle(collected_at=NOW + MAX_CLOCK_SKEW)).outcome == "allow"
    late = judge(make_bundle(collected_at=NOW + MAX_CLOCK_SKEW + timedelta(seconds=1)))
    assert "after the run's clock" in problem(late, "evidence", 3)


@pytest.mark.parametrize("now", [datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)])
def test_the_ends_of_time_are_no_crash(now: datetime) -> None:
    """--as-of may be any time."""
    decision = judge(now=now)
    assert (decision.outcome, decision.exit_code) == ("inconclusive", 3)


def test_a_candidate_that_was_not_verified_is_not_judged() -> None:
    """Its files are not those that the manifest names, whatever its evidence says."""
    gap = Gap(kind="unverifiable", subject="model.bin", message="sha256 is other", hint="promote the tested file")
    decision = judge(make_bundle(gap=gap))
    assert problem(decision, "evidence", 3) == "model.bin: sha256 is other"
    assert decision.problems[0].hint == "promote the tested file"
    assert decision.promotion is not None


def test_a_bundle_that_goes_nowhere_is_not_judged() -> None:
    """A bundle made by other means is held to what the manifest's reader asks."""
    decision = judge(make_bundle(promotion=make_manifest(**{"from": "production"})))
    assert problem(decision, "configuration", 2) == "promotion: 'from' and 'to' are both 'production'"


@pytest.mark.parametrize(
    ("error", "code"),
    [(UnavailableError("engine", "is gone"), 4), (ConfigurationError("policies", "are wrong"), 2), (InternalError("x", "y"), 70)],
)  # fmt: skip
def test_an_engine_that_fails_is_a_doubt_with_its_own_exit_code(error: GatekeeperError, code: int) -> None:
    """A dead engine is not a pass, and the other gates are judged all the same."""
    decision = judge(engine=FakeEngine({"alpha": error}))
    assert (decision.outcome, decision.exit_code) == ("inconclusive", code)
    found = verdict(decision)
    assert (found.verdict, found.gap) == ("inconclusive", None)
    assert found.problem is not None
    assert (found.problem.exit_code, found.reason) == (code, str(error))
    assert verdict(decision, "beta").verdict == "pass"


@pytest.mark.parametrize("error", [ValueError("bug"), KeyError("bug"), RecursionError()])
def test_a_bug_in_an_engine_is_an_error(error: Exception) -> None:
    """It is not swallowed here; the command line ends with 70."""
    with pytest.raises(type(error)):
        judge(engine=FakeEngine({"alpha": error}))


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ({}, 2, "does not define `deny`"), ({"deny": []}, 2, "does not define `warn`"),
        ({"deny": False, "warn": []}, 2, "`deny` is a boolean"), ({"deny": {}, "warn": []}, 2, "`deny` is an object"),
        ({"deny": ["x"], "warn": []}, 2, "no finding"), ({"deny": [finding("beta")], "warn": []}, 2, "no METADATA"),
        ({"deny": [], "warn": [finding("alpha")]}, 2, "severity deny"),
        ({"deny": [], "warn": [], "allow": True}, 70, "more than deny and warn"),
    ],
)  # fmt: skip
def test_an_answer_of_another_shape_is_a_doubt(answer: dict[str, Any], code: int, words: str) -> None:
    """Undefined, misplaced or unknown: never an empty list of findings."""
    decision = judge(engine=FakeEngine({"alpha": answer}))
    assert (decision.outcome, decision.exit_code) == ("inconclusive", code)
    found = verdict(decision).problem
    assert found is not None
    assert words in found.message


def test_a_gate_without_metadata_is_a_doubt() -> None:
    """Its empty answer says nothing about rules that nobody described."""
    bare = policies()
    modules = tuple(Module(each.path, each.package, f"package {each.package}\n") for each in bare.modules)
    decision = judge(policies=PolicySet("policies", "d", modules, bare.data))
    assert (decision.outcome, decision.exit_code) == ("inconclusive", 2)
    assert "has no rules" in verdict(decision).reason


def test_an_unknown_required_gate_is_a_problem() -> None:
    """Trusted settings that misspell a gate require it all the same."""
    settings = Settings(required_gates={"production": {"model": ("alpha", "betta")}})
    text = problem(judge(settings=settings), "configuration", 2)
    assert text == "required gate 'betta': no policy has it"


def test_an_unknown_environment_is_a_problem() -> None:
    """Nothing is required for it, and that is not a pass."""
    decision = judge(make_bundle(promotion=make_manifest(to="prod")))
    assert "no gates are required" in problem(decision, "configuration", 2)


def test_a_gate_without_a_collector_is_a_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows whether its evidence has the right shape."""
    monkeypatch.delitem(COLLECTORS, "alpha")
    gap = doubt(judge())
    assert (gap.kind, gap.message) == ("unverifiable", "no collector knows its shape")


@pytest.mark.parametrize(
    ("thresholds", "words"),
    [
        ({}, "max_age_seconds: Field required"),
        ({"max_age_seconds": 60}, "floor_ratio: Field required"),
        ({"max_age_seconds": 60, "floor_ration": 0.5, "floor_ratio": 0.5}, "floor_ration: Extra inputs"),
        ({"max_age_seconds": "60", "floor_ratio": 0.5}, "max_age_seconds: Input should be a valid integer"),
        ({"max_age_seconds": 60, "floor_ratio": None}, "floor_ratio: Input should be a valid number"),
        ({"max_age_seconds": 60, "floor_ratio": "0.5"}, "floor_ratio: Input should be a valid number"),
        ({"max_age_seconds": 0, "floor_ratio": 0.5}, "max_age_seconds: Input should be greater than 0"),
        ({"max_age_seconds": 10**12, "floor_ratio": 0.5}, "max_age_seconds: Input should be less than"),
        ({"max_age_seconds": 60, "floor_ratio": float("nan")}, "floor_ratio: Input should be a finite number"),
        (None, "max_age_seconds: Field required"),
    ],
)
def test_a_threshold_that_is_missing_or_misspelt_is_a_problem(thresholds: Any, words: str) -> None:
    """A rule without its limit would deny nothing."""
    limits = policies().defaults["thresholds"]
    limits = {gate: values for gate, values in limits.items() if gate != "alpha"}
    library = policies(thresholds=limits | ({} if thresholds is None else {"alpha": thresholds}))
    text = problem(judge(policies=library), "configuration", 2)
    assert text.startswith(f"thresholds of gate 'alpha': {words}")


def test_a_threshold_misspelt_in_the_settings_is_a_problem() -> None:
    """The real one would stay as weak as it was."""
    decision = judge(settings=Settings(thresholds={"beta": {"floor_ratios": 0.9}}))
    assert problem(decision, "configuration", 2).startswith("thresholds of gate 'beta': floor_ratios: Extra inputs")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("f", "wrong", hint="h", location=Location("f", 2, 3)), 2), (EvidenceError("missing", "f", "no"), 3),
        (UnavailableError("f", "gone"), 4), (InternalError("f", "bug"), 70), (Interrupted("f", "stopped"), 130),
    ],
)  # fmt: skip
def test_an_undecided_promotion_is_a_decision_too(error: GatekeeperError, code: int) -> None:
    """It has a record and a report, and is never an allow."""
    early = undecided(error, "promotion.yaml", NOW)
    assert (early.outcome, early.exit_code, early.decided_at) == ("inconclusive", code, NOW)
    assert (early.promotion, early.policy.digest, early.engine.name) == (None, "", "none")
    assert (early.risk_tier, early.gates, early.subject) == ("unknown", (), "promotion.yaml")
    bundle, run = make_bundle(), Run(Settings(), policies(), FakeEngine({}), NOW, ("moved clock",))
    late = undecided(error, "promotion.yaml", run, bundle=bundle)
    assert (late.outcome, late.exit_code) == ("inconclusive", code)
    assert (late.promotion, late.evidence_digest, late.commit) == (bundle.promotion, bundle.digest, bundle.commit)
    assert (late.policy.digest, late.notices) == ("d" * 64, ("moved clock",))
