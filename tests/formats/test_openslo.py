"""OpenSLO files give an exact objective, or say why they do not."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.errors import EvidenceError
from gatekeeper.formats.openslo import Slo, read_slo
from gatekeeper.formats.openslo_indicator import Indicator

GOOD = 'sum(rate(http_total{code!~"5.."}[{{.window}}]))'
TOTAL = "sum(rate(http_total[{{.window}}]))"


def metric(query: str, kind: str | None = "Prometheus", **more: Any) -> dict[str, Any]:
    source: dict[str, Any] = {"spec": {"query": query}, **more}
    return {"metricSource": source | ({"type": kind} if kind else {})}


def slo(name: str = "availability") -> dict[str, Any]:
    return {
        "apiVersion": "openslo/v1",
        "kind": "SLO",
        "metadata": {"name": name},
        "spec": {
            "service": "api",
            "indicator": {
                "metadata": {"name": "answered"},
                "spec": {"ratioMetric": {"counter": True, "good": metric(GOOD), "total": metric(TOTAL)}},
            },
            "timeWindow": [{"duration": "30d", "isRolling": True}],
            "budgetingMethod": "Occurrences",
            "objectives": [{"displayName": "Answered", "target": 0.999}],
        },
    }


def read(*objects: dict[str, Any], name: str | None = None) -> Slo:
    return read_slo("\n---\n".join(map(json.dumps, objects)).encode(), "slo.yaml", name=name)


def changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    document = copy.deepcopy(slo())
    change(document)
    return document


def test_reads_a_ratio_over_a_rolling_window() -> None:
    """Name, service, period, exact target and both queries come out as they were written."""
    found = read(slo())
    assert (found.name, found.service, found.period_seconds) == ("availability", "api", 30 * 86400)
    assert [(each.name, each.target) for each in found.objectives] == [("Answered", Decimal("0.999"))]
    assert found.objectives[0].indicator == Indicator("good", GOOD, TOTAL)


def test_says_where_the_target_is_written() -> None:
    """The place of a target counts lines and columns from 1."""
    text = json.dumps(slo(), indent=1)
    line = next(number for number, each in enumerate(text.splitlines(), 1) if '"target"' in each)
    place = read_slo(text.encode(), "slo.yaml").objectives[0].location
    assert place is not None
    assert (place.path, place.line) == ("slo.yaml", line)


def test_reads_a_file_that_ends_with_a_separator() -> None:
    """An empty document at the end is no SLO; the place is then not known."""
    found = read_slo(json.dumps(slo()).encode() + b"\n---\n", "slo.yaml")
    assert (found.name, found.objectives[0].location) == ("availability", None)


@pytest.mark.parametrize(
    ("text", "seconds"), [("7d", 604800), ("1w", 604800), ("4w", 2419200), ("720h", 2592000), ("43200m", 2592000)]
)
def test_reads_the_duration_shorthand(text: str, seconds: int) -> None:
    """m, h, d and w have a fixed length."""
    assert read(changed(lambda each: each["spec"]["timeWindow"][0].update(duration=text))).period_seconds == seconds


@pytest.mark.parametrize(
    ("objective", "target"),
    [
        ({"target": 0.99}, "0.99"),
        ({"targetPercent": 99.9}, "0.999"),
        ({"targetPercent": 99}, "0.99"),
        ({"target": 0}, "0"),
    ],
)
def test_reads_targets_exactly(objective: dict[str, Any], target: str) -> None:
    """A target in per cent is the same as its share, without an error of a float."""
    found = read(changed(lambda each: each["spec"].update(objectives=[objective]))).objectives[0]
    assert (found.target, found.name) == (Decimal(target), "objective 1")


def test_reads_bad_and_raw_ratios() -> None:
    """bad/total and ready ratios of success or failure are ratios too."""
    bad = {"bad": metric("b"), "total": metric("t", "prometheus")}
    raw = {"raw": metric("r", "PROMETHEUS"), "rawType": "failure"}
    found = [
        read(changed(lambda each, ratio=ratio: each["spec"]["indicator"].update(spec={"ratioMetric": ratio})))
        for ratio in (bad, raw, raw | {"rawType": "success"})
    ]
    assert [each.objectives[0].indicator for each in found] == [
        Indicator("bad", "b", "t"), Indicator("failure", "r"), Indicator("success", "r"),
    ]  # fmt: skip


def test_follows_references_within_the_file() -> None:
    """An indicator and the type of its source may be other objects of the same file."""
    document = changed(lambda each: each["spec"].update(indicatorRef="sli", indicator=None))
    ratio = {"good": metric("g", None, metricSourceRef="metrics"), "total": metric("t")}
    sli = {"apiVersion": "openslo/v1", "kind": "SLI", "metadata": {"name": "sli"}, "spec": {"ratioMetric": ratio}}
    source = {"apiVersion": "openslo/v1", "kind": "DataSource", "metadata": {"name": "metrics"}}
    source["spec"] = {"type": "Prometheus", "connectionDetails": [{"url": "http://x"}]}
    assert read(document, sli, source).objectives[0].indicator == Indicator("good", "g", "t")
    for objects, kind in (
        ([document], "missing"),
        ([document, sli, sli], "malformed"),
        ([document, sli], "unverifiable"),
    ):
        with pytest.raises(EvidenceError) as caught:
            read(*objects)
        assert caught.value.kind == kind
    with pytest.raises(EvidenceError, match="not openslo/v1"):
        read(document, sli | {"apiVersion": "openslo/v2"})


def test_chooses_the_slo_by_name() -> None:
    """Several SLOs need a name, and the name needs an SLO."""
    assert read(slo("a"), slo("b"), name="b").name == "b"
    assert read_slo(json.dumps([slo("a"), slo("b")]).encode(), "x", name="a").name == "a"
    for objects, name, kind, words in (
        ([slo("a"), slo("b")], None, "unverifiable", "holds 2 SLOs (a, b)"),
        ([slo("a")], "c", "missing", "no SLO 'c' in it; found: a"),
        ([slo("a"), slo("a")], "a", "malformed", "used by 2 SLOs"),
        (
            [{"apiVersion": "openslo/v1", "kind": "Service", "metadata": {"name": "s"}}],
            None,
            "missing",
            "no object of kind SLO",
        ),
    ):
        with pytest.raises(EvidenceError) as caught:
            read(*objects, name=name)
        assert caught.value.kind == kind
        assert words in caught.value.problem


def alpha(*objectives: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "openslo/v1alpha",
        "kind": "SLO",
        "metadata": {"name": "sloth-slo"},
        "spec": {
            "service": "api",
            "budgetingMethod": "Occurrences",
            "objectives": list(objectives),
            "timeWindows": [{"count": 30, "unit": "Day"}],
        },
    }


def ratios(query: str, source: str = "prometheus") -> dict[str, Any]:
    return {"ratioMetrics": {"good": {"source": source, "query": query}, "total": {"source": source, "query": "t"}}}


def test_reads_v1alpha_as_sloth_does() -> None:
    """Each objective of v1alpha has its own indicator, and a window without a calendar rolls."""
    found = read(alpha({"target": 0.99, **ratios("a")}, {"target": 0.999, **ratios("b")}))
    assert found.period_seconds == 30 * 86400
    assert [each.indicator.query for each in found.objectives] == ["a", "b"]


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        pytest.param(lambda s: s.update(apiVersion="openslo.com/v2alpha"), "unverifiable", "v2alpha", id="v2alpha"),
        pytest.param(lambda s: s.pop("spec"), "malformed", "spec: is missing", id="no spec"),
        pytest.param(lambda s: s.pop("metadata"), "malformed", "metadata: is missing", id="no metadata"),
        pytest.param(lambda s: s["metadata"].update(name=""), "malformed", "metadata.name", id="blank name"),
        pytest.param(lambda s: s["metadata"].update(name="x" * 256), "malformed", "1 to 255", id="long name"),
        pytest.param(lambda s: s["spec"].pop("service"), "malformed", "spec.service", id="no service"),
        pytest.param(lambda s: s["spec"].update(service=7), "malformed", "spec.service", id="service is a number"),
        pytest.param(
            lambda s: s["spec"].update(budgetingMethod="Timeslices"), "unverifiable", "Timeslices", id="time slices"
        ),
        pytest.param(
            lambda s: s["spec"].update(budgetingMethod="RatioTimeslices"), "unverifiable", "RatioTimeslices", id="ratio slices"
        ),
        pytest.param(lambda s: s["spec"].pop("budgetingMethod"), "unverifiable", "only Occurrences", id="no method"),
        pytest.param(lambda s: s["spec"].pop("timeWindow"), "unverifiable", "no period", id="no window"),
        pytest.param(lambda s: s["spec"].update(timeWindow=[]), "malformed", "at least one item", id="empty window"),
        pytest.param(
            lambda s: s["spec"].update(timeWindow=[{"duration": "30d"}] * 2), "malformed", "exactly one", id="two windows"
        ),
        pytest.param(lambda s: s["spec"].update(timeWindow=["30d"]), "malformed", "exactly one", id="window is text"),
        pytest.param(
            lambda s: s["spec"]["timeWindow"][0].update(isRolling=False), "unverifiable", "calendar", id="calendar-aligned"
        ),
        pytest.param(
            lambda s: s["spec"]["timeWindow"][0].pop("isRolling"), "unverifiable", "calendar", id="rolling not said"
        ),
        pytest.param(
            lambda s: s["spec"]["timeWindow"][0].update(calendar={"timeZone": "UTC"}), "unverifiable", "calendar",
            id="both",
        ),
        pytest.param(lambda s: s["spec"]["timeWindow"][0].update(duration="30"), "malformed", "'30'", id="no unit"),
        pytest.param(lambda s: s["spec"]["timeWindow"][0].update(duration="0d"), "malformed", "'0d'", id="zero"),
        pytest.param(lambda s: s["spec"]["timeWindow"][0].update(duration="1M"), "unverifiable", "fixed", id="month"),
        pytest.param(lambda s: s["spec"]["timeWindow"][0].update(duration="1m"), "unverifiable", "7 to", id="minute"),
        pytest.param(lambda s: s["spec"]["timeWindow"][0].update(duration="6d"), "unverifiable", "7 to", id="too short"),
        pytest.param(lambda s: s["spec"]["timeWindow"][0].update(duration="367d"), "unverifiable", "7 to", id="too long"),
        pytest.param(lambda s: s["spec"].update(objectives=[]), "malformed", "objectives", id="no objectives"),
        pytest.param(
            lambda s: s["spec"].update(objectives=[{"target": 0.9}] * 21), "malformed", "more than 20", id="many objectives"
        ),
        pytest.param(lambda s: s["spec"].update(objectives=[{}]), "malformed", "exactly one of target", id="no target"),
        pytest.param(
            lambda s: s["spec"]["objectives"][0].update(targetPercent=99.9), "malformed", "exactly one of", id="two targets"
        ),
        pytest.param(lambda s: s["spec"]["objectives"][0].update(target=1), "unverifiable", "100 %", id="target of 1"),
        pytest.param(lambda s: s["spec"]["objectives"][0].update(target=1.0), "unverifiable", "100 %", id="target of 1.0"),
        pytest.param(lambda s: s["spec"]["objectives"][0].update(target=99.9), "malformed", "not in", id="percent as share"),
        pytest.param(lambda s: s["spec"]["objectives"][0].update(target=-0.1), "malformed", "not in", id="negative"),
        pytest.param(lambda s: s["spec"]["objectives"][0].update(target="0.9"), "malformed", "not a number", id="text"),
        pytest.param(lambda s: s["spec"]["objectives"][0].update(target=True), "malformed", "not a number", id="boolean"),
        pytest.param(
            lambda s: s["spec"]["objectives"][0].update(indicatorRef="x"), "unverifiable", "composite", id="composite"
        ),
        pytest.param(lambda s: s["spec"].update(indicatorRef="x"), "malformed", "exactly one", id="two indicators"),
        pytest.param(lambda s: s["spec"].pop("indicator"), "malformed", "exactly one", id="no indicator"),
        pytest.param(
            lambda s: s["spec"]["indicator"].update(spec={"thresholdMetric": {}}), "unverifiable", "threshold", id="threshold"
        ),
        pytest.param(lambda s: s["spec"]["indicator"].update(spec={}), "malformed", "ratioMetric", id="no metric"),
    ],
)  # fmt: skip
def test_refuses_with_a_reason(change: Callable[[dict[str, Any]], Any], kind: str, words: str) -> None:
    """What gatekeeper does not compute is refused by kind and in words, never guessed."""
    with pytest.raises(EvidenceError) as caught:
        read(changed(change))
    assert caught.value.subject == "slo.yaml"
    assert caught.value.kind == kind
    assert words in caught.value.problem


@pytest.mark.parametrize(
    ("ratio", "kind", "words"),
    [
        ({"good": metric("g")}, "malformed", "total: is missing"),
        ({"total": metric("t")}, "malformed", "exactly one of good and bad"),
        ({"good": metric("g"), "bad": metric("b"), "total": metric("t")}, "malformed", "exactly one of good and bad"),
        ({"good": metric("g", "Datadog"), "total": metric("t")}, "unverifiable", "'Datadog' is not read"),
        ({"good": metric("g", None), "total": metric("t")}, "unverifiable", "type is not given"),
        ({"good": metric(" "), "total": metric("t")}, "malformed", "query"),
        ({"good": metric("g" * 10_001), "total": metric("t")}, "malformed", "query"),
        ({"counter": "yes", "good": metric("g"), "total": metric("t")}, "malformed", "counter"),
        ({"raw": metric("r")}, "malformed", "rawType"),
        ({"raw": metric("r"), "rawType": "sucess"}, "malformed", "rawType"),
        ({"raw": metric("r"), "rawType": "success", "total": metric("t")}, "malformed", "together"),
    ],
)
def test_refuses_half_an_indicator(ratio: dict[str, Any], kind: str, words: str) -> None:
    """An indicator that is incomplete, contradicts itself or is not of Prometheus is refused."""
    with pytest.raises(EvidenceError) as caught:
        read(changed(lambda each: each["spec"]["indicator"].update(spec={"ratioMetric": ratio})))
    assert caught.value.kind == kind
    assert words in caught.value.problem


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda s: s["spec"]["timeWindows"][0].update(unit="Month"), "unverifiable"),
        (lambda s: s["spec"]["timeWindows"][0].update(count=True), "malformed"),
        (lambda s: s["spec"]["timeWindows"][0].update(count=3), "unverifiable"),
        (lambda s: s["spec"]["timeWindows"][0].update(calendar={}, isRolling=None), "unverifiable"),
        (lambda s: s["spec"]["timeWindows"][0].update(isRolling=False), "unverifiable"),
        (lambda s: s["spec"].update(indicator={"thresholdMetric": {}}), "unverifiable"),
        (lambda s: s["spec"]["objectives"][0].update(ratios("a", "datadog")), "unverifiable"),
        (lambda s: s["spec"]["objectives"][0].pop("ratioMetrics"), "malformed"),
    ],
)
def test_refuses_v1alpha_that_sloth_would_not_roll(change: Callable[[dict[str, Any]], Any], kind: str) -> None:
    """v1alpha is read for Prometheus ratios over rolling windows only."""
    document = alpha({"target": 0.99, **ratios("a")})
    change(document)
    with pytest.raises(EvidenceError) as caught:
        read(document)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"---\n", "empty"),
        (b"\xff\xfe", "not UTF-8"),
        (b"kind: SLO\nkind: SLO\n", "duplicate key"),
        (b"spec: {", "not YAML"),
        (b"target: .nan", "not a number"),
        (b"[1, 2]", "not an OpenSLO object"),
        (b"just text", "not an OpenSLO object"),
        (b"kind: [SLO]", "not an OpenSLO object"),
        (b"kind: !run SLO", "tag"),
    ],
)
def test_refuses_bytes_that_are_no_openslo(data: bytes, words: str) -> None:
    """Empty, truncated, hostile and foreign files are malformed and named."""
    with pytest.raises(EvidenceError) as caught:
        read_slo(data, "slo.yaml")
    assert (caught.value.kind, caught.value.subject) == ("malformed", "slo.yaml")
    assert words in caught.value.problem


def _names(data: bytes) -> list[str | None]:
    """The names of the SLOs in a file, or None for a file that has none."""
    found = re.findall(
        r"^ *-? *kind: SLO\n *metadata:\n(?: +displayName:.*\n)? +name: (.+)$", data.decode(), re.MULTILINE
    )
    return [each.strip('"') for each in found] or [None]


def test_reads_or_refuses_every_file_of_the_corpus(corpus: Path) -> None:
    """Every SLO of every OpenSLO, Sloth and slo-generator file is read, or refused by file name and reason."""
    read_slos: list[str] = []
    refused: list[EvidenceError] = []
    paths = [path for path in sorted((corpus / "slo").rglob("*")) if path.suffix in (".yaml", ".yml", ".json", ".tpl")]
    for path in paths:
        name = path.relative_to(corpus).as_posix()
        for wanted in _names(path.read_bytes()):
            try:
                read_slos.append(read_slo(path.read_bytes(), name, name=wanted).name)
            except EvidenceError as error:
                refused.append(error)
    assert (len(paths), len(read_slos), len(refused)) == (136, 8, 133)
    assert all(error.subject.startswith("slo/") and error.problem for error in refused)
    reasons = "\n".join(error.problem for error in refused)
    for words in ("threshold metrics", "'Timeslices'", "'RatioTimeslices'", "v2alpha", "no period"):
        assert words in reasons
