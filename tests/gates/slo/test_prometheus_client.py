"""Asking Prometheus: the window goes into the query, and every odd answer is a gap."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gatekeeper.errors import EvidenceError
from gatekeeper.formats.openslo_indicator import Indicator
from gatekeeper.gates.slo.prometheus import Server, ask, count_events, substitute
from gatekeeper.http import Limits

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WINDOWS = (300, 2592000)
BAD = Indicator("bad", "sum(rate(bad[{{.window}}]))", "sum(rate(all[${window}]))")

Respond = Callable[[str, str], tuple[int, Any]]


def vector(*values: str, **more: Any) -> tuple[int, dict[str, Any]]:
    result = [{"metric": {"n": str(number)}, "value": [1, value]} for number, value in enumerate(values)]
    return 200, {"status": "success", "data": {"resultType": "vector", "result": result}, **more}


@contextmanager
def answering(respond: Respond) -> Iterator[tuple[Server, list[tuple[str, str, str]]]]:
    """A server of the query API that answers what a function says; yields what it was asked."""
    asked: list[tuple[str, str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            parameters = {key: value[0] for key, value in parse_qs(parts.query).items()}
            asked.append((parts.path, parameters["query"], parameters["time"]))
            status, body = respond(parameters["query"], parameters["time"])
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, *_arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02))
    thread.start()
    host = f"127.0.0.1:{server.server_address[1]}"
    try:
        yield Server(f"http://{host}/prefix/", NOW, Limits((host,), 5, 10_000)), asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def refused(respond: Respond, indicator: Indicator = BAD) -> EvidenceError:
    with answering(respond) as (server, _), pytest.raises(EvidenceError) as caught:
        ask(server, indicator, WINDOWS)
    return caught.value


def test_asks_each_query_for_each_window_at_one_time() -> None:
    """Bad and total over 5m and 30d at the pinned time, and once at the beginning of the period."""
    with answering(lambda query, _: vector("1" if "bad" in query else "100")) as (server, asked):
        found = ask(server, BAD, WINDOWS)
    assert found.error_ratios == {300: Decimal("0.01"), 2592000: Decimal("0.01")}
    assert found.covers_period
    assert {path for path, _, _ in asked} == {"/prefix/api/v1/query"}
    now, start = f"{NOW.timestamp():.3f}", f"{NOW.timestamp() - 2592000 + 3600:.3f}"
    assert sorted((query, time) for _, query, time in asked) == [
        ("sum(rate(all[1h]))", start),
        ("sum(rate(all[30d]))", now),
        ("sum(rate(all[5m]))", now),
        ("sum(rate(bad[30d]))", now),
        ("sum(rate(bad[5m]))", now),
    ]


def test_keeps_every_answer_with_the_url_that_gave_it() -> None:
    """The bytes and the URL of each answer are sources of the evidence, in the order of asking."""
    with answering(lambda *_: vector("1")) as (server, _):
        replies = ask(server, BAD, WINDOWS).replies
    assert len(replies) == 5
    name, body = replies[0]
    assert name.startswith(
        f"prometheus:{server.url.rstrip('/')}/api/v1/query?query=sum%28rate%28bad%5B5m%5D%29%29&time="
    )
    assert json.loads(body) == vector("1")[1]


@pytest.mark.parametrize(
    ("indicator", "value", "ratio"),
    [
        (Indicator("good", "g[{{ .window }}]", "t[{{.window}}]"), {"g": "99", "t": "100"}, "0.01"),
        (Indicator("bad", "b[${window}]", "t[${window}]"), {"b": "3", "t": "100"}, "0.03"),
        (Indicator("success", "r[${window}]"), {"r": "0.999"}, "0.001"),
        (Indicator("failure", "r[${window}]"), {"r": "0.002"}, "0.002"),
    ],
)
def test_makes_an_error_ratio_of_every_indicator(indicator: Indicator, value: dict[str, str], ratio: str) -> None:
    """Good and success count against 1; arithmetic is exact."""
    with answering(lambda query, _: vector(value[query[0]])) as (server, _):
        found = ask(server, indicator, WINDOWS)
    assert set(found.error_ratios.values()) == {Decimal(ratio)}


def test_warns_once_of_each_warning() -> None:
    """Warnings and infos of all answers are kept, each once."""
    with answering(lambda *_: vector("1", warnings=["slow"], infos=["not a counter"])) as (server, _):
        assert ask(server, BAD, WINDOWS).warnings == ("slow", "not a counter")


def test_notices_that_the_period_is_not_covered() -> None:
    """Without samples in the period's first hour, the budget rests on less."""
    with answering(lambda query, _: vector() if "[1h]" in query else vector("1")) as (server, _):
        assert not ask(server, BAD, WINDOWS).covers_period


