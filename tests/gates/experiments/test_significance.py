"""The tests of significance agree with scipy on generated samples and with gbstats on its own results."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from gatekeeper.gates.experiments import student_t
from gatekeeper.gates.experiments.significance import (
    Comparison,
    Design,
    Sample,
    change,
    chi_square_tail,
    confidence_sequence,
    exact,
    proportion,
    sample_ratio_p_value,
    two_proportions,
    welch_t,
)
from gatekeeper.gates.experiments.student_t import t_critical, t_two_sided

AGREE = 1e-9
SMALLEST = 1e-280
"""Below it scipy itself loses digits."""

exhaustive = settings(max_examples=300, deadline=None, derandomize=True)
alphas = st.floats(1e-9, 0.5)
sizes = st.integers(2, 10**9)
means = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))
deviations = st.floats(1e-3, 1e6)


@st.composite
def counted(draw: st.DrawFn) -> tuple[int, int]:
    size = draw(st.integers(1, 10**9))
    return draw(st.integers(0, size)), size


def sample(size: int, mean: float, deviation: float) -> Sample:
    return Sample(size, exact(mean), deviation * deviation)


@exhaustive
@given(t=st.floats(0, 100), freedom=st.floats(1, 4e9))
def test_t_tail_agrees_with_scipy(t: float, freedom: float) -> None:
    """The two-sided tail of Student's t is scipy's, from 1 to four thousand million degrees of freedom."""
    assert t_two_sided(t, freedom) == pytest.approx(2 * stats.t.sf(t, freedom), rel=AGREE, abs=SMALLEST)


@exhaustive
@given(alpha=alphas, freedom=st.floats(1, 4e9))
def test_t_critical_value_agrees_with_scipy(alpha: float, freedom: float) -> None:
    """The critical value of Student's t is scipy's, and its tail is alpha again."""
    critical = t_critical(alpha, freedom)
    assert critical == pytest.approx(stats.t.isf(alpha / 2, freedom), rel=AGREE)
    assert t_two_sided(critical, freedom) == pytest.approx(alpha, rel=AGREE)


@pytest.mark.parametrize("freedom", [1e5 - 1, 1e5 + 1, 1e6, 1e9], ids=str)
def test_t_tail_is_continuous_where_its_method_changes(freedom: float) -> None:
    """The series and the normal limit meet within the agreed precision."""
    edge = math.sqrt(1e-5 * freedom)
    for t in (edge * (1 - 1e-12), edge * (1 + 1e-12)):
        assert t_two_sided(t, freedom) == pytest.approx(2 * stats.t.sf(t, freedom), rel=AGREE, abs=SMALLEST)


def test_t_tail_that_does_not_converge_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fraction that was cut short is no p-value."""
    monkeypatch.setattr(student_t, "_MAX_STEPS", 3)
    with pytest.raises(ValueError, match="did not converge"):
        t_two_sided(1.5, 40)


def test_t_tail_has_its_ends() -> None:
    """No difference has probability 1, an infinite one 0."""
    assert t_two_sided(0.0, 7) == 1.0
    assert t_two_sided(math.inf, 7) == 0.0
    assert t_two_sided(1e200, 7) == 0.0


@pytest.mark.parametrize(("t", "freedom"), [(1.0, 0.0), (1.0, -1.0), (1.0, math.inf), (1.0, math.nan), (math.nan, 3.0)])
def test_t_tail_refuses_what_has_no_probability(t: float, freedom: float) -> None:
    """Degrees of freedom that are not positive, and NaN, are errors and not a p-value."""
    with pytest.raises(ValueError, match="no probability"):
        t_two_sided(t, freedom)


@exhaustive
@given(size=st.tuples(sizes, sizes), mean=st.tuples(means, means), spread=st.tuples(deviations, deviations))
def test_welch_agrees_with_scipy(size: tuple[int, int], mean: tuple[float, float], spread: tuple[float, float]) -> None:
    """p-value and interval are those of scipy's Welch test from summary statistics."""
    expected = stats.ttest_ind_from_stats(mean[1], spread[1], size[1], mean[0], spread[0], size[0], equal_var=False)
    # scipy's statistic comes from a difference of doubles, ours from an exact one: compare where both are exact.
    assume(abs(mean[1] - mean[0]) > 1e-3 * max(map(abs, mean)))
    found = welch_t(*(sample(*each) for each in zip(size, mean, spread, strict=True)), Design(alpha=0.05))
    assert found.p_value == pytest.approx(expected.pvalue, rel=AGREE, abs=SMALLEST)
    first, second = (deviation**2 / count for deviation, count in zip(spread, size, strict=True))
    freedom = (first + second) ** 2 / (first**2 / (size[0] - 1) + second**2 / (size[1] - 1))
    half = stats.t.isf(0.025, freedom) * math.sqrt(first + second)
    assert found.high - found.effect == pytest.approx(half, rel=1e-6, abs=1e-9 * abs(found.effect))
    assert found.low <= found.effect <= found.high


