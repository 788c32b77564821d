"""Error budgets and burn rates are those of the SRE workbook and of Sloth, exactly."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gatekeeper.gates.slo.error_budget import (
    DAY_SECONDS,
    Budget,
    alert_rules,
    percent_text,
    required_windows,
    spend,
    window_name,
)

MONTH = 30 * DAY_SECONDS
TARGET = Decimal("0.999")


def ratios(period_seconds: int = MONTH, **changes: str) -> dict[int, Decimal]:
    """An error ratio of 0 in every window, with changes by window name (`w5m`)."""
    return {
        seconds: Decimal(changes.get(f"w{window_name(seconds)}", "0")) for seconds in required_windows(period_seconds)
    }


@pytest.mark.parametrize(
    ("days", "factors"),
    [
        pytest.param(30, [14.4, 6, 3, 1], id="30 days"),
        pytest.param(28, [13.44, 5.6, 2.8, 28 / 30], id="28 days"),
        pytest.param(7, [13.44, 3.5, 1.4, 0.98], id="7 days"),
        pytest.param(14, [6.72, 2.8, 1.4, 14 / 30], id="14 days"),
        pytest.param(90, [43.2, 18, 9, 3], id="90 days"),
    ],
)
def test_factors_follow_from_the_share_of_the_budget(days: int, factors: list[float]) -> None:
    """factor = share of the budget * period / long window."""
    assert [float(rule.factor) for rule in alert_rules(days * DAY_SECONDS)] == pytest.approx(factors, rel=1e-12)


def test_thirty_days_need_eight_windows() -> None:
    """Both windows of the four alerts, one of them shared, and the period."""
    assert [window_name(each) for each in required_windows(MONTH)] == ["5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"]


@pytest.mark.parametrize(
    ("seconds", "name"), [(300, "5m"), (3600, "1h"), (86400, "1d"), (604800, "7d"), (5400, "90m"), (90, "90s")]
)
def test_names_windows_as_promql_does(seconds: int, name: str) -> None:
    """The name is a valid PromQL duration of the same length."""
    assert window_name(seconds) == name


_ALERT = re.compile(r"ratio_rate(\w+)\{[^}]*\} > \(([\d.e-]+) \* ([\d.e-]+)\)\) without")


def test_thresholds_are_those_that_sloth_generates(corpus: Path) -> None:
    """Every factor and budget in the alerts that Sloth generated equals ours for the period of that file."""
    compared: dict[int, int] = {}
    for path in sorted((corpus / "slo" / "sloth").rglob("*")):
        text = path.read_text("utf-8") if path.suffix in (".tpl", ".yml", ".yaml") else ""
        found = _ALERT.findall(text)
        if not found:
            continue
        # vector(1) is Sloth's information series; without recording rules the period is Sloth's default.
        days = {int(each) for each in re.findall(r"vector\(([1-9]\d*)\)", text)} - {1} or {30}
        targets = [Decimal(each) for each in re.findall(r"vector\((0\.\d+)\)", text)] or [TARGET, Decimal("0.95")]
        assert len(days) == 1, path
        period = days.pop()
        ours = [
            (window_name(seconds), pytest.approx(float(rule.factor), rel=1e-12))
            for rule in alert_rules(period * DAY_SECONDS)
            for seconds in (rule.short_seconds, rule.long_seconds)
        ]
        for window, factor, budget in found:
            assert any(window == name and float(factor) == each for name, each in ours), (path, window, factor)
            assert any(float(budget) == pytest.approx(float(1 - each), rel=1e-9) for each in targets), (path, budget)
        compared[period] = compared.get(period, 0) + len(found)
    assert compared == {7: 8, 28: 8, 30: 240}


def test_sloths_custom_week_has_our_shares(corpus: Path) -> None:
    """The shares of a week are those of Sloth's example of a seven-day catalogue."""
    text = (corpus / "slo/sloth/slok+sloth/examples/windows/7d.yaml").read_text("utf-8")
    shares = [Decimal(each) / 100 for each in re.findall(r"errorBudgetPercent: ([\d.]+)", text)]
    week = 7 * DAY_SECONDS
    assert [rule.factor for rule in alert_rules(week)] == [
        share * week / rule.long_seconds for share, rule in zip(shares, alert_rules(week), strict=True)
    ]


def test_an_alert_fires_only_above_its_factor_in_both_windows() -> None:
    """At exactly 14.4 nothing fires; just above it in one window nothing fires; in both it fires."""
    cases = {
        "at": ratios(w5m="0.0144", w1h="0.0144"),
        "short only": ratios(w5m="0.0145", w1h="0.0144"),
        "long only": ratios(w5m="0.0144", w1h="0.0145"),
        "both": ratios(w5m="0.0144001", w1h="0.0144001"),
    }
    assert {name: spend(TARGET, MONTH, each).firing for name, each in cases.items()} == {
        "at": (),
        "short only": (),
        "long only": (),
        "both": ("page 5m/1h",),
    }


