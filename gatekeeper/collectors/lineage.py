"""Lineage: OpenLineage events and git, traced back from the candidate's outputs to its declared inputs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar

from pydantic import AwareDatetime, Field, model_validator

from gatekeeper.collectors import Context
from gatekeeper.decision import Place
from gatekeeper.document import Document
from gatekeeper.errors import EvidenceError, Location
from gatekeeper.evidence import EvidenceBody, GateThresholds

if TYPE_CHECKING:
    from gatekeeper.formats.openlineage import Event
    from gatekeeper.gates.lineage.trace import Trace

EXAMPLES = 20
"""Items of one kind that a list shows at least before it leaves any out."""

MAX_COMMITS = 200
"""Distinct commits that are looked up; each costs a git process."""

MAX_CLOCK_SKEW = timedelta(minutes=5)
"""How far ahead an event's clock may be; later ones would make old lineage look fresh."""

Reason = Literal["never_written", "written_later", "not_completed", "no_inputs", "cycle"]
State = Literal["COMPLETE", "ABORT", "FAIL", "UNENDED", "CONTRADICTORY"]
Text = Annotated[str, Field(min_length=1, max_length=1024)]
Label = Annotated[str, Field(min_length=1, max_length=2049)]
Count = Annotated[int, Field(ge=0)]
FilePath = Annotated[str, Field(min_length=1, max_length=4096)]
Item = TypeVar("Item")


class DatasetName(Document):
    """A dataset or model as OpenLineage identifies it."""

    namespace: Text
    """Where its name is unique, such as `s3://bucket` or `mlflow://registry`."""
    name: Text
    """Its name there."""


class Request(Document):
    """The part `evidence.lineage` of the manifest."""

    openlineage: FilePath | Annotated[tuple[FilePath, ...], Field(min_length=1, max_length=100)]
    """File of events, or several; read as one set."""
    outputs: Annotated[tuple[DatasetName, ...], Field(min_length=1, max_length=50)]
    """What the candidate is; each must be traced."""
    inputs: Annotated[tuple[DatasetName, ...], Field(min_length=1, max_length=500)]
    """Known sources; tracing may end at them and nowhere else."""

    @model_validator(mode="after")
    def _named_once(self) -> Request:
        for name, values in (("openlineage", self.paths), ("outputs", self.outputs), ("inputs", self.inputs)):
            listed = [str(value) for value in values]
            if len(set(listed)) != len(listed):
                raise ValueError(f"{name} names something twice")
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        """The files of events, however they were written."""
        return (self.openlineage,) if isinstance(self.openlineage, str) else self.openlineage


class Thresholds(GateThresholds):
    """What the policy compares with."""

    require_version: bool
    """Every output and every source reached has a version facet."""
    require_owner: bool
    """Every output and every source reached has an owner, of its own or of the job that wrote it."""
    require_intermediates: bool
    """The datasets between them need version and owner too."""
    require_code_commit: bool
    """Every run on the path names a git commit that is in the history of HEAD."""
    max_duplicates_ratio: Annotated[float, Field(ge=0, le=1)]
    """Share of events delivered more than once above which the rule warns."""


class Listed(Document, Generic[Item]):
    """The first items of a kind, and how many there are."""

    total: Count
    """Number of items in all."""
    listed: tuple[Item, ...]
    """The nearest to the outputs; at least twenty before any is left out."""

    @model_validator(mode="after")
    def _honest(self) -> Listed[Item]:
        if not min(self.total, EXAMPLES) <= len(self.listed) <= self.total:
            raise ValueError(f"{len(self.listed)} items listed of {self.total}")
        return self


class OutputTrace(DatasetName):
    """One declared output and what it rests on."""

    traced: bool
    """A completed run wrote it."""
    found: str
    """What the events say of it, as text."""
    runs: Count
    """Completed runs on its path."""
    datasets: Count
    """Datasets on its path, itself included."""
    inputs: Count
    """Declared inputs that its path ends at."""
    unknown: Count
    """Other ends of its path."""
    version: Text | None
    """Its version, see `DatasetOnPath`."""
    is_artifact: bool | None
    """The version is the digest of one of the candidate's artefacts; null when it is not `sha256:<hex>`."""


