"""
Asking a Prometheus server for an indicator: instant queries, all evaluated at one pinned time.

A query names its window by `{{.window}}` (Sloth's way) or `${window}`; a query without one cannot be asked for
another window. Source: https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from urllib.parse import urlencode

from gatekeeper.errors import EvidenceError
from gatekeeper.formats.openslo_indicator import Indicator
from gatekeeper.formats.prometheus import Answer, parse_answer, parse_number
from gatekeeper.formats.strict_json import parse_json
from gatekeeper.gates.slo.error_budget import HOUR_SECONDS, window_name
from gatekeeper.http import Limits, check_url, fetch

_PLACEHOLDER = re.compile(r"\{\{ *\.window *\}\}|\$\{window\}")
_OTHER_TEMPLATE = re.compile(r"\{\{[^{}]*\}\}|\$\{|\$__")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`')
_CONCURRENCY = 4


@dataclass(frozen=True)
class Server:
    """Where and when to ask, and within what limits for one request."""

    url: str
    """Base URL, `http://prometheus:9090` or with a path prefix."""
    now: datetime
    """The time at which every query is evaluated."""
    limits: Limits


@dataclass(frozen=True)
class Asked:
    """What the server said about one indicator."""

    error_ratios: dict[int, Decimal]
    """Share of bad events by window in seconds."""
    event_count: int | None
    """Events in the period; None when the query does not say (see `count_events`)."""
    covers_period: bool
    """The first hour of the period has samples; without them the budget rests on less than its period."""
    warnings: tuple[str, ...]
    """Warnings and infos of all answers, each once."""
    replies: tuple[tuple[str, bytes], ...]
    """Name and bytes of every answer, in the order of asking."""


@dataclass(frozen=True)
class _Question:
    subject: str
    query: str
    unix_seconds: float


def ask(server: Server, indicator: Indicator, windows: tuple[int, ...]) -> Asked:
    """
    Ask for the error ratio over every window (seconds; the longest is the SLO period).

    Raises `EvidenceError`: unverifiable when the server is not allowed or does not answer well, missing when a
    query gives nothing or there was no traffic, malformed when it gives more than one series.
    """
    target = check_url(server.url, server.limits.allowed_hosts)
    if "?" in server.url:
        raise EvidenceError("unverifiable", target.origin, "the base URL of Prometheus holds a query")
    parts = [indicator.query] if indicator.total is None else [indicator.query, indicator.total]
    period = max(windows)
    questions = _questions(parts, indicator.kind, windows, now=server.now.timestamp())
    with ThreadPoolExecutor(_CONCURRENCY, thread_name_prefix="prometheus") as executor:
        replies = list(executor.map(lambda question: _fetch(server, question), questions))
    answers = [_answer(*pair) for pair in zip(questions, replies, strict=True)]
    numbers = [_single(*pair) for pair in zip(questions[:-1], answers[:-1], strict=True)]
    ratios = {
        window: _error_ratio(indicator, numbers[index * len(parts) :][: len(parts)], questions[index * len(parts)])
        for index, window in enumerate(windows)
    }
    total = (
        None
        if indicator.total is None
        else count_events(indicator.total, numbers[windows.index(period) * 2 + 1], period)
    )
    warnings = tuple(dict.fromkeys(text for answer in answers for text in answer.warnings))
    return Asked(ratios, total, bool(answers[-1].samples), warnings, tuple((name, body) for name, _, body in replies))


def substitute(query: str, window: str, subject: str) -> str:
    """Put a window into a query; raises `EvidenceError` (unverifiable) when it has no place for one."""
    filled, count = _PLACEHOLDER.subn(window, query)
    other = _OTHER_TEMPLATE.search(filled)
    if not count or other:
        raise EvidenceError(
            "unverifiable",
            subject,
            f"its query holds the template {other.group()!r}" if other else "its query has no place for the window",
            hint="write the range as [{{.window}}] or [${window}], and nothing else that needs filling in",
        )
    return filled


def _questions(parts: list[str], kind: str, windows: tuple[int, ...], *, now: float) -> list[_Question]:
    """Every part over every window, and last, one hour long, the beginning of the period."""
    questions = [
        _question(part, window, now, name=kind if part is parts[0] else "total") for window in windows for part in parts
    ]
    start = now - max(windows) + HOUR_SECONDS
    return [*questions, _question(parts[-1], HOUR_SECONDS, start, name="first hour of the period")]


def _question(query: str, window: int, unix_seconds: float, *, name: str) -> _Question:
    subject = f"Prometheus: {name} over {window_name(window)}"
    return _Question(subject, substitute(query, window_name(window), subject), unix_seconds)


def _fetch(server: Server, question: _Question) -> tuple[str, int, bytes]:
    parameters = urlencode({"query": question.query, "time": f"{question.unix_seconds:.3f}"})
    url = f"{server.url.rstrip('/')}/api/v1/query?{parameters}"
    reply = fetch(url, server.limits)
    return f"prometheus:{url}", reply.status, reply.body


def _answer(question: _Question, reply: tuple[str, int, bytes]) -> Answer:
    _, status, body = reply
    try:
        answer = parse_answer(parse_json(body, question.subject), question.subject)
    except EvidenceError as error:
        if status == 200 or error.kind == "unverifiable":
            raise
        raise _refuse_status(question, status) from error
    if status != 200:
        raise _refuse_status(question, status)
    return answer


def _refuse_status(question: _Question, status: int) -> EvidenceError:
    return EvidenceError(
        "unverifiable", question.subject, f"answered HTTP {status}", hint="is it a Prometheus server, and is it well?"
    )


def _single(question: _Question, answer: Answer) -> Decimal:
    if not answer.samples:
        raise EvidenceError(
            "missing",
            question.subject,
            "the query gave no series",
            hint="check the names in it; where events may never have happened, end it with `or vector(0)`",
        )
    if len(answer.samples) > 1:
        raise EvidenceError(
            "malformed",
            question.subject,
            f"the query gave {len(answer.samples)} series, one was wanted",
            hint="aggregate it, as sum(…)",
        )
    return parse_number(answer.samples[0].value, question.subject)


def _error_ratio(indicator: Indicator, numbers: list[Decimal], question: _Question) -> Decimal:
    ratio = numbers[0]
    if indicator.total is not None:
        if numbers[1] == 0:
            raise EvidenceError(
                "missing",
                question.subject,
                "the total is 0: there was no traffic to measure",
                hint="promote when the service has been used, or send it synthetic requests",
            )
        ratio = numbers[0] / numbers[1]
    return 1 - ratio if indicator.kind in ("good", "success") else ratio


def count_events(query: str, value: Decimal, seconds: int) -> int | None:
    """Number of events behind a total that is plainly `sum(increase(…))` or `sum(rate(…))`; else nobody knows."""
    bare = re.sub(r"\s+", "", _QUOTED.sub('""', query))
    form = re.fullmatch(r"(?:sum\()?(rate|increase)\([^()]*\)\)?", bare)
    if form is None:
        return None
    return max(0, int(value if form.group(1) == "increase" else value * seconds))
