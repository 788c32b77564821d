"""
OpenLineage events: NDJSON, a JSON array, or one event a file.

Source: https://openlineage.io/spec/2-0-2/OpenLineage.json and the facets below https://openlineage.io/spec/facets/.
Earlier versions name the same keys. What the gate uses is checked; facets that it does not use may hold anything.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, NoReturn

from gatekeeper.document import canonical_json
from gatekeeper.errors import EvidenceError, Location
from gatekeeper.formats.strict_json import decode_utf8, parse_json, parse_json_lines

TERMINAL = ("COMPLETE", "ABORT", "FAIL")
"""States that end a run; the spec wants exactly one of them for each run."""

EVENT_TYPES = ("START", "RUNNING", *TERMINAL, "OTHER")
MAX_NAME_CHARS = 1024
PASSED, WARNED, FAILED = range(3)
"""Outcomes of an assertion, from best to worst; a failure with severity `warn` only warns."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[-+]\d\d:\d\d)", re.ASCII)
_CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")
_WANTED = "an OpenLineage RunEvent, DatasetEvent or JobEvent was wanted"


class Node(NamedTuple):
    """A dataset or a job; namespace and name identify it among its kind."""

    kind: str
    namespace: str
    name: str

    @property
    def label(self) -> str:
        """Namespace and name as one text for people."""
        return f"{self.namespace}/{self.name}"


class Assertion(NamedTuple):
    """One entry of a `dataQualityAssertions` facet; `outcome` is PASSED, WARNED or FAILED."""

    assertion: str
    column: str
    name: str
    outcome: int


class SourceCode(NamedTuple):
    """A `sourceCodeLocation` facet; `commit` is None where the system is not git or no version is given."""

    repository: str
    path: str
    commit: str | None


@dataclass(frozen=True, slots=True)
class Mention:
    """
    A dataset as one event names it.

    `facts` holds `version` (text), `ownership` (names) and `schema` (number of columns) where the event has the
    facet, None where it deletes it. `sources` are what its lineage facets derive it from.
    """

    node: Node
    facts: dict[str, Any]
    assertions: tuple[Assertion, ...]
    sources: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """
    One event; a RunEvent has run and job, a JobEvent only the job, a DatasetEvent only the dataset.

    `digest` is over its canonical JSON. `line` counts from 1, and is 1 where the file is one document. `claims`
    are the pairs of target and source in the job's lineage facet.
    """

    time: datetime
    digest: bytes
    path: str
    line: int
    event_type: str
    run_id: str | None
    job: Node | None
    job_facts: dict[str, Any]
    claims: tuple[tuple[Node, Node], ...]
    inputs: tuple[Mention, ...]
    outputs: tuple[Mention, ...]
    dataset: Mention | None


@dataclass(frozen=True, slots=True)
class _Where:
    path: str
    line: int
    number: int

    def refuse(self, problem: str) -> NoReturn:
        raise EvidenceError(
            "malformed",
            self.path,
            f"event {self.number}: {problem}",
            hint="write the file again with the OpenLineage client, or point at the file of events",
            location=Location(self.path, self.line, 1),
        )


def parse_events(data: bytes, path: str) -> list[Event]:
    """
    Read every event of a file, in its order, duplicates included.

    Raises `EvidenceError` (malformed) when the file holds no event, or one that breaks the specification where
    the gate relies on it, with the event's number and line.
    """
    events = [
        _event(value, _Where(path, line, number)) for number, (line, value) in enumerate(_documents(data, path), 1)
    ]
    if not events:
        raise EvidenceError("malformed", path, f"holds no event, {_WANTED}")
    return events


def _documents(data: bytes, path: str) -> Iterator[tuple[int, Any]]:
    first = next((line.strip() for line in decode_utf8(data, path).split("\n") if line.strip()), "")
    if first.startswith("{") and first.endswith("}"):
        yield from parse_json_lines(data, path)
        return
    value = parse_json(data, path)
    yield from ((1, item) for item in (value if isinstance(value, list) else [value]))


