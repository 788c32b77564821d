"""
The JSON Schemas of documents: gatekeeper's own in `contracts/`, and validation against any schema.

jsonschema-rs says yes or no quickly; when it says no, jsonschema explains, because its messages are better
and its import costs ten times as much.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatekeeper.errors import EvidenceError

_SHIPPED = Path(__file__).with_name("_contracts")
CONTRACTS = _SHIPPED if _SHIPPED.is_dir() else Path(__file__).parent.parent / "contracts"
"""Folder of `*.schema.json`: inside the wheel, or beside the package in a checkout."""


@dataclass(frozen=True)
class Violation:
    """Where a document breaks its schema (RFC 6901 JSON pointer), and how."""

    pointer: str
    message: str


def load_schema(name: str) -> dict[str, Any]:
    """Load one of gatekeeper's own schemas by name: `promotion`, `settings`, `evidence-bundle`, …"""
    schema: dict[str, Any] = json.loads((CONTRACTS / f"{name}.schema.json").read_text("utf-8"))
    return schema


def violations(instance: Any, schema: dict[str, Any], *, limit: int = 20) -> list[Violation]:
    """
    List how a JSON value breaks a schema, at most `limit`; empty when it is valid.

    A `$ref` to another document is never fetched, neither from the network nor from the disk.
    Raises `EvidenceError` (malformed) when the schema is no schema, or refers to another document.
    """
    import jsonschema_rs

    try:
        if jsonschema_rs.is_valid(schema, instance, retriever=_refuse_retrieval):
            return []
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        problem = str(error).splitlines()[0][:300]
        raise EvidenceError("malformed", "schema", f"cannot be used: {problem}") from error
    from jsonschema.validators import validator_for
    from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # ships no stubs

    validator = validator_for(schema)(schema, registry=REGISTRY)
    found = sorted(validator.iter_errors(instance), key=lambda error: list(map(str, error.path)))
    listed = [Violation("".join(f"/{_escaped(step)}" for step in error.path), error.message[:300]) for error in found]
    return listed[:limit] or [Violation("", "breaks its schema")]


def _refuse_retrieval(uri: str) -> Any:
    raise LookupError(f"{uri} is another document")


def _escaped(step: Any) -> str:
    return str(step).replace("~", "~0").replace("/", "~1")
