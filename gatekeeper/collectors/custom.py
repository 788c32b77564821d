"""
The collector of an organisation's own gate whose evidence is a plain document: a JSON Schema takes the place of code.

The settings name the schema and where in the document the time of the measurement stands; the document is checked
when it is collected and again when it is decided on.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, model_validator

from gatekeeper.document import Document
from gatekeeper.errors import ConfigurationError, EvidenceError
from gatekeeper.evidence import EvidenceBody, GateThresholds

if TYPE_CHECKING:
    from gatekeeper.collectors import Context
    from gatekeeper.settings import CustomGate

Read = Callable[[str], bytes]
"""Reads a file of the trusted side by the path that the settings give; raises `ConfigurationError`."""

MAX_EVIDENCE_BYTES = 1024 * 1024
"""Size of one document; it goes whole into the bundle and into the record."""

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[-+]\d\d:\d\d)", re.ASCII)
_PROBES: tuple[Any, ...] = (None, True, 0, "", [], {}, {"no-schema-names-this": 0})


class DocumentRequest(Document):
    """The gate's part of the manifest."""

    path: str
    """The document, `.json`, `.yaml` or `.yml`, relative to the manifest."""


class DocumentBody(EvidenceBody):
    """A document and the time that stands in it."""

    document: dict[str, Any]
    """The document as it was read."""


class DocumentThresholds(GateThresholds):
    """Thresholds whose names are the organisation's own."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True, eq=False)
class DocumentCollector:
    """Satisfies `Collector` for one gate; made by `open_document_gate`, which checks the schemas."""

    gate: str
    schema: dict[str, Any]
    thresholds_schema: dict[str, Any] | None
    observed_at: str
    """JSON pointer (RFC 6901) to the time of the measurement."""

    Request: ClassVar[type[Document]] = DocumentRequest

    @property
    def Body(self) -> type[DocumentBody]:  # noqa: N802  # the name that `Collector` gives it
        """The evidence model, which holds the document to its schema."""
        return _body_model(self)

    @property
    def Thresholds(self) -> type[DocumentThresholds]:  # noqa: N802  # the name that `Collector` gives it
        """The model of the thresholds, which holds them to their schema where there is one."""
        return _thresholds_model(self)

    def collect(self, request: DocumentRequest, context: Context) -> DocumentBody:
        """Read the document; raises `EvidenceError` when it is absent, unreadable or breaks its schema."""
        document = _parse(context.workspace.read(request.path), request.path)
        problem = self.problem_of(document)
        if problem:
            hint = f"mend the document, or the program that writes it: it must fit the schema of the gate {self.gate}"
            raise EvidenceError("malformed", request.path, problem, hint=hint)
        return DocumentBody(observed_at=self.moment_of(document), document=document)

    def problem_of(self, document: Any) -> str:
        """Say how a document breaks its schema or lacks its time; empty when it does neither."""
        from gatekeeper.contracts import violations

        found = violations(document, self.schema)
        if found:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            return f"{found[0].pointer or 'the document'}: {found[0].message}{more}"
        try:
            self.moment_of(document)
        except ValueError as error:
            return f"{self.observed_at}: {error}"
        return ""

    def moment_of(self, document: Any) -> datetime:
        """Find the time of the measurement; raises `ValueError` when there is none, or it has no zone."""
        value = document
        for step in steps_of(self.observed_at):
            if not isinstance(value, dict) or step not in value:
                raise ValueError("the time of the measurement is not there")
            value = value[step]
        if not isinstance(value, str) or not _RFC3339.fullmatch(value):
            raise ValueError(f"{str(value)[:60]!r} is not an RFC 3339 time with a zone")
        return datetime.fromisoformat(value.upper())


def open_document_gate(gate: str, wanted: CustomGate, read: Read) -> DocumentCollector:
    """Load a gate's schemas; raises `ConfigurationError` when one is absent, no schema, or asks for nothing."""
    schema = load_schema(wanted.schema_path, read)
    first = steps_of(wanted.observed_at)[0]
    if first not in schema["required"]:
        raise ConfigurationError(
            wanted.schema_path, f"does not require {first!r}, where the time of the measurement stands",
            hint=f"add it to `required`, or mend custom_gates.{gate}.observed_at",
        )  # fmt: skip
    thresholds = load_schema(wanted.thresholds_schema, read) if wanted.thresholds_schema is not None else None
    return DocumentCollector(gate, schema, thresholds, wanted.observed_at)


