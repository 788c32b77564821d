"""From two versions of a contract to the evidence of what changed between them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from gatekeeper.collectors.contracts import MAX_LISTED, Comparison, ContractChange, Verdicts
from gatekeeper.decision import Place
from gatekeeper.document import canonical_json
from gatekeeper.formats.odcs import Contract, Fault
from gatekeeper.formats.strict_yaml import Path
from gatekeeper.gates.contracts.compatibility import Change, compare, unreadable, version_step


def compare_versions(other: Contract, head: Contract, *, faults: list[Fault]) -> Comparison:
    """
    Compare a contract with another version of it; `faults` are those of the other version.

    One with faults cannot be compared, so everything about it is undecidable.
    """
    changed = canonical_json(other.value) != canonical_json(head.value)
    if not changed:
        changes = []
    elif faults:
        reason = f"{other.name} has {len(faults)} faults, first: {faults[0].message}"
        changes = [unreadable("base_invalid", other.name, reason)]
    else:
        changes = compare(other.value, head.value)
    version = other.text("version")
    step = version_step(version or "", head.text("version") or "")
    return Comparison(
        against=other.name,
        version=shorten(version),
        step=step,
        content_changed=changed,
        announced=step == "major" and head.migration_path != "",
        change_count=len(changes),
        backward=_count([each.effect.backward for each in changes]),
        forward=_count([each.effect.forward for each in changes]),
        changes=tuple(_listed(each, other, head) for each in changes[:MAX_LISTED]),
    )


def unreadable_version(source: str, problem: str) -> Comparison:
    """Stand in for the comparison with an earlier version that is no contract; nothing can announce a break of it."""
    change = ContractChange(
        change="earlier_version_unreadable",
        subject=source[:500],
        detail=problem[:500],
        pointer="",
        backward="undecidable",
        forward="undecidable",
        place=None,
    )
    verdicts = Verdicts(compatible=0, incompatible=0, undecidable=1)
    return Comparison(
        against=source,
        version=None,
        step="unknown",
        content_changed=True,
        announced=False,
        change_count=1,
        backward=verdicts,
        forward=verdicts,
        changes=(change,),
    )


def is_breaking(comparison: Comparison) -> bool:
    """Say whether any change is not known to be safe, in either direction."""
    sides = (comparison.backward, comparison.forward)
    return any(each.incompatible or each.undecidable for each in sides)


def shorten(text: str | None) -> str | None:
    """Keep a text within what evidence may hold."""
    return text if text is None or len(text) <= 500 else f"{text[:497]}..."


def _count(verdicts: list[str]) -> Verdicts:
    found = Counter(verdicts)
    return Verdicts(
        compatible=found["compatible"], incompatible=found["incompatible"], undecidable=found["undecidable"]
    )


def _listed(change: Change, other: Contract, head: Contract) -> ContractChange:
    location = head.location(_path_in_head(change.path, other, head) if not change.in_head else change.path)
    return ContractChange(
        change=change.kind,
        subject=(change.subject or "contract")[:500],
        detail=change.detail[:500],
        pointer=change.pointer[:500],
        backward=change.effect.backward,
        forward=change.effect.forward,
        place=Place(path=location.path, line=location.line, column=location.column),
    )


def _path_in_head(path: Path, other: Contract, head: Contract) -> Path:
    """Follow a way through the old contract by names, as far as the new one has them."""
    before: Any = other.value
    after: Any = head.value
    found: list[str | int] = []
    for step in path:
        here: str | int | None = step if isinstance(step, str) and step in after else None
        if isinstance(step, int):
            name = before[step].get("name")
            here = next((index for index, each in enumerate(after) if name and each.get("name") == name), None)
        if here is None:
            break
        found.append(here)
        before, after = before[step], after[here]
    return tuple(found)
