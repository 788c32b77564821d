"""Answers of Prometheus are taken as they are, and anything doubtful in them is refused."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.errors import EvidenceError
from gatekeeper.formats.prometheus import Sample, parse_answer, parse_duration, parse_number
from gatekeeper.formats.prometheus_saved import MAX_SPREAD_SECONDS, parse_saved

NOW = 1795435200.0


def vector(*series: tuple[dict[str, str], str], **more: Any) -> dict[str, Any]:
    result = [{"metric": labels, "value": [NOW, value]} for labels, value in series]
    return {"status": "success", "data": {"resultType": "vector", "result": result}, **more}


def refused(document: Any) -> EvidenceError:
    with pytest.raises(EvidenceError) as caught:
        parse_answer(document, "answer.json")
    assert caught.value.subject == "answer.json"
    return caught.value


def test_reads_an_instant_vector() -> None:
    """Labels, time and the value's text come out unchanged."""
    answer = parse_answer(vector(({"job": "api"}, "0.001")), "x")
    assert answer.samples == (Sample({"job": "api"}, NOW, "0.001"),)
    assert answer.samples[0].name == '{job="api"}'


def test_reads_a_scalar_as_one_series() -> None:
    """`scalar(…)` and literals give a value without labels."""
    document = {"status": "success", "data": {"resultType": "scalar", "result": [NOW, "1"]}}
    assert parse_answer(document, "x").samples == (Sample({}, NOW, "1"),)


def test_an_empty_result_is_no_series() -> None:
    """Nothing is known, which the caller must treat as missing."""
    assert parse_answer(vector(), "x").samples == ()


def test_keeps_warnings_and_infos() -> None:
    """What Prometheus remarks about the answer is kept, shortened, and not more than 100 of it."""
    answer = parse_answer(vector(warnings=["w" * 1000], infos=["i"] * 500), "x")
    assert answer.warnings[:2] == ("w" * 300, "i")
    assert len(answer.warnings) == 100


def test_an_error_of_prometheus_is_a_gap_with_its_words() -> None:
    """The type and the text of the error reach the reader."""
    error = refused({"status": "error", "errorType": "bad_data", "error": "parse error: unexpected end"})
    assert error.kind == "unverifiable"
    assert "bad_data: parse error: unexpected end" in error.problem


def series(**changes: Any) -> dict[str, Any]:
    item: dict[str, Any] = {"metric": {}, "value": [NOW, "1"], **changes}
    return {"status": "success", "data": {"resultType": "vector", "result": [item]}}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (None, "null"),
        ([], "an array"),
        ("text", "a string"),
        ({}, "no `status`"),
        ({"status": "succes", "data": {}}, "no `status`"),
        ({"status": "success"}, "no `status`"),
        ({"status": "success", "data": {"resultType": "matrix", "result": []}}, "type matrix"),
        ({"status": "success", "data": {"resultType": "string", "result": [NOW, "x"]}}, "type string"),
        ({"status": "success", "data": {"result": []}}, "type None"),
        ({"status": "success", "data": {"resultType": "vector", "result": {}}}, "not a list"),
        ({"status": "success", "data": {"resultType": "vector", "result": [7]}}, "`metric`"),
        (series(metric=None), "`metric`"),
        (series(metric={"le": 5}), "`metric`"),
        (series(value=None, histogram=[NOW, {}]), "native histograms"),
        (series(value=[NOW, 0.5]), "`value`"),
        (series(value=[NOW]), "`value`"),
        (series(value=["now", "1"]), "Unix seconds"),
        (series(value=[True, "1"]), "Unix seconds"),
        (series(value=[-1, "1"]), "Unix seconds"),
        (series(value=[1e15, "1"]), "Unix seconds"),
        (vector(warnings="careful"), "`warnings`"),
        (vector(infos=[1]), "`infos`"),
    ],
)
def test_refuses_what_is_no_answer(document: Any, words: str) -> None:
    """Range vectors, foreign shapes and numbers that are not text are malformed."""
    error = refused(document)
    assert error.kind == "malformed"
    assert words in error.problem


@pytest.mark.parametrize(
    ("text", "value"), [("0", "0"), ("0.001", "0.001"), ("1e-05", "0.00001"), ("-0", "0"), ("1.5E+3", "1500")]
)
def test_reads_numbers_exactly(text: str, value: str) -> None:
    """Values are text in the API and become exact decimals."""
    assert parse_number(text, "x") == Decimal(value)


