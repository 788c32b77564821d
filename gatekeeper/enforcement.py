"""
How strictly each rule is enforced: which rules are in force, at which level, from when; pure.

The level is set outside the policy, in trusted settings: a rule says what is wrong, the organisation says what that
costs. A selector names a rule (`slo.burn_rate`), a gate (`slo`), a collection (`collection:baseline`), a control
(`control:eu-ai-act:15(1)`) or everything (`*`); the more specific one wins, as in Conforma's scores. The result never
depends on the order of a list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, model_validator

from gatekeeper.decision import Finding, LedgerEntry, RuleOutcome
from gatekeeper.document import Document
from gatekeeper.errors import ConfigurationError, InternalError
from gatekeeper.manifest import Name, nearest
from gatekeeper.policy import Rule

Selector = Annotated[str, Field(min_length=1, max_length=200)]
Environment = Annotated[str, Field(min_length=1, max_length=200)]
LevelName = Literal["deny", "warn", "off"]
_STRICTEST_FIRST: tuple[Literal["deny", "waived", "warn"], ...] = ("deny", "waived", "warn")
_STRICTNESS = {"deny": 2, "warn": 1, "off": 0}


class Level(Document):
    """The level of the rules that a selector matches."""

    match: Selector
    """Rule, gate, `collection:…`, `control:…` or `*`."""
    level: LevelName
    """deny blocks, warn is shown, off is left out of the decision."""
    environments: Annotated[tuple[Environment, ...], Field(min_length=1)] | None = None
    """Environments entered; every one when absent."""
    effective_on: AwareDatetime | None = None
    """deny only: before this time it warns, and says when it will bite."""
    reason: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]
    """Why; shown in the report."""

    @model_validator(mode="after")
    def _only_a_denial_waits(self) -> Level:
        if self.effective_on is not None and self.level != "deny":
            raise ValueError("effective_on belongs to the level deny")
        return self


class Profile(Document):
    """A named choice of rules and levels."""

    include: Annotated[tuple[Selector, ...], Field(min_length=1)] = ("*",)
    """Rules in force."""
    exclude: tuple[Selector, ...] = ()
    """Rules not in force; the more specific of include and exclude wins, exclude when they are alike."""
    levels: tuple[Level, ...] = ()
    """Levels that differ from the rule's own severity."""


class Enforcement(Document):
    """What the trusted settings say about rules."""

    profiles: dict[Name, Profile] = {}
    """Profiles by name."""
    use: dict[Environment, Name] = {}
    """Profile by environment entered; `*` for the others. Without one every rule has its own severity."""


@dataclass(frozen=True)
class RuleLevel:
    """How one rule is enforced now."""

    level: LevelName
    reason: str = ""
    """Which selector of which profile says so, and why; empty when the rule has its own severity."""
    bites_on: datetime | None = None
    """When a denial that only warns yet will block."""


def check_enforcement(enforcement: Enforcement, rules: Iterable[Rule], environments: Iterable[str]) -> None:
    """
    Refuse what would never apply: a misspelt exclude must not include, a misspelt environment must not disarm.

    Raises `ConfigurationError` when a selector matches no rule, `use` or a level names an unknown environment, `use`
    an unknown profile, or no environment uses a profile.
    """
    known_rules, known = tuple(rules), sorted(set(environments))
    for environment in enforcement.use:
        if environment != "*" and environment not in known:
            raise ConfigurationError(
                f"enforcement.use.{environment}", "no gates are required for it", hint=nearest(environment, known)
            )
        profile_for(enforcement, environment)
    for name, profile in enforcement.profiles.items():
        if name not in enforcement.use.values():
            raise ConfigurationError(
                f"enforcement.profiles.{name}", "no environment uses it", hint="name it under enforcement.use"
            )
        _check_profile(f"enforcement.profiles.{name}", profile, known_rules, known)


def _check_profile(where: str, profile: Profile, rules: tuple[Rule, ...], environments: list[str]) -> None:
    for field in ("include", "exclude"):
        for number, selector in enumerate(getattr(profile, field)):
            refuse_unmatched(selector, rules, f"{where}.{field}.{number}")
    for number, level in enumerate(profile.levels):
        refuse_unmatched(level.match, rules, f"{where}.levels.{number}.match")
        for environment in level.environments or ():
            if environment not in environments:
                raise ConfigurationError(
                    f"{where}.levels.{number}.environments",
                    f"no gates are required for {environment!r}",
                    hint=nearest(environment, environments),
                )


def refuse_unmatched(selector: str, rules: Iterable[Rule], where: str) -> None:
    """Raise `ConfigurationError` with the nearest selectors when none of the rules is meant."""
    words = {"*"}
    for rule in rules:
        if score(selector, rule):
            return
        words |= {rule.rule, rule.gate}
        words |= {f"collection:{each}" for each in rule.collections} | {f"control:{each}" for each in rule.controls}
    raise ConfigurationError(where, f"{selector!r} matches no rule", hint=nearest(selector, sorted(words)))


def score(selector: str, rule: Rule) -> int:
    """Say how specifically a selector names a rule; 0 when it does not."""
    if selector == rule.rule:
        return 1000
    if selector == rule.gate:
        return 100
    kind, _, value = selector.partition(":")
    if (kind == "control" and value in rule.controls) or (kind == "collection" and value in rule.collections):
        return 10
    return 1 if selector == "*" else 0


