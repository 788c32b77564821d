"""Events become runs, whatever the order and however often they are delivered."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lineage_events import asserting, at, dataset, dataset_event, event, job_event, node, parsed, run, run_id

from gatekeeper.formats.openlineage import FAILED, PASSED, WARNED
from gatekeeper.gates.lineage.graph import Check, Graph, Run, build_graph


def graph_of(*events: dict[str, Any] | list[dict[str, Any]]) -> Graph:
    """The graph of events and of lists of events."""
    return build_graph(parsed([part for each in events for part in (each if isinstance(each, list) else [each])]))


def only(graph: Graph) -> Run:
    """The only run of a graph."""
    (found,) = graph.runs.values()
    return found


def selected(graph: Graph, name: str, reader: int | None = None) -> tuple[set[int], int | None]:
    """Numbers of the runs that may have made what a reader (or the end of time) sees, and of one that spoils it."""
    by_run = graph.runs[run_id(reader)] if reader else None
    start = by_run.started if by_run else max(each.last for each in graph.runs.values())
    end = (by_run.ended if by_run else None) or start
    chosen: set[int] = set()
    doubts = []
    for writers in graph.writers.get(node(name), {}).values():
        found, doubt = writers.select(start, end, by_run)
        chosen |= {int(each.run_id[-12:]) for each in found}
        doubts += [int(doubt.run_id[-12:])] if doubt else []
    return chosen, min(doubts, default=None)


class TestDelivery:
    def test_drops_and_counts_duplicates(self) -> None:
        """A redelivered event changes nothing but the count."""
        events = run(1, 0, 5, reads=["raw"], writes=["clean"])
        graph = graph_of(events, events, events[0])
        assert (graph.events, graph.duplicates, len(graph.runs)) == (2, 3, 1)

    def test_counts_events_out_of_order_by_run(self) -> None:
        """Two runs side by side are in order; a START after its COMPLETE is not."""
        first, second = run(1, 0, 5), run(2, 1, 3)
        assert graph_of(first, second).out_of_order == 0
        assert graph_of(first[::-1], second[::-1]).out_of_order == 2

    def test_accumulates_inputs_and_outputs(self) -> None:
        """What a run reads and writes is the union over its events."""
        found = only(
            graph_of(
                event(1, "START", 0, reads=["a"]),
                event(1, "RUNNING", 1, writes=["x"]),
                event(1, "COMPLETE", 2, reads=["b"], writes=["y"]),
                event(1, "OTHER", 9),
            )
        )
        assert (found.reads, found.writes) == ({node("a"), node("b")}, {node("x"), node("y")})
        assert [each.isoformat() if each else None for each in (found.started, found.ended, found.last)] == [
            at(0), at(2), at(9),
        ]  # fmt: skip

    def test_points_at_the_first_event_read(self) -> None:
        """A report can show the line of a run."""
        found = graph_of(run(1, 0, 5), run(2, 0, 5)).runs[run_id(2)]
        assert (found.path, found.line) == ("events.ndjson", 3)


class TestStates:
    @pytest.mark.parametrize("state", ["COMPLETE", "FAIL", "ABORT"])
    def test_a_terminal_state_wins(self, state: str) -> None:
        """A terminal state holds whatever else is delivered before or after it."""
        events = [event(1, state, 5), event(1, "START", 0), event(1, "RUNNING", 9), event(1, "OTHER", 10)]
        assert {only(graph_of(random.Random(seed).sample(events, 4))).state for seed in range(8)} == {state}

    @pytest.mark.parametrize("kind", ["START", "RUNNING", "OTHER"])
    def test_a_run_without_an_end_never_ended(self, kind: str) -> None:
        """No terminal event, no end."""
        found = only(graph_of(event(1, kind, 0)))
        assert (found.state, found.ended) == ("UNENDED", None)

    def test_the_first_of_two_equal_ends_counts(self) -> None:
        """COMPLETE reported twice at two times is one completion, at the first."""
        found = only(graph_of(event(1, "COMPLETE", 7), event(1, "COMPLETE", 5)))
        assert (found.state, found.ended and found.ended.isoformat()) == ("COMPLETE", at(5))

    @pytest.mark.parametrize("ends", [("COMPLETE", "FAIL"), ("COMPLETE", "ABORT"), ("ABORT", "FAIL")])
    def test_two_different_ends_contradict(self, ends: tuple[str, str]) -> None:
        """A run cannot both complete and fail; neither is believed."""
        graph = graph_of(event(1, ends[0], 5), event(1, ends[1], 6), run(2, 0, 1))
        ((found, problem),) = graph.contradictions()
        assert (found.run_id, found.state) == (run_id(1), "CONTRADICTORY")
        assert problem == f"{min(ends)} and {max(ends)} were both reported"

    def test_two_jobs_of_one_run_contradict(self) -> None:
        """A run belongs to one job; both jobs are named, and its completion is not believed."""
        graph = graph_of(event(1, "START", 0, job="b"), event(1, "COMPLETE", 5, job="a", writes=["x"]))
        ((found, problem),) = graph.contradictions()
        assert (found.state, found.job) == ("CONTRADICTORY", node("a", "job"))
        assert problem == "2 jobs claim it, etl/a and etl/b"
        assert selected(graph, "x") == (set(), 1)

    def test_no_contradiction_without_reason(self) -> None:
        """Runs that agree with themselves are not listed."""
        assert graph_of(run(1, 0, 5), run(2, 0, 5, state="FAIL")).contradictions() == []


class TestFacts:
    def test_the_latest_facet_counts(self) -> None:
        """Owner and columns are those of the latest event, deliveries in any order; a deleted facet is none."""
        events = [
            dataset_event(1, dataset("raw", owner="old")),
            event(1, "START", 3, reads=[dataset("raw", owner="new", facets={"schema": {"fields": [{}, {}]}})]),
            dataset_event(2, dataset("raw", owner="middle", facets={"schema": {"fields": []}})),
        ]
        for order in (events, events[::-1]):
            graph = graph_of(order)
            assert (graph.fact(node("raw"), "ownership"), graph.fact(node("raw"), "schema")) == (("new",), 2)
        deleted = dataset_event(4, dataset("raw", facets={"ownership": {"_deleted": True}}))
        assert graph_of(events, deleted).fact(node("raw"), "ownership") is None
        assert graph_of(events).fact(node("other"), "ownership") is None

    def test_owners_of_jobs_come_from_run_and_job_events(self) -> None:
        """A job's owner holds for all its runs."""
        owned = {"ownership": {"owners": [{"name": "team"}]}}
        assert graph_of(job_event(0, "train", job_facets=owned)).fact(node("train", "job"), "ownership") == ("team",)
        assert graph_of(event(1, "START", 0, job_facets=owned)).fact(node("job-1", "job"), "ownership") == ("team",)

    def test_versions_belong_to_the_run_that_states_them(self) -> None:
        """A version that a run states is the run's; one of a DatasetEvent is the dataset's."""
        graph = graph_of(
            event(1, "START", 0, reads=[dataset("raw", version="1")]),
            event(1, "COMPLETE", 1, reads=[dataset("raw", version="2")]),
            dataset_event(5, dataset("raw", version="9")),
        )
        assert only(graph).versions[node("raw")][1] == "2"
        assert graph.versions[node("raw")][1] == "9"

    def test_code_is_the_latest_of_the_runs_own_events(self) -> None:
        """A JobEvent's code says nothing about a run of the job."""
        code = {"sourceCodeLocation": {"type": "git", "url": "x", "version": "abc"}}
        assert only(graph_of(event(1, "START", 0), job_event(0, "job-1", job_facets=code))).source_code is None
        found = only(graph_of(event(1, "COMPLETE", 5, commit="new"), event(1, "START", 0, commit="old"))).source_code
        assert found is not None
        assert found.commit == "new"

    def test_the_latest_result_of_each_assertion_counts(self) -> None:
        """A check that passes again has passed; another job's failure is another check; one failure in an event fails."""
        check = Check(node("raw"), "etl/test", "not_null", "id", "")
        failed = event(1, "COMPLETE", 0, job="test", reads=[asserting("raw", False)])
        passed = event(2, "COMPLETE", 1, job="test", reads=[asserting("raw", True)])
        assert graph_of(passed, failed).checks[check][1] == PASSED
        both = event(3, "COMPLETE", 2, job="test", reads=[asserting("raw", False, True)])
        assert graph_of(both, passed).checks[check][1] == FAILED
        warned = event(4, "COMPLETE", 3, job="test", reads=[asserting("raw", True, False, severity="warn")])
        assert graph_of(both, warned).checks[check][1] == WARNED
        other = event(5, "COMPLETE", 9, job="other", reads=[asserting("raw", True)])
        assert graph_of(failed, other).checks[check][1] == FAILED
        static = graph_of(dataset_event(0, asserting("raw", False))).checks
        assert [(each.job, outcome) for each, (_, outcome) in static.items()] == [("", FAILED)]

    def test_keeps_statements_that_no_run_made(self) -> None:
        """What job and dataset events, and facets of inputs, say about sources is kept apart from the runs."""
        claim = {"lineage": {"entries": [
            {"type": "JOB", "namespace": "etl", "name": "other",
             "inputs": [{"type": "DATASET", "namespace": "lake", "name": "claimed"}]},
            {"type": "JOB", "inputs": [{"type": "DATASET", "namespace": "lake", "name": "own"}]},
        ]}}  # fmt: skip
        derived = {"lineage": {"inputs": [{"type": "DATASET", "namespace": "lake", "name": "origin"}]}}
        graph = graph_of(
            job_event(0, "train", reads=["designed"], writes=[dataset("model", facets=derived)]),
            event(1, "START", 1, reads=[dataset("raw", facets=derived)], job_facets=claim),
            event(1, "COMPLETE", 2, writes=[dataset("clean", facets=derived)]),
        )
        assert graph.static == {
            node("train", "job"): {node("designed")},
            node("model"): {node("origin")},
            node("raw"): {node("origin")},
            node("other", "job"): {node("claimed")},
        }
        assert only(graph).reads == {node("raw"), node("own"), node("origin")}


