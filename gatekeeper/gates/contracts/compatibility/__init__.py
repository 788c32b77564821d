"""
Is a changed data contract still compatible? Our own decider, conservative and pure.

Both versions are ODCS 3.x documents that their JSON Schema accepts. Every difference is either known to be
metadata, judged by name in both directions, or *undecidable*, which callers treat as a break. What is judged:
schema objects, properties, types, constraints, keys, enumerations, classification, quality rules. What is
not: servers, prices, roles, support, service levels, descriptions.

BACKWARD: readers using the new contract can read old data. FORWARD: readers of the old contract can read new
data. FULL: both. A removed column breaks both ways (data with a column that its contract does not declare
does not conform); an added optional column breaks neither (an absent column reads as nulls).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gatekeeper.gates.contracts.compatibility.changes import (
    BROKEN,
    HARMLESS,
    UNKNOWN,
    Change,
    Effect,
    Verdict,
    Where,
    show,
)
from gatekeeper.gates.contracts.compatibility.properties import compare_properties, unknown_keys
from gatekeeper.gates.contracts.compatibility.quality import compare_quality
from gatekeeper.gates.contracts.compatibility.versions import Step, version_step

__all__ = ["Change", "Effect", "Step", "Verdict", "compare", "unreadable", "version_step", "worst_first"]

_METADATA = frozenset(
    {"id", "name", "description", "businessName", "deprecated", "synonyms", "authoritativeDefinitions", "tags"}
    | {"customProperties", "dataGranularityDescription", "context", "logicalType"}
)
_JUDGED = frozenset({"physicalName", "physicalType", "properties", "relationships", "quality"})


def compare(base: dict[str, Any], head: dict[str, Any]) -> list[Change]:
    """List what changed from `base` to `head` for readers, worst first."""
    found = list(_contract(base, head))
    before = {each["name"]: (index, each) for index, each in enumerate(base.get("schema") or [])}
    after = {each["name"]: (index, each) for index, each in enumerate(head.get("schema") or [])}
    root = Where("", ("schema",), ("schema",))
    for name, (index, _) in before.items():
        if name not in after:
            found.append(root.item(name, index, 0).change("schema_object_removed", "removed", BROKEN, gone=True))
    for name, (index, value) in after.items():
        if name not in before:
            found.append(root.item(name, 0, index).change("schema_object_added", "added", HARMLESS))
            continue
        place, old = before[name]
        found.extend(_schema_object(old, value, root.item(name, place, index)))
    return worst_first(found)


def unreadable(kind: str, subject: str, reason: str) -> Change:
    """Stand in for a comparison that cannot be made; nothing is known, so it is undecidable."""
    return Change(kind, subject, reason, UNKNOWN, (), in_head=False)


def worst_first(changes: list[Change]) -> list[Change]:
    """Order changes so that the first ones are those that may block."""
    rank = {"incompatible": 0, "undecidable": 1, "compatible": 2}
    return sorted(changes, key=lambda each: min(rank[each.effect.backward], rank[each.effect.forward]))


def _contract(base: dict[str, Any], head: dict[str, Any]) -> Iterator[Change]:
    if base.get("id") != head.get("id"):
        detail = f"contract {show(base.get('id'))} gave way to {show(head.get('id'))}"
        yield Change("contract_removed", show(base.get("id")), detail, BROKEN, ("id",))


def _schema_object(base: dict[str, Any], head: dict[str, Any], where: Where) -> Iterator[Change]:
    old, new = (each.get("physicalName") or each["name"] for each in (base, head))
    if old != new:
        yield where.key("physicalName").change("physical_name_changed", f"{show(old)} to {show(new)}", BROKEN)
    for key, kind in (("physicalType", "physical_type_changed"), ("relationships", "relationship_changed")):
        if (base.get(key) or None) != (head.get(key) or None):
            detail = f"{show(base.get(key))} to {show(head.get(key))}"
            yield where.key(key).change(kind, detail, UNKNOWN, gone=key not in head)
    yield from compare_properties(base.get("properties") or [], head.get("properties") or [], where.key("properties"))
    yield from compare_quality(base.get("quality") or [], head.get("quality") or [], where.key("quality"))
    yield from unknown_keys(base, head, where, known=_METADATA | _JUDGED)
