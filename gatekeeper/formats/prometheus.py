"""
Answers of the Prometheus HTTP API to instant queries; parsing only.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries. Values are strings and may
be "NaN"; an empty `result` says that nothing is known, not that nothing happened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gatekeeper.errors import EvidenceError

_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_DURATION = re.compile(r"(?:[0-9]{1,6}(?:ms|[smhdwy]))+", re.ASCII)
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_MAX_UNIX_SECONDS = 253402300799
_MAX_WARNINGS = 100


@dataclass(frozen=True)
class Sample:
    """One series of an instant vector: labels, evaluation time (Unix seconds), and the value as text."""

    labels: dict[str, str]
    time: float
    value: str

    @property
    def name(self) -> str:
        """The series as PromQL writes it, shortened."""
        labels = ", ".join(f'{key}="{value}"' for key, value in sorted(self.labels.items()) if key != "__name__")
        return f"{self.labels.get('__name__', '')}{{{labels}}}"[:200]


@dataclass(frozen=True)
class Answer:
    """What an instant query gave; `warnings` also holds the API's `infos`."""

    samples: tuple[Sample, ...]
    warnings: tuple[str, ...]


def parse_answer(value: Any, subject: str) -> Answer:
    """
    Read one API answer; a scalar counts as one series without labels.

    Raises `EvidenceError`: unverifiable when Prometheus reports an error, malformed when it is anything but an
    instant vector or a scalar.
    """
    if not isinstance(value, dict):
        raise malformed(subject, f"{_kind(value)}, an answer of the Prometheus HTTP API was wanted")
    if value.get("status") == "error":
        raise EvidenceError(
            "unverifiable",
            subject,
            f"Prometheus answered with an error: {_cut(value.get('errorType'))}: {_cut(value.get('error'))}",
            hint="mend the query or the server, then ask again",
        )
    data = value.get("data")
    if value.get("status") != "success" or not isinstance(data, dict):
        raise malformed(subject, "no `status` success with `data`, as the Prometheus HTTP API answers")
    warnings = tuple(text for key in ("warnings", "infos") for text in _texts(value.get(key), subject, key))
    return Answer(tuple(_samples(data, subject)), warnings[:_MAX_WARNINGS])


def parse_number(text: str, subject: str) -> Decimal:
    """
    Read a sample's value.

    Raises `EvidenceError`: missing for NaN, which Prometheus gives for 0/0, hence no traffic; malformed for an
    infinity or anything else that is no number.
    """
    if text == "NaN":
        raise EvidenceError(
            "missing",
            subject,
            "the value is NaN: there was no traffic to measure",
            hint="promote when the service has been used, or send it synthetic requests",
        )
    if not _NUMBER.fullmatch(text):
        raise malformed(subject, f"the value is {text[:40]!r}, a finite number was wanted")
    return Decimal(text)


def parse_duration(text: str) -> int | None:
    """Read a PromQL duration (`5m`, `1h30m`, `4w`) in seconds; None when it is none or has milliseconds."""
    if not _DURATION.fullmatch(text) or "ms" in text:
        return None
    return sum(int(count) * _UNIT_SECONDS[unit] for count, unit in re.findall(r"([0-9]+)([smhdwy])", text)) or None


def _samples(data: dict[str, Any], subject: str) -> Iterator[Sample]:
    kind, result = data.get("resultType"), data.get("result")
    if kind == "scalar":
        result = [{"metric": {}, "value": result}]
    elif kind != "vector":
        raise EvidenceError(
            "malformed",
            subject,
            f"the result is of type {_cut(kind)}, an instant vector was wanted",
            hint="ask /api/v1/query, not query_range, and aggregate range vectors (rate, increase, …)",
        )
    if not isinstance(result, list):
        raise malformed(subject, "`data.result` is not a list of series")
    for item in result:
        metric = item.get("metric") if isinstance(item, dict) else None
        value = item.get("value") if isinstance(item, dict) else None
        if not isinstance(metric, dict) or not all(isinstance(each, str) for each in metric.values()):
            raise malformed(subject, "a series has no `metric` of text labels")
        if not isinstance(value, list) or len(value) != 2 or not isinstance(value[1], str):
            raise malformed(subject, "a series has no `value` of time and text (native histograms are not read)")
        yield Sample(metric, read_unix_seconds(value[0], subject), value[1])


def read_unix_seconds(value: Any, subject: str) -> float:
    """Read a time stamp of the API; raises `EvidenceError` (malformed)."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < _MAX_UNIX_SECONDS:
        raise malformed(subject, f"the time is {_cut(value)}, Unix seconds were wanted")
    return float(value)


def _texts(value: Any, subject: str, key: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise malformed(subject, f"`{key}` is not a list of text")
    return [each[:300] for each in value]


def malformed(subject: str, problem: str) -> EvidenceError:
    """Make the error for an answer that is not one; the caller raises it."""
    return EvidenceError("malformed", subject, problem, hint="save the answer of /api/v1/query as it is")


def _kind(value: Any) -> str:
    return {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")


def _cut(value: Any) -> str:
    return str(value)[:300]
