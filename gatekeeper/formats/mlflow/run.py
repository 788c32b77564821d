"""One run as both kinds of store hold it, and the checks that they share."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from gatekeeper.errors import EvidenceError

MAX_MAGNITUDE = 9e18
"""Largest absolute value of a metric: policies see 64 bits; MLflow writes infinity as ±1.797e308."""

MAX_RUNS, MAX_INPUTS = 5000, 200
"""Run ids listed, and datasets read of one run."""

MAX_NAME, MAX_VALUE = 500, 8000
"""Characters of a name or digest, and of a parameter's value; MLflow's own limits."""

_RUN_ID = re.compile(r"[0-9a-f]{32}")
_MAX_MILLISECONDS = 253_402_300_799_999


@dataclass(frozen=True)
class Metric:
    """A metric's last value, and when it was logged."""

    value: float
    logged_at: datetime


@dataclass(frozen=True, order=True)
class DatasetInput:
    """A dataset that a run read; `context` is the tag `mlflow.data.context`, empty when there is none."""

    context: str
    name: str
    digest: str


@dataclass(frozen=True)
class Run:
    """One run, with the metrics and parameters that were asked for."""

    run_id: str
    name: str
    status: str
    lifecycle_stage: str
    ended_at: datetime | None
    metrics: dict[str, Metric] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    datasets: tuple[DatasetInput, ...] = ()


@dataclass(frozen=True)
class Faults:
    """Words a fault of one run or metric; `subject` is the store or the file."""

    subject: str
    what: str

    def malformed(self, problem: str, *, hint: str = "") -> EvidenceError:
        """Make the error; the caller raises it."""
        return EvidenceError("malformed", self.subject, f"{self.what}: {problem}", hint=hint)

    def moment(self, milliseconds: Any) -> datetime:
        """Turn MLflow's milliseconds since 1970 into a UTC moment."""
        if isinstance(milliseconds, bool) or not isinstance(milliseconds, int):
            raise self.malformed("its time is not a whole number of milliseconds")
        if not 0 <= milliseconds <= _MAX_MILLISECONDS:
            raise self.malformed(f"its time of {str(milliseconds)[:40]} ms lies outside the years 1970 to 9999")
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)

    def number(self, value: Any) -> float:
        """Take a metric's value; NaN, infinity and what is no number are refused, never read as 0."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.malformed("its value is not a number")
        if math.isnan(value):
            raise self.malformed("its value is NaN", hint="find out why the metric could not be computed; run again")
        if abs(value) > MAX_MAGNITUDE:
            raise self.malformed(f"its value is infinite or past ±{MAX_MAGNITUDE:g}", hint="mend the metric; run again")
        return float(value)

    def text(self, value: Any, *, limit: int = MAX_NAME) -> str:
        """Take a text of at most `limit` characters; null is empty."""
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > limit:
            raise self.malformed(f"a text of at most {limit} characters was wanted")
        return value


def is_run_id(text: Any) -> bool:
    """Say whether this is a run id: 32 lower-case hex digits."""
    return isinstance(text, str) and _RUN_ID.fullmatch(text) is not None
