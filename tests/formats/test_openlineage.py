"""OpenLineage events are read strictly where the gate relies on them, and refused with the reason."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lineage_events import as_ndjson, dataset, dataset_event, event, job_event, node, run_id

from gatekeeper.errors import EvidenceError
from gatekeeper.formats.openlineage import FAILED, PASSED, WARNED, Event, SourceCode, parse_events

COMPLETE = event(1, "COMPLETE", 5, reads=["raw"], writes=["clean"])


def parse_one(value: Any) -> Event:
    """Read a file of one event."""
    (found,) = parse_events(json.dumps(value).encode(), "events.json")
    return found


def refusal(data: bytes | dict[str, Any]) -> EvidenceError:
    """The error with which a file is refused."""
    content = data if isinstance(data, bytes) else json.dumps(data).encode()
    with pytest.raises(EvidenceError) as caught:
        parse_events(content, "events.json")
    assert caught.value.kind == "malformed"
    assert caught.value.subject == "events.json"
    return caught.value


def attempt(data: bytes, name: str) -> list[Event] | EvidenceError:
    """Read a file, or return the error with which it is refused; any other exception is a fault."""
    try:
        return parse_events(data, name)
    except EvidenceError as error:
        return error


def with_facet(name: str, facet: Any, *, of: str = "outputs") -> dict[str, Any]:
    """A run event of which the job or the first dataset has one more facet."""
    value: dict[str, Any] = json.loads(json.dumps(COMPLETE))
    holder = value["job"] if of == "job" else value[of][0]
    holder["facets"] = {name: facet}
    return value


class TestFiles:
    def test_reads_one_event_an_array_and_lines_alike(self) -> None:
        """The three layouts of a file give the same events."""
        other = event(2, "START", 6)
        lines = parse_events(as_ndjson([COMPLETE, other]), "x")
        array = parse_events(json.dumps([COMPLETE, other], indent=2).encode(), "x")
        assert [each.digest for each in lines] == [each.digest for each in array]
        assert parse_one(COMPLETE).digest == lines[0].digest
        pretty = parse_events(json.dumps(COMPLETE, indent=2).encode(), "x")
        assert pretty[0].digest == lines[0].digest

    def test_keeps_the_line_of_each_event(self) -> None:
        """Lines count from 1, blank ones included, so that a report can point at an event."""
        data = b"\xef\xbb\xbf\r\n" + as_ndjson([COMPLETE]) + b"\n\n" + as_ndjson([COMPLETE])
        assert [(each.path, each.line) for each in parse_events(data, "x")] == [("x", 2), ("x", 5)]

    def test_reads_one_line_without_its_end(self) -> None:
        """A last line without a newline is a line."""
        assert len(parse_events(as_ndjson([COMPLETE, COMPLETE]).rstrip(), "x")) == 2

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"", "empty"),
            (b" \n\n ", "empty"),
            (b"[]", "holds no event"),
            (b"\xff\xfe{}", "not UTF-8"),
            (as_ndjson([COMPLETE])[:-30], "not JSON"),
            (as_ndjson([COMPLETE]) + b'{"eventTime": "20', "line 2"),
            (json.dumps([COMPLETE]).encode()[:-2], "not JSON"),
            (b'{"eventTime": "a", "eventTime": "b"}', "duplicate key 'eventTime'"),
            (b'{"eventTime": "a", "x": NaN}', "NaN"),
            (b'{"eventTime": "a", "x": 1e999}', "too large"),
            (b'{"eventTime": "2026-01-01T00:00:00Z", "job": {"namespace": "a", "name": "\\ud800"}}', "surrogate"),
            (b"[" * 200 + b"]" * 200, "deeper"),
            (b"[1]", "event 1: no eventTime"),
            (b'"text"', "no eventTime"),
            (b"name: yaml\n", "not JSON"),
        ],
    )
    def test_refuses_what_is_no_file_of_events(self, data: bytes, reason: str) -> None:
        """A file that holds no events, or is cut or ambiguous, is malformed and says why."""
        assert reason in refusal(data).problem

    def test_refuses_a_schema_by_name(self) -> None:
        """The JSON Schema of a facet is not taken for an event."""
        assert "a JSON Schema" in refusal({"$schema": "https://json-schema.org/draft/2020-12/schema"}).problem

    def test_names_the_event_at_fault(self) -> None:
        """One bad event refuses the file, with its number and line."""
        error = refusal(as_ndjson([COMPLETE]) + b"\n" + as_ndjson([COMPLETE | {"eventTime": "now"}]))
        assert error.problem.startswith("event 2: eventTime 'now'")
        assert error.location is not None
        assert error.location.line == 3


class TestEvents:
    def test_reads_a_run_event(self) -> None:
        """Run, job, datasets, type and time are there, the time in UTC and the id in lower case."""
        changed = COMPLETE | {"eventTime": "2026-11-23T12:05:00.250+02:00", "run": {"runId": run_id(0xABC).upper()}}
        found = parse_one(changed)
        assert found.time == datetime(2026, 11, 23, 10, 5, 0, 250000, tzinfo=UTC)
        assert found.run_id == run_id(0xABC).lower()
        assert found.event_type == "COMPLETE"
        assert found.job == node("job-1", "job")
        assert [each.node for each in found.inputs] == [node("raw")]
        assert [each.node for each in found.outputs] == [node("clean")]
        assert found.dataset is None

    def test_reads_a_dataset_event_and_a_job_event(self) -> None:
        """Static metadata has no run."""
        static = parse_one(dataset_event(1, dataset("raw", version="3")))
        assert (static.run_id, static.job) == (None, None)
        assert static.dataset is not None
        assert static.dataset.facts == {"version": "3"}
        designed = parse_one(job_event(1, "train", reads=["raw"]))
        assert (designed.run_id, designed.dataset) == (None, None)
        assert designed.job == node("train", "job")

    def test_an_event_without_a_type_changes_no_state(self) -> None:
        """The specification leaves eventType optional."""
        assert parse_one({key: value for key, value in COMPLETE.items() if key != "eventType"}).event_type == "OTHER"

    def test_a_run_event_may_carry_a_dataset(self) -> None:
        """The specification's own example has one; it says nothing about the run."""
        assert parse_one(COMPLETE | {"dataset": {"namespace": "123", "name": "1"}}).dataset is None

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"eventTime": "2026-11-23T10:00:00"}, "RFC 3339"),
            ({"eventTime": "2026-11-23"}, "RFC 3339"),
            ({"eventTime": "2026-11-23 10:00:00Z"}, "RFC 3339"),
            ({"eventTime": "2026-11-23T10:00:00\u0660Z"}, "RFC 3339"),
            ({"eventTime": "2026-13-23T10:00:00Z"}, "is not a time"),
            ({"eventTime": "0001-01-01T00:00:00+14:00"}, "is not a time"),
            ({"eventTime": 1764000000}, "RFC 3339"),
            ({"eventType": "complete"}, "eventType 'complete'"),
            ({"eventType": ["COMPLETE"]}, "eventType"),
            ({"eventType": None}, "eventType None"),
            ({"run": {}}, "run.runId None"),
            ({"run": {"runId": "42"}}, "is not a UUID"),
            ({"run": {"runId": run_id(1).replace("-", "")}}, "is not a UUID"),
            ({"run": []}, "run is not an object"),
            ({"job": {"namespace": "a"}}, "job.name"),
            ({"job": {"namespace": "", "name": "b"}}, "job.namespace"),
            ({"job": {"namespace": "a", "name": "b" * 1025}}, "1 to 1024"),
            ({"job": None}, "job is not an object"),
            ({"inputs": None}, "inputs is not an array"),
            ({"inputs": ["raw"]}, "inputs is not an array of objects"),
            ({"outputs": [{"name": "clean"}]}, "outputs.namespace"),
            ({"outputs": {}}, "outputs is not an array"),
            ({"outputs": [{"namespace": "a", "name": 1}]}, "outputs.name"),
        ],
    )
    def test_refuses_what_the_gate_could_not_rely_on(self, changes: dict[str, Any], reason: str) -> None:
        """A part that is used and breaks the specification refuses the file."""
        assert reason in refusal(COMPLETE | changes).problem

    @pytest.mark.parametrize("keys", [["run"], ["job", "dataset"], ["run", "dataset"], []])
    def test_refuses_an_event_of_no_kind(self, keys: list[str]) -> None:
        """What is not exactly a run event, a job event or a dataset event is ambiguous."""
        parts = COMPLETE | {"dataset": dataset("raw")}
        assert "was wanted" in refusal({"eventTime": parts["eventTime"]} | {key: parts[key] for key in keys}).problem

    def test_refuses_a_dataset_event_without_a_dataset(self) -> None:
        """The dataset of a static event is an object with a name."""
        assert "dataset is not an object" in refusal(dataset_event(1, {}) | {"dataset": "raw"}).problem
        assert "dataset.namespace" in refusal(dataset_event(1, {})).problem

    def test_equal_events_have_equal_digests(self) -> None:
        """The order of keys and the spaces of a redelivery do not make it another event."""
        again = dict(reversed(COMPLETE.items()))
        assert parse_one(again).digest == parse_one(COMPLETE).digest
        assert parse_one(COMPLETE | {"eventType": "FAIL"}).digest != parse_one(COMPLETE).digest

    @settings(max_examples=60, deadline=None)
    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5), st.data())
    def test_any_value_anywhere_is_read_or_refused(self, value: Any, data: st.DataObject) -> None:
        """A hostile value in place of any part never raises another exception."""
        changed: dict[str, Any] = json.loads(
            json.dumps(with_facet("ownership", {"owners": [{"name": "a"}]}) | {"run": {"runId": run_id(1)}})
        )
        target: Any = changed
        for _ in range(data.draw(st.integers(1, 5))):
            key = data.draw(st.sampled_from(sorted(target) if isinstance(target, dict) else list(range(len(target)))))
            following = target[key]
            if not isinstance(following, dict | list) or not following:
                break
            parent, target = target, following
        else:
            target = parent
        target[key] = value
        found = attempt(json.dumps(changed).encode(), "x")
        assert isinstance(found, list) or (found.kind, found.subject) == ("malformed", "x")