@exhaustive
@given(first=counted(), second=counted())
def test_two_proportions_agree_with_scipy(first: tuple[int, int], second: tuple[int, int]) -> None:
    """The square of z is Pearson's chi-square of the two-by-two table, without Yates's correction."""
    table = [[each[0], each[1] - each[0]] for each in (first, second)]
    assume(all(sum(column) for column in zip(*table, strict=True)))
    expected = stats.chi2_contingency(table, correction=False)
    found = two_proportions(proportion(*first), proportion(*second), Design(alpha=0.05))
    assert found.p_value == pytest.approx(expected.pvalue, rel=AGREE, abs=SMALLEST)
    assert found.effect == float(Fraction(*second) - Fraction(*first))


def test_two_proportions_match_a_table_by_hand() -> None:
    """500 of 10,000 against 570 of 10,100: effect, interval and p-value as R's prop.test gives them."""
    found = two_proportions(proportion(500, 10_000), proportion(570, 10_100), Design(alpha=0.05))
    expected = stats.chi2_contingency([[500, 9_500], [570, 9_530]], correction=False).pvalue
    assert found.p_value == pytest.approx(expected, rel=1e-13)
    assert found.effect == float(Fraction(570, 10_100) - Fraction(500, 10_000))
    half = stats.norm.isf(0.025) * math.sqrt(0.05 * 0.95 / 10_000 + 570 * 9_530 / 10_100**3)
    assert (found.low, found.high) == pytest.approx((found.effect - half, found.effect + half), rel=1e-13)


@pytest.mark.parametrize("successes", [0, 50], ids=["none", "all"])
def test_two_equal_extremes_reject_nothing(successes: int) -> None:
    """Both runs always right, or always wrong: no variance, no difference, p = 1."""
    both = proportion(successes, 50)
    assert two_proportions(both, both, Design(alpha=0.05)) == Comparison(0.0, 0.0, 0.0, 1.0)


def test_opposite_extremes_are_told_apart() -> None:
    """Never right against always right is significant although neither run varies."""
    found = two_proportions(proportion(0, 50), proportion(50, 50), Design(alpha=0.05))
    assert found.rejects(0.05)
    assert found.p_value == pytest.approx(stats.chi2_contingency([[0, 50], [50, 0]], correction=False).pvalue)


def test_relative_effect_without_variance_is_refused() -> None:
    """The delta method has nothing to work with when neither run varies but they differ."""
    with pytest.raises(ValueError, match="neither run varies"):
        two_proportions(proportion(50, 50), proportion(0, 50), Design(0.05, relative=True))


@pytest.mark.parametrize("test", [welch_t, confidence_sequence])
def test_means_without_variance_are_refused(test: Any) -> None:
    """A constant metric on both sides would be infinitely significant; it is an error instead."""
    with pytest.raises(ValueError, match="neither run varies"):
        test(sample(50, 1.0, 0.0), sample(50, 2.0, 0.0), Design(alpha=0.05))


def test_welch_refuses_one_observation() -> None:
    """One observation has no variance."""
    with pytest.raises(ValueError, match="at least 2"):
        welch_t(sample(1, 1.0, 1.0), sample(50, 2.0, 1.0), Design(alpha=0.05))


@pytest.mark.parametrize(("successes", "size"), [(-1, 10), (11, 10), (0, 0)])
def test_impossible_proportion_is_refused(successes: int, size: int) -> None:
    """More successes than samples, fewer than none, or no samples: no proportion."""
    with pytest.raises(ValueError, match="no proportion"):
        proportion(successes, size)