def test_nan_says_that_there_was_no_traffic() -> None:
    """0/0 is no measurement: missing, not 0."""
    with pytest.raises(EvidenceError, match="no traffic") as caught:
        parse_number("NaN", "x")
    assert caught.value.kind == "missing"


@pytest.mark.parametrize(
    "text", ["+Inf", "-Inf", "Infinity", "nan", "sNaN", "", " 1", "1_0", "0x1", "1e9999", "٣", "1,5", "--1"]
)
def test_refuses_what_is_no_number(text: str) -> None:
    """Infinities and near-numbers are malformed."""
    with pytest.raises(EvidenceError, match="finite number") as caught:
        parse_number(text, "x")
    assert caught.value.kind == "malformed"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5m", 300), ("1h30m", 5400), ("1w", 604800), ("4w", 2419200), ("30d", 2592000), ("1y", 31536000), ("90s", 90),
     ("0s", None), ("5", None), ("m", None), ("5ms", None), ("1h5ms", None), ("-5m", None), ("5 m", None), ("5M", None),
     ("", None), ("9999999d", None)],
)  # fmt: skip
def test_reads_durations_of_promql(text: str, seconds: int | None) -> None:
    """A window's name counts in seconds; what is no duration is None."""
    assert parse_duration(text) == seconds


def save(document: Any) -> Any:
    return parse_saved(json.dumps(document).encode(), "saved.json")


def windows(**answers: Any) -> dict[str, Any]:
    return {"time": NOW, "windows": {name[1:]: answer for name, answer in answers.items()}}


def test_reads_one_answer_for_each_window() -> None:
    """The key is the window; the warnings of all answers are kept."""
    saved = save(windows(w5m=vector(({}, "0.1"), warnings=["slow"]), w30d=vector(({}, "0.2"))))
    assert [(seconds, sample.value) for seconds, sample in saved.series] == [(300, "0.1"), (2592000, "0.2")]
    assert (saved.warnings, saved.event_count) == (("slow",), None)


@pytest.mark.parametrize("time", [NOW, int(NOW), "2026-11-23T12:00:00Z", "2026-11-23T13:00:00.5+01:00"])
def test_reads_the_time_in_either_form(time: Any) -> None:
    """Unix seconds or RFC 3339."""
    assert len(save(windows(w5m=vector(({}, "0"))) | {"time": time}).series) == 1


@pytest.mark.parametrize(
    "time",
    [
        None,
        "",
        "yesterday",
        "2026-11-23T12:00:00",
        "2026-11-23",
        True,
        NOW + MAX_SPREAD_SECONDS + 1,
        "2025-01-01T00:00:00Z",
    ],
)
def test_refuses_a_time_that_is_not_that_of_the_answers(time: Any) -> None:
    """A time without a zone, no time, or another time than the answers' own is malformed."""
    with pytest.raises(EvidenceError, match="time") as caught:
        save(windows(w5m=vector(({}, "0"))) | {"time": time})
    assert caught.value.kind == "malformed"


@pytest.mark.parametrize(("events", "count"), [(0, 0), (12, 12), (vector(({}, "1234.7")), 1234)])
def test_reads_the_number_of_events(events: Any, count: int) -> None:
    """A whole number, or an answer with one series."""
    assert save(windows(w5m=vector(({}, "0"))) | {"events": events}).event_count == count


@pytest.mark.parametrize(
    "events", [-1, 1.5, True, "12", vector(), vector(({}, "1"), ({}, "2")), vector(({}, "-1")), vector(({}, "NaN"))]
)
def test_refuses_events_that_are_no_count(events: Any) -> None:
    """A number of events is not negative, not a guess and not two numbers."""
    with pytest.raises(EvidenceError):
        save(windows(w5m=vector(({}, "0"))) | {"events": events})


@pytest.mark.parametrize("label", ["sloth_window", "window"])
def test_reads_the_window_from_a_label(label: str) -> None:
    """One answer may hold all windows, each series with its own."""
    saved = save(vector(({label: "5m"}, "0.1"), ({label: "1w"}, "0.2")))
    assert [seconds for seconds, _ in saved.series] == [300, 604800]