def load_schema(path: str, read: Read) -> dict[str, Any]:
    """
    Read a JSON Schema and refuse one that would let anything pass.

    At its top it says `type: object`, names properties, requires some and closes the rest; no property's schema is
    empty. Raises `ConfigurationError`.
    """
    from gatekeeper.formats.strict_json import parse_json

    try:
        schema = parse_json(read(path), path)
        problem = (
            _laxness(schema) if isinstance(schema, dict) else "is no object, so it would accept anything or nothing"
        )
    except EvidenceError as error:
        raise ConfigurationError(path, error.problem, hint=error.hint, location=error.location) from error
    if problem:
        raise ConfigurationError(path, problem, hint="a gate is only as strict as the schema of its evidence")
    result: dict[str, Any] = schema
    return result


def _laxness(schema: dict[str, Any]) -> str:
    """Say what a schema leaves open; raises `EvidenceError` when it is no schema."""
    from gatekeeper.contracts import violations

    accepted = [probe for probe in _PROBES if not violations(probe, schema)]
    properties, required = schema.get("properties"), schema.get("required")
    if schema.get("type") != "object":
        return "does not say `type: object` at its top"
    if not isinstance(properties, dict) or not isinstance(required, list) or not required:
        return "names no `properties`, or requires none of them"
    if schema.get("additionalProperties") is not False and schema.get("unevaluatedProperties") is not False:
        return "does not say `additionalProperties: false` at its top, so a misspelt key would go unnoticed"
    unnamed = [name for name in required if name not in properties]
    if unnamed:
        return f"requires {unnamed[0]!r}, which is not among its properties"
    empty = [name for name, each in properties.items() if each is True or each == {}]
    if empty:
        return f"says nothing about the property {empty[0]!r}"
    return f"accepts {json.dumps(accepted[0])}" if accepted else ""


def steps_of(pointer: str) -> tuple[str, ...]:
    """Take a JSON pointer apart (RFC 6901, section 4)."""
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def _parse(data: bytes, path: str) -> Any:
    from gatekeeper.formats.strict_json import parse_json
    from gatekeeper.formats.strict_yaml import parse_yaml

    if len(data) > MAX_EVIDENCE_BYTES:
        raise EvidenceError(
            "unverifiable", path, f"{len(data)} bytes, at most {MAX_EVIDENCE_BYTES} are taken",
            hint="give the figures that the rules compare, not the raw data",
        )  # fmt: skip
    if path.endswith(".json"):
        return parse_json(data, path)
    if path.endswith((".yaml", ".yml")):
        return parse_yaml(data, path)
    raise EvidenceError("unverifiable", path, "is neither .json nor .yaml", hint="name it for what it is")


@functools.lru_cache(maxsize=64)
def _body_model(collector: DocumentCollector) -> type[DocumentBody]:
    class Body(DocumentBody):
        """A document that fits the schema of its gate."""

        @model_validator(mode="after")
        def _fits(self) -> Body:
            json.dumps(self.document, allow_nan=False)  # ValueError for what JSON does not know
            problem = collector.problem_of(self.document)
            if problem:
                raise ValueError(problem)
            if collector.moment_of(self.document) != self.observed_at:
                raise ValueError(f"observed_at is not the time at {collector.observed_at}")
            return self

    return Body


@functools.lru_cache(maxsize=64)
def _thresholds_model(collector: DocumentCollector) -> type[DocumentThresholds]:
    class Thresholds(DocumentThresholds):
        """Thresholds that fit the schema of their gate."""

        @model_validator(mode="after")
        def _fit(self) -> Thresholds:
            from gatekeeper.contracts import violations

            own = self.model_extra or {}
            found = violations(own, collector.thresholds_schema) if collector.thresholds_schema is not None else []
            if found:
                raise ValueError(f"{found[0].pointer or 'thresholds'}: {found[0].message}")
            return self

    return Thresholds
