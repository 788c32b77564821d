"""
Whether a difference between two runs can be chance: three tests, their intervals, and the split of traffic; pure.

Every test is two-sided, against the hypothesis of no difference. Effects are computed as exact fractions of the
logged decimals, so that a difference of 0.95 and 0.93 is 0.02 and not a neighbour of it. Nothing here needs
scipy; the tests compare every figure with scipy and with gbstats 0.8.0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import NormalDist

from gatekeeper.gates.experiments.student_t import t_critical, t_two_sided

LARGEST = 9e18
"""Largest figure that may come out, either way: policies see 64 bits."""

DEFAULT_TUNING_SAMPLES = 5000
"""Number of observations at which a confidence sequence is tightest; GrowthBook's default."""


@dataclass(frozen=True)
class Sample:
    """What one run measured: number of observations, their mean (exact) and their variance."""

    size: int
    mean: Fraction
    variance: float

    @property
    def variance_of_mean(self) -> float:
        """Squared standard error of the mean."""
        return self.variance / self.size


@dataclass(frozen=True)
class Design:
    """How a comparison is made: `relative` divides the difference by the baseline's mean."""

    alpha: float
    relative: bool = False
    tuning_samples: float = DEFAULT_TUNING_SAMPLES


@dataclass(frozen=True)
class Comparison:
    """Candidate against baseline: effect, its interval of confidence 1 - alpha, two-sided p-value."""

    effect: float
    low: float
    high: float
    p_value: float

    def __post_init__(self) -> None:
        if not all(-LARGEST <= each <= LARGEST for each in (self.effect, self.low, self.high, self.p_value)):
            raise ValueError("the figures are too far apart to be compared")

    def rejects(self, alpha: float) -> bool:
        """Say whether "no effect" is rejected: by the p-value and by the interval, which may rest on other variances."""
        return self.p_value <= alpha and not self.low <= 0.0 <= self.high


def exact(value: float) -> Fraction:
    """The decimal that was logged, not its binary neighbour; raises `ValueError` on NaN and infinity."""
    return Fraction(repr(value))


def proportion(successes: int, size: int) -> Sample:
    """Sample of yes-or-no observations; its variance is p·(1-p)."""
    if not 0 <= successes <= size or size < 1:
        raise ValueError(f"{successes} successes of {size} samples is no proportion")
    return Sample(size, Fraction(successes, size), float(Fraction(successes * (size - successes), size * size)))


def change(baseline: Fraction, candidate: Fraction, *, relative: bool) -> float:
    """
    Difference of candidate and baseline, or its ratio to the baseline.

    Raises `ValueError` when a ratio was asked for and the baseline is not positive, or the change is too large.
    """
    if relative and baseline <= 0:
        raise ValueError("a relative effect needs a positive baseline")
    effect = (candidate - baseline) / (baseline if relative else 1)
    if abs(effect) > LARGEST:
        raise ValueError("the figures are too far apart to be compared")
    return float(effect)


def two_proportions(baseline: Sample, candidate: Sample, design: Design) -> Comparison:
    """
    Compare two proportions by the z test.

    An absolute effect has the p-value of the pooled variance (the square of z is Pearson's chi-square) and the
    interval of the unpooled one; a relative effect has both from the delta method. With no variance at all and
    no difference nothing is rejected.
    """
    effect, error = _effect(baseline, candidate, design)
    half = -NormalDist().inv_cdf(design.alpha / 2) * error
    spread = error if design.relative else _pooled_error(baseline, candidate)
    p_value = math.erfc(_standardised(effect, spread) / math.sqrt(2))
    return Comparison(effect, effect - half, effect + half, p_value)


def welch_t(baseline: Sample, candidate: Sample, design: Design) -> Comparison:
    """
    Compare two means by Welch's t test, degrees of freedom after Welch and Satterthwaite.

    Raises `ValueError` with fewer than two observations, or when neither run varies.
    """
    if min(baseline.size, candidate.size) < 2:
        raise ValueError("Welch's test needs two samples of at least 2")
    effect, error = _effect(baseline, candidate, design)
    if error == 0:
        raise ValueError("neither run varies, so the test means nothing")
    first, second = baseline.variance_of_mean, candidate.variance_of_mean
    share = first / (first + second)
    freedom = 1 / (share**2 / (baseline.size - 1) + (1 - share) ** 2 / (candidate.size - 1))
    half = t_critical(design.alpha, freedom) * error
    return Comparison(effect, effect - half, effect + half, t_two_sided(abs(effect) / error, freedom))


