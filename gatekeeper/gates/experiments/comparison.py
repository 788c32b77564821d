"""From an experiment template and two runs to the evidence of the experiments gate: all its arithmetic; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gatekeeper.collectors.experiments import (
    Body,
    DatasetComparison,
    GuardrailRow,
    Limit,
    MetricRow,
    PrimaryResult,
    RunSummary,
    SampleRatio,
    SignificanceResult,
    Unmeasured,
)
from gatekeeper.decision import Place
from gatekeeper.errors import EvidenceError
from gatekeeper.formats.experiment_template import ExperimentTemplate, GuardrailMetric
from gatekeeper.formats.mlflow.run import Run
from gatekeeper.formats.strict_yaml import LocatedDocument, Path
from gatekeeper.gates.experiments.samples import (
    NOT_MEASURED,
    effect_text,
    number_text,
    read_count,
    read_metric,
    read_sample,
)
from gatekeeper.gates.experiments.significance import (
    DEFAULT_TUNING_SAMPLES,
    Comparison,
    Design,
    Sample,
    change,
    confidence_sequence,
    exact,
    sample_ratio_p_value,
    two_proportions,
    welch_t,
)

_TESTS = {"two_proportions": two_proportions, "welch_t": welch_t, "confidence_sequence": confidence_sequence}
_TRAINING = ("train", "training")


@dataclass(frozen=True)
class _Case:
    """The plan and both runs."""

    template: ExperimentTemplate
    located: LocatedDocument
    candidate: Run
    baseline: Run

    @property
    def runs(self) -> tuple[tuple[str, Run], tuple[str, Run]]:
        return ("candidate", self.candidate), ("baseline", self.baseline)

    def place(self, *path: str | int) -> Place:
        at: Path = path
        location = self.located.location(at, key=isinstance(path[-1], str))
        return Place(path=location.path, line=location.line, column=location.column)

    def refuse(self, problem: str, hint: str) -> EvidenceError:
        return EvidenceError("unverifiable", f"metric {self.template.primary.metric!r}", problem, hint=hint)


def compare(template: ExperimentTemplate, located: LocatedDocument, *, candidate: Run, baseline: Run) -> Body:
    """
    Compare the candidate's run with the baseline's under the template.

    Raises `EvidenceError` when a count is no whole number, figures contradict each other, or the declared test
    has no meaning for these values.
    """
    case = _Case(template, located, candidate, baseline)
    return Body(
        observed_at=min(moment for _, run in case.runs for moment in _moments(run, template)),
        hypothesis=template.hypothesis.strip(),
        hypothesis_characters=len(template.hypothesis.strip()),
        owner=template.owner,
        candidate=_summary(candidate),
        baseline=_summary(baseline),
        metrics=tuple(_metric_row(case, name) for name in template.metric_names),
        limits_declared=len(template.metric_floors) + len(template.metric_ceilings),
        primary=_primary(case),
        guardrails=tuple(_guardrail(case, index, each) for index, each in enumerate(template.guardrails)),
        sample_ratio=_sample_ratio(case),
        datasets=_datasets(case),
        unmeasured=_unmeasured(case),
    )


def _moments(run: Run, template: ExperimentTemplate) -> list[datetime]:
    """When the run ended and when each of its metrics that count was logged: a resumed run ends anew."""
    names = {*template.metric_names, *template.figure_names}
    return [_summary(run).ended_at, *(metric.logged_at for name, metric in run.metrics.items() if name in names)]


def _summary(run: Run) -> RunSummary:
    if run.ended_at is None:
        raise EvidenceError("malformed", f"run {run.run_id}", "it is FINISHED and has no end time")
    return RunSummary(run=run.run_id, name=run.name, ended_at=run.ended_at)


def _metric_row(case: _Case, name: str) -> MetricRow:
    candidate, baseline = read_metric(case.candidate, name), read_metric(case.baseline, name)
    floor, ceiling = case.template.metric_floors.get(name), case.template.metric_ceilings.get(name)
    return MetricRow(
        name=name,
        candidate=candidate,
        baseline=baseline,
        candidate_text=number_text(candidate),
        baseline_text=number_text(baseline),
        floor=None if floor is None else _limit(case, "metric_floors", name, floor),
        ceiling=None if ceiling is None else _limit(case, "metric_ceilings", name, ceiling),
    )


def _limit(case: _Case, part: str, name: str, value: float) -> Limit:
    return Limit(value=value, text=number_text(value), place=case.place(part, name))


def _primary(case: _Case) -> PrimaryResult:
    plan = case.template.primary
    return PrimaryResult(
        metric=plan.metric,
        direction=plan.direction,
        effect=plan.effect,
        minimum_effect=plan.minimum_effect,
        minimum_effect_text=effect_text(plan.minimum_effect, plan.effect),
        method=plan.test.method,
        alpha=plan.test.alpha,
        alpha_text=number_text(plan.test.alpha),
        place=case.place("primary"),
        result=_result(case),
    )


def _result(case: _Case) -> SignificanceResult | None:
    plan = case.template.primary
    candidate, baseline = (read_sample(run, plan.metric, plan.test) for _, run in case.runs)
    if candidate is None or baseline is None:
        return None
    tuning = plan.test.tuning_samples or DEFAULT_TUNING_SAMPLES
    found = _test(case, baseline, candidate, Design(plan.test.alpha, plan.effect == "relative", tuning))
    improvement = found.effect if plan.direction == "increase" else 0.0 - found.effect
    return SignificanceResult(
        candidate_samples=candidate.size,
        baseline_samples=baseline.size,
        effect=found.effect,
        effect_text=effect_text(found.effect, plan.effect),
        improvement=improvement,
        interval_low=found.low,
        interval_high=found.high,
        interval_text=f"[{effect_text(found.low, plan.effect)}, {effect_text(found.high, plan.effect)}]",
        p_value=found.p_value,
        p_value_text=f"{found.p_value:.4g}",
        significant=found.rejects(plan.test.alpha) and improvement > 0,
    )


def _test(case: _Case, baseline: Sample, candidate: Sample, design: Design) -> Comparison:
    try:
        return _TESTS[case.template.primary.test.method](baseline, candidate, design)
    except ValueError as error:
        raise case.refuse(str(error), "declare an absolute effect, or a test that fits the metric") from error


def _guardrail(case: _Case, index: int, plan: GuardrailMetric) -> GuardrailRow:
    candidate, baseline = read_metric(case.candidate, plan.metric), read_metric(case.baseline, plan.metric)
    regression = None
    if candidate is not None and baseline is not None:
        try:
            moved = change(exact(baseline), exact(candidate), relative=plan.effect == "relative")
        except ValueError as error:
            hint = "declare the guardrail with an absolute effect"
            raise EvidenceError("unverifiable", f"metric {plan.metric!r}", str(error), hint=hint) from error
        regression = 0.0 - moved if plan.direction == "increase" else moved
    return GuardrailRow(
        metric=plan.metric,
        direction=plan.direction,
        effect=plan.effect,
        regression=regression,
        regression_text=NOT_MEASURED if regression is None else effect_text(regression, plan.effect),
        max_regression=plan.max_regression,
        max_regression_text=effect_text(plan.max_regression, plan.effect),
        place=case.place("guardrails", index),
    )


def _sample_ratio(case: _Case) -> SampleRatio | None:
    split = case.template.allocation
    if split is None:
        return None
    candidate, baseline = (read_count(run, split.count) for _, run in case.runs)
    p_value, share = None, exact(split.candidate_share)
    if candidate is not None and baseline is not None:
        try:
            p_value = sample_ratio_p_value((candidate, baseline), (share, 1 - share))
        except ValueError as error:
            raise EvidenceError("unverifiable", f"metric {split.count!r}", str(error)) from error
    meant = f"a candidate's share of {number_text(split.candidate_share)} was meant"
    return SampleRatio(
        count=split.count,
        candidate_count=candidate,
        baseline_count=baseline,
        split_text=f"candidate {number_text(candidate)}, baseline {number_text(baseline)}; {meant}",
        p_value=p_value,
        p_value_text=NOT_MEASURED if p_value is None else f"{p_value:.4g}",
        place=case.place("allocation"),
    )


def _datasets(case: _Case) -> DatasetComparison:
    """Compare what both runs were evaluated on, by digest: a dataset keeps its digest when it is renamed."""
    candidate, baseline = (_evaluation_datasets(run) for _, run in case.runs)
    same = set(candidate.values()) == set(baseline.values()) if candidate and baseline else None
    return DatasetComparison(same=same, candidate=tuple(sorted(candidate)), baseline=tuple(sorted(baseline)))


def _evaluation_datasets(run: Run) -> dict[str, str]:
    """Digest by `name@digest` of the datasets that are not for training; without any such, of the untagged ones."""
    tagged = [each for each in run.datasets if each.context and each.context.lower() not in _TRAINING]
    chosen = tagged or [each for each in run.datasets if not each.context]
    return {f"{each.name}@{each.digest}": each.digest for each in chosen}


def _unmeasured(case: _Case) -> tuple[Unmeasured, ...]:
    metrics, figures = case.template.metric_names, case.template.figure_names
    lacking = {
        (role, name)
        for role, run in case.runs
        for name in (*metrics, *figures)
        if name not in run.metrics and (name in metrics or name not in run.params)
    }
    return tuple(
        Unmeasured(run="candidate" if role == "candidate" else "baseline", name=name) for role, name in sorted(lacking)
    )
