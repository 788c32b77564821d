"""Thresholds of two sets of policies side by side, and what a difference does to a gate; pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from gatekeeper.defaults import Defaults
from gatekeeper.settings import RiskTier

Direction = Literal["weakened", "tightened", "changed"]

TIERS: tuple[str, ...] = get_args(RiskTier)


@dataclass(frozen=True)
class ThresholdChange:
    """One threshold with another value; `...` where there is none."""

    gate: str
    key: str
    scope: str
    before: Any
    after: Any


def direction_of(key: str, before: Any, after: Any) -> Direction:
    """
    Say what a change of a threshold does, as far as its name tells.

    A lower `min_…`, a higher `max_…`, `require_…` that became false, a longer `allowed_…`, a shorter `deny_…` or
    `…_required_…` is weaker, and so is one of these that is gone (`...`).
    """
    weaker = _is_weaker(key, before, after)
    if weaker is None:
        return "changed"
    return "weakened" if weaker else "tightened"


def _is_weaker(key: str, before: Any, after: Any) -> bool | None:
    """Whether head asks less; None when that cannot be told."""
    kind = _kind(key)
    if kind is None or before == after:
        return None
    if before is ... or after is ...:
        return after is ...
    if kind == "require":
        return before is True if isinstance(before, bool) and isinstance(after, bool) else None
    if kind in ("min", "max"):
        if not (_is_number(before) and _is_number(after)):
            return None
        return bool(after < before) == (kind == "min")
    return _is_weaker_list(kind, before, after)


def _is_weaker_list(kind: str, before: Any, after: Any) -> bool | None:
    if not (isinstance(before, list) and isinstance(after, list)):
        return None
    old, new = ({json.dumps(each, sort_keys=True) for each in values} for values in (before, after))
    if old < new:
        return kind == "allowed"
    return kind != "allowed" if new < old else None


def _kind(key: str) -> str | None:
    for prefix in ("min", "max", "require", "allowed", "deny"):
        if key.startswith(f"{prefix}_"):
            return prefix
    return "deny" if "_required_" in key else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def compare_thresholds(base: Defaults, head: Defaults) -> Iterator[ThresholdChange]:
    """
    Yield each threshold that differs, once for all scopes and again where an override makes it differ otherwise.

    What differs alike for every risk tier of an environment, or for a tier in every environment, is one change.
    """
    environments = sorted({*base.required_gates, *head.required_gates, *_named(base), *_named(head)})
    tables = {
        (environment, tier): (_resolved(base, environment, tier), _resolved(head, environment, tier))
        for environment in environments
        for tier in TIERS
    }
    general = (_flat(base.thresholds), _flat(head.thresholds))
    for place in sorted(
        {*general[0], *general[1], *(each for pair in tables.values() for table in pair for each in table)}
    ):
        whole = _pair(general, place)
        if _differ(whole):
            yield ThresholdChange(*place, "", *whole)
        cells = {scope: _pair(tables[scope], place) for scope in tables}
        odd = {scope: pair for scope, pair in cells.items() if _differ(pair) and _same(pair) != _same(whole)}
        for scope, pair in _merged(odd, environments):
            yield ThresholdChange(*place, scope, *pair)


Pair = tuple[Any, Any]
Table = dict[tuple[str, str], Any]


def _merged(cells: dict[tuple[str, str], Pair], environments: list[str]) -> Iterator[tuple[str, Pair]]:
    """Put cells together that differ alike: all tiers of an environment, then all environments of a tier."""
    left = dict(cells)
    rows = [(environment, [(environment, tier) for tier in TIERS]) for environment in environments]
    rows += [(f"risk tier {tier}", [(environment, tier) for environment in environments]) for tier in TIERS]
    for label, row in rows:
        if all(cell in left for cell in row) and len({_same(left[cell]) for cell in row}) == 1:
            yield label, left[row[0]]
            for cell in row:
                del left[cell]
    for (environment, tier), pair in left.items():
        yield f"{environment}, risk tier {tier}", pair


def _named(defaults: Defaults) -> list[str]:
    return [each.environment for each in defaults.overrides if each.environment is not None]


def _resolved(defaults: Defaults, environment: str, tier: str) -> Table:
    table = _flat(defaults.thresholds)
    for each in defaults.overrides:
        if each.environment in (None, environment) and each.risk_tier in (None, tier):
            table |= _flat(each.thresholds)
    return table


def _flat(thresholds: dict[str, dict[str, Any]]) -> Table:
    return {(gate, key): value for gate, values in thresholds.items() for key, value in values.items()}


def _pair(tables: tuple[Table, Table], place: tuple[str, str]) -> Pair:
    return tables[0].get(place, ...), tables[1].get(place, ...)


def _differ(pair: Pair) -> bool:
    return _text(pair[0]) != _text(pair[1])


def _same(pair: Pair) -> tuple[str, str]:
    return _text(pair[0]), _text(pair[1])


def _text(value: Any) -> str:
    """Text by which values are equal: true is not 1."""
    return "" if value is ... else json.dumps(value, sort_keys=True)
