"""Changes of properties (columns, fields, items), at any depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gatekeeper.document import canonical_json
from gatekeeper.gates.contracts.compatibility.changes import (
    BROKEN,
    HARMLESS,
    LOOSENED,
    TIGHTENED,
    UNKNOWN,
    Change,
    Effect,
    Where,
    show,
)
from gatekeeper.gates.contracts.compatibility.options import compare_options
from gatekeeper.gates.contracts.compatibility.quality import compare_quality, is_enforced

_METADATA = frozenset(
    {"id", "name", "description", "businessName", "deprecated", "synonyms", "authoritativeDefinitions", "tags"}
    | {"customProperties", "examples", "criticalDataElement", "partitioned", "partitionKeyPosition"}
    | {"transformSourceObjects", "transformLogic", "transformDescription"}
)
_JUDGED = frozenset(
    {"primaryKey", "primaryKeyPosition", "logicalType", "logicalTypeOptions", "physicalType", "physicalName"}
    | {"required", "unique", "semanticType", "classification", "enum", "quality", "properties", "items", "map"}
)
_LEVELS = ("public", "internal", "confidential", "restricted")
"""Classes in common use, least protected first; other words have no order that we know."""


def compare_properties(base: list[Any], head: list[Any], where: Where) -> Iterator[Change]:
    """Compare two lists of properties by name."""
    before = {each["name"]: (index, each) for index, each in enumerate(base)}
    after = {each["name"]: (index, each) for index, each in enumerate(head)}
    for name, (index, _) in before.items():
        if name not in after:
            yield where.item(name, index, 0).change("property_removed", "removed", BROKEN, gone=True)
    for name, (index, value) in after.items():
        if name in before:
            place, old = before[name]
            yield from compare_property(old, value, where.item(name, place, index))
        else:
            yield _added(value, where.item(name, 0, index))
    yield from _primary_key(base, head, where)


def compare_property(base: dict[str, Any], head: dict[str, Any], where: Where) -> Iterator[Change]:
    """Compare one property, or the items of an array, in both versions."""
    yield from _types(base, head, where)
    yield from compare_options(base, head, where.key("logicalTypeOptions"))
    yield from _flags(base, head, where)
    yield from _physical(base, head, where)
    yield from _semantic_type(base, head, where)
    yield from _enumeration(base, head, where)
    yield from _classification(base, head, where)
    yield from compare_quality(base.get("quality") or [], head.get("quality") or [], where.key("quality"))
    if "properties" in base or "properties" in head:
        inner = where.key("properties")
        yield from compare_properties(base.get("properties") or [], head.get("properties") or [], inner)
    yield from _parts(base, head, where)
    yield from unknown_keys(base, head, where, known=_METADATA | _JUDGED)


def unknown_keys(
    base: dict[str, Any], head: dict[str, Any], where: Where, *, known: frozenset[str]
) -> Iterator[Change]:
    """Report differences under keys that this decider does not know: nothing safe can be said of them."""
    for key in sorted((base.keys() | head.keys()) - known):
        if base.get(key) != head.get(key):
            detail = f"{key}: {show(base.get(key))} to {show(head.get(key))}"
            yield where.key(key).change("unknown_keyword_changed", detail, UNKNOWN, gone=key not in head)


def _added(value: dict[str, Any], where: Where) -> Change:
    if value.get("required") or value.get("primaryKey"):
        return where.change("required_added", "new property that may not be null", TIGHTENED)
    if any(is_enforced(rule) for rule in value.get("quality") or []):
        detail = "new property with quality rules, which rows without it may break"
        return where.change("property_added", detail, Effect("undecidable", "compatible"))
    return where.change("property_added", "new optional property", HARMLESS)


def _primary_key(base: list[Any], head: list[Any], where: Where) -> Iterator[Change]:
    old, new = ({each["name"]: each.get("primaryKeyPosition") for each in side if each.get("primaryKey")}
                for side in (base, head))  # fmt: skip
    if old == new:
        return
    detail = f"({', '.join(old)}) to ({', '.join(new)})"
    if set(old) == set(new):
        yield where.change("primary_key_changed", f"order of {detail}", UNKNOWN)
    elif not old or not new:
        yield where.change("primary_key_changed", detail, TIGHTENED if not old else LOOSENED)
    else:
        yield where.change("primary_key_changed", detail, BROKEN)


def _types(base: dict[str, Any], head: dict[str, Any], where: Where) -> Iterator[Change]:
    old, new = base.get("logicalType"), head.get("logicalType")
    if old == new:
        return
    place, detail = where.key("logicalType"), f"{show(old)} to {show(new)}"
    if old is None:
        yield place.change("type_narrowed", detail, Effect("undecidable", "compatible"))
    elif new is None:
        yield place.change("type_widened", detail, Effect("compatible", "undecidable"), gone=True)
    elif (old, new) == ("integer", "number"):
        # Every integer is a number, but not every reader of numbers reads files of integers.
        yield place.change("type_widened", detail, Effect("undecidable", "incompatible"))
    elif (old, new) == ("number", "integer"):
        yield place.change("type_narrowed", detail, Effect("incompatible", "undecidable"))
    else:
        yield place.change("type_changed", detail, BROKEN)


def _flags(base: dict[str, Any], head: dict[str, Any], where: Where) -> Iterator[Change]:
    for key in ("required", "unique"):
        old, new = bool(base.get(key)), bool(head.get(key))
        if old != new:
            kind, effect = (f"{key}_added", TIGHTENED) if new else (f"{key}_removed", LOOSENED)
            yield where.key(key).change(kind, f"{key}: {old} to {new}".lower(), effect, gone=key not in head)


def _physical(base: dict[str, Any], head: dict[str, Any], where: Where) -> Iterator[Change]:
    old, new = (each.get("physicalName") or each.get("name") for each in (base, head))
    if old != new:
        yield where.key("physicalName").change("physical_name_changed", f"{show(old)} to {show(new)}", BROKEN)
    types = [each.get("physicalType") for each in (base, head)]
    if _plain(types[0]) != _plain(types[1]):
        # Even a wider physical type stops some readers (Parquet INT32 read as INT64), so it is never safe.
        detail = f"{show(types[0])} to {show(types[1])}"
        gone = "physicalType" not in head
        yield where.key("physicalType").change("physical_type_changed", detail, UNKNOWN, gone=gone)


def _semantic_type(base: dict[str, Any], head: dict[str, Any], where: Where) -> Iterator[Change]:
    """A measure is computed and not stored, so data need not have its column."""
    old, new = (each.get("semanticType", "column") for each in (base, head))
    if old != new:
        gone = "semanticType" not in head
        yield where.key("semanticType").change("semantic_type_changed", f"{old} to {new}", UNKNOWN, gone=gone)


def _plain(physical_type: str | None) -> str | None:
    return physical_type if physical_type is None else "".join(physical_type.split()).casefold()


def _enumeration(base: dict[str, Any], head: dict[str, Any], where: Where) -> Iterator[Change]:
    old, new = (
        None if each.get("enum") is None else {canonical_json(entry["value"]).decode() for entry in each["enum"]}
        for each in (base, head)
    )
    place, gone = where.key("enum"), "enum" not in head
    if new is not None and (old is None or old - new):
        lost = "every other value" if old is None else ", ".join(sorted(old - new))
        yield place.change("enum_narrowed", f"no longer allowed: {show(lost)}", TIGHTENED)
    if old is not None and (new is None or new - old):
        won = "any value" if new is None else ", ".join(sorted(new - old))
        yield place.change("enum_widened", f"now allowed: {show(won)}", LOOSENED, gone=gone)


def _classification(base: dict[str, Any], head: dict[str, Any], where: Where) -> Iterator[Change]:
    old, new = ((each.get("classification") or "").strip().casefold() for each in (base, head))
    if old == new:
        return
    place, detail = where.key("classification"), f"{show(old or None)} to {show(new or None)}"
    if not new:
        yield place.change("classification_lowered", detail, BROKEN, gone=True)
    elif not old:
        yield place.change("classification_raised", detail, HARMLESS)
    elif old not in _LEVELS or new not in _LEVELS:
        yield place.change("classification_changed", detail, UNKNOWN)
    elif _LEVELS.index(new) < _LEVELS.index(old):
        yield place.change("classification_lowered", detail, BROKEN)
    else:
        yield place.change("classification_raised", detail, HARMLESS)


def _parts(base: dict[str, Any], head: dict[str, Any], where: Where) -> Iterator[Change]:
    """The items of an array, the key and the value of a map."""
    yield from _part(base.get("items"), head.get("items"), where.key("items").nested("[]"))
    old, new = base.get("map") or {}, head.get("map") or {}
    for key in ("key", "value"):
        yield from _part(old.get(key), new.get(key), where.key("map", key).nested(f"{{{key}}}"))


def _part(base: dict[str, Any] | None, head: dict[str, Any] | None, where: Where) -> Iterator[Change]:
    if base is not None and head is not None:
        yield from compare_property(base, head, where)
    elif head is not None:
        yield where.change("type_narrowed", "type declared", Effect("undecidable", "compatible"))
    elif base is not None:
        yield where.change("type_widened", "type not declared", Effect("compatible", "undecidable"), gone=True)
