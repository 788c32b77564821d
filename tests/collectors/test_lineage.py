"""The lineage gate: from files of OpenLineage events and a git repository to a verdict."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import NOW, PROJECT, git
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lineage_events import as_ndjson, asserting, at, dataset, dataset_event, event, job_event, run, run_id
from pydantic import ValidationError
from support import SHA, make_context

from gatekeeper.collectors import COLLECTORS, lineage, load_collector
from gatekeeper.collectors.lineage import Body, Request, Thresholds, collect
from gatekeeper.engine.embedded import EmbeddedEngine
from gatekeeper.errors import EvidenceError
from gatekeeper.policy import load_policies
from gatekeeper.settings import EngineSettings

Events = list[dict[str, Any]]
POLICIES = load_policies(PROJECT / "policies")
LIMITS: dict[str, Any] = POLICIES.defaults["thresholds"]["lineage"]
MODEL = dataset("model", version=f"sha256:{SHA}", owner="team-imaging")
RAW = dataset("raw", version="2026-11-01", owner="team-data")
REQUEST: dict[str, Any] = {
    "openlineage": "events.ndjson",
    "outputs": [{"namespace": "lake", "name": "model"}],
    "inputs": [{"namespace": "lake", "name": "raw"}],
}


def pipeline(commit: str, *, output: Any = MODEL, source: Any = RAW, middle: Any = "clean") -> Events:
    """Two completed runs from the source to the output, of one commit."""
    return [
        *run(1, 0, 1, job="clean", reads=[source], writes=[middle], commit=commit),
        *run(2, 2, 3, job="train", reads=[middle], writes=[output], commit=commit),
    ]


def without_commits(*events: Events) -> Events:
    """The same events, of which no job says where its code lies."""
    copies: Events = json.loads(json.dumps([each for part in events for each in part]))
    for each in copies:
        each["job"]["facets"].pop("sourceCodeLocation", None)
    return copies


def request(**changes: Any) -> Request:
    """The gate's part of the manifest."""
    return Request.model_validate_json(json.dumps(REQUEST | changes))


def names(*values: str) -> list[dict[str, str]]:
    """Datasets as the manifest names them."""
    return [{"namespace": "lake", "name": value} for value in values]


def collected(root: Path, events: Iterable[dict[str, Any]] | bytes, **changes: Any) -> Body:
    """Write the events and collect, as `decide` reads it back: through JSON."""
    data = events if isinstance(events, bytes) else as_ndjson(events)
    (root / "events.ndjson").write_bytes(data)
    body = collect(request(**changes), make_context(root))
    again = Body.model_validate_json(body.model_dump_json())
    assert again == body
    return body


def gap(root: Path, events: Iterable[dict[str, Any]] | bytes, **changes: Any) -> EvidenceError:
    """The error that becomes a gap."""
    with pytest.raises(EvidenceError) as caught:
        collected(root, events, **changes)
    return caught.value


@pytest.fixture
def repo(git_repository: Callable[..., Path]) -> Path:
    """A repository with two commits on main and one on a branch that is not merged."""
    root = git_repository({"train.py": "1"}, {"train.py": "2"})
    git(root, "checkout", "-q", "-b", "experiment")
    git(root, "commit", "-q", "--allow-empty", "-m", "not merged")
    git(root, "checkout", "-q", "main")
    return root


@pytest.fixture(scope="module")
def engine() -> Iterator[EmbeddedEngine]:
    """The embedded engine with the gate's policies; that the whole library loads is tested with the engines."""
    opened = EmbeddedEngine(EngineSettings())
    opened.load(load_policies(PROJECT / "policies" / "gatekeeper" / "gates" / "lineage"))
    yield opened
    opened.close()


@pytest.fixture
def judged(engine: EmbeddedEngine) -> Callable[..., dict[str, list[dict[str, Any]]]]:
    """Evaluate the gate's policy on a body: findings by effect."""

    def judge(body: Body, **limits: Any) -> dict[str, list[dict[str, Any]]]:
        document = {
            "promotion": {}, "gate": "lineage", "evidence": body.model_dump(mode="json"), "now": NOW.isoformat(),
            "settings": {"environment": "production", "risk_tier": "high", "thresholds": LIMITS | limits},
        }  # fmt: skip
        return engine.evaluate("gatekeeper.gates.lineage", json.dumps(document).encode()).result

    return judge