class TestFacets:
    def test_reads_version_owners_and_columns(self) -> None:
        """The facets of a dataset that the gate uses become facts."""
        value = with_facet("schema", {"fields": [{"name": "a"}, {"name": "b", "type": "int"}]})
        value["outputs"][0]["facets"] |= dataset("x", version="7", owner="team")["facets"]
        assert parse_one(value).outputs[0].facts == {"version": "7", "ownership": ("team",), "schema": 2}

    @pytest.mark.parametrize(
        ("name", "facet", "fact"),
        [
            ("version", {"_deleted": True}, None),
            ("version", {"datasetVersion": ""}, None),
            ("ownership", {}, ()),
            ("ownership", {"_deleted": True}, None),
            ("schema", {}, 0),
        ],
    )
    def test_an_empty_or_deleted_facet_states_nothing(self, name: str, facet: Any, fact: Any) -> None:
        """A facet that deletes or holds nothing is not a version and not an owner."""
        assert not fact
        assert parse_one(with_facet(name, facet)).outputs[0].facts == {name: fact}

    def test_ignores_facets_that_it_does_not_use(self) -> None:
        """An unknown facet may hold anything."""
        assert parse_one(with_facet("my_custom", [1, {"a": None}])).outputs[0].facts == {}

    @pytest.mark.parametrize(
        ("name", "facet", "of"),
        [
            ("version", {"datasetVersion": 7}, "outputs"),
            ("version", {}, "outputs"),
            ("version", "7", "inputs"),
            ("ownership", {"owners": [{"no-name": "x"}]}, "outputs"),
            ("ownership", {"owners": [{"name": ""}]}, "job"),
            ("ownership", {"owners": "team"}, "job"),
            ("schema", {"fields": ["a"]}, "outputs"),
            ("sourceCodeLocation", {"version": "abc"}, "job"),
            ("sourceCodeLocation", {"type": "git", "version": 5}, "job"),
            ("dataQualityAssertions", {}, "inputs"),
            ("dataQualityAssertions", {"assertions": [{"assertion": "a", "success": "true"}]}, "inputs"),
            ("dataQualityAssertions", {"assertions": [{"success": True}]}, "inputs"),
            ("columnLineage", {"fields": {"a": {"inputFields": [{"name": "x"}]}}}, "outputs"),
            ("lineage", {"inputs": [{"namespace": "a", "name": "b"}]}, "outputs"),
            ("lineage", {"entries": [{"type": "TABLE", "namespace": "a", "name": "b"}]}, "job"),
            ("lifecycleStateChange", {"previousIdentifier": {"name": "x"}}, "outputs"),
        ],
    )
    def test_refuses_a_used_facet_that_breaks_its_schema(self, name: str, facet: Any, of: str) -> None:
        """A facet that the gate relies on is checked; guessing what it meant would be worse."""
        if facet == {} and name == "dataQualityAssertions":
            facet = {"_producer": "x"}
        assert "event 1: " in refusal(with_facet(name, facet, of=of)).problem

    @pytest.mark.parametrize(
        ("facet", "expected"),
        [
            (
                {"type": "git", "repoUrl": "https://user:secret@git.example.org/x", "path": "a.py", "version": "ABC1"},
                SourceCode("https://git.example.org/x", "a.py", "abc1"),
            ),
            ({"type": "GIT", "url": "http://x", "version": ""}, SourceCode("http://x", "", None)),
            ({"type": "svn", "url": "http://x", "version": "42"}, SourceCode("http://x", "", None)),
        ],
        ids=["git", "no version", "not git"],
    )
    def test_reads_the_commit_of_git_only(self, facet: dict[str, Any], expected: SourceCode) -> None:
        """Only a version of git is a commit, and credentials in a URL are left out."""
        assert parse_one(with_facet("sourceCodeLocation", facet, of="job")).job_facts == {
            "sourceCodeLocation": expected
        }

    def test_reads_assertions_wherever_integrations_put_them(self) -> None:
        """The specification has them among the input facets, dbt's integration among the dataset's facets."""
        checks = {"assertions": [
            {"assertion": "unique", "column": "id", "success": True},
            {"assertion": "not_null", "success": False, "name": "ids"},
            {"assertion": "range", "success": False, "severity": "WARN"},
        ]}  # fmt: skip
        for key in ("facets", "inputFacets", "outputFacets"):
            value = COMPLETE | {"inputs": [{"namespace": "a", "name": "b", key: {"dataQualityAssertions": checks}}]}
            found = parse_one(value).inputs[0].assertions
            assert [(each.assertion, each.column, each.name, each.outcome) for each in found] == [
                ("unique", "id", "", PASSED),
                ("not_null", "", "ids", FAILED),
                ("range", "", "", WARNED),
            ]

    def test_reads_sources_from_the_lineage_facets(self) -> None:
        """Column lineage, explicit lineage and a rename all name where a dataset comes from."""
        columns = {"fields": {"a": {"inputFields": [{"namespace": "lake", "name": "one", "field": "x"}]}},
                   "dataset": [{"namespace": "lake", "name": "two", "field": "y"}]}  # fmt: skip
        assert parse_one(with_facet("columnLineage", columns)).outputs[0].sources == (node("one"), node("two"))
        lineage = {"inputs": [{"namespace": "etl", "name": "load", "type": "JOB"}, {"type": "JOB"}],
                   "fields": {"a": {"inputs": [{"namespace": "lake", "name": "raw", "type": "DATASET"}]}}}  # fmt: skip
        assert parse_one(with_facet("lineage", lineage)).outputs[0].sources == (node("load", "job"), node("raw"))
        assert parse_one(with_facet("lineage", lineage | {"_deleted": True})).outputs[0].sources == ()
        rename = {"lifecycleStateChange": "RENAME", "previousIdentifier": {"namespace": "lake", "name": "old"}}
        assert parse_one(with_facet("lifecycleStateChange", rename)).outputs[0].sources == (node("old"),)
        assert node("old").label == "lake/old"

    def test_reads_the_claims_of_a_job(self) -> None:
        """A job's lineage facet pairs targets with sources; without a name the target is the job itself."""
        source = {"namespace": "lake", "name": "raw", "type": "DATASET"}
        entries = [{"type": "JOB", "inputs": [source]},
                   {"type": "DATASET", "namespace": "lake", "name": "clean", "inputs": [source, {"type": "JOB"}]}]  # fmt: skip
        found = parse_one(with_facet("lineage", {"entries": entries}, of="job"))
        assert found.claims == ((node("job-1", "job"), node("raw")), (node("clean"), node("raw")))


