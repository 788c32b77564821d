"""From verdicts to a decision: only a promotion without any doubt is allowed."""

from __future__ import annotations

import json
from itertools import combinations_with_replacement, product
from typing import Any, get_args

import pytest
from conftest import NOW
from pydantic import ValidationError
from support import SHA, make_manifest

from gatekeeper.decision import (
    Decision,
    EngineReference,
    Finding,
    GateVerdict,
    PolicyReference,
    Problem,
    VerdictName,
    policy_input,
    settle,
    settle_gate,
)
from gatekeeper.errors import (
    ConfigurationError,
    EvidenceError,
    GatekeeperError,
    InternalError,
    Interrupted,
    Location,
    UnavailableError,
    worst,
)
from gatekeeper.evidence import Gap

VERDICTS: tuple[VerdictName, ...] = get_args(VerdictName)
PASSING = {"pass", "warn", "waived"}
CODES = {"configuration": 2, "evidence": 3, "unavailable": 4, "internal": 70, "interrupted": 130}


def gate(verdict: VerdictName, name: str = "slo", code: str | None = None) -> GateVerdict:
    """A gate's verdict, with a problem of a family when one is named."""
    return GateVerdict(gate=name, verdict=verdict, reason="r", problem=make_problem(code) if code else None)


def make_problem(code: Any) -> Problem:
    """A problem of a family."""
    return Problem(code=code, exit_code=CODES[code], subject=code, message="went wrong")


def make_finding(effect: Any, rule: str = "slo.a") -> Finding:
    """A finding of a rule."""
    return Finding(rule=rule, effect=effect, subject="s", message="m", title="t", remedy="r")


def test_the_table_is_exhaustive() -> None:
    """The verdicts that the tests below combine are all that there are."""
    assert set(VERDICTS) == {*PASSING, "deny", "inconclusive", "not_applicable"}


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_allows_only_when_every_required_gate_passes(size: int) -> None:
    """Every combination of up to five verdicts, in both orders: one rule says what becomes of it."""
    for verdicts in combinations_with_replacement(VERDICTS, size):
        for order in (verdicts, verdicts[::-1]):
            gates = tuple(gate(verdict, f"g{number}") for number, verdict in enumerate(order))
            outcome, code, reason = settle(gates, ())
            required = set(order) - {"not_applicable"}
            if "deny" in required:
                expected = ("deny", 1)
            elif required and required <= PASSING:
                expected = ("allow", 0)
            else:
                expected = ("inconclusive", 3)
            assert (outcome, code) == expected
            assert reason


def test_no_gate_at_all_is_not_a_pass() -> None:
    """Neither nothing, nor nothing that was required."""
    assert settle((), ()) == ("inconclusive", 3, "no gate was required, and no gate is not a pass")
    assert settle((gate("not_applicable"),), ())[:2] == ("inconclusive", 3)


def test_a_verdict_that_nobody_knows_is_not_a_pass() -> None:
    """A verdict made past the model's checks is a doubt, not an allow."""
    strange = gate("pass").model_copy(update={"verdict": "passed"})
    assert settle((gate("pass"), strange), ())[:2] == ("inconclusive", 3)


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("code", CODES)
def test_a_problem_of_the_promotion_is_never_an_allow_or_a_deny(verdict: VerdictName, code: str) -> None:
    """Whatever the gates say, a problem with the whole leaves it undecided, with the problem's own exit code."""
    assert settle((gate(verdict),), (make_problem(code),))[:2] == ("inconclusive", CODES[code])


@pytest.mark.parametrize("codes", list(product(CODES, repeat=2)))
def test_the_worst_problem_gives_exit_code_and_reason(codes: tuple[str, str]) -> None:
    """In the one order of exit codes, not the order of their numbers."""
    outcome, code, reason = settle((), tuple(map(make_problem, codes)))
    assert (outcome, code) == ("inconclusive", worst([CODES[each] for each in codes]))
    assert reason == f"{next(each for each in codes if CODES[each] == code)}: went wrong"


@pytest.mark.parametrize("codes", list(product([None, *CODES], repeat=2)))
def test_the_worst_gate_problem_gives_the_exit_code(codes: tuple[str | None, str | None]) -> None:
    """A gap is 3; an engine that was not there is 4, also beside a gap."""
    gates = tuple(gate("inconclusive", f"g{number}", code) for number, code in enumerate(codes))
    known = [CODES[code] for code in codes if code]
    assert settle(gates, ())[:2] == ("inconclusive", worst(known))


def test_a_denial_stands_beside_a_doubt() -> None:
    """What is known to be wrong stays wrong, whatever else could not be found out."""
    for code in CODES:
        gates = (gate("inconclusive", "a", code), gate("deny", "b"), gate("pass", "c"))
        assert settle(gates, ()) == ("deny", 1, "denied by b")


