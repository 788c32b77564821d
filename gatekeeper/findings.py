"""From what an engine answered to findings; anything but the agreed shape is an error, never an empty list."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, ValidationError

from gatekeeper.decision import Effect, Finding, Place, RuleOutcome
from gatekeeper.document import Document, canonical_json
from gatekeeper.errors import ConfigurationError
from gatekeeper.policy import Rule


class RawFinding(Document):
    """A member of `deny` or `warn` as a policy writes it."""

    rule: Annotated[str, Field(min_length=1)]
    """Rule id, as in the rule's METADATA."""
    subject: Annotated[str, Field(min_length=1)]
    """What it is about."""
    message: Annotated[str, Field(min_length=1)]
    """What was found and what was wanted."""
    place: Place | None = None
    """Where in a file, if there is one."""


def read_findings(
    gate: str, result: dict[str, Any], rules: tuple[Rule, ...]
) -> tuple[tuple[Finding, ...], tuple[RuleOutcome, ...]]:
    """
    Read `{"deny": […], "warn": […]}` into findings, denials first, and the outcome of every rule.

    Raises `ConfigurationError` when the gate has no rules, a rule is undefined or not a list, a member is not
    a finding, or a finding names a rule that the METADATA does not know or knows with the other severity.
    """
    if not rules:
        raise ConfigurationError(
            f"gate {gate!r}", "its policy has no rules", hint="a gate without rules decides nothing"
        )
    known = {rule.rule: rule for rule in rules}
    findings = tuple(
        finding for effect in ("deny", "warn") for finding in _of_effect(gate, effect, result.get(effect), known)
    )
    worst: dict[str, Effect] = {}
    for finding in findings:
        worst.setdefault(finding.rule, finding.effect)
    outcomes = tuple(
        RuleOutcome(rule=rule.rule, title=rule.title, outcome=worst.get(rule.rule, "pass")) for rule in rules
    )
    return findings, outcomes


def _of_effect(gate: str, effect: Effect, members: Any, known: dict[str, Rule]) -> list[Finding]:
    if members is None:
        raise ConfigurationError(
            f"gate {gate!r}", f"its policy does not define `{effect}`", hint=f"write `{effect} contains …` rules"
        )
    if not isinstance(members, list):
        raise ConfigurationError(f"gate {gate!r}", f"`{effect}` is {_kind(members)}, a set of findings was wanted")
    findings = [_finding(gate, effect, member, known) for member in members]
    order = {rule: number for number, rule in enumerate(known)}
    return sorted(findings, key=lambda each: (order[each.rule], _line(each), canonical_json(each.model_dump())))


def _line(finding: Finding) -> tuple[str, int, int]:
    place = finding.place
    return (place.path, place.line, place.column) if place else ("", 0, 0)


def _finding(gate: str, effect: Effect, member: Any, known: dict[str, Rule]) -> Finding:
    try:
        raw = RawFinding.model_validate(member)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in fault["loc"])
        raise ConfigurationError(
            f"gate {gate!r}",
            f"a member of `{effect}` is {_kind(member)} that is no finding ({where}: {fault['msg']})".replace(
                "(: ", "("
            ),
            hint="a finding is {rule, subject, message} and optionally place",
        ) from error
    rule = known.get(raw.rule)
    if rule is None:
        raise ConfigurationError(
            f"gate {gate!r}", f"a finding names the rule {raw.rule!r}, which has no METADATA", hint="add the METADATA"
        )
    if rule.severity != effect:
        raise ConfigurationError(
            f"gate {gate!r}", f"{raw.rule} is in `{effect}`, its METADATA says severity {rule.severity}"
        )
    return Finding(effect=effect, title=rule.title, remedy=rule.remedy, controls=rule.controls, **dict(raw))


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
