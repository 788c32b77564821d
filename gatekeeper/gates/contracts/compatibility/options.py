"""Changes of `logicalTypeOptions`: bounds, lengths, patterns, formats."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

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

_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_FIXED = frozenset(
    {"timezone", "defaultTimezone", "dimensions", "elementType", "distanceMetric", "embeddingModel"}
    | {"embeddingModelVersion", "normalized"}
)
"""Options that say what a value means: data made under another one means something else."""

_DEFAULTS: dict[str, Any] = {
    "elementType": "float32",
    "normalized": False,
    "defaultTimezone": "Etc/UTC",
    "uniqueItems": False,
    "minItems": 0,
    "minProperties": 0,
    "minLength": 0,
}
"""What an absent option means by the standard's JSON Schema, where that is a statement about the data."""

_WIDTHS = {"i8": (-7, 7), "i16": (-15, 15), "i32": (-31, 31), "i64": (-63, 63), "i128": (-127, 127)}
_WIDTHS |= {"u8": (0, 8), "u16": (0, 16), "u32": (0, 32), "u64": (0, 64), "u128": (0, 128)}
_WIDTHS |= {"f32": (-1032, 1032), "f64": (-1064, 1064)}
"""Range of a numeric format as powers of two; floats lie apart from integers."""


def compare_options(base: dict[str, Any], head: dict[str, Any], where: Where) -> Iterator[Change]:
    """Compare the options of one property in both versions, key by key."""
    old, new = (each.get("logicalTypeOptions") or {} for each in (base, head))
    types = {base.get("logicalType"), head.get("logicalType")}
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key, _DEFAULTS.get(key)), new.get(key, _DEFAULTS.get(key))
        if before == after and type(before) is type(after):
            continue
        kind, effect = _judge(key, before, after, types=types)
        place = where.key(key)
        yield place.change(kind, f"{key}: {show(before)} to {show(after)}", effect, gone=key not in new)


def _judge(key: str, old: Any, new: Any, *, types: set[Any]) -> tuple[str, Effect]:
    if key in _LOWER or key in _UPPER:
        return _bound(old, new, lower=key in _LOWER)
    match key:
        case "pattern":
            return "pattern_changed", _presence(old, new) or UNKNOWN
        case "format":
            return "format_changed", _format(old, new, types)
        case "uniqueItems":
            return ("unique_added", TIGHTENED) if new else ("unique_removed", LOOSENED)
        case "multipleOf":
            return _multiple(old, new)
        case "required":
            return _required_names(old, new)
    return ("constraint_changed", BROKEN) if key in _FIXED else ("unknown_keyword_changed", UNKNOWN)


def _presence(old: Any, new: Any) -> Effect | None:
    """A constraint that came tightens, one that went loosens; None when both are there."""
    if old is None:
        return TIGHTENED
    return LOOSENED if new is None else None


def _bound(old: Any, new: Any, *, lower: bool) -> tuple[str, Effect]:
    effect = _presence(old, new)
    if effect is None:
        before, after = _ordered(old), _ordered(new)
        if before is None or after is None or before[0] != after[0]:
            return "constraint_changed", UNKNOWN
        if before == after:
            return "constraint_changed", HARMLESS
        effect = TIGHTENED if (after > before) == lower else LOOSENED
    return ("constraint_tightened" if effect is TIGHTENED else "constraint_loosened"), effect


def _ordered(bound: Any) -> tuple[str, Any] | None:
    """A bound that can be ordered: a number, or an ISO 8601 date, time or timestamp without a zone."""
    if isinstance(bound, bool):
        return None
    if isinstance(bound, int | float):
        return "number", Decimal(str(bound))
    try:
        moment = datetime.fromisoformat(str(bound))
    except ValueError:
        return None
    return None if moment.tzinfo else ("moment", moment)


def _multiple(old: Any, new: Any) -> tuple[str, Effect]:
    effect = _presence(old, new)
    if effect is None:
        before, after = Decimal(str(old)), Decimal(str(new))
        finer, coarser = before % after == 0, after % before == 0
        effect = LOOSENED if finer else TIGHTENED if coarser else BROKEN
    names = {TIGHTENED: "constraint_tightened", LOOSENED: "constraint_loosened"}
    return names.get(effect, "constraint_changed"), effect


def _format(old: Any, new: Any, types: set[Any]) -> Effect:
    if types == {"string"}:
        return _presence(old, new) or BROKEN
    if not types & {"integer", "number"}:
        return BROKEN  # without a format, dates and times are written as ISO 8601 has it
    if old not in _WIDTHS or new not in _WIDTHS:
        # An absent format means i32 by the JSON Schema and "any" by habit.
        return UNKNOWN
    if (old[0] == "f") != (new[0] == "f"):
        return BROKEN
    (low, high), (new_low, new_high) = _WIDTHS[old], _WIDTHS[new]
    if new_low <= low and high <= new_high:
        return LOOSENED
    return TIGHTENED if low <= new_low and new_high <= high else BROKEN


def _required_names(old: Any, new: Any) -> tuple[str, Effect]:
    before, after = set(old or ()), set(new or ())
    if before == after:
        return "required_changed", HARMLESS
    if before <= after:
        return "required_added", TIGHTENED
    return ("required_removed", LOOSENED) if after <= before else ("required_changed", BROKEN)
