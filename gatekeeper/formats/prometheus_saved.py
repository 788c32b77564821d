"""
Files that hold answers of the Prometheus HTTP API: one answer for each window of a service level objective.

Two shapes are read: gatekeeper's object of one answer a window, and one answer whose series name their window,
as Sloth's recording rules do (https://sloth.dev/introduction/, `slo:sli_error:ratio_rate5m`).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gatekeeper.formats.prometheus import (
    Sample,
    malformed,
    parse_answer,
    parse_duration,
    parse_number,
    read_unix_seconds,
)
from gatekeeper.formats.strict_json import parse_json

_RECORDED = re.compile(r"slo:sli_error:ratio_rate(.+)")

MAX_SPREAD_SECONDS = 300
"""Time between the first and the last answer of one measurement; a short and a long window must belong together."""


@dataclass(frozen=True)
class SavedAnswers:
    """A saved file: window length in seconds with each series, warnings, and the number of events if it is known."""

    subject: str
    series: tuple[tuple[int, Sample], ...]
    warnings: tuple[str, ...]
    event_count: int | None

    def select(self, seconds: int, *, service: str, names: Collection[str], unlabelled: bool) -> list[Sample]:
        """
        Choose the series of one window; one with Sloth's labels belongs to the service and SLO that they name.

        `unlabelled` says whether a series without the label `sloth_slo` is taken.
        """
        return [
            sample
            for window, sample in self.series
            if window == seconds
            and sample.labels.get("sloth_service", service) == service
            and (sample.labels["sloth_slo"] in names if "sloth_slo" in sample.labels else unlabelled)
        ]


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
        raise malformed(subject, f"unknown key {unknown[0]!r}" if unknown else "`windows` holds no answers")
    series: list[tuple[int, Sample]] = []
    warnings: list[str] = []
    for name, value in windows.items():
        seconds = parse_duration(name)
        if seconds is None:
            raise malformed(subject, f"`windows` has the key {name[:40]!r}, a duration such as 5m or 30d was wanted")
        answer = parse_answer(value, f"{subject} windows.{name}")
        for sample in answer.samples:
            if _window_of(sample, subject, expected=seconds) != seconds:
                raise malformed(subject, f"under {name} lies {sample.name}, which is of another window")
            series.append((seconds, sample))
        warnings.extend(answer.warnings)
    time = _read_time(document.get("time"), subject)
    if any(abs(sample.time - time) > MAX_SPREAD_SECONDS for _, sample in series):
        raise malformed(subject, "`time` is not the time at which the answers were evaluated")
    return SavedAnswers(subject, tuple(series), tuple(warnings), _read_events(document.get("events"), subject))


def _window_of(sample: Sample, subject: str, *, expected: int | None = None) -> int:
    """The window that a series says it is of; `expected` stands in when it says nothing."""
    name = sample.labels.get("__name__", "")
    recorded = _RECORDED.fullmatch(name)
    if name.startswith("slo:") and not recorded:
        raise malformed(subject, f"{sample.name} is not an error ratio (slo:sli_error:ratio_rate…)")
    texts = [sample.labels[label] for label in ("sloth_window", "window") if label in sample.labels]
    found = {parse_duration(text) for text in (*texts, *(recorded.groups() if recorded else ()))}
    if not found and expected is not None:
        return expected
    if len(found) != 1 or None in found:
        raise malformed(subject, f"{sample.name} does not name one window")
    return next(seconds for seconds in found if seconds is not None)


def _read_events(value: Any, subject: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 10**18:
        return value
    answer = parse_answer(value, f"{subject} events")
    if len(answer.samples) != 1:
        raise malformed(subject, f"`events` holds {len(answer.samples)} series, one number was wanted")
    count = parse_number(answer.samples[0].value, f"{subject} events")
    if not 0 <= count <= 10**18:
        raise malformed(subject, f"`events` is {count}, a count was wanted")
    return int(count)


def _read_time(value: Any, subject: str) -> float:
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise malformed(subject, f"`time` is {value[:40]!r}, RFC 3339 was wanted") from error
        if moment.tzinfo is None:
            raise malformed(subject, f"`time` is {value[:40]!r}, which has no time zone")
        return moment.timestamp()
    return read_unix_seconds(value, subject)
