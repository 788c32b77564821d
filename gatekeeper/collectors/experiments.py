"""
Evidence of the experiments gate: what a candidate's run measured, next to its baseline's, under a declared test.

The template says beforehand what must be shown; the tracking store says what was measured. A metric that was
never logged stays absent (`unmeasured`) and the policy denies it; one that cannot be read is a gap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AwareDatetime, Field, model_validator

from gatekeeper.collectors import Context
from gatekeeper.decision import Place
from gatekeeper.document import Document
from gatekeeper.errors import ConfigurationError, EvidenceError
from gatekeeper.evidence import EvidenceBody, GateThresholds

if TYPE_CHECKING:
    from gatekeeper.formats.experiment_template import ExperimentTemplate
    from gatekeeper.formats.strict_yaml import LocatedDocument

RunId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Probability = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
NonNegative = Annotated[float, Field(ge=0)]
Direction = Literal["increase", "decrease"]
EffectKind = Literal["absolute", "relative"]


class MlflowRequest(Document):
    """Two runs of one MLflow tracking store."""

    store: Annotated[str, Field(min_length=1)]
    """SQLite file or file-store folder, relative to the manifest."""
    run: RunId
    """Id of the candidate's run."""
    baseline: RunId
    """Id of the run that it is compared with, usually that of the version in production."""

    @model_validator(mode="after")
    def _two_runs(self) -> MlflowRequest:
        if self.run == self.baseline:
            raise ValueError("run and baseline are the same run, so nothing would be compared")
        return self


class Request(Document):
    """Where an experiment was planned, and where it was measured."""

    template: Annotated[str, Field(min_length=1)]
    """Experiment template (YAML), relative to the manifest."""
    mlflow: MlflowRequest
    """The runs that measured it."""


class RunSummary(Document):
    """One of the two runs."""

    run: RunId
    """Id in the store."""
    name: Annotated[str, Field(max_length=500)]
    """Name in the store; may be empty."""
    ended_at: AwareDatetime
    """When it ended."""


class Limit(Document):
    """A floor or a ceiling."""

    value: float
    """The limit itself, which is still allowed."""
    text: str
    """The same, for a message."""
    place: Place
    """Where the template says so."""


class MetricRow(Document):
    """One metric of the template."""

    name: str
    """Name in the store."""
    candidate: float | None
    """The candidate's last value; None when it was never logged."""
    baseline: float | None
    """The baseline's last value; None when it was never logged."""
    candidate_text: str
    """The candidate's value, for a message."""
    baseline_text: str
    """The baseline's value, for a message."""
    floor: Limit | None
    """Least value of the candidate."""
    ceiling: Limit | None
    """Largest value of the candidate."""


class SignificanceResult(Document):
    """What the declared test says."""

    candidate_samples: Count
    """Observations of the candidate's run."""
    baseline_samples: Count
    """Observations of the baseline's run."""
    effect: float
    """Candidate - baseline, divided by the baseline when the effect is relative."""
    effect_text: str
    """The same, for a message."""
    improvement: float
    """The effect in the direction that is better: negative when the candidate is worse."""
    interval_low: float
    """Lower end of the effect's interval of confidence 1 - alpha."""
    interval_high: float
    """Upper end."""
    interval_text: str
    """Both ends, for a message."""
    p_value: Probability
    """Two-sided; of an effect at least as large when there is none."""
    p_value_text: str
    """The same, for a message."""
    significant: bool
    """The test rejects "no effect" at alpha, by p-value and interval, and the candidate is the better one."""


class PrimaryResult(Document):
    """The metric that decides."""

    metric: str
    """Name in the store."""
    direction: Direction
    """Which way is better."""
    effect: EffectKind
    """Unit of the effect."""
    minimum_effect: NonNegative
    """Smallest improvement that counts."""
    minimum_effect_text: str
    """The same, for a message."""
    method: Literal["two_proportions", "welch_t", "confidence_sequence"]
    """The declared test."""
    alpha: Annotated[float, Field(gt=0, lt=1)]
    """Probability of a false alarm that the template accepts."""
    alpha_text: str
    """The same, for a message."""
    place: Place
    """Where the template declares it."""
    result: SignificanceResult | None
    """None when a figure that the test needs was never logged."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> PrimaryResult:
        result = self.result
        if result is None:
            return self
        if result.improvement != (result.effect if self.direction == "increase" else -result.effect):
            raise ValueError("improvement is not the effect in the direction that is better")
        if not result.interval_low <= result.effect <= result.interval_high:
            raise ValueError("the effect lies outside its interval")
        excludes_none = result.interval_low > 0 or result.interval_high < 0
        if result.significant != (result.p_value <= self.alpha and excludes_none and result.improvement > 0):
            raise ValueError("significant disagrees with p-value, interval and direction")
        return self


class GuardrailRow(Document):
    """A metric that must not get worse."""

    metric: str
    """Name in the store."""
    direction: Direction
    """Which way is better."""
    effect: EffectKind
    """Unit of the regression."""
    regression: float | None
    """How much worse the candidate is; negative when it is better, None when it was never logged."""
    regression_text: str
    """The same, for a message."""
    max_regression: NonNegative
    """Largest worsening that is allowed."""
    max_regression_text: str
    """The same, for a message."""
    place: Place
    """Where the template says so."""


class SampleRatio(Document):
    """How units were split between the runs."""

    count: str
    """Metric or parameter that holds each run's number of units."""
    candidate_count: Count | None
    """Units of the candidate; None when never logged."""
    baseline_count: Count | None
    """Units of the baseline; None when never logged."""
    split_text: str
    """Both counts and the share that was meant, for a message."""
    p_value: Probability | None
    """Probability of so uneven a split when the shares were kept (chi-square); None when it was not measured."""
    p_value_text: str
    """The same, for a message."""
    place: Place
    """Where the template declares it."""

    @model_validator(mode="after")
    def _measured_or_not(self) -> SampleRatio:
        if (self.p_value is None) != (self.candidate_count is None or self.baseline_count is None):
            raise ValueError("a p-value needs both counts, and both counts give one")
        return self