def _event(value: Any, where: _Where) -> Event:
    if not isinstance(value, dict) or "eventTime" not in value:
        found = "a JSON Schema" if isinstance(value, dict) and "$schema" in value else "no eventTime"
        where.refuse(f"{found}; {_WANTED}")
    kinds = [key for key in ("run", "job", "dataset") if key in value]
    if kinds[:2] != ["run", "job"] and kinds not in (["job"], ["dataset"]):
        where.refuse(f"has {' and '.join(kinds) or 'neither run, job nor dataset'}; {_WANTED}")
    event_type = value.get("eventType", "OTHER")
    if event_type not in EVENT_TYPES:
        where.refuse(f"eventType {event_type!r:.60} is not one of {', '.join(EVENT_TYPES)}")
    job = _object(value, "job", where) if "job" in value else None
    node = _node("job", job, "job", where) if job is not None else None
    return Event(
        time=_time(value["eventTime"], where),
        digest=hashlib.sha256(canonical_json(value)).digest(),
        path=where.path,
        line=where.line,
        event_type=event_type,
        run_id=_run_id(_object(value, "run", where), where) if "run" in value else None,
        job=node,
        job_facts=_facts(job, _JOB_FACTS, where) if job is not None else {},
        claims=tuple(_claims(job, node, where)) if job is not None and node is not None else (),
        inputs=tuple(_mention(item, "inputs", where) for item in _array(value, "inputs", where)),
        outputs=tuple(_mention(item, "outputs", where) for item in _array(value, "outputs", where)),
        dataset=_mention(_object(value, "dataset", where), "dataset", where) if kinds == ["dataset"] else None,
    )


def _time(value: Any, where: _Where) -> datetime:
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        where.refuse(f"eventTime {value!r:.60} is not an RFC 3339 time with a zone")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        where.refuse(f"eventTime {value!r:.60} is not a time")


def _run_id(run: dict[str, Any], where: _Where) -> str:
    run_id = run.get("runId")
    if not isinstance(run_id, str) or not _UUID.fullmatch(run_id):
        where.refuse(f"run.runId {run_id!r:.60} is not a UUID")
    return run_id.lower()


def _node(kind: str, value: dict[str, Any], at: str, where: _Where) -> Node:
    return Node(kind, _text(value, "namespace", at, where), _text(value, "name", at, where))


def _text(value: dict[str, Any], key: str, at: str, where: _Where) -> str:
    text = value.get(key)
    if not isinstance(text, str) or not 0 < len(text) <= MAX_NAME_CHARS:
        where.refuse(f"{at}.{key} is not a text of 1 to {MAX_NAME_CHARS} characters")
    return text


def _optional(value: dict[str, Any], key: str, at: str, where: _Where) -> str:
    text = value.get(key, "")
    if not isinstance(text, str):
        where.refuse(f"{at}.{key} is not text")
    return text[:MAX_NAME_CHARS]


def _object(value: dict[str, Any], key: str, where: _Where) -> dict[str, Any]:
    if key not in value:
        return {}
    found = value[key]
    if not isinstance(found, dict):
        where.refuse(f"{key} is not an object")
    return found


def _array(value: dict[str, Any], key: str, where: _Where) -> list[dict[str, Any]]:
    if key not in value:
        return []
    found = value[key]
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        where.refuse(f"{key} is not an array of objects")
    return found


def _facts(
    holder: dict[str, Any], readers: dict[str, Callable[[dict[str, Any], _Where], Any]], where: _Where
) -> dict[str, Any]:
    """Read the facets that the gate uses; a deleted one (`_deleted: true`) is None."""
    facets = _object(holder, "facets", where)
    present = {name: _object(facets, name, where) for name in readers if name in facets}
    return {
        name: None if facet.get("_deleted") is True else readers[name](facet, where) for name, facet in present.items()
    }


def _version(facet: dict[str, Any], where: _Where) -> str | None:
    if "datasetVersion" not in facet:
        where.refuse("version.datasetVersion is missing")
    return _optional(facet, "datasetVersion", "version", where) or None


def _owners(facet: dict[str, Any], where: _Where) -> tuple[str, ...]:
    return tuple(_text(owner, "name", "ownership.owners", where) for owner in _array(facet, "owners", where))


def _columns(facet: dict[str, Any], where: _Where) -> int:
    return len(_array(facet, "fields", where))