class UnknownUpstream(DatasetName):
    """An end of the path that is not a declared input."""

    kind: Literal["dataset", "job"]
    """A job where a lineage facet names one as source and the events hold no run of it."""
    reason: Reason
    """Why the path ends here."""
    found: str
    """The reason as text."""
    job: Label
    """Job of the run that read it, or that wrote it without naming inputs."""
    place: Place
    """First event of that run."""


class RunOnPath(Document):
    """One run that an output rests on, or that may have spoilt a dataset on the path."""

    run_id: str
    """UUID of the run."""
    job: Label
    """Namespace and name of its job."""
    state: State
    """The terminal event; UNENDED without one, CONTRADICTORY with two."""
    started: AwareDatetime
    """Its earliest event."""
    ended: AwareDatetime | None
    """Its first terminal event."""
    repository: str | None
    """`repoUrl` or `url` of its sourceCodeLocation facet, without credentials."""
    path: str | None
    """Path of the code in that repository."""
    commit: Annotated[str, Field(min_length=1, max_length=1024)] | None
    """Git commit that the facet names."""
    commit_known: bool | None
    """The commit is HEAD or an ancestor of it; null when no commit is named."""
    place: Place
    """Its first event."""

    @model_validator(mode="after")
    def _consistent(self) -> RunOnPath:
        if (self.commit is None) != (self.commit_known is None):
            raise ValueError("commit_known goes with commit")
        if self.state != "CONTRADICTORY" and (self.state == "UNENDED") != (self.ended is None):
            raise ValueError("a run has an end when it has a terminal state")
        return self


class RunList(Listed[RunOnPath]):
    """The runs on the path."""

    uncompleted: Count
    """Runs in another state than COMPLETE."""
    without_commit: Count
    """Runs that name no git commit."""
    unknown_commit: Count
    """Runs of which the commit is not in the history of HEAD."""

    @model_validator(mode="after")
    def _counted(self) -> RunList:
        _agree(self, self.uncompleted, [run.state != "COMPLETE" for run in self.listed])
        _agree(self, self.without_commit, [run.commit is None for run in self.listed])
        _agree(self, self.unknown_commit, [run.commit_known is False for run in self.listed])
        return self


class DatasetOnPath(DatasetName):
    """One dataset on the path."""

    role: Literal["output", "input", "unknown", "intermediate"]
    """A declared output, a declared input that was reached, an unknown upstream, or between them."""
    version: Text | None
    """`version.datasetVersion` as the latest event of a run on the path, or of the dataset itself, states it."""
    owners: Annotated[tuple[Text, ...], Field(max_length=5)]
    """Its owners, or those of the jobs on the path that wrote it; at most five are named."""
    columns: Count | None
    """Columns in its latest schema facet."""


class DatasetList(Listed[DatasetOnPath]):
    """Datasets on the path."""

    without_version: Count
    """Those without a version."""
    without_owner: Count
    """Those without an owner."""

    @model_validator(mode="after")
    def _counted(self) -> DatasetList:
        _agree(self, self.without_version, [each.version is None for each in self.listed])
        _agree(self, self.without_owner, [not each.owners for each in self.listed])
        return self


class Contradiction(Document):
    """Events of one run that cannot all be true."""

    run_id: str
    """UUID of the run."""
    job: Label
    """A job that claims it."""
    found: str
    """What contradicts what."""
    place: Place
    """First event of the run."""


class FailedAssertion(DatasetName):
    """A data quality assertion of which the latest result is a failure."""

    assertion: Text
    """Kind of check."""
    column: str
    """Column it is about; empty for the whole dataset."""
    check: str
    """Name of the check, where it has one."""
    job: str
    """Job that ran it."""


class PathEdge(Document):
    """One arrow of the drawing."""

    run_id: str
    """UUID of the run."""
    job: Label
    """Its job."""
    direction: Literal["read", "written"]
    """Whether the run read or wrote the node."""
    kind: Literal["dataset", "job"]
    """Kind of the node."""
    node: Label
    """Namespace and name of the node."""


class Counts(Document):
    """How much was read."""

    events: Annotated[int, Field(ge=1)]
    """Distinct events."""
    duplicates: Count
    """Events dropped because an identical one was read before."""
    duplicates_ratio: Annotated[float, Field(ge=0, le=1)]
    """Duplicates over all events delivered."""
    duplicates_text: str
    """The same for people."""
    runs: Count
    """Distinct runs."""
    out_of_order: Count
    """Events earlier than one read before of the same run."""


