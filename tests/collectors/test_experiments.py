"""The experiments gate: what its collector gathers, what it refuses, and what its policy says of it."""

from __future__ import annotations

import copy
import json
import math
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import NOW, PROJECT
from mlflow_stores import BASELINE, CANDIDATE, ENDED_MS, RunFacts, write_file_store, write_sqlite
from pydantic import ValidationError
from scipy import stats
from support import make_context

from gatekeeper.collectors.experiments import Body, Request, Thresholds, collect
from gatekeeper.decision import Finding
from gatekeeper.engine.embedded import EmbeddedEngine
from gatekeeper.errors import EvidenceError
from gatekeeper.findings import read_findings
from gatekeeper.policy import PolicySet, load_policies
from gatekeeper.settings import EngineSettings

ENDED = datetime(2026, 11, 18, 11, 6, 40, tzinfo=UTC)
TEMPLATE: dict[str, Any] = {
    "apiVersion": "gatekeeper/v1",
    "kind": "Experiment",
    "hypothesis": "Pretraining helps the rare classes.",
    "owner": "team-imaging",
    "primary": {
        "metric": "accuracy",
        "direction": "increase",
        "effect": "absolute",
        "minimum_effect": 0.02,
        "test": {"method": "two_proportions", "alpha": 0.05, "samples": "rows", "successes": "correct"},
    },
    "metric_floors": {"accuracy": 0.95},
    "metric_ceilings": {"latency_ms": 120},
    "guardrails": [{"metric": "recall", "direction": "increase", "max_regression": 0.01}],
    "allocation": {"count": "users", "candidate_share": 0.5},
}
HOLDOUT = (("holdout", "0a64f9dd", "evaluation"),)
CANDIDATE_RUN = RunFacts(
    CANDIDATE,
    metrics={"accuracy": 0.95, "correct": 9500, "rows": 10_000, "recall": 0.9, "latency_ms": 120.0, "users": 5000},
    datasets=HOLDOUT,
    name="new",
)
BASELINE_RUN = RunFacts(
    BASELINE,
    metrics={"accuracy": 0.93, "correct": 9300, "rows": 10_000, "recall": 0.91, "latency_ms": 118.0, "users": 5050},
    datasets=HOLDOUT,
    name="old",
)
Gather = Callable[..., Body]


def plan(**changes: Any) -> dict[str, Any]:
    """The template with changes; a dotted key reaches into it, None leaves a key out."""
    content = copy.deepcopy(TEMPLATE)
    for key, value in changes.items():
        node, *steps = content, *key.split("__")
        for step in steps[:-1]:
            node = node[step]
        node[steps[-1]] = value
        if value is None:
            del node[steps[-1]]
    return content


def logged(run: RunFacts, **changes: Any) -> RunFacts:
    """A run with other metrics; None was never logged."""
    metrics = run.metrics | changes
    return replace(run, metrics={key: value for key, value in metrics.items() if value is not None})


