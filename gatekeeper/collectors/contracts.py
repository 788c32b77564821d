"""
The contracts gate's evidence: are the candidate's data contracts valid, is each still compatible with the
version in force, and does the candidate's data conform?

Reads ODCS 3.x contracts, the same contracts at the base git ref, and data as CSV, JSON lines or Parquet.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, RootModel, model_validator

from gatekeeper.collectors import Context
from gatekeeper.decision import Place
from gatekeeper.document import Document
from gatekeeper.evidence import EvidenceBody, GateThresholds

MAX_LISTED = 50
"""Changes, violations, rules of one contract that are listed; the counts cover all of them."""
MAX_EARLIER = 20
"""Earlier versions with unannounced breaks that are listed."""
MAX_TABLES = 200

Count = Annotated[int, Field(ge=0)]
Text = Annotated[str, Field(max_length=500)]
Verdict = Literal["compatible", "incompatible", "undecidable"]
Mode = Literal["BACKWARD", "FORWARD", "FULL", "BACKWARD_TRANSITIVE", "FORWARD_TRANSITIVE", "FULL_TRANSITIVE"]
SimpleMode = Literal["BACKWARD", "FORWARD", "FULL"]


class Item(Document):
    """One contract, and the data that must conform to it."""

    contract: Annotated[str, Field(min_length=1)]
    """ODCS 3.x file, relative to the manifest."""
    data: Annotated[str, Field(min_length=1)] | None = None
    """Data file (.csv, .jsonl, .ndjson, .parquet), relative to the manifest; a model need not have one."""
    table: Annotated[str, Field(min_length=1)] | None = None
    """The schema object that the data is for; may be left out where the contract has one."""

    @model_validator(mode="after")
    def _table_of_data(self) -> Item:
        if self.table is not None and self.data is None:
            raise ValueError("table names what the data is for; give data too")
        return self


class Request(RootModel[Annotated[tuple[Item, ...], Field(min_length=1, max_length=100)]]):
    """The gate's part of the manifest: a list of contracts, at least one."""

    model_config = ConfigDict(frozen=True, strict=True, defer_build=True)


class ContractFault(Document):
    """Where a contract breaks its JSON Schema, or cannot be used."""

    pointer: Text
    """RFC 6901 JSON pointer."""
    message: Text
    """What is wrong."""
    place: Place | None
    """Where it stands in the file."""


class ContractChange(Document):
    """One difference from another version of the contract, judged in both directions."""

    change: Annotated[str, Field(min_length=1)]
    """Kind of change: `property_removed`, `required_added`, …"""
    subject: Text
    """The element that changed: `orders.customer_id`."""
    detail: Text
    """From what to what."""
    pointer: Text
    """JSON pointer into the new contract, or into the other version for what is gone."""
    backward: Verdict
    """Whether readers of the new contract can read old data."""
    forward: Verdict
    """Whether readers of the old contract can read new data."""
    place: Place | None
    """Where it stands in the new contract, or the nearest place to what is gone."""


class Verdicts(Document):
    """Number of changes by verdict, in one direction."""

    compatible: Count
    """Changes that are safe."""
    incompatible: Count
    """Changes that break a reader."""
    undecidable: Count
    """Changes of which nothing safe can be said."""

    def total(self) -> int:
        """All changes."""
        return self.compatible + self.incompatible + self.undecidable


class Comparison(Document):
    """What changed since another version of the contract."""

    against: Annotated[str, Field(min_length=1)]
    """The other version, `git:<ref>:<path>`."""
    version: Text | None
    """Its `version`; None where it has none that can be read."""
    step: Literal["major", "minor", "patch", "prerelease", "same", "lower", "unknown"]
    """How far the version moved since."""
    content_changed: bool
    """Whether anything at all is different."""
    announced: bool
    """A major version and a migration path stand for the break."""
    change_count: Count
    """Number of changes that concern readers."""
    backward: Verdicts
    """Verdicts on readers of the new contract."""
    forward: Verdicts
    """Verdicts on readers of the old contract."""
    changes: Annotated[tuple[ContractChange, ...], Field(max_length=MAX_LISTED)]
    """The changes, worst first, as many as are listed."""

    @model_validator(mode="after")
    def _consistent(self) -> Comparison:
        if self.backward.total() != self.change_count or self.forward.total() != self.change_count:
            raise ValueError("the verdicts do not add up to the changes")
        if len(self.changes) > self.change_count or (self.change_count and not self.content_changed):
            raise ValueError("the list of changes contradicts their number")
        for direction, verdicts in (("backward", self.backward), ("forward", self.forward)):
            for verdict in ("compatible", "incompatible", "undecidable"):
                listed = sum(getattr(each, direction) == verdict for each in self.changes)
                if listed > getattr(verdicts, verdict):
                    raise ValueError("more changes are listed than counted")
        if self.announced and self.step != "major":
            raise ValueError("a break is announced by a major version")
        return self


