"""Tracing goes from the outputs back to declared inputs, and every other end is unknown upstream."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lineage_events import dataset, dataset_event, event, job_event, node, parsed, run

from gatekeeper.errors import EvidenceError
from gatekeeper.gates.lineage import trace as lineage_trace
from gatekeeper.gates.lineage.graph import build_graph
from gatekeeper.gates.lineage.trace import Trace, trace

Events = list[dict[str, Any]]

PIPELINE = [
    *run(1, 0, 1, reads=["raw", "labels"], writes=["clean"]),
    *run(2, 2, 3, reads=["clean"], writes=["model"]),
]


def traced(
    *events: Events, outputs: tuple[str, ...] = ("model",), inputs: tuple[str, ...] = ("raw", "labels")
) -> Trace:
    """Trace outputs through events."""
    graph = build_graph(parsed([part for each in events for part in each]))
    return trace(graph, [node(each) for each in outputs], [node(each) for each in inputs])


def runs_of(found: Trace) -> list[int]:
    """Numbers of the completed runs on the path, nearest first."""
    return [int(each[-12:]) for each in found.runs]


def unknown_of(found: Trace) -> dict[str, str]:
    """Reason by name of the unknown ends."""
    return {each.node.name: each.reason for each in found.unknown.values()}


def leaves_of(found: Trace) -> set[str]:
    """Names of all ends."""
    return {leaf.name for each in found.leaves.values() for leaf in each}


class TestPath:
    def test_traces_to_declared_inputs(self) -> None:
        """Both runs are on the path, nearest first; both inputs are reached and nothing is unknown."""
        found = traced(PIPELINE)
        assert runs_of(found) == [2, 1]
        assert leaves_of(found) == {"raw", "labels"}
        assert unknown_of(found) == {}
        assert [(each.run.run_id[-1], each.direction, each.node.name) for each in found.edges.values()] == [
            ("2", "written", "model"), ("2", "read", "clean"), ("1", "written", "clean"), ("1", "read", "labels"),
            ("1", "read", "raw"),
        ]  # fmt: skip

    def test_a_declared_input_ends_the_path(self) -> None:
        """What lies behind a declared input is not this promotion's; its runs are not on the path."""
        found = traced(PIPELINE, inputs=("clean",))
        assert (runs_of(found), leaves_of(found), unknown_of(found)) == ([2], {"clean"}, {})

    def test_says_what_each_output_rests_on(self) -> None:
        """Two outputs share runs; each has its own runs and ends."""
        found = traced(PIPELINE, run(3, 4, 5, reads=["model", "extra"], writes=["report"]), outputs=("model", "report"),
                       inputs=("raw", "labels", "extra"))  # fmt: skip
        runs, leaves = found.reach(node("model"))
        assert ({each[-1] for each in runs}, {each.name for each in leaves}) == ({"1", "2"}, {"raw", "labels"})
        runs, leaves = found.reach(node("report"))
        assert ({each[-1] for each in runs}, {each.name for each in leaves}) == (
            {"1", "2", "3"},
            {"raw", "labels", "extra"},
        )

    def test_other_pipelines_do_not_matter(self) -> None:
        """Runs that no output rests on are not on the path, failed or not."""
        found = traced(PIPELINE, run(7, 0, 9, state="FAIL", reads=["secret"], writes=["elsewhere"]))
        assert (runs_of(found), found.doubtful, unknown_of(found)) == ([2, 1], {}, {})

    def test_an_output_that_nobody_wrote_has_no_root(self) -> None:
        """Neither an absent nor an uncompleted run traces an output."""
        assert traced(PIPELINE, outputs=("absent",)).roots == {node("absent"): []}
        started = [event(5, "START", 0, reads=["raw"], writes=["late"])]
        found = traced(PIPELINE, started, outputs=("late",))
        assert found.roots == {node("late"): []}
        assert [each[-1] for each in found.doubtful] == ["5"]

    def test_takes_the_latest_run_of_each_job(self) -> None:
        """A retraining supersedes the earlier one; its inputs are those that count."""
        found = traced(
            run(1, 0, 1, job="train", reads=["old"], writes=["model"]),
            run(2, 5, 6, job="train", reads=["raw"], writes=["model"]),
            run(3, 0, 1, job="append", reads=["labels"], writes=["model"]),
        )
        assert sorted(runs_of(found)) == [2, 3]
        assert unknown_of(found) == {}

    def test_goes_back_in_time(self) -> None:
        """What was written after a run had ended is not what the run read."""
        later = run(9, 50, 60, job="job-1", reads=["secret"], writes=["clean"])
        assert runs_of(traced(PIPELINE, later)) == [2, 1]
        assert unknown_of(traced(PIPELINE, later)) == {}