@pytest.fixture(params=["mlflow.db", "mlruns"])
def gather(request: pytest.FixtureRequest, tmp_path: Path) -> Gather:
    """Write a template and a store of either kind, and collect."""

    def run(
        template: dict[str, Any] | str | bytes = TEMPLATE,
        candidate: RunFacts = CANDIDATE_RUN,
        baseline: RunFacts = BASELINE_RUN,
    ) -> Body:
        text = json.dumps(template, indent=1) if isinstance(template, dict) else template
        (tmp_path / "experiment.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
        write = write_sqlite if request.param == "mlflow.db" else write_file_store
        write(tmp_path / request.param, candidate, baseline)
        context = make_context(tmp_path)
        body = collect(make_request(request.param), context)
        assert context.workspace.sources[0].path == "experiment.yaml"
        assert len(context.workspace.sources) >= 2
        return Body.model_validate_json(body.model_dump_json())

    return run


def make_request(store: str = "mlflow.db") -> Request:
    content = {"template": "experiment.yaml", "mlflow": {"store": store, "run": CANDIDATE, "baseline": BASELINE}}
    return Request.model_validate_json(json.dumps(content))


def refusal(gather: Gather, *arguments: Any, **named: Any) -> EvidenceError:
    with pytest.raises(EvidenceError) as caught:
        gather(*arguments, **named)
    return caught.value


def test_gathers_the_same_from_both_kinds_of_store(gather: Gather) -> None:
    """Every figure that a rule or a message needs is in the body, computed and formatted."""
    body = gather()
    assert (body.candidate.name, body.baseline.name) == ("new", "old")
    assert [(row.name, row.candidate_text, row.baseline_text) for row in body.metrics] == [
        ("accuracy", "0.95", "0.93"),
        ("latency_ms", "120", "118"),
        ("recall", "0.9", "0.91"),
    ]
    assert body.limits_declared == 2
    assert body.unmeasured == ()
    assert body.hypothesis_characters == len(TEMPLATE["hypothesis"])
    assert body.datasets.same is True
    assert body.datasets.candidate == ("holdout@0a64f9dd",)


def test_computes_the_primary_result(gather: Gather) -> None:
    """The effect is the exact decimal, and the declared test stands beside it."""
    primary = gather().primary
    assert primary.result is not None
    assert primary.result.effect == primary.result.improvement == 0.02
    assert primary.result.effect_text == "0.02"
    half = stats.norm.isf(0.025) * math.sqrt((0.95 * 0.05 + 0.93 * 0.07) / 10_000)
    assert primary.result.interval_text == f"[{0.02 - half:.6g}, {0.02 + half:.6g}]"
    expected = stats.chi2_contingency([[9500, 500], [9300, 700]], correction=False).pvalue
    assert primary.result.p_value == pytest.approx(expected, rel=1e-12)
    assert primary.result.p_value_text == f"{expected:.4g}"
    assert primary.result.significant
    assert (primary.result.candidate_samples, primary.result.baseline_samples) == (10_000, 10_000)


def test_regressions_are_exact_decimals(gather: Gather) -> None:
    """0.91 - 0.90 is 0.01 and meets a limit of 0.01."""
    (guardrail,) = gather().guardrails
    assert guardrail.regression == guardrail.max_regression == 0.01
    assert guardrail.regression_text == "0.01"


def test_computes_the_split(gather: Gather) -> None:
    """5000 to 5050 units is a split that chance makes often."""
    split = gather().sample_ratio
    assert split is not None
    assert (split.candidate_count, split.baseline_count) == (5000, 5050)
    assert split.p_value_text == f"{stats.chisquare([5000, 5050]).pvalue:.4g}"
    assert split.split_text == "candidate 5000, baseline 5050; a candidate's share of 0.5 was meant"


def test_places_point_into_the_template(gather: Gather) -> None:
    """A finding can show the line of the template that it is about."""
    body = gather()
    lines = json.dumps(TEMPLATE, indent=1).splitlines()
    floor, ceiling = body.metrics[0].floor, body.metrics[1].ceiling
    assert floor is not None
    assert ceiling is not None
    assert '"accuracy": 0.95' in lines[floor.place.line - 1]
    assert '"latency_ms": 120' in lines[ceiling.place.line - 1]
    assert '"primary"' in lines[body.primary.place.line - 1]
    assert '"metric": "recall"' in lines[body.guardrails[0].place.line]
    assert floor.place.path == "experiment.yaml"


def test_relative_effects_are_shares_of_the_baseline(gather: Gather) -> None:
    """A relative effect and a relative guardrail are divided by the baseline and shown in per cent."""
    guardrail = {"metric": "latency_ms", "direction": "decrease", "effect": "relative", "max_regression": 0.02}
    body = gather(plan(primary__effect="relative", primary__minimum_effect=0.02, guardrails=[guardrail]))
    assert body.primary.result is not None
    assert body.primary.result.effect == pytest.approx(0.02 / 0.93, rel=1e-15)
    assert body.primary.result.effect_text == "2.15054 %"
    assert body.guardrails[0].regression == pytest.approx(2 / 118, rel=1e-15)
    assert body.guardrails[0].regression_text == "1.69492 %"


def test_decrease_is_better_when_the_plan_says_so(gather: Gather) -> None:
    """A falling error rate is an improvement, a rising one is not."""
    changes: dict[str, Any] = {"primary__metric": "errors", "primary__direction": "decrease"}
    changes["primary__test__successes"] = "wrong"
    runs = logged(CANDIDATE_RUN, errors=0.05, wrong=500), logged(BASELINE_RUN, errors=0.07, wrong=700)
    better, worse = (
        gather(plan(**changes), *runs).primary.result,
        gather(plan(**changes), *map(_swap, runs)).primary.result,
    )
    assert better is not None
    assert worse is not None
    assert (better.effect, better.improvement, better.significant) == (-0.02, 0.02, True)
    assert (worse.effect, worse.improvement, worse.significant) == (0.02, -0.02, False)
    assert worse.p_value == better.p_value < 0.05


def _swap(run: RunFacts) -> RunFacts:
    return replace(run, run_id=BASELINE if run.run_id == CANDIDATE else CANDIDATE)


@pytest.mark.parametrize(("spread", "value"), [("variance", 4.0), ("stddev", 2.0)], ids=["variance", "stddev"])
@pytest.mark.parametrize("method", ["welch_t", "confidence_sequence"])
def test_means_are_tested_by_variance_or_deviation(gather: Gather, method: str, spread: str, value: float) -> None:
    """The spread may be logged either way, as a parameter too, and gives the same result."""
    test = {"method": method, "alpha": 0.05, "samples": "rows", spread: "spread"}
    template = plan(primary__test=test, primary__metric="dice", primary__minimum_effect=0.1)
    candidate = replace(logged(CANDIDATE_RUN, dice=12.3), params={"spread": str(value)})
    found = gather(template, candidate, logged(BASELINE_RUN, dice=12.0, spread=value)).primary.result
    assert found is not None
    assert found.effect == 0.3
    assert found.significant
    error, log_alpha = math.sqrt(4 / 10_000 + 4 / 10_000), -2 * math.log(0.05)
    weight = 20_000 * (log_alpha + math.log(log_alpha + 1)) / 5000
    half = {
        "welch_t": stats.t.isf(0.025, 19_998) * error,
        "confidence_sequence": error * math.sqrt(2 * (weight + 1) / weight * math.log(math.sqrt(weight + 1) / 0.05)),
    }[method]
    assert found.interval_text == f"[{0.3 - half:.6g}, {0.3 + half:.6g}]"


@pytest.mark.parametrize(
    ("changes", "unmeasured"),
    [
        ({"accuracy": None}, "accuracy"),
        ({"recall": None}, "recall"),
        ({"latency_ms": None}, "latency_ms"),
        ({"rows": None}, "rows"),
        ({"correct": None}, "correct"),
        ({"users": None}, "users"),
    ],
    ids=lambda changes: str(changes),
)
@pytest.mark.parametrize("role", ["candidate", "baseline"])
def test_metric_never_logged_is_listed_and_never_defaulted(
    gather: Gather, role: str, changes: dict[str, None], unmeasured: str
) -> None:
    """What a run never logged is absent from every figure that needs it, and listed by name."""
    runs = {"candidate": CANDIDATE_RUN, "baseline": BASELINE_RUN}
    runs[role] = logged(runs[role], **changes)
    body = gather(**runs)
    assert [(each.run, each.name) for each in body.unmeasured] == [(role, unmeasured)]
    assert (body.primary.result is None) == (unmeasured in ("accuracy", "rows", "correct"))
    assert (body.guardrails[0].regression is None) == (unmeasured == "recall")
    assert body.sample_ratio is not None
    assert (body.sample_ratio.p_value is None) == (unmeasured == "users")


def test_counts_may_be_parameters(gather: Gather) -> None:
    """MLflow keeps parameters as text; a count in one is a count."""
    run = replace(logged(CANDIDATE_RUN, rows=None), params={"rows": "1e4"})
    assert gather(candidate=run).primary == gather().primary


def test_metric_must_be_a_metric(gather: Gather) -> None:
    """A floor's metric that was only set as a parameter was not measured."""
    run = replace(logged(CANDIDATE_RUN, recall=None), params={"recall": "0.99"})
    assert [each.name for each in gather(candidate=run).unmeasured] == ["recall"]


@pytest.mark.parametrize(
    ("candidate", "problem"),
    [
        (logged(CANDIDATE_RUN, accuracy=0.96), "accuracy is 0.96, but 9500 of 10000 were counted"),
        (logged(CANDIDATE_RUN, accuracy=0.95006), "were counted"),
        (logged(CANDIDATE_RUN, correct=10_001), "no proportion"),
        (logged(CANDIDATE_RUN, correct=9500.5), "a whole number"),
        (logged(CANDIDATE_RUN, correct=-1), "a whole number"),
        (logged(CANDIDATE_RUN, rows=0), "no proportion"),
        (logged(CANDIDATE_RUN, rows=1e13), "a whole number"),
        (logged(CANDIDATE_RUN, users=0.5), "a whole number"),
        (replace(CANDIDATE_RUN, params={"rows": "9999"}), "10000 as a metric and 9999 as a parameter"),
        (replace(CANDIDATE_RUN, params={"rows": "many"}), "a number was wanted"),
        (replace(CANDIDATE_RUN, params={"rows": "nan"}), "a number was wanted"),
        (replace(CANDIDATE_RUN, params={"rows": "1e999"}), "a number was wanted"),
    ],
)
def test_figures_that_contradict_each_other_are_malformed(gather: Gather, candidate: RunFacts, problem: str) -> None:
    """The verdict must be about the metric that the plan names; figures that disagree are a gap."""
    error = refusal(gather, candidate=candidate)
    assert error.kind == "malformed"
    assert problem in error.problem
    assert CANDIDATE in error.subject


def test_metric_that_was_rounded_within_a_count_is_accepted(gather: Gather) -> None:
    """0.95005 of 10,000 is 9500 samples to the nearest count."""
    assert gather(candidate=logged(CANDIDATE_RUN, accuracy=0.95005)).primary.result is not None


@pytest.mark.parametrize(("spread", "rows", "problem"), [(-1.0, 100, "not negative"), (1.0, 0, "nothing was measured")])
def test_impossible_spread_is_malformed(gather: Gather, spread: float, rows: int, problem: str) -> None:
    """A negative variance, or one of no samples, is a gap."""
    template = plan(primary__test={"method": "welch_t", "alpha": 0.05, "samples": "rows", "variance": "spread"})
    error = refusal(gather, template, candidate=logged(CANDIDATE_RUN, spread=spread, rows=rows))
    assert error.kind == "malformed"
    assert problem in error.problem


@pytest.mark.parametrize(
    ("template", "candidate", "baseline", "problem"),
    [
        (
            plan(primary__effect="relative"),
            CANDIDATE_RUN,
            logged(BASELINE_RUN, accuracy=0.0, correct=0),
            "positive baseline",
        ),
        (
            plan(guardrails=[{**TEMPLATE["guardrails"][0], "effect": "relative"}]),
            CANDIDATE_RUN,
            logged(BASELINE_RUN, recall=0.0),
            "positive baseline",
        ),
        (
            plan(primary__test={"method": "welch_t", "alpha": 0.05, "samples": "rows", "stddev": "spread"}),
            logged(CANDIDATE_RUN, spread=0),
            logged(BASELINE_RUN, spread=0),
            "neither run varies",
        ),
        (TEMPLATE, logged(CANDIDATE_RUN, users=0), logged(BASELINE_RUN, users=0), "a split needs counts"),
    ],
    ids=["relative-to-0", "guardrail-relative-to-0", "no-variance", "no-units"],
)
def test_test_without_meaning_is_unverifiable(
    gather: Gather, template: dict[str, Any], candidate: RunFacts, baseline: RunFacts, problem: str
) -> None:
    """Where arithmetic has no answer there is a gap, and neither infinity nor a pass."""
    error = refusal(gather, template, candidate, baseline)
    assert error.kind == "unverifiable"
    assert problem in error.problem


@pytest.mark.parametrize("role", ["candidate", "baseline"])
def test_nan_is_a_gap_and_not_a_zero(gather: Gather, role: str) -> None:
    """A metric that the plan names and that is NaN makes the evidence malformed."""
    runs = {"candidate": CANDIDATE_RUN, "baseline": BASELINE_RUN}
    runs[role] = logged(runs[role], recall=float("nan"))
    error = refusal(gather, **runs)
    assert error.kind == "malformed"
    assert "NaN" in error.problem


@pytest.mark.parametrize("role", ["candidate", "baseline"])
@pytest.mark.parametrize(
    ("change", "kind"),
    [({"status": "FAILED"}, "unverifiable"), ({"stage": "deleted"}, "unverifiable"), ({"ended_ms": None}, "malformed")],
    ids=["failed", "deleted", "endless"],
)
def test_both_runs_must_have_ended_well(gather: Gather, role: str, change: dict[str, Any], kind: str) -> None:
    """A baseline that failed is no better evidence than a candidate that did."""
    runs = {"candidate": CANDIDATE_RUN, "baseline": BASELINE_RUN}
    runs[role] = replace(runs[role], **change)
    assert refusal(gather, **runs).kind == kind


def test_absent_run_is_missing(gather: Gather) -> None:
    """A run id that the store does not hold is a gap that names the nearest ids."""
    error = refusal(gather, candidate=replace(CANDIDATE_RUN, run_id="c" * 31 + "0"))
    assert error.kind == "missing"
    assert "c" * 31 + "0" in error.hint


@pytest.mark.parametrize(
    ("candidate", "baseline", "expected"),
    [
        ({}, {}, ENDED_MS),
        ({"ended_ms": ENDED_MS - 5000}, {}, ENDED_MS - 5000),
        ({}, {"ended_ms": ENDED_MS - 6000}, ENDED_MS - 6000),
        ({"logged_ms": ENDED_MS - 7000}, {}, ENDED_MS - 7000),
        ({}, {"logged_ms": ENDED_MS - 8000}, ENDED_MS - 8000),
        ({"logged_ms": ENDED_MS + 9000}, {"logged_ms": ENDED_MS + 9000}, ENDED_MS),
    ],
    ids=["same", "candidate-ended", "baseline-ended", "candidate-logged", "baseline-logged", "logged-ahead"],
)
def test_evidence_is_as_old_as_its_oldest_measurement(
    gather: Gather, candidate: dict[str, int], baseline: dict[str, int], expected: int
) -> None:
    """The older run counts, and within it the oldest metric: resuming a run does not make it fresh."""
    body = gather(candidate=replace(CANDIDATE_RUN, **candidate), baseline=replace(BASELINE_RUN, **baseline))
    assert body.observed_at == datetime.fromtimestamp(expected / 1000, UTC)


@pytest.mark.parametrize(
    ("candidate", "baseline", "same"),
    [
        (HOLDOUT, HOLDOUT, True),
        (HOLDOUT, (("renamed", "0a64f9dd", "test"),), True),
        (HOLDOUT, (("holdout", "ffffffff", "evaluation"),), False),
        (HOLDOUT, (), None),
        ((), (), None),
        ((*HOLDOUT, ("train", "11111111", "training")), (*HOLDOUT, ("train", "22222222", "Train")), True),
        ((*HOLDOUT, ("extra", "33333333", "validation")), HOLDOUT, False),
        ((("train", "11111111", "training"),), (("train", "11111111", "training"),), None),
        ((("d", "11111111", None),), (("d", "11111111", None),), True),
        ((("d", "11111111", None),), (("d", "22222222", None),), False),
        ((*HOLDOUT, ("d", "11111111", None)), (*HOLDOUT, ("d", "22222222", None)), True),
    ],
    ids=[
        "same", "renamed", "other-content", "baseline-unknown", "both-unknown", "training-differs",
        "one-more", "training-only", "untagged", "untagged-differs", "tagged-count-first",
    ],
)  # fmt: skip
def test_evaluation_datasets_are_compared_by_digest(
    gather: Gather, candidate: tuple[Any, ...], baseline: tuple[Any, ...], same: bool | None
) -> None:
    """Training data may differ; evaluation data must not, and unknown is neither."""
    body = gather(
        candidate=replace(CANDIDATE_RUN, datasets=candidate), baseline=replace(BASELINE_RUN, datasets=baseline)
    )
    assert body.datasets.same is same


# The template as a file


def test_misspelt_key_is_malformed_with_place_and_hint(gather: Gather) -> None:
    """A misspelt key never means a plan without that limit."""
    error = refusal(gather, plan(metric_floors=None, metric_flors={"accuracy": 0.9}))
    assert error.kind == "malformed"
    assert "unknown key 'metric_flors'" in error.problem
    assert error.hint == "did you mean 'metric_floors'?"
    assert error.location is not None
    assert str(error.location) == f"experiment.yaml:{error.location.line}:2"
    assert "metric_flors" in error.location.excerpt


def test_misspelt_key_within_is_malformed_too(gather: Gather) -> None:
    """The hint knows the keys of every level."""
    error = refusal(gather, plan(primary__test__succeses="correct"))
    assert error.hint == "did you mean 'successes'?"
    assert error.location is not None
    assert "succeses" in error.location.excerpt


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "empty"),
        (b"\xff\xfe", "not UTF-8"),
        ("kind: Experiment\nkind: Experiment\n", "duplicate key"),
        ("a: [", "not YAML"),
        ("[]", "the document"),
        ("null", "the document"),
        ("metric_floors: {accuracy: .nan}", "not a number"),
        ("hypothesis: !!python/name:os.system x", "tag"),
        (json.dumps(TEMPLATE)[:-20], "not YAML"),
        (json.dumps(plan(hypothesis=None)), "hypothesis is missing"),
        (json.dumps(plan(primary__minimum_effect=True)), "minimum_effect"),
        (json.dumps(TEMPLATE).replace('"owner": "team', '"owner": "\\ud800'), ""),
        ("a: " + "[" * 5000, "levels"),
    ],
    ids=[
        "empty", "not-utf-8", "duplicate-key", "unclosed", "list", "null", "nan", "tag", "truncated",
        "no-hypothesis", "boolean", "lone-surrogate", "deep",
    ],
)  # fmt: skip
def test_malformed_template_is_a_gap(gather: Gather, content: str | bytes, problem: str) -> None:
    """Whatever is wrong with the file, it is a gap that names it."""
    error = refusal(gather, content)
    assert (error.kind, error.subject) == ("malformed", "experiment.yaml")
    assert problem in error.problem