@exhaustive
@given(
    size=st.tuples(sizes, sizes),
    mean=st.tuples(means, means),
    spread=st.tuples(deviations, deviations),
    alpha=alphas,
    tuning=st.floats(1, 1e9),
)
def test_confidence_sequence_follows_its_formula(
    size: tuple[int, int], mean: tuple[float, float], spread: tuple[float, float], alpha: float, tuning: float
) -> None:
    """The half-width is that of Waudby-Smith et al., and the p-value passes alpha where the interval leaves 0."""
    first, second = (sample(*each) for each in zip(size, mean, spread, strict=True))
    found = confidence_sequence(first, second, Design(alpha, tuning_samples=tuning))
    n = sum(size)
    s2 = (spread[0] ** 2 / size[0] + spread[1] ** 2 / size[1]) * n
    rho2 = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / tuning
    half = math.sqrt(s2) * math.sqrt(
        2 * (n * rho2 + 1) * math.log(math.sqrt(n * rho2 + 1) / alpha) / (n * math.sqrt(rho2)) ** 2
    )
    assert found.high - found.effect == pytest.approx(half, rel=1e-6, abs=1e-9 * abs(found.effect))
    if abs(abs(found.effect) - half) > 1e-6 * half:
        assert (found.p_value <= alpha) == (not found.low <= 0 <= found.high)


def test_confidence_sequence_is_wider_than_one_look() -> None:
    """Looking as often as one likes costs width: the sequence holds the interval of the single test."""
    pair = proportion(500, 10_000), proportion(570, 10_100)
    once, always = two_proportions(*pair, Design(0.05)), confidence_sequence(*pair, Design(0.05))
    assert always.low < once.low < once.high < always.high
    assert always.p_value > once.p_value


def test_peeking_fools_one_test_and_not_the_other() -> None:
    """
    With no effect and twenty looks, the z test cries wolf in far more than 5 % of the experiments.

    The confidence sequence stays below.
    """
    chance, looks, experiments = numpy.random.default_rng(20261123), 20, 400
    fooled = {two_proportions: 0, confidence_sequence: 0}
    for _ in range(experiments):
        counts = numpy.cumsum(chance.binomial(250, 0.3, size=(looks, 2)), axis=0)
        for test in fooled:
            pairs = (
                (proportion(int(a), 250 * (k + 1)), proportion(int(b), 250 * (k + 1)))
                for k, (a, b) in enumerate(counts)
            )
            fooled[test] += any(test(*pair, Design(0.05)).rejects(0.05) for pair in pairs)
    assert fooled[two_proportions] / experiments > 0.15
    assert fooled[confidence_sequence] / experiments <= 0.05


def test_false_alarms_are_as_rare_as_alpha() -> None:
    """With no effect, the z test rejects in about 5 % of two thousand experiments."""
    counts = numpy.random.default_rng(7).binomial(500, 0.3, size=(2000, 2))
    rejected = sum(
        two_proportions(proportion(int(a), 500), proportion(int(b), 500), Design(0.05)).rejects(0.05) for a, b in counts
    )
    assert 0.035 < rejected / 2000 < 0.065


@exhaustive
@given(statistic=st.floats(0, 600), freedom=st.integers(1, 40))
def test_chi_square_tail_agrees_with_scipy(statistic: float, freedom: int) -> None:
    """The upper tail of chi-square is scipy's."""
    assert chi_square_tail(statistic, freedom) == pytest.approx(stats.chi2.sf(statistic, freedom), rel=AGREE)


@exhaustive
@given(counts=st.lists(st.integers(1, 10**6), min_size=2, max_size=5), weights=st.data())
def test_sample_ratio_agrees_with_scipy(counts: list[int], weights: st.DataObject) -> None:
    """The p-value of a split is scipy's chi-square test against the expected counts."""
    parts = weights.draw(st.lists(st.integers(1, 9), min_size=len(counts), max_size=len(counts)))
    expected = [sum(counts) * each / sum(parts) for each in parts]
    wanted = stats.chisquare(counts, expected).pvalue
    found = sample_ratio_p_value(counts, [Fraction(each) for each in parts])
    assert found == pytest.approx(wanted, rel=AGREE, abs=SMALLEST)


@pytest.mark.parametrize(
    ("counts", "shares"),
    [((0, 0), (1, 1)), ((5,), (1,)), ((5, 5), (1, 0)), ((5, -5), (1, 1)), ((5, 5), (1, 1, 1))],
    ids=["nothing-counted", "one-group", "share-of-0", "negative", "lengths-differ"],
)
def test_impossible_split_is_refused(counts: tuple[int, ...], shares: tuple[int, ...]) -> None:
    """A split that cannot be judged is an error, never p = 1."""
    with pytest.raises(ValueError, match="counts and positive shares"):
        sample_ratio_p_value(counts, [Fraction(each) for each in shares])