@pytest.mark.parametrize(
    ("respond", "kind", "words"),
    [
        pytest.param(lambda *_: vector(), "missing", "no series", id="no series"),
        pytest.param(lambda *_: vector("1", "2"), "malformed", "2 series", id="two series"),
        pytest.param(lambda *_: vector("NaN"), "missing", "no traffic", id="NaN"),
        pytest.param(lambda *_: vector("+Inf"), "malformed", "finite", id="infinity"),
        pytest.param(lambda *_: vector("0"), "missing", "total is 0", id="no traffic"),
        pytest.param(lambda *_: (502, b"<html>Bad Gateway"), "unverifiable", "HTTP 502", id="gateway"),
        pytest.param(lambda *_: (500, vector("1")[1]), "unverifiable", "HTTP 500", id="success with 500"),
        pytest.param(lambda *_: (200, b"<html>Sign in"), "malformed", "not JSON", id="sign-in page"),
        pytest.param(lambda *_: (302, b""), "unverifiable", "redirects", id="redirect"),
        pytest.param(lambda *_: (200, b" " * 20_000), "unverifiable", "more than 10000 bytes", id="too large"),
        pytest.param(
            lambda *_: (422, {"status": "error", "errorType": "execution", "error": "many-to-many"}),
            "unverifiable", "execution: many-to-many", id="Prometheus error",
        ),
        pytest.param(
            lambda query, _: vector("1") if "[5m]" in query else vector(), "missing", "no series", id="one window missing"
        ),
    ],
)  # fmt: skip
def test_every_odd_answer_is_a_gap(respond: Respond, kind: str, words: str) -> None:
    """One doubtful answer of all that were needed is enough."""
    error = refused(respond)
    assert error.kind == kind
    assert words in error.problem


def test_names_the_query_and_the_window_at_fault() -> None:
    """The reader learns which query over which window gave nothing."""
    error = refused(lambda query, _: vector() if "all[30d]" in query else vector("1"))
    assert error.subject == "Prometheus: total over 30d"


@pytest.mark.parametrize(
    ("query", "filled"),
    [
        ("rate(x[{{.window}}])", "rate(x[5m])"),
        ("rate(x[{{ .window }}])", "rate(x[5m])"),
        ("a[${window}] + b[${window}]", "a[5m] + b[5m]"),
        ('x{a=~"^b$"}[${window}]', 'x{a=~"^b$"}[5m]'),
    ],
)
def test_puts_the_window_into_every_place_for_it(query: str, filled: str) -> None:
    """Sloth's template and the shell's form are both filled in."""
    assert substitute(query, "5m", "x") == filled


@pytest.mark.parametrize(
    "query",
    ["rate(x[5m])", "x", "x[{{window}}]", "x[$window]", "x[{{.window}}]{{.labels}}", "x[${window}]${y}", "x[$__range]"],
)
def test_refuses_a_query_that_names_no_window(query: str) -> None:
    """The same query for all windows would make them all equal."""
    with pytest.raises(EvidenceError, match="query") as caught:
        substitute(query, "5m", "x")
    assert caught.value.kind == "unverifiable"
    assert "{{.window}}" in caught.value.hint


def test_asks_nobody_who_is_not_allowed() -> None:
    """The settings' list of hosts is looked at before anything is sent; a query in the URL is refused."""
    with answering(lambda *_: vector("1")) as (server, asked):
        for url, hosts in ((server.url, ()), (server.url + "?x=1", server.limits.allowed_hosts)):
            with pytest.raises(EvidenceError, match=r"not allowed|holds a query") as caught:
                ask(Server(url, NOW, Limits(hosts, 5, 1000)), BAD, WINDOWS)
            assert caught.value.kind == "unverifiable"
    assert asked == []


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("sum(rate(x[30d]))", 200),
        ('sum ( rate(x{a=~"(5..|429)"}[{{.window}}]) )', 200),
        ("sum(increase(x[30d]))", 2),
        ("increase(x[30d])", 2),
        ("60 * sum(rate(x[30d]))", None),
        ("sum(rate(x[30d])) + sum(rate(y[30d]))", None),
        ("sum(irate(x[30d]))", None),
        ("sum_over_time(x[30d])", None),
        ("x", None),
    ],
)
def test_counts_events_only_where_the_query_is_plain(query: str, count: int | None) -> None:
    """A rate is per second, an increase is a count, and of anything else nobody knows."""
    assert count_events(query, Decimal("2.00"), 100) == count
