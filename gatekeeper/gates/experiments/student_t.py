"""
Student's t distribution in double precision without scipy: two-sided tail and critical value; pure.

The tail is the regularised incomplete beta function I_x(df/2, 1/2) at x = df/(df + t²), by its continued
fraction (DLMF 8.17.22, evaluated by Lentz's method). Close to x = 1 that loses digits; there, with many degrees
of freedom, w² = df·ln(1 + t²/df) is normal with variance 1/(1 - 1/(2·df)) up to a factor 1 + O((w²/df)²/48).
"""

from __future__ import annotations

import math
from statistics import NormalDist

_MAX_STEPS = 100_000
_TINY = 1e-300
_PRECISION = 1e-16
_MANY, _CLOSE = 1e5, 1e-5


def t_two_sided(t: float, freedom: float) -> float:
    """
    Probability of a statistic at least as far from 0 as t, on either side.

    Raises `ValueError` when the degrees of freedom are not positive and finite, or t is not a number.
    """
    if not 0 < freedom < math.inf or math.isnan(t):
        raise ValueError(f"t = {t} with {freedom} degrees of freedom has no probability")
    ratio = t * t / freedom
    if not math.isfinite(ratio):
        return 0.0
    if freedom > _MANY and ratio < _CLOSE:
        return math.erfc(math.sqrt((freedom - 0.5) * math.log1p(ratio) / 2))
    a, x, y = freedom / 2, 1 / (1 + ratio), ratio / (1 + ratio)
    front = math.exp(-a * math.log1p(ratio)) * math.sqrt(y / math.pi) * _gamma_ratio(a)
    if x < (a + 1) / (a + 2.5):
        return min(front * _fraction(a, 0.5, x) / a, 1.0)
    return max(1 - 2 * front * _fraction(0.5, a, y), 0.0)


def t_critical(alpha: float, freedom: float) -> float:
    """
    The t whose two-sided tail is alpha.

    Newton's method on the logarithms of both: the tail's logarithm is concave and falls in that of t, so from
    the second step on it converges from above.
    """
    t = -NormalDist().inv_cdf(alpha / 2)
    for _ in range(100):
        tail = t_two_sided(t, freedom)
        step = math.log(tail / alpha) * tail / (2 * t * _density(t, freedom))
        t *= math.exp(min(step, 50.0))
        if abs(step) < 1e-15:
            break
    return t


def _density(t: float, freedom: float) -> float:
    scale = _gamma_ratio(freedom / 2) / math.sqrt(math.pi * freedom)
    return scale * math.exp(-(freedom + 1) / 2 * math.log1p(t * t / freedom))


def _gamma_ratio(a: float) -> float:
    """Γ(a + 1/2)/Γ(a); past 30 by its asymptotic series (DLMF 5.11.13), where the logarithms would cancel."""
    if a < 30:
        return math.exp(math.lgamma(a + 0.5) - math.lgamma(a))
    u = 1 / a
    series = (((((869 / 4194304 * u - 399 / 262144) * u - 21 / 32768) * u + 5 / 1024) * u + 1 / 128) * u - 1 / 8) * u
    return math.sqrt(a) * (1 + series)


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of I_x(a, b), which converges fast for x < (a + 1)/(a + b + 2)."""
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _MAX_STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _PRECISION:
            return value
    raise ValueError(f"the t distribution did not converge at a = {a:g}, b = {b:g}, x = {x:g}")


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