class TestSelection:
    def test_a_later_run_of_the_job_supersedes_an_earlier(self) -> None:
        """At the end of time the latest completed run counts; each reader sees the one before it started."""
        graph = graph_of(
            run(1, 0, 1, job="w", writes=["x"]), run(2, 4, 5, job="w", writes=["x"]),
            run(3, 2, 3, reads=["x"]), run(4, 6, 7, reads=["x"]), run(5, 0.5, 0.75, reads=["x"]),
        )  # fmt: skip
        assert selected(graph, "x") == ({2}, None)
        assert selected(graph, "x", 3) == ({1}, None)
        assert selected(graph, "x", 4) == ({2}, None)
        assert selected(graph, "x", 5) == (set(), None)

    def test_what_ends_while_the_reader_runs_counts_too(self) -> None:
        """A reader may have read what was there when it began or what was written meanwhile; both are traced."""
        graph = graph_of(
            run(1, 0, 1, job="w", writes=["x"]), run(2, 2, 4, job="w", writes=["x"]), run(3, 3, 5, reads=["x"]),
        )  # fmt: skip
        assert selected(graph, "x", 3) == ({1, 2}, None)

    def test_an_end_at_the_very_start_counts(self) -> None:
        """Integrations stamp the end of one run and the start of the next alike."""
        graph = graph_of(run(1, 0, 5, job="w", writes=["x"]), run(2, 5, 5, reads=["x"]))
        assert selected(graph, "x", 2) == ({1}, None)

    def test_another_job_supersedes_nothing(self) -> None:
        """Two jobs may write two parts of one dataset; the latest of each counts."""
        graph = graph_of(run(1, 0, 1, writes=["x"]), run(2, 2, 3, writes=["x"]))
        assert selected(graph, "x") == ({1, 2}, None)

    def test_runs_side_by_side_supersede_nothing(self) -> None:
        """Mapped tasks share a job; a run is superseded only by one that began after it ended."""
        graph = graph_of(
            run(1, 0, 2, job="w", writes=["x"]), run(2, 1, 6, job="w", writes=["x"]), run(3, 5, 7, job="w", writes=["x"]),
        )  # fmt: skip
        assert selected(graph, "x") == ({2, 3}, None)

    @pytest.mark.parametrize("state", ["FAIL", "ABORT"])
    def test_a_retry_clears_a_failed_attempt(self, state: str) -> None:
        """A failed run throws doubt until a run of its job that began afterwards completes."""
        failed = run(1, 0, 2, job="w", state=state, writes=["x"])
        assert selected(graph_of(failed), "x") == (set(), 1)
        assert selected(graph_of(failed, run(2, 3, 4, job="w", writes=["x"])), "x") == ({2}, None)
        assert selected(graph_of(failed, run(2, 1, 4, job="w", writes=["x"])), "x") == ({2}, 1)
        assert selected(graph_of(failed, run(2, 3, 4, job="other", writes=["x"])), "x") == ({2}, 1)

    def test_a_long_zombie_is_not_hidden_by_a_short_failure(self) -> None:
        """Of several doubtful runs the one with the latest event decides."""
        graph = graph_of(
            run(1, 1, 9, job="w", state="FAIL", writes=["x"]), run(2, 2, 3, job="w", state="FAIL", writes=["x"]),
            run(3, 4, 5, job="w", writes=["x"]),
        )  # fmt: skip
        assert selected(graph, "x") == ({3}, 1)

    def test_doubt_begins_when_the_run_begins(self) -> None:
        """A run that began after the reader ended did not spoil what it read."""
        graph = graph_of(
            run(1, 0, 1, job="w", writes=["x"]), run(2, 2, 4, reads=["x"]),
            event(3, "START", 3, job="w", writes=["x"]), run(4, 1, 2, reads=["x"]),
        )  # fmt: skip
        assert selected(graph, "x", 2) == ({1}, 3)
        assert selected(graph, "x", 4) == ({1}, None)

    def test_a_run_does_not_read_what_it_writes_itself(self) -> None:
        """A run that updates a dataset in place reads what was there before."""
        graph = graph_of(
            run(1, 0, 1, job="w", writes=["x"]), run(2, 2, 3, job="w", reads=["x"], writes=["x"]),
            event(3, "COMPLETE", 5, job="w", reads=["x"], writes=["x"]),
        )  # fmt: skip
        assert selected(graph, "x", 2) == ({1}, None)
        assert selected(graph, "x", 3) == ({2}, None)

    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6), st.sampled_from(["COMPLETE", "FAIL"])),
                    min_size=1, max_size=7), st.tuples(st.integers(0, 12), st.integers(0, 6)))  # fmt: skip
    def test_selects_as_the_rule_says(self, spans: list[tuple[int, int, str]], reader: tuple[int, int]) -> None:
        """The bisecting selection equals the rule, spelt out over all runs of one job."""
        events = [
            each
            for number, (start, length, state) in enumerate(spans, 1)
            for each in run(number, start, start + length, state=state, job="w", writes=["x"])
        ]
        start, end = reader[0], reader[0] + reader[1]
        numbered = list(enumerate(spans, 1))
        done = [(number, begun, begun + length) for number, (begun, length, state) in numbered if state == "COMPLETE"]
        settled = max((each for each in done if each[2] <= start), key=lambda each: (each[2], each[0]), default=None)
        began = settled[1] if settled else -1
        chosen = {number for number, _, ended in done if began <= ended <= end}
        doubts = [begun + length for begun, length, state in spans if state == "FAIL" and begun <= end]
        found = selected(graph_of(events, run(99, start, end, reads=["x"])), "x", 99)
        assert found[0] == chosen
        assert (found[1] is not None) == (max(doubts, default=-2) >= began)