def test_missing_template_is_missing(tmp_path: Path) -> None:
    """No plan, no experiment."""
    with pytest.raises(EvidenceError) as caught:
        collect(make_request(), make_context(tmp_path))
    assert (caught.value.kind, caught.value.subject) == ("missing", "experiment.yaml")


@pytest.mark.parametrize(
    "mlflow",
    [
        {"store": "mlflow.db", "run": CANDIDATE, "baseline": CANDIDATE},
        {"store": "mlflow.db", "run": "8f2c", "baseline": BASELINE},
        {"store": "mlflow.db", "run": CANDIDATE.upper(), "baseline": BASELINE},
        {"store": "mlflow.db", "run": f"{CANDIDATE}\n", "baseline": BASELINE},
        {"store": "", "run": CANDIDATE, "baseline": BASELINE},
        {"store": "mlflow.db", "run": CANDIDATE},
        {"store": "mlflow.db", "run": CANDIDATE, "baseline": BASELINE, "metrics": {}},
    ],
    ids=["same-run", "short", "upper-case", "newline", "no-store", "no-baseline", "unknown-key"],
)
def test_request_that_compares_nothing_is_refused(mlflow: dict[str, Any]) -> None:
    """Two different runs of one store must be named in full."""
    with pytest.raises(ValidationError):
        Request.model_validate_json(json.dumps({"template": "experiment.yaml", "mlflow": mlflow}))


