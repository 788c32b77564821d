"""
What changed between two sets of policies, and whether it makes them weaker; pure.

Thresholds are compared as promotions meet them: resolved for every environment and risk tier, so that an override that
was moved, reordered or removed counts for what it does. Rego text is compared token by token, comments and layout left
out; that a changed text is weaker nobody can read off it, which is what `gatekeeper.policy_tools.weakening` is for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

from gatekeeper.decision import PolicyReference
from gatekeeper.defaults import Defaults, read_defaults, read_own_defaults
from gatekeeper.document import Document
from gatekeeper.engine.rego import Outline, read_outline
from gatekeeper.policy import PolicySet, Rule
from gatekeeper.policy_tools.thresholds import Direction, compare_thresholds, direction_of

ChangeKind = Literal[
    "rule_added", "rule_removed", "rule_text", "helper", "severity", "waivable", "controls", "collections", "wording",
    "gate_added", "gate_removed", "required_gate", "threshold", "max_bundle_age", "data",
]  # fmt: skip

_WORDING = ("title", "description", "remedy")


class Change(Document):
    """One difference between two sets of policies."""

    kind: ChangeKind
    """Which kind of difference."""
    direction: Direction
    """weakened: denies less. tightened: denies more. changed: its name and values do not tell."""
    subject: str
    """The rule, gate, threshold, helper or path of data."""
    scope: str = ""
    """Environment, risk tier or candidate kind that it holds for; empty: all."""
    before: str = ""
    """Value under base; empty when there was none, or when it is text of Rego."""
    after: str = ""
    """Value under head; empty when there is none, or when it is text of Rego."""


class PolicyDiff(Document):
    """Everything that differs, weakened first."""

    base: PolicyReference
    """What was in force."""
    head: PolicyReference
    """What is proposed."""
    changes: tuple[Change, ...]
    """Differences; none does not mean equal bytes, see the digests."""

    @property
    def weakened(self) -> tuple[Change, ...]:
        """The differences that are known to make the policies weaker."""
        return tuple(each for each in self.changes if each.direction == "weakened")


def diff_policies(base: PolicySet, head: PolicySet) -> PolicyDiff:
    """
    Compare two sets of policies; the files' names do not matter, what they say does.

    Raises `ConfigurationError` when one of them is no complete set: METADATA, defaults or syntax are wrong.
    """
    old, new = read_defaults(base), read_defaults(head)
    changes = [
        *_gates(base, head),
        *_rules(base.rules, head.rules),
        *_texts(_definitions(base), _definitions(head)),
        *_required(_required_gates(base, old), _required_gates(head, new)),
        *_thresholds(old, new),
        *_data(base, head),
    ]
    order = ("weakened", "changed", "tightened")
    changes.sort(key=lambda each: (order.index(each.direction), each.kind, each.subject, each.scope))
    return PolicyDiff(base=_reference(base), head=_reference(head), changes=tuple(changes))


def _reference(policies: PolicySet) -> PolicyReference:
    return PolicyReference(name=policies.name, digest=policies.digest)


def _gates(base: PolicySet, head: PolicySet) -> Iterator[Change]:
    for gate in sorted(base.packages.keys() - head.packages.keys()):
        yield Change(kind="gate_removed", direction="weakened", subject=gate, before=base.packages[gate])
    for gate in sorted(head.packages.keys() - base.packages.keys()):
        yield Change(kind="gate_added", direction="tightened", subject=gate, after=head.packages[gate])


def _rules(base: dict[str, Rule], head: dict[str, Rule]) -> Iterator[Change]:
    for rule in sorted(base.keys() - head.keys()):
        yield Change(kind="rule_removed", direction="weakened", subject=rule, before=base[rule].severity)
    for rule in sorted(head.keys() - base.keys()):
        yield Change(kind="rule_added", direction="tightened", subject=rule, after=head[rule].severity)
    for rule in sorted(base.keys() & head.keys()):
        yield from _metadata(base[rule], head[rule])


def _metadata(old: Rule, new: Rule) -> Iterator[Change]:
    rule = old.rule
    if old.severity != new.severity:
        direction: Direction = "weakened" if new.severity == "warn" else "tightened"
        yield Change(kind="severity", direction=direction, subject=rule, before=old.severity, after=new.severity)
    if old.waivable != new.waivable:
        direction = "weakened" if new.waivable else "tightened"
        yield Change(
            kind="waivable", direction=direction, subject=rule, before=_shown(old.waivable), after=_shown(new.waivable)
        )
    for kind, before, after in (
        ("controls", old.controls, new.controls), ("collections", old.collections, new.collections),
    ):  # fmt: skip
        if set(before) != set(after):
            yield _changed(kind, rule, ", ".join(before), ", ".join(after))
    for name in _WORDING:
        if getattr(old, name) != getattr(new, name):
            yield _changed("wording", f"{rule} ({name})", getattr(old, name), getattr(new, name))


def _changed(kind: Any, subject: str, before: str, after: str) -> Change:
    return Change(kind=kind, direction="changed", subject=subject, before=before, after=after)


def _texts(base: dict[str, list[Any]], head: dict[str, list[Any]]) -> Iterator[Change]:
    for subject in sorted(base.keys() | head.keys()):
        old, new = base.get(subject), head.get(subject)
        if old == new:
            continue
        if ": " not in subject:
            if old is not None and new is not None:  # a rule that came or went is named by its METADATA
                yield _changed("rule_text", subject, "", "")
        else:
            yield _changed("helper", subject, "" if old is None else "present", "" if new is None else "present")


def _definitions(policies: PolicySet) -> dict[str, list[Any]]:
    """Tokens of each rule by id, and of everything else by `package: name`."""
    found: dict[str, list[Any]] = {}
    for module in policies.modules:
        outline = read_outline(module)
        starts = [index for index in outline.top_level if outline.begins_rule(index)]
        for start, end in zip(starts, [*starts[1:], len(outline.tokens)], strict=True):
            subject = _subject(outline, start, policies)
            found.setdefault(subject, []).append(outline.tokens[start:end])
    return {subject: sorted(texts) for subject, texts in found.items()}


def _subject(outline: Outline, index: int, policies: PolicySet) -> str:
    """Name what a definition belongs to: the rule whose METADATA stands before it, or its package and name."""
    module, name = outline.module, outline.text(index)
    if name in ("deny", "warn"):
        line = module.text.count("\n", 0, outline.span(index)[0]) + 1
        above = [rule for rule in policies.rules.values() if rule.path == module.path and rule.line < line]
        if above:
            return max(above, key=lambda rule: rule.line).rule
    if name in ("default", "import"):
        name = f"{name} {outline.text(index + 1)}"
    return f"{module.package}: {name}"


Required = dict[tuple[str, str], tuple[str, ...]]
"""Gates by environment entered and candidate kind."""


def _required_gates(policies: PolicySet, defaults: Defaults) -> Required:
    found = {
        (environment, kind): gates
        for environment, kinds in defaults.required_gates.items()
        for kind, gates in kinds.items()
        if gates
    }
    for environment, kinds in read_own_defaults(policies).required_gates.items():
        for kind, gates in kinds.items():
            place = (environment, str(kind))
            found[place] = tuple(dict.fromkeys((*found.get(place, ()), *gates)))
    return found


def _required(base: Required, head: Required) -> Iterator[Change]:
    """Compare the table; where it names no gate at all nothing is promoted, so that an entry gone is no weakening."""
    for environment, kind in sorted(base.keys() | head.keys()):
        old, new = base.get((environment, kind), ()), head.get((environment, kind), ())
        scope = f"{kind} entering {environment}"
        for gate in sorted(set(old) - set(new)):
            direction: Direction = "weakened" if new else "changed"
            yield Change(
                kind="required_gate", direction=direction, subject=gate, scope=scope, before="required",
                after="not required" if new else "nothing can be promoted",
            )  # fmt: skip
        for gate in sorted(set(new) - set(old)):
            direction = "tightened" if old else "changed"
            before = "not required" if old else "nothing could be promoted"
            yield Change(
                kind="required_gate", direction=direction, subject=gate, scope=scope, before=before, after="required"
            )


def _thresholds(old: Defaults, new: Defaults) -> Iterator[Change]:
    before, after = old.max_bundle_age_seconds, new.max_bundle_age_seconds
    if before != after:
        direction = direction_of("max_bundle_age_seconds", before, after)
        subject = "max_bundle_age_seconds"
        yield Change(kind="max_bundle_age", direction=direction, subject=subject, before=str(before), after=str(after))
    for each in compare_thresholds(old, new):
        yield Change(
            kind="threshold", direction=direction_of(each.key, each.before, each.after),
            subject=f"{each.gate}.{each.key}", scope=each.scope, before=_shown(each.before), after=_shown(each.after),
        )  # fmt: skip


def _data(base: PolicySet, head: PolicySet) -> Iterator[Change]:
    """Compare all other data that rules may read."""
    old, new = dict(_leaves(base.data, "data")), dict(_leaves(head.data, "data"))
    for path in sorted(old.keys() | new.keys()):
        if old.get(path, ...) != new.get(path, ...):
            yield _changed("data", path, _shown(old.get(path, ...)), _shown(new.get(path, ...)))


def _leaves(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """Flatten data to canonical text by path: true is not 1. The defaults are compared by what they mean."""
    if path in ("data.gatekeeper.defaults", "data.custom.gatekeeper.defaults"):
        return
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from _leaves(value, f"{path}.{key}")
    else:
        yield path, json.dumps(node, sort_keys=True)


def _shown(value: Any) -> str:
    """Write a value; nothing (`...`) is empty."""
    if value is ...:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
