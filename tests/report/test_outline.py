"""What every report says: steps, marks, durations, the run's outcome."""

from __future__ import annotations

import pytest
from report.decisions import (
    allowed,
    denied,
    inconclusive,
    make_decision,
    make_finding,
    make_gap_gate,
    make_gate,
    make_skipped_gate,
    unreadable,
)

from gatekeeper.decision import Place, Problem
from gatekeeper.errors import EXIT_INTERNAL, UnavailableError
from gatekeeper.evidence import Source
from gatekeeper.report import outline


@pytest.mark.parametrize(
    ("decisions", "settled"),
    [
        ([], ("inconclusive", 3)),
        ([allowed()], ("allow", 0)),
        ([allowed(), allowed()], ("allow", 0)),
        ([denied()], ("deny", 1)),
        ([allowed(), denied()], ("deny", 1)),
        ([allowed(), inconclusive()], ("inconclusive", 4)),
        ([allowed(), denied(), unreadable()], ("deny", 2)),
    ],
    ids=["nothing", "allow", "allows", "deny", "allow and deny", "allow and open", "all three"],
)
def test_settles_a_run(decisions, settled):
    """A run is allow only when there is a decision and every one is; a denial stands whatever else is unknown."""
    assert outline.settle_run(decisions) == settled


@pytest.mark.parametrize("changes", [{"exit_code": 1}, {"outcome": "inconclusive"}])
def test_never_allows_a_contradiction(changes):
    """A decision whose outcome and exit code disagree makes the run an internal error."""
    contradiction = allowed().model_copy(update=changes)
    assert outline.settle_run([contradiction]) == ("inconclusive", EXIT_INTERNAL)


def test_counts_outcomes():
    """Each outcome is counted, also those that did not occur."""
    assert outline.count_outcomes([allowed(), unreadable()]) == "1 allow, 0 deny, 1 inconclusive"


def test_names_the_candidate_or_the_file():
    """A decision without a promotion is known by its file."""
    assert outline.candidate_of(allowed()) == "tumour-classifier 2.3.0"
    assert outline.candidate_of(unreadable()) == "promotion.yaml"


def test_lists_every_objection_with_its_remedy():
    """Denials come gate by gate with place and remedy, then the gap with its hint."""
    steps = outline.next_steps(denied())
    assert [(each.gate, each.label, bool(each.remedy), outline.where(each)) for each in steps] == [
        ("contracts", "contracts.breaking_change", True, "contracts/features.odcs.yaml:41:9"),
        ("contracts", "contracts.data_conforms", True, "data/holdout.parquet:17:1"),
        ("experiments", "experiments.floor_reached", True, "experiment.yaml:12:7"),
        ("slo", "evidence malformed", True, "slo/prometheus.json:12:5"),
    ]


def test_an_allowed_promotion_has_nothing_to_do():
    """Warnings are notes, not steps."""
    assert outline.next_steps(allowed()) == []
    assert [each.label for each in outline.notes(allowed())] == ["experiments.small_sample"]


def test_a_blocked_promotion_always_has_a_step():
    """A decision or a gate that blocks and names no cause has its reason as the step."""
    nothing_required = make_decision(make_skipped_gate("slo"))
    assert [(each.label, each.message) for each in outline.next_steps(nothing_required)] == [
        ("decision", "no gate was required, and no gate is not a pass")
    ]
    silent = make_gate("slo", verdict="inconclusive", reason="the engine said nothing", rules=())
    assert [(each.gate, each.message) for each in outline.next_steps(make_decision(silent))] == [
        ("slo", "the engine said nothing")
    ]


def test_a_gate_that_denies_and_is_unsure_lists_both():
    """A gap beside a denial is not hidden by it."""
    gate = make_gap_gate().model_copy(update={"verdict": "deny", "findings": (make_finding("slo.budget"),)})
    assert [each.label for each in outline.next_steps(make_decision(gate))] == ["slo.budget", "evidence malformed"]


def test_problems_come_first_and_once():
    """The same problem is listed once."""
    problem = Problem.of(UnavailableError("engine opa", "refused the connection", hint="start it"))
    steps = outline.next_steps(make_decision(problems=(problem, problem)))
    assert [(each.label, each.subject, each.remedy) for each in steps] == [
        ("service unavailable", "engine opa", "start it")
    ]


def test_a_waived_denial_is_a_note():
    """What a waiver lets through is still shown."""
    gate = make_gate(
        "contracts", make_finding(effect="waived", waiver="W-1"), verdict="waived", reason="waived until 2026-12-31"
    )
    decision = make_decision(gate)
    assert outline.next_steps(decision) == []
    assert [each.label for each in outline.notes(decision)] == ["contracts.breaking_change"]


def test_titles_name_the_gate_once():
    """A rule id holds its gate already; a gap does not."""
    assert [outline.title(each) for each in outline.next_steps(denied())][2:] == [
        "experiments.floor_reached",
        "slo: evidence malformed",
    ]
    assert outline.title(outline.next_steps(unreadable())[0]) == "configuration error"


def test_tells_rules_from_gaps():
    """Only a rule can be explained; a gate's own name or a gap is none."""
    assert [outline.names_rule(each) for each in outline.next_steps(denied())] == [True, True, True, False]
    assert not outline.names_rule(outline.next_steps(unreadable())[0])


def test_scores_rules():
    """Only rules that found nothing have passed; a policy that did not run has no score."""
    assert outline.rules_score(denied().gates[0]) == "3/5"
    assert outline.passed_rules(denied().gates[0]) == ["owner_named", "valid", "version_raised"]
    assert outline.rules_score(make_gap_gate()) == "-"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "-"),
        (0.0002, "<1 ms"),
        (0.001, "1 ms"),
        (0.0124, "12 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (1.25, "1.25 s"),
        (59.994, "59.99 s"),
        (59.996, "1 min 00 s"),
        (123.4, "2 min 03 s"),
    ],
)
def test_shows_durations(seconds, shown):
    """Durations have a unit, and none at all means that the phase did not run."""
    assert outline.duration(seconds) == shown


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_500_000, "2.5 MB"), (4 * 10**12, "4000.0 GB")],
)
def test_shows_sizes(size_bytes, shown):
    """Sizes are decimal."""
    assert outline.size(Source(path="a", sha256="0" * 64, size_bytes=size_bytes)) == shown


def test_provenance_names_what_replays_a_decision():
    """Decision, clock, policies, engine, evidence and commit are named, and what is absent is said to be."""
    assert dict(outline.provenance(denied())) == {
        "subject": "promotion.yaml",
        "decision": "0b7c2f6e-3f0f-4e8e-9c55-1c2d3e4f5a6b",
        "clock": "2026-11-23T12:00:00Z",
        "policies": "gatekeeper 121212121212",
        "engine": "embedded 0.13.0",
        "evidence": "cdcdcdcdcdcd",
        "commit": "efefefefefef",
        "total": "41 ms",
    }
    none_loaded = denied().model_copy(update={"policy": denied().policy.model_copy(update={"name": "", "digest": ""})})
    assert dict(outline.provenance(none_loaded))["policies"] == "(none loaded)"


def test_a_problem_keeps_its_place_and_caret():
    """A configuration error is shown where it is."""
    (step,) = outline.next_steps(unreadable())
    assert step.place == Place(path="promotion.yaml", line=12, column=5)
    assert step.caret.endswith("^")