# The body as a bundle may hold it


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("observed_at", "2026-11-18T11:06:40"),
        ("hypothesis_characters", -1),
        ("metrics", []),
        ("limits_declared", 3),
        ("baseline/run", CANDIDATE),
        ("primary/metric", "recall_of_another"),
        ("primary/alpha", 1.0),
        ("primary/minimum_effect", -0.02),
        ("primary/result", None),
        ("primary/result/p_value", -0.1),
        ("primary/result/p_value", 0.06),
        ("primary/result/significant", False),
        ("primary/result/improvement", 0.5),
        ("primary/result/effect", 0.5),
        ("primary/result/candidate_samples", -5),
        ("primary/result/interval_low", -0.01),
        ("primary/result/interval_low", 0.021),
        ("guardrails/0/regression", None),
        ("guardrails/0/max_regression", -1),
        ("sample_ratio/p_value", None),
        ("sample_ratio/p_value", 1.5),
        ("sample_ratio/candidate_count", None),
        ("datasets/same", None),
        ("datasets/candidate", []),
        ("metrics/0/candidate", None),
        ("metrics/0/candidate", "0.95"),
        ("metrics/1/name", "accuracy"),
        ("metrics/0/floor/place/line", 0),
        ("unknown", 1),
    ],
    ids=str,
)
def test_body_that_disagrees_with_itself_is_refused(gather: Gather, path: str, value: Any) -> None:
    """Evidence edited by hand in a bundle does not get past its model."""
    content = gather().model_dump(mode="json")
    *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    node: Any = content
    for step in steps:
        node = node[step]
    node[last] = value
    with pytest.raises(ValidationError):
        Body.model_validate_json(json.dumps(content))


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999"])
def test_body_with_a_figure_that_is_no_number_is_refused(gather: Gather, text: str) -> None:
    """NaN and infinity are not JSON, and not evidence."""
    content = gather().model_dump_json().replace('"candidate":0.95,', f'"candidate":{text},')
    assert text in content
    with pytest.raises(ValidationError):
        Body.model_validate_json(content)