@pytest.mark.parametrize(
    ("verdicts", "reason"),
    [
        (("pass",), "the required gate passes"),
        (("warn",), "the required gate passes, 1 with warnings"),
        (("pass", "warn", "warn", "not_applicable"), "all 3 required gates pass, 2 with warnings"),
        (("deny", "deny", "deny"), "denied by g0, g1 and g2"),
        (("inconclusive", "inconclusive"), "could not be decided by g0 and g1"),
    ],
)
def test_the_reason_names_the_gates(verdicts: tuple[VerdictName, ...], reason: str) -> None:
    """One sentence for people."""
    assert settle(tuple(gate(each, f"g{number}") for number, each in enumerate(verdicts)), ())[2] == reason


@pytest.mark.parametrize(
    ("effects", "verdict", "reason"),
    [
        ([], "pass", "every rule is satisfied"),
        ([("warn", "a")], "warn", "1 warning; nothing denies it"),
        ([("warn", "a"), ("warn", "a")], "warn", "2 warnings; nothing denies it"),
        ([("deny", "a")], "deny", "1 finding of 1 rule denies it"),
        ([("warn", "c"), ("deny", "a"), ("deny", "a"), ("deny", "b")], "deny", "3 findings of 2 rules deny it"),
    ],
)
def test_one_denial_denies_the_gate(effects: list[tuple[str, str]], verdict: str, reason: str) -> None:
    """Warnings warn, one denial denies, nothing passes."""
    assert settle_gate(tuple(make_finding(effect, rule) for effect, rule in effects)) == (verdict, reason)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("s", "p"), "configuration"), (EvidenceError("missing", "s", "p"), "evidence"),
        (UnavailableError("s", "p"), "unavailable"), (InternalError("s", "p"), "internal"),
        (Interrupted("s", "p"), "interrupted"),
    ],
)  # fmt: skip
def test_a_problem_is_the_error_as_a_value(error: GatekeeperError, code: str) -> None:
    """Each family keeps its name and its exit code."""
    problem = Problem.of(error)
    assert (problem.code, problem.exit_code) == (code, error.exit_code)
    assert (problem.subject, problem.message, problem.hint, problem.place) == ("s", "p", "", None)


def test_a_problem_keeps_the_place() -> None:
    """Line and column of a wrong word reach the report."""
    place = Location("f.yaml", 2, 3, "  x: 1")
    problem = Problem.of(ConfigurationError("s", "p", hint="h", location=place))
    assert problem.place is not None
    assert (problem.place.path, problem.place.line, problem.place.column) == ("f.yaml", 2, 3)
    assert (problem.hint, problem.caret) == ("h", place.caret())


@pytest.mark.parametrize("code", [0, -1, 256])
def test_a_problem_never_has_the_exit_code_of_allow(code: int) -> None:
    """Something that went wrong cannot exit 0."""
    with pytest.raises(ValidationError):
        Problem(code="internal", exit_code=code, subject="s", message="m")


def make_decision(**changes: Any) -> Decision:
    """An allowed promotion, with changes."""
    fields: dict[str, Any] = {
        "decision_id": "2c0ab4ee-8a4b-4c3f-8f5e-6b6f2f1d3c55",
        "decided_at": NOW,
        "outcome": "allow",
        "exit_code": 0,
        "reason": "r",
        "subject": "promotion.yaml",
        "promotion": make_manifest(),
        "risk_tier": "high",
        "gates": (gate("pass"),),
        "policy": PolicyReference(name="policies", digest=SHA),
        "engine": EngineReference(name="embedded", version="1"),
    }
    return Decision(**(fields | changes))


@pytest.mark.parametrize("outcome", ["allow", "deny", "inconclusive"])
@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 70, 130])
def test_only_allow_exits_zero(outcome: str, code: int) -> None:
    """A decision that says one thing and exits with another cannot be made."""
    if (outcome == "allow") == (code == 0):
        assert make_decision(outcome=outcome, exit_code=code).exit_code == code
    else:
        with pytest.raises(ValidationError, match="exit code 0"):
            make_decision(outcome=outcome, exit_code=code)


@pytest.mark.parametrize(
    "changes",
    [{"outcome": "Allow"}, {"exit_code": False}, {"total_seconds": -1.0}, {"total_seconds": float("nan")}, {"x": 1}],
)
def test_refuses_a_decision_of_another_shape(changes: dict[str, Any]) -> None:
    """Strict, closed, no number that is none."""
    with pytest.raises(ValidationError):
        make_decision(**changes)


def test_a_decision_survives_json() -> None:
    """What a report wrote can be read again, whole."""
    decision = make_decision(
        outcome="deny",
        exit_code=1,
        gates=(
            GateVerdict(gate="slo", verdict="deny", reason="r", findings=(make_finding("deny"),)),
            GateVerdict(gate="x", verdict="inconclusive", reason="r", gap=Gap(kind="stale", subject="s", message="m")),
        ),
    )
    assert Decision.model_validate_json(decision.model_dump_json()) == decision
    assert json.loads(decision.model_dump_json())["promotion"]["to"] == "production"


def test_the_policy_input_has_five_parts_and_no_other() -> None:
    """A policy sees promotion, gate, evidence, now and settings; what is left out is an error."""
    parts: dict[str, Any] = {"promotion": {}, "gate": "g", "evidence": {}, "now": "t", "settings": {}}
    assert policy_input(**parts, secret="s") == parts
    with pytest.raises(KeyError):
        policy_input(promotion={}, gate="g", evidence={}, now="t")
