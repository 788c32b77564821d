"""The constraints of one property, made ready to check many values at once."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Any

from gatekeeper.gates.contracts.conformance.grammar import Grammar
from gatekeeper.gates.contracts.conformance.readers import identity
from gatekeeper.gates.contracts.conformance.temporal import ISO, Convert, UnreadableFormat, comparable, converter

_BOUNDS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "minimum": ("minimum", operator.lt),
    "maximum": ("maximum", operator.gt),
    "exclusiveMinimum": ("exclusive_minimum", operator.le),
    "exclusiveMaximum": ("exclusive_maximum", operator.ge),
}
"""By option: the kind of the violation, and when a value breaks the bound."""
_SIZES: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "minLength": ("min_length", operator.lt),
    "maxLength": ("max_length", operator.gt),
    "minItems": ("min_items", operator.lt),
    "maxItems": ("max_items", operator.gt),
    "minProperties": ("min_properties", operator.lt),
    "maxProperties": ("max_properties", operator.gt),
    "dimensions": ("dimensions", operator.ne),
}
_STRING_FORMATS = ("email", "uuid", "uri", "hostname", "ipv4", "ipv6", "date", "date-time", "time")
_BASE64 = r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
_FREE_FORMATS = ("password", "binary")
"""Formats of strings that say nothing about the characters."""
_F32_MAX = Decimal("3.4028234663852886e38")
_MAX_POWER = 400
"""Power of ten past which a value is not divided: it is out of range of every float."""
_ADVISORY = ("distanceMetric", "embeddingModel", "embeddingModelVersion", "elementType", "normalized")


@dataclass(frozen=True)
class Constraint:
    """One condition; `broken` gives the indexes of the values that break it."""

    kind: str
    broken: Callable[[Sequence[Any]], list[int]]


def make_constraints(element: Mapping[str, Any]) -> tuple[list[Constraint], list[str]]:
    """Make the constraints of a property; also name each option that will not be checked, with the reason."""
    found, unchecked = [], []
    if element.get("enum") is not None:
        found.append(_enumeration(element["enum"]))
    for key in element.get("logicalTypeOptions") or {}:
        made = _make(element, key)
        if isinstance(made, Constraint):
            found.append(made)
        elif made:
            unchecked.append(f"{key}: {made}")
    return found, unchecked


def _make(element: Mapping[str, Any], key: str) -> Constraint | str | None:
    """A constraint, the reason why there is none, or None where the option asks nothing of the values."""
    if key in _BOUNDS:
        return _bound(element, key)
    logical_type, options = element.get("logicalType"), element["logicalTypeOptions"]
    value = options[key]
    if key in _SIZES:
        kind, broken = _SIZES[key]
        return Constraint(kind, _each(lambda each: broken(len(each), value)))
    match key:
        case "pattern":
            return Constraint("pattern", Grammar("pattern", value).mismatches)
        case "multipleOf":
            step = Decimal(str(value))
            return Constraint("multiple_of", _each(lambda each: not _is_multiple(Decimal(each), step)))
        case "uniqueItems":
            return Constraint("unique_items", _each(_has_repeats)) if value else None
        case "required":
            return Constraint("required_keys", _each(lambda each: any(each.get(name) is None for name in value)))
        case "format":
            return _format(logical_type, value)
        case "timezone":
            if not _is_readable(logical_type, options.get("format")):
                return "the declared format is not read"
            return Constraint("timezone", _each(lambda each: _has_zone(each) is not value))
    return "not checked by gatekeeper" if key in _ADVISORY else None


def _is_readable(logical_type: Any, pattern: str | None) -> bool:
    try:
        return pattern is None or callable(converter(str(logical_type), pattern))
    except UnreadableFormat:
        return False


def _each(broken: Callable[[Any], bool]) -> Callable[[Sequence[Any]], list[int]]:
    return lambda values: [index for index, value in enumerate(values) if broken(value)]


def _enumeration(entries: Sequence[Mapping[str, Any]]) -> Constraint:
    allowed = {identity(entry["value"]) for entry in entries}
    return Constraint("enum", _each(lambda each: identity(each) not in allowed))


def _bound(element: Mapping[str, Any], key: str) -> Constraint | str:
    kind, broken = _BOUNDS[key]
    logical_type, options = str(element.get("logicalType")), element["logicalTypeOptions"]
    value = options[key]
    if logical_type in ("integer", "number"):
        limit = Decimal(str(value))
        return Constraint(kind, _each(lambda each: broken(each, limit)))
    try:
        zone = _default_zone(options)
        moment = comparable(_read_bound(logical_type, str(value), options.get("format")), zone)
    except (KeyError, ValueError) as error:
        return f"{value!r} cannot be compared ({type(error).__name__})"
    return Constraint(kind, _each(lambda each: broken(comparable(each, zone), moment)))


def _read_bound(logical_type: str, text: str, pattern: str | None) -> Any:
    """A bound is written in the property's own format, or in ISO 8601; a timestamp's may be a date."""
    convert: Convert = converter(logical_type, pattern) if pattern is not None else ISO[logical_type]
    try:
        return convert(text)
    except ValueError:
        return ISO[logical_type](text) if pattern is not None else ISO["date"](text)


def _default_zone(options: Mapping[str, Any]) -> tzinfo:
    name = options.get("defaultTimezone")
    if name in (None, "UTC", "Etc/UTC"):
        return UTC
    from zoneinfo import ZoneInfo

    return ZoneInfo(str(name))


def _format(logical_type: Any, name: str) -> Constraint | str | None:
    match logical_type:
        case "integer":
            bits = int(name[1:])
            low, high = (0, 2**bits) if name[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1))
            return Constraint("format", _each(lambda each: not low <= each < high))
        case "number":
            return Constraint("format", _each(lambda each: abs(each) > _F32_MAX)) if name == "f32" else None
        case "string" if name == "byte":
            return Constraint("format", Grammar("pattern", _BASE64).mismatches)
        case "string" if name in _STRING_FORMATS:
            return Constraint("format", Grammar("format", name).mismatches)
        case "string" if name not in _FREE_FORMATS:
            return f"{name!r} is no format that gatekeeper knows"
    return None


def _is_multiple(value: Decimal, step: Decimal) -> bool:
    if value and abs(value.adjusted()) > _MAX_POWER:
        return False
    return (Fraction(value) / Fraction(step)).denominator == 1


def _has_repeats(items: Sequence[Any]) -> bool:
    return len({identity(item) for item in items}) != len(items)


def _has_zone(moment: Any) -> bool:
    return isinstance(moment, datetime | time) and moment.tzinfo is not None