class TestUnknown:
    @pytest.mark.parametrize(
        ("events", "expected"),
        [
            (run(1, 0, 1, reads=["raw", "secret"], writes=["model"]), {"secret": "never_written"}),
            (run(1, 0, 1, writes=["model"]), {"model": "no_inputs"}),
            ([*PIPELINE[2:], *run(1, 0, 1, writes=["clean"])], {"clean": "no_inputs"}),
            ([*PIPELINE[2:], *run(1, 8, 9, reads=["raw"], writes=["clean"])], {"clean": "written_later"}),
            ([*PIPELINE[2:], *run(1, 0, 1, state="FAIL", reads=["raw"], writes=["clean"])], {"clean": "not_completed"}),
            (run(1, 0, 1, reads=["model"], writes=["model"]), {"model": "cycle"}),
        ],
        ids=["never written", "no inputs", "no inputs upstream", "written later", "not completed", "itself"],
    )
    def test_every_other_end_is_unknown(self, events: Events, expected: dict[str, str]) -> None:
        """A path that ends anywhere but at a declared input says where and why."""
        found = traced(events)
        assert unknown_of(found) == expected
        assert {each.name for each in found.reach(node("model"))[1]} >= set(expected)

    def test_an_update_in_place_is_traced_to_the_version_before(self) -> None:
        """A dataset that is read and written by the same run comes from the run before and its inputs."""
        found = traced(run(1, 0, 1, job="fit", reads=["raw"], writes=["model"]),
                       run(2, 2, 3, job="fit", reads=["model", "labels"], writes=["model"]))  # fmt: skip
        assert (sorted(runs_of(found)), unknown_of(found)) == ([1, 2], {})
        found = traced(run(1, 0, 1, job="fit", reads=["secret"], writes=["model"]),
                       run(2, 2, 3, job="fit", reads=["model", "labels"], writes=["model"]))  # fmt: skip
        assert unknown_of(found) == {"secret": "never_written"}

    def test_a_declared_output_is_traced_though_it_is_declared_an_input(self) -> None:
        """Declaring an output as a source does not end its own path before it began."""
        found = traced(run(1, 0, 1, reads=["secret"], writes=["model"]), inputs=("model", "raw"))
        assert unknown_of(found) == {"secret": "never_written"}

    def test_a_ring_without_a_source_is_unknown(self) -> None:
        """Runs that feed each other and read nothing else prove nothing."""
        ring = [*run(1, 0, 9, reads=["b"], writes=["model"]), *run(2, 0, 9, reads=["model"], writes=["b"])]
        assert unknown_of(traced(ring)) == {"b": "cycle", "model": "cycle"}

    def test_a_ring_with_a_source_ends_at_the_source(self) -> None:
        """A cycle is followed once; what flows into it is its source."""
        ring = [*run(1, 0, 9, reads=["b"], writes=["model"]), *run(2, 0, 9, reads=["model", "raw"], writes=["b"])]
        found = traced(ring)
        assert (runs_of(found), unknown_of(found), leaves_of(found)) == ([1, 2], {}, {"raw"})

    def test_facets_and_statements_add_sources(self) -> None:
        """A source that only a lineage facet, a JobEvent or a DatasetEvent names is followed like any other."""
        origin = {"inputs": [{"namespace": "lake", "name": "secret", "type": "DATASET"}]}
        statements: list[Events] = [
            [job_event(0, "job-2", reads=["secret"])],
            [dataset_event(0, dataset("clean", facets={"lineage": origin}))],
            [event(2, "RUNNING", 2.5, writes=[dataset("model", facets={"lineage": origin})])],
            [event(2, "RUNNING", 2.5, job_facets={"lineage": {"entries": [{"type": "JOB"} | origin]}})],
        ]
        for statement in statements:
            assert unknown_of(traced(PIPELINE, statement)) == {"secret": "never_written"}
            assert unknown_of(traced(PIPELINE, statement, inputs=("raw", "labels", "secret"))) == {}

    def test_a_statement_does_not_stand_in_for_a_runs_own_inputs(self) -> None:
        """A run that names no inputs is unknown although its job says what it would read."""
        silent = run(1, 0, 1, job="fit", writes=["model"])
        found = traced(silent, [job_event(0, "fit", reads=["raw"])])
        assert unknown_of(found) == {"model": "no_inputs"}

    def test_a_job_named_as_a_source_is_traced_through_its_run(self) -> None:
        """A lineage facet may name a job as source: its run's inputs count; without a run the job is unknown."""
        claim = {"lineage": {"entries": [{"type": "JOB", "inputs": [
            {"type": "JOB", "namespace": "etl", "name": "fetch"}, {"type": "JOB", "namespace": "etl", "name": "train"},
        ]}]}}  # fmt: skip
        train = run(1, 5, 6, job="train", writes=["model"], job_facets=claim)
        found = traced(train)
        assert [(each.node, each.reason) for each in found.unknown.values()] == [
            (node("fetch", "job"), "never_written")
        ]
        found = traced(train, run(2, 0, 1, job="fetch", reads=["raw"]))
        assert (runs_of(found), unknown_of(found), leaves_of(found)) == ([1, 2], {}, {"raw"})


