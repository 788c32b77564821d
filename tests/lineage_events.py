"""Makers of OpenLineage events for tests; minutes count from 10:00 of the day of `conftest.NOW`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from conftest import NOW

from gatekeeper.formats.openlineage import Event, Node, parse_events

START = NOW.replace(hour=10)


def run_id(number: int) -> str:
    """A UUID that tells its number."""
    return f"00000000-0000-4000-8000-{number:012d}"


def at(minute: float) -> str:
    """A time as events carry it."""
    return (START + timedelta(minutes=minute)).isoformat()


def node(name: str, kind: str = "dataset") -> Node:
    """The dataset or job of that name."""
    return Node(kind, "lake" if kind == "dataset" else "etl", name)


def dataset(name: str, *, version: str | None = None, owner: str | None = None, **more: Any) -> dict[str, Any]:
    """A dataset as an event names it, with the facets that are given."""
    facets = dict(more.pop("facets", {}))
    if version is not None:
        facets["version"] = {"datasetVersion": version}
    if owner is not None:
        facets["ownership"] = {"owners": [{"name": owner}]}
    return {"namespace": "lake", "name": name, "facets": facets, **more}


def asserting(name: str, *results: bool, severity: str = "error", column: str = "id") -> dict[str, Any]:
    """A dataset with the results of `not_null` checks on one column."""
    checks = [{"assertion": "not_null", "column": column, "success": each, "severity": severity} for each in results]
    return dataset(name, inputFacets={"dataQualityAssertions": {"assertions": checks}})


def event(run: int, event_type: str, minute: float, **parts: Any) -> dict[str, Any]:
    """
    A RunEvent. `parts`: job (name), reads and writes (names or datasets), commit, job_facets.
    """
    facets = dict(parts.get("job_facets", {}))
    if "commit" in parts:
        facets["sourceCodeLocation"] = {"type": "git", "url": "https://git.example.org/x", "version": parts["commit"]}
    return {
        "eventType": event_type,
        "eventTime": at(minute),
        "run": {"runId": run_id(run)},
        "job": {"namespace": "etl", "name": parts.get("job", f"job-{run}"), "facets": facets},
        "inputs": [_as_dataset(each) for each in parts.get("reads", ())],
        "outputs": [_as_dataset(each) for each in parts.get("writes", ())],
        "producer": "https://example.org/producer",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    }


def run(number: int, started: float, ended: float, *, state: str = "COMPLETE", **parts: Any) -> list[dict[str, Any]]:
    """The two events of one run: START, and the one that ends it."""
    return [event(number, "START", started, **parts), event(number, state, ended, **parts)]


def dataset_event(minute: float, value: dict[str, Any]) -> dict[str, Any]:
    """A DatasetEvent."""
    return {"eventTime": at(minute), "dataset": value}


def job_event(minute: float, name: str, **parts: Any) -> dict[str, Any]:
    """A JobEvent."""
    made = event(0, "OTHER", minute, job=name, **parts)
    return {key: value for key, value in made.items() if key not in ("run", "eventType")}


def as_ndjson(events: Iterable[dict[str, Any]]) -> bytes:
    """One event a line."""
    return "".join(json.dumps(each) + "\n" for each in events).encode()


def parsed(events: Iterable[dict[str, Any]]) -> list[Event]:
    """The events as the parser reads them."""
    return parse_events(as_ndjson(events), "events.ndjson")


def _as_dataset(value: str | dict[str, Any]) -> dict[str, Any]:
    return dataset(value) if isinstance(value, str) else value
