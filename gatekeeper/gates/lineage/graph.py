"""
From OpenLineage events to a graph of runs; pure.

Delivery is at least once and in any order, so everything is derived from the set of events: duplicates are
dropped, a run's inputs and outputs are the union over its events, the latest event decides a facet (ties by
digest), and a terminal state wins over a non-terminal one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from gatekeeper.formats.openlineage import TERMINAL, Event, Mention, Node, SourceCode

_NEVER = datetime.min.replace(tzinfo=UTC)

Order = tuple[datetime, bytes]
"""Time and digest of an event: the order that does not depend on delivery."""


@dataclass(slots=True, eq=False)
class Run:
    """One run, accumulated over its events; `ends` holds the earliest time of each terminal state."""

    run_id: str
    path: str
    line: int
    started: datetime
    last: datetime
    jobs: set[Node] = field(default_factory=set)
    ends: dict[str, datetime] = field(default_factory=dict)
    reads: set[Node] = field(default_factory=set)
    writes: set[Node] = field(default_factory=set)
    versions: dict[Node, tuple[Order, str | None]] = field(default_factory=dict)
    code: dict[str, tuple[Order, SourceCode | None]] = field(default_factory=dict)
    """At most one entry: the latest sourceCodeLocation facet."""

    @property
    def state(self) -> str:
        """COMPLETE, ABORT, FAIL, UNENDED without a terminal event, CONTRADICTORY with two or with two jobs."""
        if len(self.ends) > 1 or len(self.jobs) > 1:
            return "CONTRADICTORY"
        return next(iter(self.ends), "UNENDED")

    @property
    def ended(self) -> datetime | None:
        """When the first terminal event says that it ended."""
        return min(self.ends.values(), default=None)

    @property
    def job(self) -> Node:
        """Its job; the first by name where events contradict each other."""
        return min(self.jobs)

    @property
    def source_code(self) -> SourceCode | None:
        """Where its code lies, by its own events."""
        return next((value for _, value in self.code.values()), None)


class Check(NamedTuple):
    """What identifies an assertion: the latest result for it counts."""

    dataset: Node
    job: str
    assertion: str
    column: str
    name: str


@dataclass(slots=True)
class Writers:
    """The runs of one job that wrote one node: completed ones by end, doubtful ones by start."""

    completed: list[Run] = field(default_factory=list)
    ends: list[datetime] = field(default_factory=list)
    doubtful: list[Run] = field(default_factory=list)
    starts: list[datetime] = field(default_factory=list)
    longest: list[Run] = field(default_factory=list)
    """For each prefix of `doubtful`, the run with the latest event."""

    def add(self, run: Run) -> None:
        """Take the next run in the order of `settling`."""
        if run.state == "COMPLETE" and run.ended is not None:
            self.completed.append(run)
            self.ends.append(run.ended)
            return
        self.doubtful.append(run)
        self.starts.append(run.started)
        previous = self.longest[-1] if self.longest else run
        self.longest.append(max(previous, run, key=lambda each: each.last))

    def select(self, start: datetime, end: datetime, reader: Run | None) -> tuple[list[Run], Run | None]:
        """
        Choose what a reader in this window may have read, and a run that throws doubt on it.

        Chosen are the latest run that completed by `start`, every one that ended while it ran or later, up to
        `end`. A run is superseded only by one of the same job that began after it ended: two runs side by side
        may write two parts of one dataset. The doubt is a run that did not complete and was not superseded.
        """
        last = bisect_right(self.ends, start) - 1
        if last >= 0 and self.completed[last] is reader:
            last -= 1
        began = self.completed[last].started if last >= 0 else _NEVER
        window = slice(bisect_left(self.ends, began), bisect_right(self.ends, end))
        chosen = [run for run in self.completed[window] if run is not reader]
        begun = bisect_right(self.starts, end)
        doubt = self.longest[begun - 1] if begun else None
        return chosen, doubt if doubt is not None and doubt.last >= began else None


@dataclass(slots=True)
class Graph:
    """Everything that a set of events says."""

    runs: dict[str, Run] = field(default_factory=dict)
    writers: dict[Node, dict[Node, Writers]] = field(default_factory=dict)
    static: dict[Node, set[Node]] = field(default_factory=dict)
    """Sources that JobEvents, DatasetEvents and facets state for a job or dataset apart from any run of it."""
    facts: dict[tuple[Node, str], tuple[Order, Any]] = field(default_factory=dict)
    versions: dict[Node, tuple[Order, str | None]] = field(default_factory=dict)
    """Versions that DatasetEvents and JobEvents state; a run's own are with the run."""
    checks: dict[Check, tuple[Order, int]] = field(default_factory=dict)
    events: int = 0
    duplicates: int = 0
    out_of_order: int = 0

    def fact(self, node: Node, name: str) -> Any:
        """The latest value of a facet (`ownership`, `schema`), None where there is none."""
        found = self.facts.get((node, name))
        return found[1] if found else None

    def contradictions(self) -> list[tuple[Run, str]]:
        """Runs of which events say things that cannot both be true, and what they say."""
        found = [
            (run, f"{len(run.jobs)} jobs claim it, " + " and ".join(each.label for each in sorted(run.jobs)[:2]))
            for run in self.runs.values()
            if len(run.jobs) > 1
        ]
        found += [
            (run, " and ".join(sorted(run.ends)) + " were both reported")
            for run in self.runs.values()
            if len(run.ends) > 1
        ]
        return sorted(found, key=lambda each: (each[0].run_id, each[1]))