def test_arithmetic_is_exact_where_floats_are_not() -> None:
    """1 - 0.9 is a budget of exactly 0.1, so a burn of 0.0144/0.001 is exactly 14.4."""
    budget = spend(Decimal("0.9"), MONTH, ratios(w30d="0.07"))
    assert (budget.budget_ratio, budget.remaining_ratio, budget.remaining_text) == (0.1, 0.3, "30 %")
    assert spend(TARGET, MONTH, ratios(w5m="0.0144")).windows["5m"].burn == 14.4


def test_an_overspent_budget_is_negative() -> None:
    """Twice the budget spent leaves -100 %."""
    budget = spend(TARGET, MONTH, ratios(w30d="0.002"))
    assert (budget.remaining_ratio, budget.remaining_text) == (-1.0, "-100 %")


def test_figures_are_shown_as_text() -> None:
    """Messages show the burn, the factor and what is left without the reader's arithmetic."""
    budget = spend(TARGET, MONTH, ratios(w5m="0.016", w1h="0.0152", w30d="0.000269"))
    assert budget.target_text == "99.9 %"
    assert budget.remaining_text == "73.1 %"
    assert budget.pairs[0].text == "burn 15.20x over 1h and 16.00x over 5m, factor 14.4x"


@pytest.mark.parametrize(
    ("ratio", "text"),
    [("0.0999999", "9.999 %"), ("0.1", "10 %"), ("1", "100 %"), ("0", "0 %"), ("-0.0000001", "-0.001 %")],
)
def test_a_share_is_rounded_down(ratio: str, text: str) -> None:
    """A limit that is just missed never shows as reached."""
    assert percent_text(Decimal(ratio)) == text


def test_says_when_no_outage_could_fire_an_alert() -> None:
    """With a target of 90 % a burn cannot exceed 10, so a factor of 14.4 is out of reach."""
    assert [pair.reachable for pair in spend(Decimal("0.9"), MONTH, ratios()).pairs] == [False, True, True, True]
    assert all(pair.reachable for pair in spend(Decimal("0.95"), MONTH, ratios()).pairs)


@pytest.mark.parametrize("target", ["1", "1.1", "-0.1"])
def test_refuses_a_target_without_a_budget(target: str) -> None:
    """A budget of nothing, or less, divides nothing."""
    with pytest.raises(ValueError, match="no error budget"):
        spend(Decimal(target), MONTH, ratios())


def test_refuses_a_window_that_was_not_measured() -> None:
    """A missing measurement has no default."""
    measured = ratios()
    del measured[300]
    with pytest.raises(KeyError):
        spend(TARGET, MONTH, measured)


ERROR_RATIOS = st.decimals(0, 1, places=9, allow_nan=False, allow_infinity=False)


@given(
    target=st.decimals("0.5", "0.99999", places=5),
    days=st.integers(7, 366),
    values=st.lists(ERROR_RATIOS, min_size=8, max_size=8),
)
def test_every_budget_survives_its_own_json(target: Decimal, days: int, values: list[Decimal]) -> None:
    """The figures follow from the ratios that the evidence holds, so that validating it again accepts it."""
    period = days * DAY_SECONDS
    budget = spend(target, period, dict(zip(required_windows(period), values, strict=False)))
    assert Budget.model_validate_json(budget.model_dump_json()) == budget
    for pair in budget.pairs:
        assert pair.firing == (pair.burn_short > pair.factor and pair.burn_long > pair.factor)


def _changed(path: str, value: object) -> str:
    content = json.loads(spend(TARGET, MONTH, ratios(w5m="0.5", w1h="0.5", w30d="0.002")).model_dump_json())
    node = content
    *steps, last = path.split("/")
    for step in steps:
        node = node[int(step)] if isinstance(node, list) else node[step]
    node[int(last) if isinstance(node, list) else last] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("remaining_ratio", 0.5), ("remaining_ratio", "NaN"), ("remaining_text", "50 %"), ("target", 0.9), ("target", 1),
        ("budget_ratio", 0.5), ("firing", []), ("pairs/0/firing", False), ("pairs/0/factor", 10000.0),
        ("pairs/0/severity", "ticket"), ("pairs/0/burn_short", 0.0), ("pairs", []), ("windows", {}),
        ("windows/5m/error_ratio", 0.0), ("windows/5m/error_ratio", -0.1), ("windows/5m/error_ratio", 1.1),
        ("windows/5m/burn", 0.0), ("windows/5m/seconds", 600), ("windows/30d/seconds", 60), ("required_windows", ["30d"]),
        ("period", "5m"),
    ],
)  # fmt: skip
def test_refuses_figures_that_the_ratios_contradict(path: str, value: object) -> None:
    """A bundle whose figures were changed by hand is not evidence."""
    with pytest.raises(ValidationError):
        Budget.model_validate_json(_changed(path, value))
