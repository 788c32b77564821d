"""Changes of quality rules: what data must measure up to is part of the contract."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gatekeeper.document import canonical_json
from gatekeeper.gates.contracts.compatibility.changes import LOOSENED, TIGHTENED, UNKNOWN, Change, Effect, Where, show

_METADATA = frozenset(
    {"id", "name", "description", "dimension", "businessImpact", "tags", "authoritativeDefinitions"}
    | {"customProperties", "schedule", "scheduler", "method"}
)
_UPPER = ("mustBeLessThan", "mustBeLessOrEqualTo")
_LOWER = ("mustBeGreaterThan", "mustBeGreaterOrEqualTo")


def is_enforced(rule: dict[str, Any]) -> bool:
    """Say whether a rule can be checked at all; text is for people."""
    return rule.get("type") != "text"


def compare_quality(base: list[Any], head: list[Any], where: Where) -> Iterator[Change]:
    """Compare the rules of one element, matched by id, by name, or by what they measure."""
    before, after = _keyed(base), _keyed(head)
    for key, (index, rule) in before.items():
        if key not in after:
            place = Where(where.subject, (*where.base, index), where.head)
            yield place.change("quality_rule_changed", f"removed: {_named(rule)}", LOOSENED, gone=True)
    for key, (index, rule) in after.items():
        if key not in before:
            place = Where(where.subject, where.base, (*where.head, index))
            # An SQL or custom rule cannot be read, so it may or may not refuse old data: not safe either way.
            effect = TIGHTENED if _measured(rule) else Effect("undecidable", "compatible")
            yield place.change("quality_rule_changed", f"added: {_named(rule)}", effect)
            continue
        effect_of_change = _judge(before[key][1], rule)
        if effect_of_change is not None:
            place = Where(where.subject, (*where.base, before[key][0]), (*where.head, index))
            yield place.change("quality_rule_changed", f"changed: {_named(rule)}", effect_of_change)


def _keyed(rules: list[Any]) -> dict[tuple[Any, ...], tuple[int, dict[str, Any]]]:
    found: dict[tuple[Any, ...], tuple[int, dict[str, Any]]] = {}
    for index, rule in enumerate(rules):
        if not is_enforced(rule):
            continue
        measure = (rule.get("type", "library"), rule.get("metric"), rule.get("engine"))
        key: tuple[Any, ...] = ("id", rule["id"]) if "id" in rule else ("name", rule.get("name"), *measure)
        while key in found:
            key = (*key, "again")
        found[key] = (index, {"type": "library"} | rule)
    return found


def _measured(rule: dict[str, Any]) -> bool:
    return bool(rule["type"] == "library")


def _named(rule: dict[str, Any]) -> str:
    name = rule.get("name") or rule.get("id") or rule.get("metric") or rule.get("description") or rule.get("type")
    return show(name)


def _judge(old: dict[str, Any], new: dict[str, Any]) -> Effect | None:
    changed = {
        key
        for key in (old.keys() | new.keys()) - _METADATA
        if canonical_json(old.get(key)) != canonical_json(new.get(key))
    }
    if not changed:
        return None
    key = next(iter(changed))
    if len(changed) == 1 and key in old and key in new and _measured(new):
        if key in _UPPER or key in _LOWER:
            return TIGHTENED if (new[key] > old[key]) == (key in _LOWER) else LOOSENED
        if key == "mustBeBetween":
            return _interval(old[key], new[key])
    return UNKNOWN


def _interval(old: list[float], new: list[float]) -> Effect:
    low, high = sorted(old)
    new_low, new_high = sorted(new)
    if low <= new_low and new_high <= high:
        return TIGHTENED
    return LOOSENED if new_low <= low and high <= new_high else UNKNOWN
