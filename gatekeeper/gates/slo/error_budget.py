"""
Error budgets and multi-window burn rates; pure, in exact decimals.

Source: Google, The Site Reliability Workbook, chapter 5 (https://sre.google/workbook/alerting-on-slos/), and
Sloth's alert windows (https://sloth.dev/usage/slo-period-windows/). budget = 1 - target; burn = error ratio /
budget; what is left = 1 - burn over the period. An alert fires when the burn over its long *and* its short
window exceeds factor = share of the budget * period / long window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gatekeeper.document import Document
from gatekeeper.formats.openslo import MAX_PERIOD_SECONDS, MIN_PERIOD_SECONDS

Severity = Literal["page", "ticket"]
Ratio = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]

MINUTE_SECONDS, HOUR_SECONDS, DAY_SECONDS, WEEK_SECONDS = 60, 3600, 86400, 604800

_WINDOWS: tuple[tuple[Severity, int, int], ...] = (
    ("page", 5 * MINUTE_SECONDS, HOUR_SECONDS),
    ("page", 30 * MINUTE_SECONDS, 6 * HOUR_SECONDS),
    ("ticket", 2 * HOUR_SECONDS, DAY_SECONDS),
    ("ticket", 6 * HOUR_SECONDS, 3 * DAY_SECONDS),
)
"""Severity, short window, long window."""

_SHARES = tuple(map(Decimal, ("0.02", "0.05", "0.1", "0.1")))
"""Share of the budget that each alert allows to be spent in its long window: 14.4, 6, 3 and 1 for 30 days."""

_SHARES_OF_A_WEEK = tuple(map(Decimal, ("0.08", "0.125", "0.2", "0.42")))
"""The same for seven days, where the shares above would ring below sustainable burning: 13.44, 3.5, 1.4, 0.98."""


@dataclass(frozen=True)
class AlertRule:
    """One burn-rate alert: both windows in seconds, and the burn that each must exceed."""

    severity: Severity
    short_seconds: int
    long_seconds: int
    factor: Decimal


class WindowBurn(Document):
    """How fast the budget burnt over one window."""

    seconds: Annotated[int, Field(gt=0)]
    """Length of the window."""
    error_ratio: Ratio
    """Share of the events that were bad."""
    burn: NonNegative
    """Error ratio divided by the budget; 1 spends exactly the budget in one period."""
    burn_text: str
    """The burn as a message shows it: `0.42x`."""


class AlertPair(Document):
    """One burn-rate alert as it stands."""

    severity: Severity
    """page: someone is woken. ticket: someone looks tomorrow."""
    short: str
    """Name of the short window: `5m`."""
    long: str
    """Name of the long window: `1h`."""
    factor: Annotated[float, Field(gt=0)]
    """Burn that both windows must exceed."""
    burn_short: NonNegative
    """Burn over the short window."""
    burn_long: NonNegative
    """Burn over the long window."""
    firing: bool
    """Both windows exceed the factor."""
    reachable: bool
    """A complete outage would make it fire; false when factor times budget is 1 or more."""
    text: str
    """Figures as a message shows them."""


class Budget(Document):
    """One objective's error budget over its period."""

    target: Annotated[float, Field(ge=0, lt=1)]
    """Share of events that must be good."""
    target_text: str
    """The target as a message shows it: `99.9 %`."""
    budget_ratio: Annotated[float, Field(gt=0, le=1)]
    """Share of events that may be bad: 1 - target."""
    period: str
    """Name of the window that the budget is for: `30d`."""
    windows: dict[str, WindowBurn]
    """Measurement by window name."""
    required_windows: Annotated[tuple[str, ...], Field(min_length=1)]
    """Every window that the alerts and the period need."""
    pairs: Annotated[tuple[AlertPair, ...], Field(min_length=1)]
    """The burn-rate alerts, the fastest first."""
    firing: tuple[str, ...]
    """Alerts that fire, as `page 5m/1h`."""
    remaining_ratio: Annotated[float, Field(le=1)]
    """Share of the budget that is left; negative when it is overspent."""
    remaining_text: str
    """What is left as a message shows it: `73.1 %`."""

    @model_validator(mode="after")
    def _follows_from_the_ratios(self) -> Budget:
        """Compute everything again: a bundle cannot hold figures that its own error ratios contradict."""
        period = self.windows.get(self.period)
        if period is None or not MIN_PERIOD_SECONDS <= period.seconds <= MAX_PERIOD_SECONDS:
            raise ValueError("its period was not measured, or is out of bounds")
        ratios = {each.seconds: each.error_ratio for each in self.windows.values()}
        if not set(required_windows(period.seconds)) <= set(ratios):
            raise ValueError("a required window was not measured")
        for name, value in _figures(self.target, period.seconds, ratios).items():
            if getattr(self, name) != value:
                raise ValueError(f"{name} is not what the target and the error ratios give")
        return self