@pytest.mark.parametrize(
    ("baseline", "candidate", "relative", "expected"),
    [
        (0.93, 0.95, False, 0.02),
        (0.95, 0.93, False, -0.02),
        (0.1, 0.3, False, 0.2),
        (1.0, 1.05, True, 0.05),
        (120.0, 114.0, True, -0.05),
        (1e-5, 2e-5, False, 1e-5),
    ],
    ids=str,
)
def test_changes_are_exact_decimals(baseline: float, candidate: float, relative: bool, expected: float) -> None:
    """A change of logged decimals is the decimal that one expects, so that a limit met exactly is met."""
    assert change(exact(baseline), exact(candidate), relative=relative) == expected


@pytest.mark.parametrize("baseline", [0.0, -0.5], ids=["zero", "negative"])
def test_relative_change_needs_a_positive_baseline(baseline: float) -> None:
    """A ratio to nothing, or to a negative number, has no meaning."""
    with pytest.raises(ValueError, match="positive baseline"):
        change(exact(baseline), exact(0.5), relative=True)


@pytest.mark.parametrize("test", [two_proportions, welch_t, confidence_sequence])
def test_figures_too_far_apart_are_refused(test: Any) -> None:
    """Figures beyond 64 bits are an error, never infinity in the evidence."""
    for tiny, huge in ((5e-324, 9e18), (1e-10, 1e10)):
        with pytest.raises(ValueError, match="too far apart"):
            test(sample(10, tiny, 1.0), sample(10, huge, 1.0), Design(0.05, relative=True))


def test_interval_too_wide_for_a_policy_is_refused() -> None:
    """An effect that fits 64 bits and an interval that does not is an error too."""
    with pytest.raises(ValueError, match="too far apart"):
        welch_t(sample(2, 1.0, 9e18), sample(2, 2.0, 9e18), Design(alpha=1e-9))


@pytest.mark.parametrize("value", [math.nan, math.inf], ids=str)
def test_no_number_has_no_exact_value(value: float) -> None:
    """NaN and infinity never become a fraction."""
    with pytest.raises(ValueError, match="Invalid literal"):
        exact(value)


def test_rejection_needs_p_value_and_interval() -> None:
    """An interval that holds 0 stops a p-value below alpha, and the other way round."""
    assert Comparison(0.1, 0.01, 0.2, 0.05).rejects(0.05)
    assert Comparison(-0.1, -0.2, -0.01, 0.05).rejects(0.05)
    assert not Comparison(0.1, 0.0, 0.2, 0.04).rejects(0.05)
    assert not Comparison(0.1, 0.01, 0.2, 0.0501).rejects(0.05)


def test_agrees_with_every_golden_of_gbstats(corpus: Path) -> None:
    """Sixteen results of gbstats 0.8.0, absolute and relative, once and sequential, and four of its SRM checks."""
    path = corpus / "experiments" / "generated" / "gbstats_0.8.0_goldens.json"
    goldens = json.loads(path.read_text("utf-8"))
    for golden in goldens["tests"]:
        design = Design(golden["alpha"], golden["difference_type"] == "relative", golden["tuning"] or 5000)
        test = confidence_sequence if golden["sequential"] else welch_t
        found = test(_golden_sample(golden["a"]), _golden_sample(golden["b"]), design)
        wanted = (golden["expected"], *golden["ci"], golden["p_value"])
        assert (found.effect, found.low, found.high, found.p_value) == pytest.approx(wanted, rel=1e-9)
    for golden in goldens["srm"]:
        shares = [exact(each) for each in golden["weights"]]
        assert sample_ratio_p_value(golden["users"], shares) == pytest.approx(golden["p"], rel=1e-9)
    assert (len(goldens["tests"]), len(goldens["srm"])) == (16, 4)


def test_z_test_is_close_to_gbstats_on_large_samples(corpus: Path) -> None:
    """On proportions of ten thousand, gbstats's t test and the z test differ in the third digit only."""
    path = corpus / "experiments" / "generated" / "gbstats_0.8.0_goldens.json"
    goldens = json.loads(path.read_text("utf-8"))["tests"]
    chosen = [each for each in goldens if each["case"] in ("prop", "no_effect") and not each["sequential"]]
    for golden in chosen:
        design = Design(golden["alpha"], golden["difference_type"] == "relative")
        found = two_proportions(_golden_sample(golden["a"]), _golden_sample(golden["b"]), design)
        assert found.p_value == pytest.approx(golden["p_value"], rel=5e-3)
        assert (found.low, found.high) == pytest.approx(golden["ci"], rel=5e-3)
    assert len(chosen) == 4


def _golden_sample(golden: dict[str, float]) -> Sample:
    size, total = int(golden["n"]), golden["sum"]
    if "sum_squares" not in golden:
        return proportion(int(total), size)
    return Sample(size, exact(total) / size, (golden["sum_squares"] - total**2 / size) / (size - 1))
