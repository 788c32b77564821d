"""
Indicators of OpenSLO: which Prometheus queries give the share of good or bad events.

Source: https://github.com/OpenSLO/OpenSLO#sli. Read: `ratioMetric` with good or bad and total, or raw.
`counter` changes nothing here: a query with a window in it says itself how it aggregates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gatekeeper.formats.node import Node

IndicatorKind = Literal["good", "bad", "success", "failure"]

MAX_QUERY = 10_000
"""Characters of a query."""


@dataclass(frozen=True)
class Indicator:
    """
    How the share of good or bad events is measured.

    `good` and `bad` divide `query` by `total`; `success` and `failure` are ratios already and have no total.
    """

    kind: IndicatorKind
    query: str
    total: str | None = None


def read_indicator(spec: Node, objects: list[Node]) -> Indicator:
    """Read the indicator of an openslo/v1 SLO: inline, or by reference to an SLI of the same file."""
    if spec.has("indicator") == spec.has("indicatorRef"):
        raise spec.refuse("wants exactly one of indicator and indicatorRef")
    sli = spec.mapping("indicator") if spec.has("indicator") else _referenced(spec, objects)
    metric = _ratio(sli.mapping("spec"), "ratioMetric")
    types = {
        each.child("metadata").child("name").value: each.child("spec").child("type").value
        for each in objects
        if each.value["kind"] == "DataSource" and isinstance(each.child("metadata").child("name").value, str)
    }
    if metric.has("raw"):
        return _raw(metric, types)
    return _quotient(metric, lambda part: _query(part, types))


def read_indicator_v1alpha(objective: Node, spec: Node) -> Indicator:
    """Read the indicator of an openslo/v1alpha objective: `ratioMetrics` with source and query in each part."""
    if spec.has("indicator"):
        _ratio(spec.mapping("indicator"), "ratioMetric")

    def query(part: Node) -> str:
        _refuse_other_source(part.child("source"))
        return part.text("query", limit=MAX_QUERY)

    return _quotient(_ratio(objective, "ratioMetrics"), query)


def _referenced(spec: Node, objects: list[Node]) -> Node:
    name = spec.text("indicatorRef")
    found = [each for each in objects if each.value["kind"] == "SLI" and each.mapping("metadata").text("name") == name]
    if len(found) != 1:
        raise spec.child("indicatorRef").refuse(
            f"{len(found)} SLIs are called {name!r} in this file",
            kind="malformed" if found else "missing",
            hint="put the SLI into the same file, once",
        )
    if found[0].child("apiVersion").value != "openslo/v1":
        raise found[0].child("apiVersion").refuse(f"is {found[0].child('apiVersion').value!r}, not openslo/v1")
    return found[0]


def _ratio(holder: Node, key: str) -> Node:
    if holder.has("thresholdMetric"):
        raise holder.child("thresholdMetric").refuse(
            "threshold metrics are not computed, only ratio metrics",
            kind="unverifiable",
            hint="count the events on the good side of the threshold (for latency: the histogram's bucket)",
        )
    return holder.mapping(key)


def _raw(metric: Node, types: Mapping[str, Any]) -> Indicator:
    if any(metric.has(part) for part in ("good", "bad", "total")):
        raise metric.refuse("raw cannot be used together with good, bad or total")
    kinds: dict[str, IndicatorKind] = {"success": "success", "failure": "failure"}
    kind = kinds.get(metric.text("rawType"))
    if kind is None:
        raise metric.child("rawType").refuse("is not success or failure")
    return Indicator(kind, _query(metric.mapping("raw"), types))


def _quotient(metric: Node, query: Callable[[Node], str]) -> Indicator:
    if metric.has("counter") and not isinstance(metric.child("counter").value, bool):
        raise metric.child("counter").refuse("is not true or false")
    if metric.has("good") == metric.has("bad"):
        raise metric.refuse("wants exactly one of good and bad, with total")
    kind: IndicatorKind = "good" if metric.has("good") else "bad"
    return Indicator(kind, query(metric.mapping(kind)), query(metric.mapping("total")))


def _query(part: Node, types: Mapping[str, Any]) -> str:
    source = part.mapping("metricSource")
    reference = source.child("metricSourceRef").value
    if source.has("type"):
        _refuse_other_source(source.child("type"))
    elif not isinstance(reference, str) or str(types.get(reference)).lower() != "prometheus":
        raise source.refuse(
            f"its type is not given, nor by a DataSource {reference!r} of type Prometheus in this file",
            kind="unverifiable",
            hint="write type: Prometheus",
        )
    return source.mapping("spec").text("query", limit=MAX_QUERY)


def _refuse_other_source(node: Node) -> None:
    if not isinstance(node.value, str) or node.value.lower() != "prometheus":
        raise node.refuse(f"{node.value!r} is not read, only Prometheus", kind="unverifiable")