# The policy

POLICIES = load_policies(PROJECT / "policies")
PACKAGE = "gatekeeper.gates.experiments"
LIMITS = Thresholds.model_validate(POLICIES.defaults["thresholds"]["experiments"])
RULES = {rule.rule.removeprefix("experiments.") for rule in POLICIES.rules_of("experiments")}


@pytest.fixture(scope="module")
def engine() -> Iterator[EmbeddedEngine]:
    """The embedded engine with the policies of this gate only."""
    modules = tuple(each for each in POLICIES.modules if each.package == PACKAGE)
    engine = EmbeddedEngine(EngineSettings())
    engine.load(PolicySet("experiments", "0" * 64, modules, {}))
    yield engine
    engine.close()


def policy_document(body: dict[str, Any], **thresholds: Any) -> dict[str, Any]:
    limits = LIMITS.model_dump(mode="json") | thresholds
    settings = {"environment": "production", "risk_tier": "high", "thresholds": limits}
    return {"promotion": {}, "gate": "experiments", "evidence": body, "now": NOW.isoformat(), "settings": settings}


def judge(engine: EmbeddedEngine, body: Body, **thresholds: Any) -> dict[str, Finding]:
    document = policy_document(body.model_dump(mode="json"), **thresholds)
    answer = engine.evaluate(PACKAGE, json.dumps(document).encode())
    findings, outcomes = read_findings("experiments", answer.result, POLICIES.rules_of("experiments"))
    assert len(outcomes) == len(RULES) == 12
    return {each.rule.removeprefix("experiments."): each for each in findings}


