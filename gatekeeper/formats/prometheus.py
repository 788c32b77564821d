"""
Answers of the Prometheus HTTP API to instant queries, and files that hold them; parsing only.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries. Values are strings and may
be "NaN"; an empty `result` says that nothing is known, not that nothing happened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from gatekeeper.errors import EvidenceError
from gatekeeper.formats.strict_json import parse_json

_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_DURATION = re.compile(r"(?:[0-9]{1,6}(?:ms|[smhdwy]))+", re.ASCII)
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_RECORDED = re.compile(r"slo:sli_error:ratio_rate(.+)")
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


@dataclass(frozen=True)
class SavedAnswers:
    """A saved file: window length in seconds with each series, warnings, and the number of events if it is known."""

    subject: str
    series: tuple[tuple[int, Sample], ...]
    warnings: tuple[str, ...]
    event_count: int | None


def parse_answer(value: Any, subject: str) -> Answer:
    """
    Read one API answer; a scalar counts as one series without labels.

    Raises `EvidenceError`: unverifiable when Prometheus reports an error, malformed when it is anything but an
    instant vector or a scalar.
    """
    if not isinstance(value, dict):
        raise _malformed(subject, f"{_kind(value)}, an answer of the Prometheus HTTP API was wanted")
    if value.get("status") == "error":
        raise EvidenceError(
            "unverifiable",
            subject,
            f"Prometheus answered with an error: {_cut(value.get('errorType'))}: {_cut(value.get('error'))}",
            hint="mend the query or the server, then ask again",
        )
    data = value.get("data")
    if value.get("status") != "success" or not isinstance(data, dict):
        raise _malformed(subject, "no `status` success with `data`, as the Prometheus HTTP API answers")
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
        raise _malformed(subject, f"the value is {text[:40]!r}, a finite number was wanted")
    return Decimal(text)


def parse_duration(text: str) -> int | None:
    """Read a PromQL duration (`5m`, `1h30m`, `4w`) in seconds; None when it is none or has milliseconds."""
    if not _DURATION.fullmatch(text) or "ms" in text:
        return None
    return sum(int(count) * _UNIT_SECONDS[unit] for count, unit in re.findall(r"([0-9]+)([smhdwy])", text)) or None


def parse_saved(data: bytes, subject: str) -> SavedAnswers:
    """
    Read a saved file: gatekeeper's object of one answer a window, or one answer with the window as a label.

    The first is `{"time": …, "windows": {"5m": answer, …}, "events": count or answer}`. In the second each
    series names its window by the label `sloth_window` or `window`, or by the name
    `slo:sli_error:ratio_rate<window>`, as Sloth's recording rules do.
    Raises `EvidenceError` when it is neither.
    """
    document = parse_json(data, subject)
    if isinstance(document, dict) and "windows" in document:
        return _parse_windows(document, subject)
    answer = parse_answer(document, subject)
    series = tuple((_window_of(sample, subject), sample) for sample in answer.samples)
    return SavedAnswers(subject, series, answer.warnings, None)


def _parse_windows(document: dict[str, Any], subject: str) -> SavedAnswers:
    unknown = sorted(document.keys() - {"time", "windows", "events"})
    windows = document["windows"]
    if unknown or not isinstance(windows, dict) or not windows:
        raise _malformed(subject, f"unknown key {unknown[0]!r}" if unknown else "`windows` holds no answers")
    series: list[tuple[int, Sample]] = []
    warnings: list[str] = []
    for name, value in windows.items():
        seconds = parse_duration(name)
        if seconds is None:
            raise _malformed(subject, f"`windows` has the key {name[:40]!r}, a duration such as 5m or 30d was wanted")
        answer = parse_answer(value, f"{subject} windows.{name}")
        for sample in answer.samples:
            if _window_of(sample, subject, expected=seconds) != seconds:
                raise _malformed(subject, f"under {name} lies {sample.name}, which is of another window")
            series.append((seconds, sample))
        warnings.extend(answer.warnings)
    time = _read_time(document.get("time"), subject)
    if any(abs(sample.time - time) > 1 for _, sample in series):
        raise _malformed(subject, "`time` is not the time at which the answers were evaluated")
    return SavedAnswers(subject, tuple(series), tuple(warnings), _read_events(document.get("events"), subject))


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
        raise _malformed(subject, "`data.result` is not a list of series")
    for item in result:
        metric = item.get("metric") if isinstance(item, dict) else None
        value = item.get("value") if isinstance(item, dict) else None
        if not isinstance(metric, dict) or not all(isinstance(each, str) for each in metric.values()):
            raise _malformed(subject, "a series has no `metric` of text labels")
        if not isinstance(value, list) or len(value) != 2 or not isinstance(value[1], str):
            raise _malformed(subject, "a series has no `value` of time and text (native histograms are not read)")
        yield Sample(metric, _unix_seconds(value[0], subject), value[1])


def _window_of(sample: Sample, subject: str, *, expected: int | None = None) -> int:
    """The window that a series says it is of; `expected` stands in when it says nothing."""
    name = sample.labels.get("__name__", "")
    recorded = _RECORDED.fullmatch(name)
    if name.startswith("slo:") and not recorded:
        raise _malformed(subject, f"{sample.name} is not an error ratio (slo:sli_error:ratio_rate…)")
    texts = [sample.labels[label] for label in ("sloth_window", "window") if label in sample.labels]
    found = {parse_duration(text) for text in (*texts, *(recorded.groups() if recorded else ()))}
    if not found and expected is not None:
        return expected
    if len(found) != 1 or None in found:
        raise _malformed(subject, f"{sample.name} does not name one window")
    return next(seconds for seconds in found if seconds is not None)


def _read_events(value: Any, subject: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**18:
        return value
    answer = parse_answer(value, f"{subject} events")
    if len(answer.samples) != 1:
        raise _malformed(subject, f"`events` holds {len(answer.samples)} series, one number was wanted")
    count = parse_number(answer.samples[0].value, f"{subject} events")
    if not 0 <= count <= 10**18:
        raise _malformed(subject, f"`events` is {count}, a count was wanted")
    return int(count)


def _read_time(value: Any, subject: str) -> float:
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise _malformed(subject, f"`time` is {value[:40]!r}, RFC 3339 was wanted") from error
        if moment.tzinfo is None:
            raise _malformed(subject, f"`time` is {value[:40]!r}, which has no time zone")
        return moment.timestamp()
    return _unix_seconds(value, subject)


def _unix_seconds(value: Any, subject: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < _MAX_UNIX_SECONDS:
        raise _malformed(subject, f"the time is {_cut(value)}, Unix seconds were wanted")
    return float(value)


def _texts(value: Any, subject: str, key: str) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _malformed(subject, f"`{key}` is not a list of text")
    return [each[:300] for each in value]


def _malformed(subject: str, problem: str) -> EvidenceError:
    return EvidenceError("malformed", subject, problem, hint="save the answer of /api/v1/query as it is")


def _kind(value: Any) -> str:
    return {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")


def _cut(value: Any) -> str:
    return str(value)[:300]
