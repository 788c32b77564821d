"""
Generates the JSON Schemas in `contracts/` from the models (`python -m gatekeeper.schemas`).

Descriptions come from the docstrings under the fields; each gate's part of the manifest comes from its
collector.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Callable, Iterator
from typing import Annotated, Any

from pydantic import BaseModel, Field, create_model
from pydantic.json_schema import SkipJsonSchema

_MODULE = "gatekeeper.schemas"
"""Module of models made here; the name would be another one under `python -m`."""

SCHEMAS: dict[str, Callable[[], type[BaseModel]]] = {}
"""Model by the name of its document; building one imports what it needs."""


def _document(name: str) -> Callable[[Callable[[], type[BaseModel]]], Callable[[], type[BaseModel]]]:
    def register(build: Callable[[], type[BaseModel]]) -> Callable[[], type[BaseModel]]:
        SCHEMAS[name] = build
        return build

    return register


def _field(description: str, *, default: Any = ...) -> Any:
    """Describe a field made at run time; its default is not shown."""
    return Field(default=default, description=description, json_schema_extra=_drop_default)


def _drop_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


@_document("promotion")
def _promotion() -> type[BaseModel]:
    from gatekeeper.collectors import COLLECTORS, load_collector
    from gatekeeper.document import Document
    from gatekeeper.manifest import PromotionManifest

    nothing: Any = Annotated[None, SkipJsonSchema()]  # type: ignore[type-arg]  # absent is allowed, null is not
    gates: dict[str, Any] = {
        gate: (load_collector(gate).Request | nothing, _field(f"Evidence of the gate {gate}.", default=None))
        for gate in COLLECTORS
    }
    evidence = create_model("EvidenceRequests", __module__=_MODULE, __base__=Document, **gates)
    return create_model(
        "PromotionManifest",
        __module__=_MODULE,
        __base__=PromotionManifest,
        __doc__=PromotionManifest.__doc__,
        evidence=(evidence, ...),
    )


@_document("settings")
def _settings() -> type[BaseModel]:
    from gatekeeper.settings import Settings

    return Settings


@_document("evidence-bundle")
def _evidence_bundle() -> type[BaseModel]:
    from gatekeeper.evidence import EvidenceBundle

    return EvidenceBundle


@_document("decision")
def _decision() -> type[BaseModel]:
    from gatekeeper.decision import Decision

    return Decision


@_document("report")
def _report() -> type[BaseModel]:
    from gatekeeper.report.json import Report

    return Report


@_document("defaults")
def _defaults() -> type[BaseModel]:
    from gatekeeper.collectors import COLLECTORS, load_collector
    from gatekeeper.document import Document
    from gatekeeper.requirements import Defaults

    gates: dict[str, Any] = {
        gate: (load_collector(gate).Thresholds, _field(f"Thresholds of the gate {gate}.")) for gate in COLLECTORS
    }
    thresholds = create_model("Thresholds", __module__=_MODULE, __base__=Document, **gates)
    return create_model(
        "Defaults", __module__=_MODULE, __base__=Defaults, __doc__=Defaults.__doc__, thresholds=(thresholds, ...)
    )


@_document("experiment")
def _experiment() -> type[BaseModel]:
    from gatekeeper.formats.experiment_template import ExperimentTemplate

    return ExperimentTemplate


def generate(name: str) -> dict[str, Any]:
    """Generate one schema: JSON Schema 2020-12, with titles, and descriptions from the docstrings."""
    model = SCHEMAS[name]()
    schema = model.model_json_schema(by_alias=True)
    models = {name: each for each in _models(model) for name in (each.__name__, _full_name(each))}
    for title, part in {model.__name__: schema, **schema.get("$defs", {})}.items():
        if title in models:
            _describe(part, models[title])
    _close(schema)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema


def _full_name(model: type[BaseModel]) -> str:
    """The name that pydantic gives a model when another one has the same short name."""
    return f"{model.__module__}.{model.__qualname__}".replace(".", "__")


def _close(schema: Any) -> None:
    """Refuse keys that match no pattern, as the models do and pydantic's schemas do not."""
    if isinstance(schema, dict):
        if "patternProperties" in schema:
            schema["additionalProperties"] = False
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            _close(each)


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    pending: list[Any] = [field.annotation for field in model.model_fields.values()]
    seen: set[Any] = {model}
    while pending:
        each = pending.pop()
        pending.extend(getattr(each, "__args__", ()))
        if isinstance(each, type) and issubclass(each, BaseModel) and each not in seen:
            seen.add(each)
            yield each
            pending.extend(field.annotation for field in each.model_fields.values())


def _describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    aliases = {name: field.alias or name for name, field in model.model_fields.items()}
    for owner in reversed(model.__mro__):
        if not issubclass(owner, BaseModel) or owner is BaseModel:
            continue
        for name, text in _field_docstrings(owner).items():
            target = schema.get("properties", {}).get(aliases.get(name, name))
            if target is not None:
                target["description"] = text


def _field_docstrings(model: type) -> dict[str, str]:
    """The string under each field of a class, from its source; none for a class made at run time."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(model)))
    except (OSError, TypeError):
        return {}
    (definition,) = tree.body
    found: dict[str, str] = {}
    if not isinstance(definition, ast.ClassDef):
        return found
    for statement, following in zip(definition.body, definition.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
            and isinstance(following.value.value, str)
        ):
            found[statement.target.id] = inspect.cleandoc(following.value.value)
    return found


def write_all() -> None:
    """Write every schema into `contracts/`."""
    from gatekeeper.contracts import CONTRACTS

    for name in SCHEMAS:
        text = json.dumps(generate(name), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        (CONTRACTS / f"{name}.schema.json").write_text(text, "utf-8")


if __name__ == "__main__":
    write_all()