def confidence_sequence(baseline: Sample, candidate: Sample, design: Design) -> Comparison:
    """
    Compare two means by an asymptotic confidence sequence, which may be looked at as often as one likes.

    Source: Waudby-Smith et al., "Time-uniform central limit theory and asymptotic confidence sequences"
    (https://arxiv.org/abs/2103.06476), with s² the variance of the effect times n and n the samples of both
    runs; the p-value is the reciprocal of the e-value whose threshold the interval is. Raises `ValueError`
    when neither run varies.
    """
    effect, error = _effect(baseline, candidate, design)
    if error == 0:
        raise ValueError("neither run varies, so the test means nothing")
    size = baseline.size + candidate.size
    log_alpha = -2 * math.log(design.alpha)
    weight = size * (log_alpha + math.log(log_alpha + 1)) / design.tuning_samples
    deviation = error * math.sqrt(size)
    log_term = math.log(math.sqrt(weight + 1) / design.alpha)
    half = deviation * math.sqrt(2 * (weight + 1) / weight / size * log_term)
    ratio = effect / deviation
    log_evidence = weight * size * ratio * ratio / (2 * (weight + 1)) - math.log1p(weight) / 2
    return Comparison(effect, effect - half, effect + half, math.exp(min(-log_evidence, 0.0)))


def sample_ratio_p_value(counts: Sequence[int], shares: Sequence[Fraction]) -> float:
    """
    Probability of a split at least as uneven as this, by Pearson's chi-square on the shares that were meant.

    Raises `ValueError` when nothing was counted or a share is not positive.
    """
    total, whole = sum(counts), sum(shares)
    if len(counts) != len(shares) or len(counts) < 2 or min(shares) <= 0 or min(counts) < 0 or total == 0:
        raise ValueError("a split needs counts and positive shares for two groups or more")
    expected = [total * share / whole for share in shares]
    statistic = sum((count - each) ** 2 / each for count, each in zip(counts, expected, strict=True))
    return chi_square_tail(float(statistic), len(counts) - 1)


def chi_square_tail(statistic: float, freedom: int) -> float:
    """
    Upper tail of chi-square: the regularised incomplete gamma function Q(k/2, x/2).

    Source: DLMF 8.8.6, Q(a+1, x) = Q(a, x) + x^a·e^-x/Γ(a+1), from Q(1/2, x) = erfc(√x) and Q(1, x) = e^-x; all
    terms are positive, so nothing cancels.
    """
    x = statistic / 2
    if x == 0:
        return 1.0
    order, tail = (0.5, math.erfc(math.sqrt(x))) if freedom % 2 else (1.0, math.exp(-x))
    while order < freedom / 2:
        tail += math.exp(order * math.log(x) - x - math.lgamma(order + 1))
        order += 1
    return min(tail, 1.0)


def _effect(baseline: Sample, candidate: Sample, design: Design) -> tuple[float, float]:
    """Effect and its standard error; the relative one by the delta method, as gbstats does it."""
    effect = change(baseline.mean, candidate.mean, relative=design.relative)
    first, second = baseline.variance_of_mean, candidate.variance_of_mean
    if not design.relative:
        return effect, math.sqrt(first + second)
    mean, ratio = float(baseline.mean), float(candidate.mean / baseline.mean)
    error = math.hypot(math.sqrt(second), math.sqrt(first) * ratio) / mean
    return effect, error


def _pooled_error(baseline: Sample, candidate: Sample) -> float:
    size = baseline.size + candidate.size
    share = (baseline.mean * baseline.size + candidate.mean * candidate.size) / size
    return math.sqrt(share * (1 - share) * (Fraction(1, baseline.size) + Fraction(1, candidate.size)))


def _standardised(effect: float, error: float) -> float:
    if effect == 0:
        return 0.0
    if error == 0:
        raise ValueError("neither run varies, so the test means nothing")
    return abs(effect) / error
