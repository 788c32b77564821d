"""
Where an output comes from: the walk back through the runs that wrote it; pure.

It goes back in time. A run read of each dataset what was there: for every job that writes the dataset, the latest
completed run that ended before the reader started, and every one that ended while the reader ran. Another job
never supersedes a run, because two jobs may write two parts of one dataset. An output is taken as it is after
the last event. A lifecycleStateChange of OVERWRITE supersedes nothing, because Spark reports it for single
partitions too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from gatekeeper.errors import EvidenceError
from gatekeeper.formats.openlineage import Node
from gatekeeper.gates.lineage.graph import Graph, Run, settling

MAX_STEPS = 2_000_000
"""Steps of one tracing; 100,000 events of an ordinary pipeline take about as many steps as there are events."""

_ALWAYS = datetime.max.replace(tzinfo=UTC)


class Unknown(NamedTuple):
    """A place where tracing ended without a declared input; `run` is the reader, or the run that names no inputs."""

    node: Node
    reason: str
    run: Run


class Edge(NamedTuple):
    """A run on the path and a node that it read or wrote."""

    run: Run
    direction: str
    node: Node


@dataclass(slots=True)
class Trace:
    """The way back from the outputs; every mapping is in the order of tracing, nearest to the outputs first."""

    graph: Graph
    known: frozenset[Node]
    roots: dict[Node, list[Run]] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    doubtful: dict[str, Run] = field(default_factory=dict)
    edges: dict[tuple[str, str, Node], Edge] = field(default_factory=dict)
    upstream: dict[str, dict[str, None]] = field(default_factory=dict)
    leaves: dict[str, dict[Node, None]] = field(default_factory=dict)
    unknown: dict[tuple[Node, str], Unknown] = field(default_factory=dict)
    steps: int = 0

    def reads(self, run: Run) -> list[Node]:
        """Name what a run read: by its own events, and by what is stated of its job and its outputs."""
        static = self.graph.static
        stated = [source for node in (*run.jobs, *run.writes) for source in static.get(node, ())]
        return sorted({*run.reads, *stated} - run.jobs)

    @property
    def all_runs(self) -> list[Run]:
        """The completed runs on the path, then those that may have spoilt it."""
        return [*self.runs.values(), *self.doubtful.values()]

    def reach(self, node: Node) -> tuple[set[str], set[Node]]:
        """Find the runs and the leaves that one output rests on."""
        pending = [run.run_id for run in self.roots[node]]
        seen = set(pending)
        while pending:
            following = [each for each in self.upstream[pending.pop()] if each not in seen]
            seen.update(following)
            pending.extend(following)
        return seen, {leaf for run_id in seen for leaf in self.leaves[run_id]}

    def _choose(self, node: Node, reader: Run | None) -> list[Run]:
        start = reader.started if reader else _ALWAYS
        end = (reader.ended if reader else None) or _ALWAYS
        chosen: list[Run] = []
        for writers in self.graph.writers.get(node, {}).values():
            found, doubt = writers.select(start, end, reader)
            chosen += found
            if doubt is not None:
                self.doubtful.setdefault(doubt.run_id, doubt)
            self.steps += 1 + len(found)
        if self.steps > MAX_STEPS:
            raise EvidenceError(
                "unverifiable",
                node.label,
                f"tracing takes more than {MAX_STEPS} steps",
                hint="export only the events of the runs that made the candidate, or declare inputs nearer to it",
            )
        return sorted(chosen, key=settling)

    def _arrive(self, node: Node, run: Run, pending: deque[Run]) -> None:
        if run.run_id not in self.runs:
            self.runs[run.run_id] = run
            self.upstream[run.run_id], self.leaves[run.run_id] = {}, {}
            pending.append(run)
        self.edges.setdefault((run.run_id, "written", node), Edge(run, "written", node))
        if not run.reads:
            self._end(node, "no_inputs", run)

    def _end(self, node: Node, reason: str, run: Run) -> None:
        self.unknown.setdefault((node, reason), Unknown(node, reason, run))
        self.leaves[run.run_id][node] = None

    def _follow(self, run: Run, pending: deque[Run]) -> None:
        for node in self.reads(run):
            self.steps += 1
            self.edges.setdefault((run.run_id, "read", node), Edge(run, "read", node))
            if node in self.known:
                self.leaves[run.run_id][node] = None
                continue
            chosen = self._choose(node, run)
            for writer in chosen:
                self._arrive(node, writer, pending)
                self.upstream[run.run_id][writer.run_id] = None
            if not chosen:
                self._end(node, self._reason(node, run), run)

    def _reason(self, node: Node, reader: Run) -> str:
        jobs = self.graph.writers.get(node, {}).values()
        if any(each.completed[:1] not in ([], [reader]) or len(each.completed) > 1 for each in jobs):
            return "written_later"
        if any(each.doubtful for each in jobs):
            return "not_completed"
        return "cycle" if jobs else "never_written"

    def _rootless(self) -> Iterator[Run]:
        """Find runs from which no leaf can be reached: their data derives only from itself."""
        downstream: dict[str, list[str]] = {run_id: [] for run_id in self.runs}
        for run_id, sources in self.upstream.items():
            for source in sources:
                downstream[source].append(run_id)
        pending = [run_id for run_id, leaves in self.leaves.items() if leaves]
        grounded = set(pending)
        while pending:
            following = [each for each in downstream[pending.pop()] if each not in grounded]
            grounded.update(following)
            pending.extend(following)
        return (run for run_id, run in self.runs.items() if run_id not in grounded)


def trace(graph: Graph, outputs: Iterable[Node], known: Iterable[Node]) -> Trace:
    """
    Walk back from the outputs to known sources; every other end is in `unknown`.

    Each run is followed once, so cycles end; what derives only from itself is unknown too. Raises
    `EvidenceError` (unverifiable) past `MAX_STEPS`.
    """
    found, pending = Trace(graph, frozenset(known)), deque[Run]()
    for node in outputs:
        found.roots[node] = found._choose(node, None)
        for run in found.roots[node]:
            found._arrive(node, run, pending)
    while pending:
        found._follow(pending.popleft(), pending)
    for run in found._rootless():
        for node in found.reads(run):
            found.unknown.setdefault((node, "cycle"), Unknown(node, "cycle", run))
    return found