def test_policy_passes_at_every_boundary(gather: Gather, engine: EmbeddedEngine) -> None:
    """Floor, ceiling, guardrail, minimum effect, samples and length are all met exactly; nothing objects."""
    length = len(TEMPLATE["hypothesis"])
    found = judge(engine, gather(), min_samples=10_000, max_alpha=0.05, min_limits=2, min_hypothesis_characters=length)
    assert found == {}


@pytest.mark.parametrize(
    ("thresholds", "rule"),
    [
        ({"min_samples": 10_001}, "sample_size"),
        ({"max_alpha": 0.0499}, "significance"),
        ({"min_limits": 3}, "floors_declared"),
        ({"min_hypothesis_characters": 36}, "hypothesis"),
        ({"min_srm_p_value": 0.62}, "sample_ratio"),
    ],
    ids=lambda value: str(value),
)
def test_policy_denies_just_past_a_threshold(
    gather: Gather, engine: EmbeddedEngine, thresholds: dict[str, Any], rule: str
) -> None:
    """One step past a trusted threshold denies by its rule and by no other."""
    found = judge(engine, gather(), **thresholds)
    assert [(name, finding.effect) for name, finding in found.items()] == [(rule, "deny")]


CLOSE = {"accuracy": 0.9499, "correct": 9499}
FAR = {"accuracy": 0.9301, "correct": 9301}