class DatasetComparison(Document):
    """Which evaluation datasets the runs read, as `name@digest`."""

    same: bool | None
    """Whether their digests are the same; None when a run logged none."""
    candidate: tuple[str, ...]
    """Evaluation datasets of the candidate's run, sorted."""
    baseline: tuple[str, ...]
    """Evaluation datasets of the baseline's run, sorted."""

    @model_validator(mode="after")
    def _known_on_both_sides(self) -> DatasetComparison:
        if (self.same is None) != (not self.candidate or not self.baseline):
            raise ValueError("datasets are compared when both runs logged them, and only then")
        return self


class Unmeasured(Document):
    """Something that the template names and a run never logged."""

    run: Literal["candidate", "baseline"]
    """The run that lacks it."""
    name: str
    """Metric or parameter."""


class Body(EvidenceBody):
    """An experiment: the plan, both runs, and what follows from them."""

    hypothesis: str
    """What was expected, in the team's words."""
    hypothesis_characters: Count
    """Its length without surrounding blanks."""
    owner: str
    """Who answers for the plan."""
    candidate: RunSummary
    """The candidate's run."""
    baseline: RunSummary
    """The run that it is compared with."""
    metrics: Annotated[tuple[MetricRow, ...], Field(min_length=1)]
    """Every metric of the template, sorted by name."""
    limits_declared: Count
    """Floors and ceilings of the template."""
    primary: PrimaryResult
    """The metric that decides."""
    guardrails: tuple[GuardrailRow, ...]
    """Metrics that must not get worse."""
    sample_ratio: SampleRatio | None
    """The split of units; None when the template declares none."""
    datasets: DatasetComparison
    """What the runs were measured on."""
    unmeasured: tuple[Unmeasured, ...]
    """What the template names and a run never logged."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Body:
        if self.candidate.run == self.baseline.run:
            raise ValueError("candidate and baseline are the same run")
        names = [row.name for row in self.metrics]
        if len(set(names)) != len(names) or self.primary.metric not in names:
            raise ValueError("each metric has one row, and the primary metric has one")
        limits = sum((row.floor is not None) + (row.ceiling is not None) for row in self.metrics)
        if limits != self.limits_declared:
            raise ValueError(f"limits_declared is {self.limits_declared}, the rows hold {limits}")
        lacking = {("candidate", row.name) for row in self.metrics if row.candidate is None}
        lacking |= {("baseline", row.name) for row in self.metrics if row.baseline is None}
        listed = {(each.run, each.name) for each in self.unmeasured}
        incomplete = self.primary.result is None or any(each.regression is None for each in self.guardrails)
        if not lacking <= listed or (incomplete and not listed):
            raise ValueError("a value is absent and not listed as unmeasured")
        return self


class Thresholds(GateThresholds):
    """Limits of the experiments gate."""

    min_hypothesis_characters: Annotated[int, Field(ge=1)]
    """Length below which a hypothesis is not stated."""
    min_limits: Annotated[int, Field(ge=1)]
    """Floors and ceilings that a template must declare."""
    min_samples: Annotated[int, Field(ge=2)]
    """Observations that each run needs."""
    max_alpha: Annotated[float, Field(gt=0, lt=1)]
    """Largest probability of a false alarm that a template may accept."""
    min_srm_p_value: Annotated[float, Field(gt=0, lt=1)]
    """Probability below which a split is a sample-ratio mismatch."""


def collect(request: Request, context: Context) -> Body:
    """
    Read the template and both runs, and compare them.

    Raises `EvidenceError` when the template is malformed, a run is absent, unfinished or unreadable, a metric
    that the template names is NaN or infinite, or the declared test cannot be computed.
    """
    from gatekeeper.formats.mlflow import find_run, open_store
    from gatekeeper.gates.experiments.comparison import compare

    template, located = _read_template(request.template, context)
    names = {*template.metric_names, *template.figure_names}
    with open_store(context.workspace, request.mlflow.store) as store:
        candidate = find_run(store, request.mlflow.run, names)
        baseline = find_run(store, request.mlflow.baseline, names)
    return compare(template, located, candidate=candidate, baseline=baseline)


def _read_template(path: str, context: Context) -> tuple[ExperimentTemplate, LocatedDocument]:
    from gatekeeper.formats.experiment_template import ExperimentTemplate
    from gatekeeper.formats.strict_yaml import parse_located
    from gatekeeper.manifest import validate

    located = parse_located(context.workspace.read(path), path)
    try:
        return validate(located, ExperimentTemplate), located
    except ConfigurationError as error:
        raise EvidenceError("malformed", path, error.problem, hint=error.hint, location=error.location) from error