def profile_for(enforcement: Enforcement, environment: str) -> tuple[str, Profile]:
    """Choose the profile of an environment; raises `ConfigurationError` when its name is not known."""
    name = enforcement.use.get(environment, enforcement.use.get("*"))
    if name is None:
        return "", Profile()
    if name not in enforcement.profiles:
        raise ConfigurationError(
            f"enforcement.use.{environment}",
            f"there is no profile {name!r}",
            hint=nearest(name, list(enforcement.profiles)),
        )
    return name, enforcement.profiles[name]


def levels_of(
    rules: Iterable[Rule], enforcement: Enforcement, *, environment: str, now: datetime
) -> dict[str, RuleLevel]:
    """Work out the level of every rule for a promotion into an environment."""
    name, profile = profile_for(enforcement, environment)
    return {rule.rule: _level(rule, (name, profile), environment, now) for rule in rules}


def _level(rule: Rule, chosen: tuple[str, Profile], environment: str, now: datetime) -> RuleLevel:
    name, profile = chosen
    included = max((score(each, rule) for each in profile.include), default=0)
    excluded = max((score(each, rule) for each in profile.exclude), default=0)
    if excluded >= included:
        by = sorted(each for each in profile.exclude if excluded and score(each, rule) == excluded)
        return RuleLevel("off", f"profile {name}: " + (f"excluded by {by[0]}" if by else "not included"))
    matching = [
        ((score(each.match, rule), each.environments is not None), each)
        for each in profile.levels
        if score(each.match, rule) and environment in (each.environments or (environment,))
    ]
    if not matching:
        return RuleLevel("deny" if rule.severity == "deny" else "warn")
    best = max(specific for specific, _ in matching)
    dated = [_dated(name, each, now) for specific, each in matching if specific == best]
    return max(dated, key=_strictness)


def _dated(name: str, level: Level, now: datetime) -> RuleLevel:
    reason = f"profile {name}: {level.match}: {level.reason}"
    if level.effective_on is not None and now < level.effective_on:
        return RuleLevel("warn", reason, level.effective_on)
    return RuleLevel(level.level, reason)


def _strictness(level: RuleLevel) -> tuple[int, float, str]:
    """Order levels: stricter ones, then those that bite sooner, then by text, so that no list's order matters."""
    sooner = -level.bites_on.timestamp() if level.bites_on else float("-inf")
    return _STRICTNESS[level.level], sooner, level.reason


def silent_gates(levels: Mapping[str, RuleLevel], rules: Iterable[Rule], gates: Iterable[str]) -> tuple[str, ...]:
    """Name the gates that have no rule in force: required ones among them are inconclusive, never a pass."""
    speaking = {rule.gate for rule in rules if levels[rule.rule].level != "off"}
    return tuple(gate for gate in gates if gate not in speaking)


def enforce(findings: tuple[Finding, ...], levels: Mapping[str, RuleLevel]) -> tuple[Finding, ...]:
    """
    Give each finding the effect of its rule's level, denials first; those of rules that are off are left out.

    A warning that will be a denial says from when. Raises `InternalError` for a finding whose rule has no level.
    """
    kept = []
    for finding in findings:
        level = levels.get(finding.rule)
        if level is None:
            raise InternalError("enforcement", f"a finding names {finding.rule!r}, which has no level")
        if level.level == "off":
            continue
        note = f" (denies from {level.bites_on.isoformat()})" if level.bites_on else ""
        kept.append(finding.model_copy(update={"effect": level.level, "message": finding.message + note}))
    return tuple(sorted(kept, key=lambda each: each.effect != "deny"))


def outcomes_of(
    rules: Iterable[Rule], findings: Iterable[Finding], levels: Mapping[str, RuleLevel]
) -> tuple[RuleOutcome, ...]:
    """Say what became of every rule; one that is off did not pass."""
    effects: dict[str, set[str]] = {}
    for finding in findings:
        effects.setdefault(finding.rule, set()).add(finding.effect)
    return tuple(
        RuleOutcome(
            rule=rule.rule,
            title=rule.title,
            outcome="off" if levels[rule.rule].level == "off" else strictest(effects.get(rule.rule, set())),
        )
        for rule in rules
    )


def strictest(effects: set[str]) -> Literal["pass", "warn", "deny", "waived"]:
    """Reduce the effects of one rule's findings to one word; a rule without findings passes."""
    return next((each for each in _STRICTEST_FIRST if each in effects), "pass")


def ledger_of(levels: Mapping[str, RuleLevel], rules: Iterable[Rule]) -> tuple[LedgerEntry, ...]:
    """List every rule that is enforced less strictly than its own severity asks."""
    entries = []
    for rule in rules:
        level = levels[rule.rule]
        if _STRICTNESS[level.level] < _STRICTNESS[rule.severity]:
            until = f" until {level.bites_on.isoformat()}" if level.bites_on else ""
            effect = f"{rule.severity} is {level.level}{until}"
            entries.append(LedgerEntry(kind="level", subject=rule.rule, effect=effect, reason=level.reason))
    return tuple(entries)
