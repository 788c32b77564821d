"""What a trace answers, as the JSON of the lineage gate's evidence; pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from gatekeeper.formats.openlineage import FAILED, WARNED, Node
from gatekeeper.gates.lineage.graph import Check, Graph, Run
from gatekeeper.gates.lineage.trace import Edge, Trace, Unknown

EXAMPLES = 20
"""Items shown of each kind that a rule objects to."""

MAX_LISTED = 60
"""Items shown of a list of which a part may be objected to."""

MAX_EDGES = 200
MAX_OWNERS = 5
REASONS = {
    "never_written": "no run in the events wrote it",
    "written_later": "every run that wrote it ended after it was read",
    "not_completed": "no run that wrote it completed",
    "no_inputs": "the run that wrote it names no inputs",
    "cycle": "it derives only from itself",
}
_SHA256 = re.compile(r"sha256:([0-9a-f]{64})", re.IGNORECASE)
Item = TypeVar("Item")
Json = dict[str, Any]


def answer(found: Trace, inputs: Sequence[Node], commits: dict[str, bool], digests: frozenset[str]) -> Json:
    """
    Say where the outputs come from, in the shape of `gatekeeper.collectors.lineage.Body`.

    `commits` says of each commit that a run on the path names whether it is in the history of HEAD; `digests` are
    the SHA-256 digests of the candidate's artefacts in lower-case hex.
    """
    leaves = {leaf for each in found.leaves.values() for leaf in each}
    ended = [run.ended for runs in found.roots.values() for run in runs if run.ended is not None]
    endpoints, intermediates = _datasets(found, leaves)
    return {
        "observed_at": min(ended).isoformat() if ended else None,
        "outputs": _outputs(found, {(each["namespace"], each["name"]): each for each in endpoints}, digests),
        "reached_inputs": _listed([node for node in inputs if node in leaves], _name),
        "unused_inputs": _listed([node for node in inputs if node not in leaves], _name),
        "unknown_upstream": _listed(list(found.unknown.values()), _unknown),
        "runs": _runs(found.all_runs, commits),
        "endpoints": _dataset_list(endpoints),
        "intermediates": _dataset_list(intermediates),
        "contradictions": _listed(found.graph.contradictions(), _contradiction),
        "failed_assertions": _assertions(found, FAILED),
        "warned_assertions": _assertions(found, WARNED),
        "edges": _listed(list(found.edges.values()), _edge, limit=MAX_EDGES),
        "counts": _counts(found.graph),
    }


def _listed(items: Sequence[Item], render: Callable[[Item], Json], *, limit: int = EXAMPLES) -> Json:
    return {"total": len(items), "listed": [render(item) for item in items[:limit]]}


def _with_examples(items: Sequence[Json], *objections: list[bool]) -> Json:
    """List examples of everything that a rule may object to first, and fill up with the others, in their order."""
    chosen = {index for flags in objections for index in [i for i, flag in enumerate(flags) if flag][:EXAMPLES]}
    for index in range(len(items)):
        if len(chosen) >= MAX_LISTED:
            break
        chosen.add(index)
    return {"total": len(items), "listed": [items[index] for index in sorted(chosen)]}


def _name(node: Node) -> Json:
    return {"namespace": node.namespace, "name": node.name}


def _place(run: Run) -> Json:
    return {"path": run.path, "line": run.line, "column": 1}


def _text(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _outputs(found: Trace, endpoints: dict[tuple[str, str], Json], digests: frozenset[str]) -> list[Json]:
    by_run: dict[str, set[Node]] = {}
    for edge in found.edges.values():
        if edge.node.kind == "dataset":
            by_run.setdefault(edge.run.run_id, set()).add(edge.node)
    outputs = []
    for node in found.roots:
        version = endpoints[node.namespace, node.name]["version"]
        digest = _SHA256.fullmatch(version or "")
        is_artifact = digest[1].lower() in digests if digest else None
        outputs.append(_output(found, node, by_run) | {"version": version, "is_artifact": is_artifact})
    return outputs


def _output(found: Trace, node: Node, by_run: dict[str, set[Node]]) -> Json:
    runs, leaves = found.reach(node)
    traced = bool(found.roots[node])
    reason = "not_completed" if node in found.graph.writers else "never_written"
    return _name(node) | {
        "traced": traced,
        "found": "a completed run wrote it" if traced else REASONS[reason],
        "runs": len(runs),
        "datasets": len({node}.union(*(by_run[run_id] for run_id in runs))),
        "inputs": len(leaves & found.known),
        "unknown": len(leaves - found.known),
    }


def _unknown(item: Unknown) -> Json:
    return _name(item.node) | {
        "kind": item.node.kind,
        "reason": item.reason,
        "found": REASONS[item.reason],
        "job": item.run.job.label,
        "place": _place(item.run),
    }


def _runs(runs: Sequence[Run], commits: dict[str, bool]) -> Json:
    items = [_run(run, commits) for run in runs]
    uncompleted = [item["state"] != "COMPLETE" for item in items]
    without_commit = [item["commit"] is None for item in items]
    unknown_commit = [item["commit_known"] is False for item in items]
    return _with_examples(items, uncompleted, without_commit, unknown_commit) | {
        "uncompleted": sum(uncompleted),
        "without_commit": sum(without_commit),
        "unknown_commit": sum(unknown_commit),
    }


def _run(run: Run, commits: dict[str, bool]) -> Json:
    code = run.source_code
    commit = code.commit if code else None
    return {
        "run_id": run.run_id,
        "job": run.job.label,
        "state": run.state,
        "started": _text(run.started),
        "ended": _text(run.ended),
        "repository": code.repository or None if code else None,
        "path": code.path or None if code else None,
        "commit": commit,
        "commit_known": commits[commit] if commit else None,
        "place": _place(run),
    }


def _datasets(found: Trace, leaves: set[Node]) -> tuple[list[Json], list[Json]]:
    """Describe the datasets of the path: those at its ends, and those between."""
    touching: dict[Node, list[Edge]] = {node: [] for node in found.roots}
    for edge in found.edges.values():
        if edge.node.kind == "dataset":
            touching.setdefault(edge.node, []).append(edge)
    items = [_dataset(found, node, edges, leaves) for node, edges in touching.items()]
    ends = [item for item in items if item["role"] != "intermediate"]
    return ends, [item for item in items if item["role"] == "intermediate"]


def _dataset_list(items: Sequence[Json]) -> Json:
    without_version = [item["version"] is None for item in items]
    without_owner = [not item["owners"] for item in items]
    return _with_examples(items, without_version, without_owner) | {
        "without_version": sum(without_version),
        "without_owner": sum(without_owner),
    }


def _dataset(found: Trace, node: Node, edges: Iterable[Edge], leaves: set[Node]) -> Json:
    graph = found.graph
    versions = [edge.run.versions[node] for edge in edges if node in edge.run.versions]
    versions += [graph.versions[node]] if node in graph.versions else []
    jobs = sorted({edge.run.job for edge in edges if edge.direction == "written"})
    owners = graph.fact(node, "ownership") or [owner for job in jobs for owner in graph.fact(job, "ownership") or ()]
    return _name(node) | {
        "role": _role(found, node, leaves),
        "version": max(versions, key=lambda each: each[0])[1] if versions else None,
        "owners": list(dict.fromkeys(owners))[:MAX_OWNERS],
        "columns": graph.fact(node, "schema"),
    }


def _role(found: Trace, node: Node, leaves: set[Node]) -> str:
    if node in found.roots:
        return "output"
    if node not in leaves:
        return "intermediate"
    return "input" if node in found.known else "unknown"


def _contradiction(item: tuple[Run, str]) -> Json:
    run, problem = item
    return {"run_id": run.run_id, "job": run.job.label, "found": problem, "place": _place(run)}


def _assertions(found: Trace, outcome: int) -> Json:
    path = {edge.node for edge in found.edges.values()} | set(found.roots)
    checks = [check for check, (_, result) in found.graph.checks.items() if result == outcome]
    return _listed(sorted(check for check in checks if check.dataset in path), _assertion)


def _assertion(check: Check) -> Json:
    return _name(check.dataset) | {
        "assertion": check.assertion,
        "column": check.column,
        "check": check.name,
        "job": check.job,
    }


def _edge(edge: Edge) -> Json:
    return {
        "run_id": edge.run.run_id,
        "job": edge.run.job.label,
        "direction": edge.direction,
        "kind": edge.node.kind,
        "node": edge.node.label,
    }


def _counts(graph: Graph) -> Json:
    delivered = graph.events + graph.duplicates
    return {
        "events": graph.events,
        "duplicates": graph.duplicates,
        "duplicates_ratio": round(graph.duplicates / delivered, 6),
        "duplicates_text": f"{graph.duplicates} of {delivered} ({graph.duplicates / delivered:.1%})",
        "runs": len(graph.runs),
        "out_of_order": graph.out_of_order,
    }