def _source_code(facet: dict[str, Any], where: _Where) -> SourceCode:
    at = "sourceCodeLocation"
    system, version = _text(facet, "type", at, where), _optional(facet, "version", at, where)
    repository = _optional(facet, "repoUrl", at, where) or _optional(facet, "url", at, where)
    return SourceCode(
        repository=_CREDENTIALS.sub("", repository),
        path=_optional(facet, "path", at, where),
        commit=version.lower() if system.lower() == "git" and version else None,
    )


_DATASET_FACTS: dict[str, Callable[[dict[str, Any], _Where], Any]] = {
    "version": _version,
    "ownership": _owners,
    "schema": _columns,
}
_JOB_FACTS: dict[str, Callable[[dict[str, Any], _Where], Any]] = {
    "ownership": _owners,
    "sourceCodeLocation": _source_code,
}


def _mention(value: dict[str, Any], at: str, where: _Where) -> Mention:
    node = _node("dataset", value, at, where)
    holders = [_object(value, key, where) for key in ("facets", "inputFacets", "outputFacets")]
    return Mention(
        node=node,
        facts=_facts(value, _DATASET_FACTS, where),
        assertions=tuple(each for holder in holders if holder for each in _assertions(holder, where)),
        sources=tuple(dict.fromkeys(_sources(holders[0], where))),
    )


def _assertions(facets: dict[str, Any], where: _Where) -> Iterator[Assertion]:
    """Read `dataQualityAssertions`; the spec has it among the input facets, dbt's integration among the others too."""
    at = "dataQualityAssertions"
    facet = _live(facets, at, where)
    if facet and "assertions" not in facet:
        where.refuse(f"{at}.assertions is missing")
    for item in _array(facet, "assertions", where):
        success = item.get("success")
        if not isinstance(success, bool):
            where.refuse(f"{at}.success is not true or false")
        warns = _optional(item, "severity", at, where).lower() == "warn"
        yield Assertion(
            assertion=_text(item, "assertion", at, where),
            column=_optional(item, "column", at, where),
            name=_optional(item, "name", at, where),
            outcome=PASSED if success else WARNED if warns else FAILED,
        )


def _sources(facets: dict[str, Any], where: _Where) -> Iterator[Node]:
    """Name what a dataset derives from by its columnLineage, lineage and lifecycleStateChange (RENAME) facets."""
    if not facets:
        return
    columns = _live(facets, "columnLineage", where)
    fields = _object(columns, "fields", where)
    inputs = [item for name in fields for item in _array(_object(fields, name, where), "inputFields", where)]
    for item in (*inputs, *_array(columns, "dataset", where)):
        yield _node("dataset", item, "columnLineage", where)
    yield from _lineage_inputs(_live(facets, "lineage", where), where)
    change = _live(facets, "lifecycleStateChange", where)
    if "previousIdentifier" in change:
        yield _node("dataset", _object(change, "previousIdentifier", where), "previousIdentifier", where)


def _live(facets: dict[str, Any], name: str, where: _Where) -> dict[str, Any]:
    facet = _object(facets, name, where)
    return {} if facet.get("_deleted") is True else facet


def _lineage_inputs(entry: dict[str, Any], where: _Where) -> Iterator[Node]:
    """Name the sources of a lineage entry or facet; a job without a name is the event's own and adds nothing."""
    fields = _object(entry, "fields", where)
    inputs = [item for name in fields for item in _array(_object(fields, name, where), "inputs", where)]
    for item in (*_array(entry, "inputs", where), *inputs):
        node = _lineage_node(item, where)
        if node is not None:
            yield node


def _lineage_node(item: dict[str, Any], where: _Where) -> Node | None:
    kind = item.get("type")
    if kind not in ("DATASET", "JOB"):
        where.refuse(f"lineage type {kind!r:.60} is not DATASET or JOB")
    if kind == "JOB" and "namespace" not in item and "name" not in item:
        return None
    return _node(kind.lower(), item, "lineage", where)


def _claims(job: dict[str, Any], own: Node, where: _Where) -> Iterator[tuple[Node, Node]]:
    """Read a job's lineage facet as pairs of target and source."""
    for entry in _array(_live(_object(job, "facets", where), "lineage", where), "entries", where):
        target = _lineage_node(entry, where) or own
        yield from ((target, source) for source in _lineage_inputs(entry, where))