class Example(Document):
    """A row that breaks the contract."""

    row: Annotated[int, Field(ge=1)]
    """Number of the row, from 1, without a header."""
    value: Annotated[str, Field(max_length=60)] | None
    """The value; None unless the column is classified as public."""


class DataViolation(Document):
    """One way in which one column breaks the contract."""

    column: Text
    """The property, dotted where it is nested."""
    kind: Annotated[str, Field(min_length=1)]
    """What is broken: `logical_type`, `required`, `minimum`, `missing_column`, …"""
    count: Count
    """Rows that break it."""
    row_count: Count
    """Rows that were checked."""
    classified: bool
    """True where values are not shown: every column that is not classified as public."""
    examples: Annotated[tuple[Example, ...], Field(max_length=5)]
    """The first of the rows."""
    place: Place | None
    """Where the contract asks for it."""

    @model_validator(mode="after")
    def _no_values(self) -> DataViolation:
        if self.classified and any(each.value is not None for each in self.examples):
            raise ValueError("values of a classified column are not evidence")
        return self


class QualityRule(Document):
    """A library rule of the contract that was computed and failed."""

    subject: Text
    """The schema object or property."""
    name: Text
    """Name, id or metric of the rule."""
    metric: Text
    """rowCount, nullValues, missingValues, invalidValues or duplicateValues."""
    measured: Text
    """What the data has."""
    wanted: Text
    """What the rule asks."""
    severity: Text | None
    """Severity as the contract writes it, in lower case."""
    place: Place | None
    """Where the rule stands."""


class UncheckedRule(Document):
    """Something that the contract declares and that was not verified."""

    subject: Text
    """The schema object or property."""
    kind: Literal["sql", "custom", "option"]
    """sql and custom: a quality rule. option: a type or a constraint."""
    reason: Text
    """Why not."""
    severity: Text | None
    """Severity of the quality rule, in lower case."""
    place: Place | None
    """Where it stands."""


class DataEvidence(Document):
    """How one data file conforms to one schema object."""

    path: Annotated[str, Field(min_length=1)]
    """The file."""
    format: Literal["csv", "jsonl", "parquet"]
    """How it was read."""
    table: Text
    """The schema object."""
    row_count: Count
    """Rows read, malformed ones included."""
    column_count: Count
    """Columns of the file; for JSON lines, keys of its first rows."""
    violation_count: Count
    """Kinds of violation, by column."""
    violations: Annotated[tuple[DataViolation, ...], Field(max_length=MAX_LISTED)]
    """The violations, most rows first, as many as are listed."""
    quality_passed_count: Count
    """Library rules that passed."""
    quality_failed_count: Count
    """Library rules that failed or could not be judged."""
    quality_failed: Annotated[tuple[QualityRule, ...], Field(max_length=MAX_LISTED)]
    """Those that failed, as many as are listed."""
    unchecked_count: Count
    """What was declared and not verified."""
    unchecked_severities: tuple[str, ...]
    """Every severity among it, each once."""
    unchecked: Annotated[tuple[UncheckedRule, ...], Field(max_length=MAX_LISTED)]
    """What was not verified, as much as is listed."""
    text_rule_count: Count
    """Quality rules in prose; they are for people."""

    @model_validator(mode="after")
    def _consistent(self) -> DataEvidence:
        pairs = (
            (self.violations, self.violation_count),
            (self.quality_failed, self.quality_failed_count),
            (self.unchecked, self.unchecked_count),
        )
        if any(len(listed) != min(count, MAX_LISTED) for listed, count in pairs):
            raise ValueError("a list contradicts its number")
        if not {each.severity for each in self.unchecked if each.severity} <= set(self.unchecked_severities):
            raise ValueError("a severity is missing from the list of severities")
        return self


