"""
The experiment template, gatekeeper's own format: what a team says, before it looks, that a candidate must show.

It names metrics; the tracking store holds their values. `contracts/experiment.schema.json` is made from these
models.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from gatekeeper.document import Document

Direction = Literal["increase", "decrease"]
EffectKind = Literal["absolute", "relative"]
Method = Literal["two_proportions", "welch_t", "confidence_sequence"]


def _refuse_dots(name: str) -> str:
    if any(step in (".", "..") for step in name.split("/")):
        raise ValueError("'.' and '..' are no names")
    return name


MetricName = Annotated[
    str, Field(min_length=1, max_length=250, pattern=r"^[\w.\-: ]+(/[\w.\-: ]+)*$"), AfterValidator(_refuse_dots)
]
"""
Name of a metric or parameter as MLflow allows it: letters, digits, `_-. :`, and `/` between parts.

Source: `mlflow/utils/validation.py`. It becomes a path in a file store, so no part is `.` or `..`.
"""

Number = Annotated[float, Field(ge=-9e18, le=9e18)]
"""A limit or an effect; policies see 64 bits."""

Text = Annotated[str, Field(max_length=4000)]


class SignificanceTest(Document):
    """The test that was declared before the measurement, and where each run keeps the figures that it needs."""

    method: Method
    """two_proportions: z test; welch_t: means; confidence_sequence: means or proportions, looked at repeatedly."""
    alpha: Annotated[float, Field(ge=1e-9, le=0.5)]
    """Probability of a false alarm that is accepted; the trusted thresholds limit it."""
    samples: MetricName
    """Metric or parameter that holds the number of observations."""
    successes: MetricName | None = None
    """Metric or parameter that holds the number of successes; the primary metric is their share of the samples."""
    variance: MetricName | None = None
    """Metric or parameter that holds the variance (n - 1) of the observations."""
    stddev: MetricName | None = None
    """Metric or parameter that holds their standard deviation, instead of the variance."""
    tuning_samples: Annotated[float, Field(ge=1, le=1e12)] | None = None
    """confidence_sequence only: observations at which the interval is tightest; 5000 when absent."""

    @model_validator(mode="after")
    def _has_what_its_method_needs(self) -> SignificanceTest:
        spread = [key for key in ("successes", "variance", "stddev") if getattr(self, key) is not None]
        wanted = {
            "two_proportions": ["successes"],
            "welch_t": ["variance", "stddev"],
            "confidence_sequence": ["successes", "variance", "stddev"],
        }[self.method]
        if len(spread) != 1 or spread[0] not in wanted:
            raise ValueError(f"{self.method} needs exactly one of {', '.join(wanted)}")
        if self.tuning_samples is not None and self.method != "confidence_sequence":
            raise ValueError("tuning_samples belongs to confidence_sequence")
        return self


class PrimaryMetric(Document):
    """The metric that decides, and by how much it must move."""

    metric: MetricName
    """Name in the tracking store; for a test of means it is the mean, for one of proportions the proportion."""
    direction: Direction
    """Which way is better."""
    effect: EffectKind
    """absolute: candidate - baseline, in the metric's unit. relative: that, divided by the baseline."""
    minimum_effect: Annotated[float, Field(ge=0, le=9e18)]
    """Smallest improvement that counts, in the unit of `effect`; a relative one of 0.05 is 5 %."""
    test: SignificanceTest
    """The test that shows that the improvement is not chance."""


class GuardrailMetric(Document):
    """A metric that must not get worse by more than is allowed."""

    metric: MetricName
    """Name in the tracking store."""
    direction: Direction
    """Which way is better."""
    effect: EffectKind = "absolute"
    """absolute: in the metric's unit. relative: divided by the baseline."""
    max_regression: Annotated[float, Field(ge=0, le=9e18)]
    """Largest worsening that is allowed, in the unit of `effect`."""


class Allocation(Document):
    """How traffic or samples were to be split, so that a mismatch is noticed."""

    count: MetricName
    """Metric or parameter that holds the number of units that a run was given."""
    candidate_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of all units that the candidate was to be given."""


class ExperimentTemplate(Document):
    """An experiment as it was planned."""

    api_version: Annotated[Literal["gatekeeper/v1"], Field(alias="apiVersion")]
    """Version of this format."""
    kind: Literal["Experiment"]
    """Always `Experiment`."""
    hypothesis: Text
    """What is expected to happen and why; how long it must be is a threshold."""
    owner: Annotated[str, Field(min_length=1, max_length=200)]
    """Who answers for the plan."""
    primary: PrimaryMetric
    """The metric that decides."""
    metric_floors: dict[MetricName, Number] = {}
    """Least value of the candidate by metric."""
    metric_ceilings: dict[MetricName, Number] = {}
    """Largest value of the candidate by metric: latency, error rate, memory."""
    guardrails: tuple[GuardrailMetric, ...] = ()
    """Metrics that must not get worse."""
    allocation: Allocation | None = None
    """The planned split; when it is declared, it must be measured."""

    @model_validator(mode="after")
    def _is_consistent(self) -> ExperimentTemplate:
        for metric, floor in self.metric_floors.items():
            if floor > self.metric_ceilings.get(metric, floor):
                raise ValueError(f"the floor of {metric!r} is above its ceiling")
        guarded = [each.metric for each in self.guardrails]
        if len(set(guarded)) != len(guarded):
            raise ValueError("a metric has two guardrails")
        if len(self.metric_names) > MAX_NAMES:
            raise ValueError(f"more than {MAX_NAMES} metrics")
        return self

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Metrics that both runs must have logged, sorted."""
        named = {self.primary.metric, *self.metric_floors, *self.metric_ceilings}
        return tuple(sorted(named | {each.metric for each in self.guardrails}))

    @property
    def figure_names(self) -> tuple[str, ...]:
        """Counts and spreads that both runs must have logged, as metrics or as parameters, sorted."""
        test, split = self.primary.test, self.allocation
        named = (test.samples, test.successes, test.variance, test.stddev, split.count if split else None)
        return tuple(sorted({each for each in named if each is not None}))


MAX_NAMES = 200
"""Metrics in one template; reports stay readable and evidence small."""