class Body(EvidenceBody):
    """
    Where the outputs come from.

    `observed_at` is the end of the oldest completed run that an output rests on directly: the outputs are as old
    as the oldest run that made one of them. Runs further up may be older; the inputs' age is not this gate's.
    """

    outputs: Annotated[tuple[OutputTrace, ...], Field(min_length=1, max_length=50)]
    """Every declared output."""
    reached_inputs: Listed[DatasetName]
    """Declared inputs that the path ends at."""
    unused_inputs: Listed[DatasetName]
    """Declared inputs that no run on the path read."""
    unknown_upstream: Listed[UnknownUpstream]
    """Ends of the path that are not declared inputs."""
    runs: RunList
    """Runs on the path, those that may have spoilt it included."""
    endpoints: DatasetList
    """Outputs, inputs reached and unknown ends."""
    intermediates: DatasetList
    """Datasets between them."""
    contradictions: Listed[Contradiction]
    """Runs, on the path or not, of which the events contradict each other."""
    failed_assertions: Listed[FailedAssertion]
    """Failed assertions on datasets of the path."""
    warned_assertions: Listed[FailedAssertion]
    """Failed assertions whose severity is `warn`."""
    edges: Listed[PathEdge]
    """Arrows for drawing the path."""
    counts: Counts
    """How much was read."""

    @model_validator(mode="after")
    def _proves_something(self) -> Body:
        traced = [each for each in self.outputs if each.traced]
        if bool(traced) != (self.observed_at is not None):
            raise ValueError("observed_at goes with a traced output")
        if any(each.runs == 0 for each in traced):
            raise ValueError("a traced output rests on a run")
        if not self.unknown_upstream.total and any(each.unknown or not each.inputs for each in traced):
            raise ValueError("a traced output ends at an input or at unknown upstream")
        if self.reached_inputs.total + self.unused_inputs.total == 0:
            raise ValueError("at least one input is declared")
        return self


def _agree(items: Listed[Any], total: int, matches: list[bool]) -> None:
    """Hold a total against the items listed: what is left out must not be the only one of its kind."""
    shown, left_out = sum(matches), items.total - len(items.listed)
    if not min(total, EXAMPLES) <= shown <= total <= shown + left_out:
        raise ValueError(f"{shown} of {total} are listed")


def collect(request: Request, context: Context) -> Body:
    """
    Trace the declared outputs through the events of every file to where they come from.

    Raises `EvidenceError`: missing (no file), malformed (not OpenLineage), unverifiable (events from the future,
    commits without a git repository to find them in, a graph too tangled to trace).
    """
    from gatekeeper.formats.openlineage import Node, parse_events
    from gatekeeper.gates.lineage.answers import answer
    from gatekeeper.gates.lineage.graph import build_graph
    from gatekeeper.gates.lineage.trace import trace

    events = [event for path in request.paths for event in parse_events(context.workspace.read(path), path)]
    _refuse_future(events, context)
    inputs = [Node("dataset", each.namespace, each.name) for each in request.inputs]
    outputs = [Node("dataset", each.namespace, each.name) for each in request.outputs]
    found = trace(build_graph(events), outputs, inputs)
    digests = frozenset(each.sha256 for each in context.promotion.candidate.artifacts)
    return Body.model_validate_json(json.dumps(answer(found, inputs, _look_up_commits(found, context), digests)))


def _refuse_future(events: Iterable[Event], context: Context) -> None:
    latest = max(events, key=lambda each: each.time)
    if latest.time > context.now + MAX_CLOCK_SKEW:
        raise EvidenceError(
            "unverifiable",
            latest.path,
            f"holds an event of {latest.time.isoformat()}, which lies in the future",
            hint="mend the clock of the machine that wrote it",
            location=Location(latest.path, latest.line, 1),
        )


def _look_up_commits(found: Trace, context: Context) -> dict[str, bool]:
    """Find out which commits the path names are in the history of HEAD; a git repository is needed only then."""
    from gatekeeper.repository import Repository

    named = {code.commit for run in found.all_runs if (code := run.source_code) is not None and code.commit}
    if not named:
        return {}
    if len(named) > MAX_COMMITS:
        raise EvidenceError(
            "unverifiable",
            "sourceCodeLocation",
            f"{len(named)} different commits, at most {MAX_COMMITS} are looked up",
            hint="export only the events of the runs that made the candidate",
        )
    repository = Repository(context.workspace.root)
    repository.head()
    return {commit: repository.has_commit(commit) for commit in sorted(named)}