class TestDoubt:
    @pytest.mark.parametrize("state", ["FAIL", "ABORT"])
    def test_a_failure_after_the_completion_is_on_the_path(self, state: str) -> None:
        """A later run of the same job that failed may have spoilt the dataset."""
        found = traced(PIPELINE, run(3, 1.2, 1.5, job="job-1", state=state, writes=["clean"]))
        assert [each[-1] for each in found.doubtful] == ["3"]
        assert runs_of(found) == [2, 1]

    def test_an_attempt_before_the_completion_is_not(self) -> None:
        """A failed attempt that was repeated with success is history."""
        assert traced(PIPELINE, run(3, -5, -1, job="job-1", state="FAIL", writes=["clean"])).doubtful == {}

    def test_the_inputs_of_doubtful_runs_are_not_followed(self) -> None:
        """A run that did not complete is denied as such; what it would have read is not upstream."""
        found = traced(PIPELINE, run(3, 1.2, 1.5, job="x", state="FAIL", reads=["secret"], writes=["clean"]))
        assert unknown_of(found) == {}


def ladder(rungs: int) -> Events:
    """A deep pipeline in which each run reads what the two before it wrote."""
    events = run(1, 0, 0, job="j1", reads=["raw"], writes=["d1"])
    for number in range(2, rungs + 1):
        before = [f"d{number - 1}", f"d{max(number - 2, 1)}"]
        events += run(number, number, number, job=f"j{number}", reads=before, writes=[f"d{number}"])
    return events


class TestScale:
    def test_steps_grow_with_the_events(self) -> None:
        """Twice the events take about twice the steps, though the number of paths doubles with each rung."""
        steps = [traced(ladder(rungs), outputs=(f"d{rungs}",), inputs=("raw",)).steps for rungs in (500, 1000, 2000)]
        assert steps[1] <= 2.1 * steps[0]
        assert steps[2] <= 2.1 * steps[1]

    def test_a_deep_path_needs_no_recursion(self) -> None:
        """A chain deeper than Python's stack is traced to its end."""
        found = traced(ladder(3000), outputs=("d3000",), inputs=("raw",))
        assert (len(found.runs), leaves_of(found), unknown_of(found)) == (3000, {"raw"}, {})

    def test_many_runs_of_one_dataset_stay_linear(self) -> None:
        """A dataset that one job rewrote a thousand times costs each reader one lookup."""
        rewrites = [
            each
            for number in range(1, 1001)
            for each in run(number, number, number, job="w", reads=["raw"], writes=["d"])
        ]
        readers = [
            each for number in range(1001, 2001) for each in run(number, number, number, reads=["d"], writes=["model"])
        ]
        found = traced(rewrites, readers, inputs=("raw",))
        assert len(found.runs) == 1001
        assert found.steps < 10_000

    def test_stops_when_it_takes_too_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Past the limit of steps the evidence is unverifiable, never half traced."""
        monkeypatch.setattr(lineage_trace, "MAX_STEPS", 100)
        with pytest.raises(EvidenceError, match="more than 100 steps") as caught:
            traced(ladder(200), outputs=("d200",), inputs=("raw",))
        assert caught.value.kind == "unverifiable"


Wiring = list[tuple[frozenset[int], int, int, int]]
"""For each run: datasets read, dataset written, start and length."""

wirings = st.lists(
    st.tuples(st.frozensets(st.integers(0, 4), max_size=3), st.integers(0, 4), st.integers(0, 9), st.integers(0, 3)),
    min_size=1,
    max_size=7,
)


def naive_ends(wiring: Wiring, output: int, known: set[int]) -> tuple[set[int], set[int]]:
    """Walk every run of its own job recursively: the runs on the path and the datasets at which it ends unknown."""
    runs: set[int] = set()
    unknown: set[int] = set()

    def writers(name: int, reader: int | None) -> list[int]:
        end = wiring[reader][2] + wiring[reader][3] if reader is not None else 99
        return [
            n for n, (_, to, start, length) in enumerate(wiring) if to == name and n != reader and start + length <= end
        ]

    def visit(number: int) -> None:
        if number in runs:
            return
        runs.add(number)
        if not wiring[number][0]:
            unknown.add(wiring[number][1])
        for name in wiring[number][0] - known:
            for writer in (found := writers(name, number)):
                visit(writer)
            if not found:
                unknown.add(name)

    for number in writers(output, None):
        visit(number)
    return runs, unknown


@settings(max_examples=200, deadline=None)
@given(wirings, st.sets(st.integers(0, 4), max_size=2))
def test_traces_as_a_naive_walk_does(wiring: Wiring, known: set[int]) -> None:
    """With one job for each run, the path and its unknown ends are those of a plain recursive walk; rings apart."""
    events = [
        each
        for number, (reads, to, start, length) in enumerate(wiring)
        for each in run(number, start, start + length, reads=[f"d{name}" for name in sorted(reads)], writes=[f"d{to}"])
    ]
    found = traced(events, outputs=("d0",), inputs=tuple(f"d{name}" for name in known))
    runs, unknown = naive_ends(wiring, 0, known)
    assert set(runs_of(found)) == runs
    selfish = {each.node.name for each in found.unknown.values() if each.reason == "cycle"}
    assert {each.node.name for each in found.unknown.values()} - selfish <= {f"d{name}" for name in unknown}
    assert {f"d{name}" for name in unknown} <= {each.node.name for each in found.unknown.values()}
    assert all(found.leaves[each] or found.upstream[each] for each in found.runs)