def build_graph(events: Iterable[Event]) -> Graph:
    """Accumulate events into a graph; the result depends on the set of events only, but for the two counts."""
    graph, seen = Graph(), set[bytes]()
    for event in events:
        if event.digest in seen:
            graph.duplicates += 1
            continue
        seen.add(event.digest)
        graph.events += 1
        _add(graph, event)
    for run in sorted(graph.runs.values(), key=settling):
        for node in run.writes | run.jobs:
            graph.writers.setdefault(node, {}).setdefault(run.job, Writers()).add(run)
    return graph


def settling(run: Run) -> tuple[datetime, str]:
    """Sort completed runs by end and the others by start, as `Writers` wants them."""
    return (run.ended if run.state == "COMPLETE" and run.ended else run.started), run.run_id


def _add(graph: Graph, event: Event) -> None:
    order = (event.time, event.digest)
    run = _accumulate(graph, event) if event.run_id is not None else None
    for mention in (*event.inputs, *event.outputs, *((event.dataset,) if event.dataset else ())):
        _note(graph, mention, event, order)
        if "version" in mention.facts:
            versions: dict[Any, Any] = graph.versions if run is None else run.versions
            _keep(versions, mention.node, order, mention.facts["version"])
    for target, source in _statements(event):
        graph.static.setdefault(target, set()).add(source)
    if event.job is not None and "ownership" in event.job_facts:
        _keep(graph.facts, (event.job, "ownership"), order, event.job_facts["ownership"])
    if run is not None and "sourceCodeLocation" in event.job_facts:
        _keep(run.code, "code", order, event.job_facts["sourceCodeLocation"])


def _statements(event: Event) -> Iterator[tuple[Node, Node]]:
    """Pair targets with sources that hold apart from the event's run."""
    static = event.run_id is None
    for mention in (*event.inputs, *(event.outputs if static else ()), *((event.dataset,) if event.dataset else ())):
        yield from ((mention.node, source) for source in mention.sources)
    for target, source in event.claims:
        if static or (target.kind == "job" and target != event.job):
            yield target, source
    if static and event.job is not None:
        yield from ((event.job, mention.node) for mention in event.inputs)


def _accumulate(graph: Graph, event: Event) -> Run:
    assert event.run_id is not None
    assert event.job is not None
    run = graph.runs.get(event.run_id)
    if run is None:
        run = graph.runs[event.run_id] = Run(event.run_id, event.path, event.line, event.time, event.time)
    elif event.time < run.last:
        graph.out_of_order += 1
    run.started, run.last = min(run.started, event.time), max(run.last, event.time)
    run.jobs.add(event.job)
    if event.event_type in TERMINAL:
        run.ends[event.event_type] = min(run.ends.get(event.event_type, event.time), event.time)
    run.reads.update(mention.node for mention in event.inputs)
    run.reads.update(source for mention in event.outputs for source in mention.sources)
    run.reads.update(source for target, source in event.claims if target.kind == "dataset" or target == event.job)
    run.reads.discard(event.job)
    run.writes.update(mention.node for mention in event.outputs)
    return run


def _note(graph: Graph, mention: Mention, event: Event, order: Order) -> None:
    """Keep what holds for a dataset whichever run names it."""
    for name in ("ownership", "schema"):
        if name in mention.facts:
            _keep(graph.facts, (mention.node, name), order, mention.facts[name])
    for each in mention.assertions:
        job = event.job.label if event.job else ""
        check = Check(mention.node, job, each.assertion, each.column, each.name)
        known = graph.checks.get(check)
        if known is None or known[0] < order:
            graph.checks[check] = (order, each.outcome)
        elif known[0] == order:
            graph.checks[check] = (order, max(known[1], each.outcome))


def _keep(store: dict[Any, tuple[Order, Any]], key: Any, order: Order, value: Any) -> None:
    if key not in store or store[key][0] <= order:
        store[key] = (order, value)