class TestCorpus:
    def test_reads_or_refuses_every_file(self, corpus: Path) -> None:
        """Each file of the OpenLineage project is read, or refused by name with a reason; nothing else happens."""
        files = [path for path in sorted((corpus / "lineage" / "openlineage").rglob("*")) if path.is_file()]
        read, refused = Counter[str](), Counter[str]()
        for path in files:
            found = attempt(path.read_bytes(), path.name)
            if isinstance(found, list):
                read[path.name] += len(found)
                continue
            assert (found.subject, bool(found.problem)) == (path.name, True)
            assert path.parent.name != "facets" or "a JSON Schema" in found.problem
            refused[path.name] += 1
        assert len(files) == 144
        assert sum(refused.values()) == 132
        assert read == {
            "example_full_event.json": 2, "result.json": 24, "test-complete.json": 1, "test-start.json": 1,
            "event_full.json": 1, "event_simple.json": 1, "event_invalid_input_dataset_facet.json": 1,
            "event_invalid_output_dataset_facet.json": 1, "event_invalid_run_facet.json": 1,
        }  # fmt: skip

    def test_reads_dbt_events_once_their_templates_are_filled(self, corpus: Path) -> None:
        """The expected events of dbt's integration have placeholders for ids and times; filled, they are read."""
        events = 0
        for path in sorted((corpus / "lineage" / "openlineage").rglob("*.json")):
            text = path.read_text("utf-8")
            if "{{" in text and '"eventTime"' in text:
                filled = text.replace("{{ any(result) }}", run_id(1)).replace(
                    "{{ is_datetime(result) }}", "2026-01-01T00:00:00Z"
                )
                events += len(parse_events(filled.encode(), path.name))
        assert events == 6 + 6 + 2 + 2 + 8 + 72 + 26 + 10 + 4 + 10

    def test_reads_every_facet_example_that_it_uses(self, corpus: Path) -> None:
        """The specification's own examples of the facets that the gate uses are read within an event."""
        read = 0
        for name, of in [("DatasetVersionDatasetFacet", "outputs"), ("OwnershipDatasetFacet", "outputs"),
                         ("SchemaDatasetFacet", "outputs"), ("DataQualityAssertionsDatasetFacet", "inputs"),
                         ("ColumnLineageDatasetFacet", "outputs"), ("LifecycleStateChangeDatasetFacet", "outputs"),
                         ("OwnershipJobFacet", "job"), ("SourceCodeLocationJobFacet", "job")]:  # fmt: skip
            for path in (corpus / "lineage" / "openlineage").glob(f"*/spec/tests/{name}/*.json"):
                ((facet, value),) = json.loads(path.read_text("utf-8")).items()
                parse_one(with_facet(facet, value, of=of))
                read += 1
        for path in (corpus / "lineage" / "openlineage").glob("*/spec/tests/LineageFacet/*.json"):
            value = json.loads(path.read_text("utf-8"))["lineage"]
            parse_one(with_facet("lineage", value, of="job" if "entries" in value else "outputs"))
            read += 1
        assert read >= 16