Judge = Callable[..., dict[str, list[dict[str, Any]]]]


def rules(findings: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Subjects by rule, without the gate's name."""
    found: dict[str, set[str]] = {}
    for each in findings:
        found.setdefault(each["rule"].removeprefix("lineage."), set()).add(each["subject"])
    return found


class TestRequest:
    def test_reads_one_file_or_several(self) -> None:
        """`openlineage` is a path or a list of paths."""
        assert request().paths == ("events.ndjson",)
        assert request(openlineage=["a", "b"]).paths == ("a", "b")

    @pytest.mark.parametrize(
        "changes",
        [
            {"openlineage": []},
            {"openlineage": ""},
            {"openlineage": ["a", "a"]},
            {"outputs": []},
            {"inputs": []},
            {"inputs": names("raw", "raw")},
            {"outputs": names("model", "model")},
            {"outputs": [{"namespace": "lake"}]},
            {"outputs": [{"namespace": "lake", "name": ""}]},
            {"outputs": names(*map(str, range(51)))},
            {"gates": []},
        ],
    )
    def test_refuses_a_request_that_proves_nothing(self, changes: dict[str, Any]) -> None:
        """Nothing to trace, nowhere to end, something twice, or an unknown key is refused."""
        with pytest.raises(ValidationError):
            request(**changes)

    def test_thresholds_of_the_library_fit_the_model(self) -> None:
        """The library's thresholds and its overrides have exactly the keys of the model."""
        layers = [each["thresholds"].get("lineage", {}) for each in POLICIES.defaults["overrides"]]
        for layer in [{}, *layers]:
            assert Thresholds.model_validate_json(json.dumps(LIMITS | layer))
        with pytest.raises(ValidationError):
            Thresholds.model_validate_json(json.dumps(LIMITS | {"require_versions": True}))

    def test_is_a_known_gate(self) -> None:
        """The module is the collector of the gate `lineage`."""
        assert COLLECTORS["lineage"] == lineage.__name__
        assert load_collector("lineage").Body is Body


class TestBody:
    def test_traces_a_pipeline(self, repo: Path) -> None:
        """Outputs, ends, runs, datasets, counts and edges are there."""
        commit = git(repo, "rev-parse", "HEAD~1")
        body = collected(repo, pipeline(commit))
        (output,) = body.outputs
        assert (output.traced, output.runs, output.datasets, output.inputs, output.unknown) == (True, 2, 3, 1, 0)
        assert (output.version, output.is_artifact) == (f"sha256:{SHA}", True)
        assert [each.name for each in body.reached_inputs.listed] == ["raw"]
        assert [(each.job, each.state, each.commit, each.commit_known) for each in body.runs.listed] == [
            ("etl/train", "COMPLETE", commit, True),
            ("etl/clean", "COMPLETE", commit, True),
        ]
        assert body.runs.listed[0].place.model_dump() == {"path": "events.ndjson", "line": 3, "column": 1}
        assert [(each.name, each.role, each.version, each.owners) for each in body.endpoints.listed] == [
            ("model", "output", f"sha256:{SHA}", ("team-imaging",)),
            ("raw", "input", "2026-11-01", ("team-data",)),
        ]
        assert [(each.name, each.role) for each in body.intermediates.listed] == [("clean", "intermediate")]
        assert body.counts.model_dump() == {
            "events": 4, "duplicates": 0, "duplicates_ratio": 0.0, "duplicates_text": "0 of 4 (0.0%)", "runs": 2,
            "out_of_order": 0,
        }  # fmt: skip
        assert (body.edges.total, len(body.edges.listed)) == (4, 4)
        assert len(body.model_dump_json()) < 4000

    def test_records_every_file_as_a_source(self, tmp_path: Path) -> None:
        """Several files are one set of events, and each is digested."""
        events = without_commits(pipeline("x"))
        (tmp_path / "a.json").write_text(json.dumps(events[:2]), "utf-8")
        (tmp_path / "b.ndjson").write_bytes(as_ndjson(events[1:]))
        context = make_context(tmp_path)
        body = collect(request(openlineage=["a.json", "b.ndjson"]), context)
        assert [each.path for each in context.workspace.sources] == ["a.json", "b.ndjson"]
        assert (body.counts.events, body.counts.duplicates, body.counts.duplicates_text) == (4, 1, "1 of 5 (20.0%)")
        assert [each.place.path for each in body.runs.listed] == ["b.ndjson", "a.json"]

    def test_is_as_old_as_the_oldest_run_that_wrote_an_output(self, tmp_path: Path) -> None:
        """Of the runs that outputs rest on directly the oldest end counts; runs further up may be older."""
        events = without_commits(
            pipeline("x"), run(3, 4, 5, reads=["raw"], writes=["model"]), run(4, 8, 9, reads=["raw"], writes=["other"])
        )
        body = collected(tmp_path, events, outputs=names("model", "other"))
        assert body.observed_at is not None
        assert body.observed_at.isoformat() == at(3)
        assert collected(tmp_path, events, outputs=names("other")).observed_at == NOW.replace(hour=10, minute=9)
        assert collected(tmp_path, events, outputs=names("nowhere")).observed_at is None

    def test_needs_git_only_when_a_commit_is_named(self, tmp_path: Path) -> None:
        """Without a commit there is nothing to look up, and the commit stays unknown, not false."""
        body = collected(tmp_path, without_commits(pipeline("x")))
        assert {each.commit_known for each in body.runs.listed} == {None}
        assert (body.runs.without_commit, body.runs.unknown_commit) == (2, 0)

    @pytest.mark.parametrize(
        ("ref", "known"),
        [("HEAD", True), ("HEAD~1", True), ("experiment", False), ("HEAD:train.py", False), ("HEAD^{tree}", False)],
    )
    def test_a_commit_is_known_when_it_is_merged(self, repo: Path, ref: str, known: bool) -> None:
        """HEAD and its ancestors are known; another branch, a file and a tree are not."""
        body = collected(repo, pipeline(git(repo, "rev-parse", ref).upper()))
        assert {each.commit_known for each in body.runs.listed} == {known}
        assert body.runs.unknown_commit == (0 if known else 2)

    @pytest.mark.parametrize("commit", ["0" * 40, "main", "HEAD", "--all", "a" * 500, "é"])
    def test_what_is_no_commit_id_is_not_known(self, repo: Path, commit: str) -> None:
        """Names of branches, options and ids that are not there prove nothing."""
        assert {each.commit_known for each in collected(repo, pipeline(commit)).runs.listed} == {False}

    def test_an_abbreviated_commit_is_not_known(self, repo: Path) -> None:
        """A prefix can come to name another commit."""
        assert collected(repo, pipeline(git(repo, "rev-parse", "--short", "HEAD"))).runs.unknown_commit == 2

    def test_owners_come_from_the_dataset_or_from_the_job_that_wrote_it(self, tmp_path: Path) -> None:
        """A job's owner stands in for its outputs, not for what it reads; an own facet comes first."""
        owned = {"ownership": {"owners": [{"name": "team-etl"}] * 2}}
        events = without_commits(run(1, 0, 1, reads=["raw"], writes=["clean"], job_facets=owned),
                                 run(2, 2, 3, reads=["clean"], writes=[dataset("model", owner="team-ml")]),
                                 [job_event(0, "job-2", job_facets=owned)])  # fmt: skip
        body = collected(tmp_path, events)
        owners = {each.name: each.owners for each in (*body.endpoints.listed, *body.intermediates.listed)}
        assert owners == {"model": ("team-ml",), "clean": ("team-etl",), "raw": ()}
        assert (body.endpoints.without_owner, body.intermediates.without_owner) == (1, 0)

    def test_versions_come_from_runs_on_the_path(self, tmp_path: Path) -> None:
        """A later reader of the output says nothing about the version that was promoted."""
        events = without_commits(
            pipeline("x", output=dataset("model", version="2"), source="raw"),
            run(3, 5, 6, reads=[dataset("model", version="9")], writes=["elsewhere"]),
        )
        body = collected(tmp_path, [*events, dataset_event(0, dataset("raw", version="7"))])
        assert {each.name: each.version for each in body.endpoints.listed} == {"model": "2", "raw": "7"}
        assert body.outputs[0].is_artifact is None

    def test_a_job_as_source_is_drawn_but_is_no_dataset(self, tmp_path: Path) -> None:
        """Where a facet names a job as source, the edge is a job's, and unknown when the events hold no run of it."""
        claim = {"entries": [{"type": "JOB", "inputs": [{"type": "JOB", "namespace": "etl", "name": "fetch"}]}]}
        events = run(1, 0, 1, job="train", reads=["raw"], writes=[MODEL], job_facets={"lineage": claim})
        body = collected(tmp_path, events)
        assert [(each.node, each.kind) for each in body.edges.listed if each.direction == "read"] == [
            ("lake/raw", "dataset"), ("etl/fetch", "job"),
        ]  # fmt: skip
        assert [(each.name, each.kind, each.reason) for each in body.unknown_upstream.listed] == [
            ("fetch", "job", "never_written")
        ]
        assert {each.name for each in body.endpoints.listed} == {"model", "raw"}
        assert (body.outputs[0].datasets, body.outputs[0].unknown) == (2, 1)

    def test_lists_failures_of_the_path_only(self, tmp_path: Path) -> None:
        """Failed assertions on datasets of the path are listed, by severity; those elsewhere are not."""
        events = without_commits(
            pipeline("x"),
            run(3, 4, 5, job="test", reads=[asserting("clean", False), asserting("elsewhere", False)]),
            run(4, 4, 5, job="soft", reads=[asserting("raw", False, severity="warn", column="")]),
            run(5, 4, 5, job="good", reads=[asserting("model", True)]),
        )
        body = collected(tmp_path, events)
        assert [(each.name, each.assertion, each.column, each.job) for each in body.failed_assertions.listed] == [
            ("clean", "not_null", "id", "etl/test")
        ]
        assert [(each.name, each.column) for each in body.warned_assertions.listed] == [("raw", "")]

    def test_long_lists_are_cut_but_counted(self, tmp_path: Path) -> None:
        """A wide pipeline stays a few kilobytes; counts are whole, and each kind of fault keeps its examples."""
        sources = [f"s{number}" for number in range(300)]
        events = [
            *(
                each
                for number, name in enumerate(sources, 10)
                for each in run(number, 0, 1, reads=["raw"], writes=[name])
            ),
            *run(1, 2, 3, reads=sources, writes=[MODEL]),
            *run(2, 1.5, 1.7, job="job-300", state="FAIL", writes=["s290"]),
        ]
        body = collected(tmp_path, without_commits(events))
        assert (body.runs.total, len(body.runs.listed), body.runs.uncompleted) == (302, 60, 1)
        assert [each.run_id for each in body.runs.listed if each.state == "FAIL"] == [run_id(2)]
        assert (body.intermediates.total, len(body.intermediates.listed)) == (300, 60)
        assert (body.edges.total, len(body.edges.listed)) == (901, 200)
        assert len(body.model_dump_json()) < 90_000


class TestGaps:
    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            (b"", "malformed"),
            (b"[]", "malformed"),
            (b"\xff\xff", "malformed"),
            (as_ndjson(pipeline("x"))[:-20], "malformed"),
            (b'{"eventTime": "2026-11-23T10:00:00Z", "eventTime": "2026-11-23T10:00:00Z"}', "malformed"),
            (b'{"eventTime": NaN}', "malformed"),
            (b'{"$schema": "https://json-schema.org/draft/2020-12/schema"}', "malformed"),
        ],
        ids=["empty", "no event", "not UTF-8", "truncated", "duplicate key", "NaN", "schema"],
    )
    def test_an_unreadable_file_is_a_gap(self, tmp_path: Path, data: bytes, kind: str) -> None:
        """What cannot be read is never an empty graph."""
        error = gap(tmp_path, data)
        assert (error.kind, error.subject) == (kind, "events.ndjson")

    @pytest.mark.parametrize(
        ("path", "kind"), [("absent.ndjson", "missing"), ("../events.ndjson", "unverifiable"), (".", "unverifiable")]
    )
    def test_a_file_that_is_not_there_is_a_gap(self, tmp_path: Path, path: str, kind: str) -> None:
        """One file of several that is missing or outside the repository is a gap too."""
        error = gap(tmp_path, pipeline("x"), openlineage=["events.ndjson", path])
        assert (error.kind, error.subject) == (kind, path)

    def test_commits_without_a_repository_are_a_gap(self, tmp_path: Path) -> None:
        """A commit that cannot be looked up is unverifiable, not unknown."""
        error = gap(tmp_path, pipeline("0" * 40))
        assert (error.kind, error.problem) == ("unverifiable", "not a git repository")

    def test_commits_in_a_repository_without_one_are_a_gap(self, git_repository: Callable[..., Path]) -> None:
        """A repository without a commit has no history to look in."""
        assert gap(git_repository(), pipeline("0" * 40)).kind == "unverifiable"

    def test_too_many_commits_are_a_gap(self, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The number of look-ups is bounded; past it nothing is guessed."""
        monkeypatch.setattr(lineage, "MAX_COMMITS", 1)
        assert collected(repo, pipeline("0" * 40)).runs.unknown_commit == 2
        other = run(3, 2, 3, reads=["raw"], writes=["model"], commit="1" * 40)
        assert "2 different commits" in gap(repo, [*pipeline("0" * 40), *other]).problem

    def test_an_event_from_the_future_is_a_gap(self, tmp_path: Path) -> None:
        """Five minutes of clock skew are borne; one second more would make old lineage look fresh."""
        limit = (NOW + timedelta(minutes=5) - NOW.replace(hour=10)).total_seconds() / 60
        events = without_commits(pipeline("x"))
        assert collected(tmp_path, [*events, event(9, "START", limit)]).counts.runs == 3
        error = gap(tmp_path, [*events, event(9, "START", limit + 1 / 60)])
        assert (error.kind, error.location and error.location.line) == ("unverifiable", 5)
        assert "lies in the future" in error.problem


class TestPolicy:
    def test_allows_a_traced_candidate(self, repo: Path, judged: Judge) -> None:
        """A pipeline of known code from a declared input passes without a warning."""
        body = collected(repo, pipeline(git(repo, "rev-parse", "HEAD")))
        assert judged(body) == {"deny": [], "warn": []}

    @pytest.mark.parametrize(
        ("more", "denied"),
        [
            (run(3, 1.1, 1.2, job="clean", state="FAIL", writes=["clean"]), {"run_completed": {"etl/clean"}}),
            ([event(3, "START", 5, job="train", writes=["model"])], {"run_completed": {"etl/train"}}),
            (run(2, 3, 4, job="train", state="FAIL"), {"no_contradiction": {"etl/train"}, "run_completed": {"etl/train"},
                                                       "output_traced": {"lake/model"}, "version": {"lake/model"}}),
            (run(9, 0, 1, job="a")[:1] + run(9, 0, 1, job="b"), {"no_contradiction": {"etl/a"}}),
            ([event(2, "OTHER", 4, job="train", reads=[RAW | {"name": "secret"}])], {"known_upstream": {"lake/secret"}}),
            (run(3, 4, 5, job="test", reads=[asserting("raw", False)]), {"assertions": {"lake/raw"}}),
            ([event(2, "OTHER", 4, job="train", writes=[dataset("model", facets={"ownership": {"_deleted": True}})])],
             {"owner": {"lake/model"}}),
            ([event(1, "OTHER", 4, job="clean", reads=[dataset("raw", version="")])], {"version": {"lake/raw"}}),
            ([event(2, "OTHER", 4, job="train", writes=[dataset("model", version="sha256:" + "1" * 64)])],
             {"artifact_digest": {"lake/model"}}),
        ],
        ids=["failed later", "never ended", "two ends", "two jobs", "unknown upstream", "failed check", "no owner",
             "no version", "another file"],
    )  # fmt: skip
    def test_denies_each_fault(self, repo: Path, judged: Judge, more: Events, denied: dict[str, set[str]]) -> None:
        """One more event that spoils the pipeline is denied by the rule that it breaks."""
        events = pipeline(git(repo, "rev-parse", "HEAD"))
        for each in more:
            commit = {"type": "git", "url": "x", "version": git(repo, "rev-parse", "HEAD")}
            each["job"]["facets"] = {"sourceCodeLocation": commit}
        found = judged(collected(repo, [*events, *more]))
        assert rules(found["deny"]) == denied

    def test_denies_code_that_is_not_merged(self, repo: Path, judged: Judge) -> None:
        """Code of another branch and code without a commit are denied, unless the threshold waives it."""
        for events in (pipeline(git(repo, "rev-parse", "experiment")), without_commits(pipeline("x"))):
            body = collected(repo, events)
            assert rules(judged(body)["deny"]) == {"code_commit": {"etl/train", "etl/clean"}}
            assert judged(body, require_code_commit=False)["deny"] == []

    def test_requires_intermediates_only_when_asked(self, tmp_path: Path, judged: Judge) -> None:
        """In between, version and owner are wanted where the threshold says so, as for high risk in production."""
        body = collected(tmp_path, without_commits(pipeline("x")))
        strict = judged(body, require_intermediates=True, require_code_commit=False)
        assert rules(strict["deny"]) == {"version": {"lake/clean"}, "owner": {"lake/clean"}}
        overrides = [each for each in POLICIES.defaults["overrides"] if each.get("risk_tier") == "high"]
        assert {"require_intermediates": True} in [each["thresholds"].get("lineage") for each in overrides]

    def test_warns(self, tmp_path: Path, judged: Judge) -> None:
        """Unused inputs, soft assertions, versions that are no digest, and redeliveries warn; nothing is denied."""
        events = without_commits(
            pipeline("x", output=dataset("model", version="2", owner="team")),
            run(3, 4, 5, job="soft", reads=[asserting("raw", False, severity="warn")]),
        )
        body = collected(tmp_path, events + events, inputs=names("raw", "old"))
        found = judged(body, require_code_commit=False)
        assert found["deny"] == []
        assert rules(found["warn"]) == {
            "input_unused": {"lake/old"}, "assertion_warned": {"lake/raw"}, "artifact_unbound": {"outputs"},
        }  # fmt: skip
        assert body.counts.duplicates_ratio == LIMITS["max_duplicates_ratio"]
        once_more = collected(tmp_path, events + events + events[:1])
        assert "duplicates" in rules(judged(once_more)["warn"])

    def test_findings_point_at_the_event(self, tmp_path: Path, judged: Judge) -> None:
        """A finding about a run carries file and line."""
        (found,) = judged(collected(tmp_path, without_commits(pipeline("x"), run(9, 0, 1, job="x")[:1],
                                                              run(9, 0, 1, job="y"))), require_code_commit=False)["deny"]  # fmt: skip
        assert found["place"] == {"path": "events.ndjson", "line": 5, "column": 1}

    def test_a_body_without_its_parts_is_denied(self, repo: Path, engine: EmbeddedEngine) -> None:
        """On the embedded engine too, a missing part denies instead of passing."""
        evidence = collected(repo, pipeline(git(repo, "rev-parse", "HEAD"))).model_dump(mode="json")
        parts = [
            "outputs",
            "unknown_upstream",
            "runs",
            "endpoints",
            "intermediates",
            "contradictions",
            "failed_assertions",
        ]
        for part in parts:
            lacking = {key: value for key, value in evidence.items() if key != part}
            document = {"evidence": lacking, "settings": {"thresholds": LIMITS}}
            result = engine.evaluate("gatekeeper.gates.lineage", json.dumps(document).encode()).result
            assert "lineage.output_traced" in {each["rule"] for each in result["deny"]}


def _replaced(body: Body, path: str, value: Any) -> str:
    content: Any = body.model_dump(mode="json")
    *way, last = path.split("/")
    holder = content
    for step in way:
        holder = holder[int(step)] if isinstance(holder, list) else holder[step]
    holder[int(last) if isinstance(holder, list) else last] = value
    return json.dumps(content)


class TestForgedBodies:
    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("outputs", []),
            ("observed_at", None),
            ("observed_at", "2026-11-23T10:03:00"),
            ("outputs/0/traced", False),
            ("outputs/0/runs", 0),
            ("outputs/0/inputs", 0),
            ("outputs/0/unknown", 1),
            ("outputs/0/runs", -1),
            ("runs/total", 1),
            ("runs/total", 30),
            ("runs/listed", []),
            ("runs/uncompleted", 1),
            ("runs/without_commit", 1),
            ("runs/unknown_commit", 3),
            ("runs/listed/0/state", "FAIL"),
            ("runs/listed/0/commit", None),
            ("runs/listed/0/ended", None),
            ("runs/listed/0/place/line", 0),
            ("endpoints/without_version", 1),
            ("endpoints/listed/0/version", None),
            ("endpoints/listed/0/owners", []),
            ("unknown_upstream/total", 1),
            ("reached_inputs", {"total": 0, "listed": []}),
            ("counts/duplicates", -1),
            ("counts/events", 0),
            ("counts/duplicates_ratio", 1.5),
            ("counts/duplicates_ratio", float("nan")),
            ("extra", 1),
        ],
    )
    def test_refuses_evidence_that_cannot_be(self, repo: Path, path: str, value: Any) -> None:
        """A bundle that was edited to hide a fault, or holds impossible numbers, is refused when it is read."""
        body = collected(repo, pipeline(git(repo, "rev-parse", "HEAD")))
        with pytest.raises(ValidationError):
            Body.model_validate_json(_replaced(body, path, value))


events_of_a_run = st.builds(
    lambda number, kind, minute, job, reads, writes, version, owner, success: event(
        number, kind, minute, job=job, writes=[dataset(each, version=version) for each in writes],
        reads=[dataset(each, owner=owner) | ({"inputFacets": asserting(each, success)["inputFacets"]}) for each in reads],
    ),
    st.integers(1, 5), st.sampled_from(["START", "RUNNING", "COMPLETE", "COMPLETE", "FAIL"]), st.integers(0, 9),
    st.sampled_from(["a", "b"]), st.sets(st.sampled_from("rcmx"), max_size=2), st.sets(st.sampled_from("cm"), max_size=2),
    st.sampled_from([None, "1", "2"]), st.sampled_from([None, "x", "y"]), st.booleans(),
)  # fmt: skip


def _settled(body: Body) -> Any:
    """A body without what depends on delivery: the two counts, and the line at which a run is first named."""
    content = json.loads(body.model_dump_json())
    for key in ("duplicates", "duplicates_ratio", "duplicates_text", "out_of_order"):
        del content["counts"][key]
    for part in ("runs", "contradictions", "unknown_upstream"):
        for each in content[part]["listed"]:
            del each["place"]
    return content


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(events_of_a_run, min_size=1, max_size=8), st.data())
def test_delivery_changes_nothing(tmp_path: Path, events: Events, data: st.DataObject) -> None:
    """Any order and any redelivery of the same events gives the same evidence."""
    again = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=5))))
    wanted = {"outputs": names("m", "c"), "inputs": names("r")}
    first, second = collected(tmp_path, events, **wanted), collected(tmp_path, again, **wanted)
    assert _settled(first) == _settled(second)


def test_reads_or_refuses_the_corpus(corpus: Path) -> None:
    """Every file of the OpenLineage project is traced, or is a gap that names it; nothing else happens."""
    folder = corpus / "lineage" / "openlineage"
    traced, refused = 0, 0
    for path in (each for each in sorted(folder.rglob("*")) if each.is_file()):
        relative = path.relative_to(folder).as_posix()
        outputs = [{"namespace": "my-datasource-namespace", "name": "instance.schema.output-1"}]
        context = make_context(folder)
        try:
            body = collect(request(openlineage=relative, outputs=outputs), context)
        except EvidenceError as error:
            refused += int(error.subject == relative and bool(error.problem))
            continue
        traced += int(body.counts.events > 0)
        assert body.outputs[0].traced == (path.name in ("event_simple.json", "event_invalid_output_dataset_facet.json"))
    assert (traced, refused) == (12, 132)


def test_reads_many_events(tmp_path: Path) -> None:
    """A file of 10,000 events is read and traced whole; nothing recurses and nothing is left out."""
    events = [
        each
        for number in range(1, 5_001)
        for each in run(number, number / 1000, number / 1000, job="w", reads=[f"d{number - 1}"], writes=[f"d{number}"])
    ]
    body = collected(tmp_path, events, outputs=names("d5000"), inputs=names("d0"))
    assert (body.counts.events, body.runs.total, body.unknown_upstream.total) == (10_000, 5_000, 0)
