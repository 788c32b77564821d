"""The experiment template is closed, bounded, and consistent with itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from gatekeeper.formats.experiment_template import MAX_NAMES, ExperimentTemplate, SignificanceTest

TEST = {"method": "two_proportions", "alpha": 0.05, "samples": "rows", "successes": "correct"}
PRIMARY = {
    "metric": "accuracy",
    "direction": "increase",
    "effect": "absolute",
    "minimum_effect": 0.01,
    "test": TEST,
}
TEMPLATE: dict[str, Any] = {
    "apiVersion": "gatekeeper/v1",
    "kind": "Experiment",
    "hypothesis": "Pretraining helps the rare classes.",
    "owner": "team-imaging",
    "primary": PRIMARY,
    "metric_floors": {"accuracy": 0.9},
    "metric_ceilings": {"latency/p95 ms": 120},
    "guardrails": [{"metric": "recall", "direction": "increase", "max_regression": 0.01}],
    "allocation": {"count": "users"},
}


def read(**changes: Any) -> ExperimentTemplate:
    return ExperimentTemplate.model_validate_json(json.dumps(TEMPLATE | changes))


def test_reads_a_whole_plan() -> None:
    """Everything that a template may hold is read, with its defaults."""
    template = read()
    assert template.primary.test.method == "two_proportions"
    assert template.metric_ceilings == {"latency/p95 ms": 120.0}
    assert template.guardrails[0].effect == "absolute"
    assert template.allocation is not None
    assert template.allocation.candidate_share == 0.5


def test_names_what_must_be_measured() -> None:
    """Metrics, and figures that may be parameters, are named once each and sorted."""
    template = read()
    assert template.metric_names == ("accuracy", "latency/p95 ms", "recall")
    assert template.figure_names == ("correct", "rows", "users")


def test_plan_without_allocation_names_no_count() -> None:
    """Only what is declared must be measured."""
    assert read(allocation=None).figure_names == ("correct", "rows")


@pytest.mark.parametrize("key", ["apiVersion", "kind", "hypothesis", "owner", "primary"])
def test_required_key_cannot_be_left_out(key: str) -> None:
    """A plan without one of these is no plan."""
    content = {name: value for name, value in TEMPLATE.items() if name != key}
    with pytest.raises(ValidationError, match="Field required"):
        ExperimentTemplate.model_validate_json(json.dumps(content))


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "Promotion"},
        {"apiVersion": "gatekeeper/v2"},
        {"owner": ""},
        {"hypothesis": "x" * 4001},
        {"hypothesis": 7},
        {"metric_flors": {}},
        {"metric_floors": {"accuracy": "0.9"}},
        {"metric_floors": {"accuracy": None}},
        {"guardrails": [{"metric": "recall", "direction": "up", "max_regression": 0.01}]},
        {"guardrails": [{"metric": "recall", "direction": "increase", "max_regression": -0.01}]},
        {"guardrails": [{"metric": "recall", "direction": "increase"}]},
        {"allocation": {"count": "users", "candidate_share": 0}},
        {"allocation": {"count": "users", "candidate_share": 1}},
        {"allocation": {}},
        {"primary": PRIMARY | {"minimum_effect": -0.01}},
        {"primary": PRIMARY | {"direction": "higher"}},
        {"primary": PRIMARY | {"test": None}},
        {"primary": {key: value for key, value in PRIMARY.items() if key != "test"}},
    ],
    ids=lambda changes: json.dumps(changes)[:60],
)
def test_refuses_what_it_does_not_know(changes: dict[str, Any]) -> None:
    """A misspelt key, a wrong type or a value out of bounds is an error, never a rule without its limit."""
    with pytest.raises(ValidationError):
        read(**changes)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "1e19", "-1e19"])
def test_refuses_limits_that_are_no_numbers(text: str) -> None:
    """A floor of NaN, infinity or beyond 64 bits is refused."""
    content = json.dumps(TEMPLATE).replace('{"accuracy": 0.9}', f'{{"accuracy": {text}}}')
    with pytest.raises(ValidationError):
        ExperimentTemplate.model_validate_json(content)


@pytest.mark.parametrize("name", ["", "..", "a/../b", "./a", "/a", "a/", "a//b", "a\\b", "a\nb", "a\0b", "x" * 251])
def test_refuses_names_that_could_leave_the_store(name: str) -> None:
    """A metric's name becomes a path in a file store; none may climb out of it."""
    with pytest.raises(ValidationError):
        read(metric_floors={name: 0.9})