def test_reads_the_window_from_the_name_of_a_recording_rule() -> None:
    """Sloth records slo:sli_error:ratio_rate<window>."""
    saved = save(vector(({"__name__": "slo:sli_error:ratio_rate1h"}, "0"), infos=["note"]))
    assert [seconds for seconds, _ in saved.series] == [3600]
    assert saved.warnings == ("note",)


def test_selects_the_series_of_one_slo() -> None:
    """Series with Sloth's labels belong to the service and SLO that they name; others to whoever asked."""
    labels = {"sloth_window": "5m", "sloth_service": "api", "sloth_slo": "a"}
    saved = save(
        vector(
            (labels, "1"),
            (labels | {"sloth_slo": "b"}, "2"),
            (labels | {"sloth_service": "x"}, "3"),
            ({"window": "5m"}, "4"),
        )
    )

    def values(**options: Any) -> list[str]:
        return [sample.value for sample in saved.select(300, service="api", **options)]

    assert values(names={"a"}, unlabelled=False) == ["1"]
    assert values(names={"b"}, unlabelled=True) == ["2", "4"]
    assert values(names={"c"}, unlabelled=False) == []
    assert saved.select(600, service="api", names={"a"}, unlabelled=True) == []


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (vector(({}, "0")), "does not name one window"),
        (vector(({"window": "soon"}, "0")), "does not name one window"),
        (vector(({"window": "5m", "sloth_window": "1h"}, "0")), "does not name one window"),
        (vector(({"window": "5m", "__name__": "slo:sli_error:ratio_rate1h"}, "0")), "does not name one window"),
        (vector(({"window": "5m", "__name__": "slo:current_burn_rate:ratio"}, "0")), "not an error ratio"),
        ({"windows": {}}, "holds no answers"),
        ({"windows": []}, "holds no answers"),
        (windows(w5m=vector()) | {"event": 1}, "unknown key 'event'"),
        (windows(w5minutes=vector()), "'5minutes'"),
        (windows(w5m=vector(({"sloth_window": "1h"}, "0"))), "of another window"),
        (windows(w5m=[]), "an array"),
    ],
)
def test_refuses_a_saved_file_that_is_ambiguous(document: Any, words: str) -> None:
    """A series whose window is unclear, a misspelt key or an empty file is malformed."""
    with pytest.raises(EvidenceError) as caught:
        save(document)
    assert caught.value.kind == "malformed"
    assert words in caught.value.problem


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b'{"windows": {"5m"', "not JSON"),
        (b"\xff", "not UTF-8"),
        (b'{"windows": {}, "windows": {}}', "duplicate key"),
        (b'{"windows": {"5m": NaN}}', "NaN"),
        (b"[" * 200 + b"]" * 200, "nested"),
        (b"<html>502 Bad Gateway</html>", "not JSON"),
    ],
)
def test_refuses_bytes_that_are_no_json(data: bytes, words: str) -> None:
    """Truncated, hostile and foreign files are malformed and named."""
    with pytest.raises(EvidenceError) as caught:
        parse_saved(data, "saved.json")
    assert (caught.value.kind, caught.value.subject) == ("malformed", "saved.json")
    assert words in caught.value.problem


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["status", "data", "resultType", "result", "metric", "value", "windows", "time", "5m", "error"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_any_json_is_read_or_refused(document: Any) -> None:
    """No JSON value causes another exception than EvidenceError."""
    kind = ""
    try:
        save(document)
    except EvidenceError as error:
        kind = error.kind
    assert kind in ("", "malformed", "unverifiable", "missing")


def test_reads_or_refuses_every_example_of_prometheus_own_documentation(corpus: Path) -> None:
    """Instant vectors of the documentation are read; every other example and file is refused by reason."""
    folder = corpus / "slo" / "prometheus"
    documents = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
    text = next(folder.rglob("api.md")).read_text("utf-8")
    documents += [each.encode() for each in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    answers, refusals = 0, []
    for data in documents:
        try:
            answers += len(parse_answer(json.loads(data), "api.md").samples)
        except json.JSONDecodeError:
            with pytest.raises(EvidenceError, match="not JSON"):
                parse_saved(data, "api.md")
            refusals.append("not JSON")
        except EvidenceError as error:
            refusals.append(error.problem)
    assert (len(documents), answers, len(refusals)) == (46, 2, 45)
