"""From a run's metrics and parameters to the figures that a test needs, and to text; pure."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Literal

from gatekeeper.errors import EvidenceError
from gatekeeper.formats.experiment_template import SignificanceTest
from gatekeeper.formats.mlflow.run import MAX_MAGNITUDE, Run
from gatekeeper.gates.experiments.significance import Sample, exact, proportion

MAX_COUNT = 10**12
"""Largest number of observations; far below it a double still holds every whole number."""

NOT_MEASURED = "not measured"
"""Text in the place of a value that was never logged."""

_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?")


def read_sample(run: Run, metric: str, test: SignificanceTest) -> Sample | None:
    """
    Assemble what the test needs of one run; None when the run lacks any of it.

    Raises `EvidenceError` when the figures contradict each other.
    """
    value, size = read_metric(run, metric), read_count(run, test.samples)
    spread_name = test.successes or test.variance or test.stddev or ""
    spread = read_count(run, spread_name) if test.successes else read_figure(run, spread_name)
    if value is None or size is None or spread is None:
        return None
    if test.successes is not None:
        return _proportion(run, metric, value, (int(spread), size))
    if spread < 0:
        raise _contradiction(run, f"{spread_name!r} is {number_text(spread)}, a spread is not negative")
    if size < 1:
        raise _contradiction(run, f"{test.samples!r} is {size}, so nothing was measured")
    return Sample(size, exact(value), spread if test.variance else spread * spread)


def _proportion(run: Run, metric: str, value: float, counted: tuple[int, int]) -> Sample:
    """Take successes of samples, and hold the logged metric to them: the verdict must be about that metric."""
    successes, size = counted
    try:
        sample = proportion(successes, size)
    except ValueError as error:
        raise _contradiction(run, str(error)) from error
    if abs(exact(value) - sample.mean) > max(Fraction(1, 2 * size), Fraction(1, 10**6)):
        raise _contradiction(run, f"{metric} is {number_text(value)}, but {successes} of {size} were counted")
    return sample


def read_metric(run: Run, name: str) -> float | None:
    """Read a metric's last value; None when it was never logged."""
    metric = run.metrics.get(name)
    return None if metric is None else metric.value


def read_figure(run: Run, name: str) -> float | None:
    """
    Read a figure that was logged as a metric or as a parameter; None when it was logged as neither.

    Raises `EvidenceError` when it is both and they differ, or is no number.
    """
    value, text = read_metric(run, name), run.params.get(name)
    if text is None:
        return value
    number = float(text) if _NUMBER.fullmatch(text) else None
    if number is None or abs(number) > MAX_MAGNITUDE:
        raise _contradiction(run, f"parameter {name!r} is {text[:40]!r}, a number was wanted")
    if value is not None and value != number:
        both = f"{number_text(value)} as a metric and {number_text(number)} as a parameter"
        raise _contradiction(run, f"{name!r} is {both}")
    return number


def read_count(run: Run, name: str) -> int | None:
    """Read a figure that counts something; raises `EvidenceError` when it is no whole number."""
    value = read_figure(run, name)
    if value is None:
        return None
    if value != int(value) or not 0 <= value <= MAX_COUNT:
        raise _contradiction(run, f"{name!r} is {number_text(value)}, a whole number up to {MAX_COUNT:g} was wanted")
    return int(value)


def _contradiction(run: Run, problem: str) -> EvidenceError:
    return EvidenceError("malformed", f"run {run.run_id}", problem, hint="log the figures again, unrounded")


def number_text(value: float | None) -> str:
    """Ten significant digits: enough to tell a value from a limit that it just misses."""
    return NOT_MEASURED if value is None else f"{value:.10g}"


def effect_text(value: float, effect: Literal["absolute", "relative"]) -> str:
    """Show an effect in its unit: a relative one in per cent."""
    return f"{100 * value:.6g} %" if effect == "relative" else f"{value:.6g}"