class ContractEvidence(Document):
    """One contract of the manifest."""

    path: Annotated[str, Field(min_length=1)]
    """The file."""
    id: Text | None
    """Its `id`."""
    version: Text | None
    """Its `version`."""
    status: Text | None
    """Its `status`: proposed, draft, active, deprecated, retired."""
    owner_count: Count
    """Owners declared under `team`."""
    tables: Annotated[tuple[Text, ...], Field(max_length=MAX_TABLES)]
    """Names of its schema objects; empty when it is not valid."""
    fault_count: Count
    """Number of faults."""
    faults: Annotated[tuple[ContractFault, ...], Field(max_length=MAX_LISTED)]
    """Where it breaks the standard's JSON Schema or cannot be used; then nothing else was checked."""
    mode: Mode | None
    """Compatibility mode that it declares."""
    base_mode: Mode | None
    """Compatibility mode that the version in force declares."""
    migration_path: Text
    """How readers get past a break; empty when nothing is said."""
    is_new: bool
    """There is no version of it at the base ref."""
    base: Comparison | None
    """What changed since the version in force."""
    earlier_count: Count
    """Earlier versions that were compared, in a transitive mode."""
    earlier_breaking_count: Count
    """Those of them with breaks that nothing announces."""
    earlier: Annotated[tuple[Comparison, ...], Field(max_length=MAX_EARLIER)]
    """Those of them that are listed."""
    data_path: str | None
    """The data file that the manifest names for it."""
    data: DataEvidence | None
    """How the data conforms."""
    place: Place
    """Top of the contract."""

    @model_validator(mode="after")
    def _consistent(self) -> ContractEvidence:
        if len(self.faults) != min(self.fault_count, MAX_LISTED):
            raise ValueError("the list of faults contradicts their number")
        if len(self.earlier) != min(self.earlier_breaking_count, MAX_EARLIER):
            raise ValueError("the list of earlier versions contradicts their number")
        if self.earlier_breaking_count > self.earlier_count:
            raise ValueError("more earlier versions break than were compared")
        if self.fault_count:
            if self.base or self.earlier_count or self.data or self.is_new:
                raise ValueError("a contract with faults is not compared with anything")
        elif (self.base is None) != self.is_new or (self.data is None) != (self.data_path is None) or not self.tables:
            raise ValueError("a valid contract is new or compared, and its data is checked")
        if any(each.announced != (each.step == "major" and self.migration_path != "") for each in self._comparisons()):
            raise ValueError("a break is announced by a major version and a migration path")
        return self

    def _comparisons(self) -> tuple[Comparison, ...]:
        return (*((self.base,) if self.base else ()), *self.earlier)


class Body(EvidenceBody):
    """What was found out about the contracts of a promotion."""

    contracts: Annotated[tuple[ContractEvidence, ...], Field(min_length=1)]
    """One entry for each item of the manifest's list, in its order."""


class Thresholds(GateThresholds):
    """Limits of the contracts gate."""

    default_compatibility_mode: SimpleMode
    """Mode of a contract that declares none; a transitive one must be declared by the contract."""
    allowed_statuses: Annotated[tuple[str, ...], Field(min_length=1)]
    """ODCS statuses that a contract may have."""
    data_required_kinds: tuple[Literal["model", "dataset", "feature_view", "agent"], ...]
    """Kinds of candidate that need data for every schema object."""
    min_row_count: Annotated[int, Field(ge=1)]
    """Rows that a data file must have; no rows prove nothing."""
    deny_unchecked_severities: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9 _-]*$")], ...]
    """Severities (lower case) of SQL and custom quality rules that block because they cannot be run here."""


def collect(request: Request, context: Context) -> Body:
    """
    Validate each contract, compare it with the version in force, and check its data.

    Raises `EvidenceError` when a file is missing, not ODCS 3.x or not readable, when the base ref or the
    history is not in the clone, or when it is not clear what the data is for.
    """
    from gatekeeper.gates.contracts.review import Review

    review = Review(context)
    return Body(observed_at=None, contracts=tuple(review.examine(item) for item in request.root))