def alert_rules(period_seconds: int) -> tuple[AlertRule, ...]:
    """Name the four alerts of an SLO period and their factors."""
    shares = _SHARES_OF_A_WEEK if period_seconds == WEEK_SECONDS else _SHARES
    return tuple(
        AlertRule(severity, short, long, share * period_seconds / long)
        for (severity, short, long), share in zip(_WINDOWS, shares, strict=True)
    )


def required_windows(period_seconds: int) -> tuple[int, ...]:
    """List the windows in seconds whose error ratio must be known, shortest first."""
    rules = alert_rules(period_seconds)
    return tuple(
        sorted({period_seconds, *(rule.short_seconds for rule in rules), *(rule.long_seconds for rule in rules)})
    )


def window_name(seconds: int) -> str:
    """Name a window as PromQL writes it, in the largest unit up to days: `5m`, `6h`, `30d`."""
    for unit, letter in ((DAY_SECONDS, "d"), (HOUR_SECONDS, "h"), (MINUTE_SECONDS, "m")):
        if seconds % unit == 0:
            return f"{seconds // unit}{letter}"
    return f"{seconds}s"


def spend(target: Decimal, period_seconds: int, error_ratios: Mapping[int, Decimal]) -> Budget:
    """
    Compute one objective's budget from the error ratio of each window (by its length in seconds).

    Raises `ValueError` when the target leaves no budget, because everything burns infinitely fast then, and
    `KeyError` when a required window was not measured.
    """
    if not 0 <= target < 1:
        raise ValueError(f"a target of {target} leaves no error budget")
    ratios = {seconds: float(ratio) for seconds, ratio in error_ratios.items()}
    return Budget(**_figures(float(target), period_seconds, ratios))


def _figures(target: float, period_seconds: int, error_ratios: Mapping[int, float]) -> dict[str, Any]:
    exact_target = _exact(target)
    budget = 1 - exact_target
    windows = {
        window_name(seconds): _burn(seconds, error_ratios[seconds], budget)
        for seconds in required_windows(period_seconds)
    }
    pairs = tuple(_pair(rule, windows, budget) for rule in alert_rules(period_seconds))
    remaining = 1 - _exact(error_ratios[period_seconds]) / budget
    return {
        "target": target,
        "target_text": percent_text(exact_target),
        "budget_ratio": float(budget),
        "period": window_name(period_seconds),
        "windows": windows,
        "required_windows": tuple(windows),
        "pairs": pairs,
        "firing": tuple(f"{pair.severity} {pair.short}/{pair.long}" for pair in pairs if pair.firing),
        "remaining_ratio": float(remaining),
        "remaining_text": percent_text(remaining),
    }


def _exact(value: float) -> Decimal:
    """The shortest decimal that is this float: 0.999 as it was written, not 0.99899999…."""
    return Decimal(repr(value))


def percent_text(ratio: Decimal) -> str:
    """Show a ratio in per cent, rounded down to a thousandth so that a limit just missed shows as missed."""
    value = (ratio * 100).quantize(Decimal("0.001"), rounding=ROUND_FLOOR).normalize()
    return f"{value + 0:f} %"  # + 0 turns -0 into 0


def _burn(seconds: int, error_ratio: float, budget: Decimal) -> WindowBurn:
    burn = _exact(error_ratio) / budget
    return WindowBurn(seconds=seconds, error_ratio=error_ratio, burn=float(burn), burn_text=f"{burn:.2f}x")


def _pair(rule: AlertRule, windows: Mapping[str, WindowBurn], budget: Decimal) -> AlertPair:
    short, long = window_name(rule.short_seconds), window_name(rule.long_seconds)
    # Compared as the floats that the evidence holds, so that the policy and this flag cannot disagree.
    burn_short, burn_long, factor = windows[short].burn, windows[long].burn, float(rule.factor)
    return AlertPair(
        severity=rule.severity,
        short=short,
        long=long,
        factor=factor,
        burn_short=burn_short,
        burn_long=burn_long,
        firing=burn_short > factor and burn_long > factor,
        reachable=rule.factor * budget < 1,
        text=f"burn {windows[long].burn_text} over {long} and {windows[short].burn_text} over {short}, "
        f"factor {factor:.4g}x",
    )