@pytest.mark.parametrize("name", ["accuracy", "val/f1 score", "p95.latency-ms", "précision", "a:b", "...", "x" * 250])
def test_accepts_names_that_mlflow_accepts(name: str) -> None:
    """Letters of any alphabet, digits, blanks, `_ - . :` and folders."""
    assert name in read(metric_floors={name: 0.9}).metric_names


@pytest.mark.parametrize(
    ("changes", "valid"),
    [
        ({}, True),
        ({"successes": None}, False),
        ({"variance": "v"}, False),
        ({"successes": None, "stddev": "s"}, False),
        ({"tuning_samples": 5000}, False),
        ({"alpha": 0.5}, True),
        ({"alpha": 0.51}, False),
        ({"alpha": 0}, False),
        ({"method": "welch_t"}, False),
        ({"method": "welch_t", "successes": None, "variance": "v"}, True),
        ({"method": "welch_t", "successes": None, "stddev": "s"}, True),
        ({"method": "welch_t", "successes": None, "stddev": "s", "variance": "v"}, False),
        ({"method": "welch_t", "successes": None}, False),
        ({"method": "confidence_sequence"}, True),
        ({"method": "confidence_sequence", "tuning_samples": 5000}, True),
        ({"method": "confidence_sequence", "tuning_samples": 0}, False),
        ({"method": "confidence_sequence", "successes": None, "stddev": "s"}, True),
        ({"method": "confidence_sequence", "stddev": "s"}, False),
        ({"method": "none"}, False),
        ({"samples": None}, False),
    ],
    ids=str,
)
def test_a_test_names_exactly_the_figures_of_its_method(changes: dict[str, Any], valid: bool) -> None:
    """Each method needs one kind of spread; there is no method `none`."""
    content = {key: value for key, value in (TEST | changes).items() if value is not None}
    if valid:
        assert SignificanceTest.model_validate_json(json.dumps(content)).method == content["method"]
        return
    with pytest.raises(ValidationError):
        SignificanceTest.model_validate_json(json.dumps(content))


def test_refuses_floor_above_its_ceiling() -> None:
    """Limits that nothing can meet are a mistake in the plan; equal ones are a fixed value."""
    with pytest.raises(ValidationError, match="above its ceiling"):
        read(metric_floors={"latency": 121}, metric_ceilings={"latency": 120})
    assert read(metric_floors={"latency": 120}, metric_ceilings={"latency": 120}).metric_floors == {"latency": 120.0}


def test_refuses_two_guardrails_for_one_metric() -> None:
    """Which of the two would count?"""
    guardrail = TEMPLATE["guardrails"][0]
    with pytest.raises(ValidationError, match="two guardrails"):
        read(guardrails=[guardrail, guardrail | {"max_regression": 9.0}])


def test_refuses_more_metrics_than_a_report_can_show() -> None:
    """The number of metrics is bounded."""
    assert len(read(metric_floors={f"m{n}": 0 for n in range(MAX_NAMES - 3)}).metric_names) == MAX_NAMES
    with pytest.raises(ValidationError, match=f"more than {MAX_NAMES}"):
        read(metric_floors={f"m{n}": 0 for n in range(MAX_NAMES - 2)})


def test_has_a_json_schema_that_is_closed() -> None:
    """The schema that editors use refuses unknown keys at every level."""
    schema = ExperimentTemplate.model_json_schema()
    assert schema["additionalProperties"] is False
    assert {each["additionalProperties"] for each in schema["$defs"].values()} == {False}