@pytest.mark.parametrize(
    ("template", "candidate", "rules"),
    [
        (TEMPLATE, logged(CANDIDATE_RUN, **CLOSE), {"metric_floor", "minimum_effect"}),
        (TEMPLATE, logged(CANDIDATE_RUN, latency_ms=120.01), {"metric_ceiling"}),
        (TEMPLATE, logged(CANDIDATE_RUN, recall=0.8999), {"guardrail"}),
        (TEMPLATE, logged(CANDIDATE_RUN, recall=0.99), set()),
        (plan(primary__minimum_effect=0.0201), CANDIDATE_RUN, {"minimum_effect"}),
        (plan(primary__minimum_effect=0, metric_floors={}), logged(CANDIDATE_RUN, **FAR), {"significance"}),
        (plan(primary__direction="decrease"), CANDIDATE_RUN, {"minimum_effect", "significance"}),
        (plan(hypothesis="  " * 40), CANDIDATE_RUN, {"hypothesis"}),
        (plan(hypothesis="x" * 19), CANDIDATE_RUN, {"hypothesis"}),
        (plan(metric_floors={}, metric_ceilings={}), CANDIDATE_RUN, {"floors_declared"}),
        (TEMPLATE, logged(CANDIDATE_RUN, users=5500), {"sample_ratio"}),
        (plan(allocation__candidate_share=0.1), CANDIDATE_RUN, {"sample_ratio"}),
        (plan(allocation=None), logged(CANDIDATE_RUN, users=None), set()),
        (TEMPLATE, logged(CANDIDATE_RUN, users=None), {"measured", "sample_ratio"}),
        (TEMPLATE, logged(CANDIDATE_RUN, latency_ms=None), {"measured", "metric_ceiling"}),
        (TEMPLATE, logged(CANDIDATE_RUN, recall=None), {"measured", "guardrail"}),
        (
            TEMPLATE,
            logged(CANDIDATE_RUN, accuracy=None),
            {"measured", "metric_floor", "minimum_effect", "significance", "sample_size"},
        ),
        (TEMPLATE, replace(CANDIDATE_RUN, datasets=(("holdout", "ffffffff", "evaluation"),)), {"same_dataset"}),
    ],
    ids=[
        "floor", "ceiling", "guardrail", "guardrail-better", "effect-too-small", "not-significant",
        "significantly-worse", "blank-hypothesis", "short-hypothesis", "nothing-asked", "split-mismatch",
        "other-split-meant", "no-split-declared", "split-unmeasured", "ceiling-unmeasured", "guardrail-unmeasured",
        "primary-unmeasured", "other-data",
    ],
)  # fmt: skip
def test_policy_denies_what_was_not_shown(
    gather: Gather, engine: EmbeddedEngine, template: dict[str, Any], candidate: RunFacts, rules: set[str]
) -> None:
    """Each shortcoming of a candidate denies by exactly the rules that it breaks."""
    found = judge(engine, gather(template, candidate))
    assert set(found) == rules
    assert all(finding.effect == "deny" and finding.remedy and finding.controls for finding in found.values())


def test_policy_warns_of_unknown_data(gather: Gather, engine: EmbeddedEngine) -> None:
    """A run that did not log its evaluation data warns and does not deny."""
    found = judge(engine, gather(candidate=replace(CANDIDATE_RUN, datasets=())))
    assert [(name, finding.effect) for name, finding in found.items()] == [("dataset_logged", "warn")]


def test_findings_say_what_was_found_and_where(gather: Gather, engine: EmbeddedEngine) -> None:
    """Messages carry the figures as they were formatted in Python, and the template's line."""
    found = judge(engine, gather(TEMPLATE, logged(CANDIDATE_RUN, **FAR)))
    assert found["metric_floor"].message == "accuracy is 0.9301 and must reach 0.95"
    assert found["metric_floor"].place is not None
    assert found["metric_floor"].place.path == "experiment.yaml"
    half = stats.norm.isf(0.025) * math.sqrt((0.9301 * 0.0699 + 0.93 * 0.07) / 10_000)
    p_value = stats.chi2_contingency([[9301, 699], [9300, 700]], correction=False).pvalue
    assert found["significance"].message == (
        f"the effect is 0.0001 [{0.0001 - half:.6g}, {0.0001 + half:.6g}] with p = {p_value:.4g}, "
        "and increase is better; that is no improvement at the template's alpha of 0.05"
    )


def _leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from _leaves(item, (*path, key))


def _without(value: Any, path: tuple[str | int, ...]) -> Any:
    changed = copy.deepcopy(value)
    node = changed
    for step in path[:-1]:
        node = node[step]
    del node[path[-1]]
    return changed


def test_both_engines_agree_on_evidence_with_any_part_missing(
    gather: Gather, engine: EmbeddedEngine, opa: str, tmp_path: Path
) -> None:
    """regorus and OPA say the same of the whole evidence and of the evidence without any one of its parts."""
    whole = policy_document(gather(TEMPLATE, logged(CANDIDATE_RUN, **FAR)).model_dump(mode="json"))
    passing = policy_document(gather().model_dump(mode="json"))
    cases = [
        whole,
        passing,
        *(_without(passing, path) for path in _leaves(passing) if path[0] in ("evidence", "settings")),
    ]
    (tmp_path / "input.json").write_text(json.dumps({"cases": cases}))
    for name in ("deny", "warn"):
        query = f"[sort(found) | some each in input.cases; found := data.{PACKAGE}.{name} with input as each]"
        done = subprocess.run(
            [opa, "eval", "--format", "raw", "-i", str(tmp_path / "input.json"),
             "-d", str(PROJECT / "policies/gatekeeper/gates/experiments"), query],
            check=True, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        answers = [engine.evaluate(PACKAGE, json.dumps(case).encode()).result[name] for case in cases]
        assert [sorted(each, key=json.dumps) for each in json.loads(done.stdout)] == [
            sorted(each, key=json.dumps) for each in answers
        ]
    assert len(cases) > 100


def test_body_without_any_one_key_is_refused(gather: Gather) -> None:
    """No field of the evidence has a default that could stand in for what was not collected."""
    content = gather().model_dump(mode="json")
    keys = [path for path in _leaves(content) if isinstance(path[-1], str) and path[-1] != "column"]
    for path in keys:
        with pytest.raises(ValidationError):
            Body.model_validate_json(json.dumps(_without(content, path)))
    assert len(keys) > 80


def test_policy_denies_without_any_one_threshold(gather: Gather, engine: EmbeddedEngine) -> None:
    """A threshold that is not there never leaves a rule without its limit."""
    passing = policy_document(gather().model_dump(mode="json"))
    for key in set(Thresholds.model_fields) - {"max_age_seconds"}:
        document = _without(passing, ("settings", "thresholds", key))
        assert engine.evaluate(PACKAGE, json.dumps(document).encode()).result["deny"], key


def test_thresholds_of_the_library_are_complete() -> None:
    """The defaults have exactly the keys that the model wants."""
    assert set(POLICIES.defaults["thresholds"]["experiments"]) == set(Thresholds.model_fields)


def test_every_rule_is_exercised_here() -> None:
    """No rule of this gate is without a test in this file."""
    text = Path(__file__).read_text("utf-8")
    assert [rule for rule in RULES if f'"{rule}"' not in text] == []


def test_judges_the_corpus_by_a_plan_of_its_own(corpus: Path, tmp_path: Path, engine: EmbeddedEngine) -> None:
    """The two runs that MLflow 3.17 wrote are read from both stores: no count was logged, so it is denied."""
    template = plan(allocation=None, metric_floors={"accuracy": 0.9}, metric_ceilings={}, guardrails=[])
    (tmp_path / "experiment.yaml").write_text(json.dumps(template))
    generated = corpus / "experiments" / "generated"
    shutil.copy(generated / "mlflow.db", tmp_path / "mlflow.db")
    shutil.copytree(generated / "mlruns", tmp_path / "mlruns")
    runs = {
        "mlflow.db": ("bfe523b9a1024ca58d799008f6741724", "f1eda5db476f4adda2844616dae42f9a"),
        "mlruns": ("7991f84b63604355923f7b6d367bfe22", "5d8c6e6510a743f88be3b23613043b69"),
    }
    for store, (candidate, baseline) in runs.items():
        mlflow = {"store": store, "run": candidate, "baseline": baseline}
        request = Request.model_validate_json(json.dumps({"template": "experiment.yaml", "mlflow": mlflow}))
        body = collect(request, make_context(tmp_path))
        assert [row.candidate_text for row in body.metrics] == ["0.9943820225"]
        assert {each.name for each in body.unmeasured} == {"correct", "rows"}
        assert set(judge(engine, body)) == {
            "measured", "minimum_effect", "significance", "sample_size", "dataset_logged",
        }  # fmt: skip
