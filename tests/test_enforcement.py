"""Levels come from the trusted settings: nothing that they relax stays hidden, nothing misspelt is passed over."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from itertools import permutations
from typing import Any

import pytest
from conftest import NOW
from enforcement_settings import enforcement, finding, level, rule
from pydantic import ValidationError

from gatekeeper import library
from gatekeeper.decision import Finding
from gatekeeper.enforcement import (
    Enforcement,
    RuleLevel,
    check_enforcement,
    enforce,
    ledger_of,
    levels_of,
    outcomes_of,
    profile_for,
    score,
    silent_gates,
)
from gatekeeper.errors import ConfigurationError, InternalError
from gatekeeper.formats.strict_yaml import parse_located
from gatekeeper.manifest import validate
from gatekeeper.policy import Rule, load_policies

ENVIRONMENTS = ("staging", "production")


BURN = rule("slo.burn_rate", collections=("baseline", "serving"))
BUDGET = rule("slo.budget", controls=("iso-42001:A.6.2.6",))
NOTE = rule("slo.note", "warn", controls=())
FLOOR = rule("experiments.floor", collections=("baseline",))
RULES = (BURN, BUDGET, NOTE, FLOOR)


def levels(
    *, rules: Iterable[Rule] = RULES, now: datetime = NOW, environment: str = "production", **profile: Any
) -> dict[str, str]:
    """The level of each rule under a profile."""
    found = levels_of(rules, enforcement(**profile), environment=environment, now=now)
    return {name: each.level for name, each in found.items()}


OWN = {"slo.burn_rate": "deny", "slo.budget": "deny", "slo.note": "warn", "experiments.floor": "deny"}


def test_without_settings_every_rule_has_its_own_severity() -> None:
    """An absent section relaxes nothing and leaves nothing in the ledger."""
    found = levels_of(RULES, Enforcement(), environment="production", now=NOW)
    assert {name: each.level for name, each in found.items()} == OWN
    assert ledger_of(found, RULES) == ()
    assert levels() == OWN


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("slo.burn_rate", 1000), ("slo", 100), ("collection:baseline", 10), ("collection:serving", 10),
        ("control:eu-ai-act:15(1)", 10), ("*", 1),
        ("slo.burn", 0), ("slo.burn_rate:subject", 0), ("SLO", 0), ("slo.*", 0), ("s*", 0), ("baseline", 0),
        ("collection:base", 0), ("control:eu-ai-act", 0), ("control:baseline", 0), ("collection:eu-ai-act:15(1)", 0),
        ("eu-ai-act:15(1)", 0), ("control:", 0), ("collection:", 0), (" slo", 0), ("slo ", 0), ("\u0455lo", 0),
    ],
)  # fmt: skip
def test_a_selector_names_exactly_what_it_says(selector: str, expected: int) -> None:
    """The more specific one scores higher; a part of a name, a pattern or a lookalike names nothing."""
    assert score(selector, BURN) == expected


@pytest.mark.parametrize(
    ("include", "exclude", "off"),
    [
        (["*"], ["slo"], {"slo.burn_rate", "slo.budget", "slo.note"}),
        (["*"], ["slo.note"], {"slo.note"}),
        (["slo"], [], {"experiments.floor"}),
        (["*", "slo.burn_rate"], ["slo"], {"slo.budget", "slo.note"}),
        (["slo"], ["*"], {"experiments.floor"}),
        (["collection:baseline"], [], {"slo.budget", "slo.note"}),
        (["collection:baseline"], ["slo"], {"slo.burn_rate", "slo.budget", "slo.note"}),
        (["*"], ["control:iso-42001:A.6.2.6"], {"slo.budget"}),
        (["collection:baseline"], ["control:eu-ai-act:15(1)"], set(OWN)),
        (["slo"], ["slo"], set(OWN)),
        (["*"], ["*"], set(OWN)),
    ],
)
def test_the_more_specific_of_include_and_exclude_wins(include: list[str], exclude: list[str], off: set[str]) -> None:
    """Exclude wins between equals; what no include names is not in force."""
    found = levels(include=include, exclude=exclude)
    assert {name for name, each in found.items() if each == "off"} == off
    assert {name: each for name, each in found.items() if each != "off"} == {
        name: each for name, each in OWN.items() if name not in off
    }


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ([level("*", "warn")], "warn"),
        ([level("*", "warn"), level("slo", "deny")], "deny"),
        ([level("slo", "deny"), level("slo.burn_rate", "off")], "off"),
        ([level("collection:baseline", "warn"), level("*", "off")], "warn"),
        ([level("collection:baseline", "off"), level("control:eu-ai-act:15(1)", "warn")], "warn"),
        ([level("slo", "off"), level("slo", "deny")], "deny"),
        ([level("slo", "warn"), level("slo", "off", environments=["production"])], "off"),
        ([level("slo", "warn", environments=["production"]), level("slo", "off")], "warn"),
        ([level("slo", "off", environments=["staging"])], "deny"),
        ([level("slo.burn_rate", "warn"), level("slo", "off", environments=["production"])], "warn"),
        ([level("slo.note", "deny")], "deny"),
    ],
)
def test_the_most_specific_level_wins_in_any_order(chosen: list[dict[str, Any]], expected: str) -> None:
    """Then one that names the environment, then the stricter; the order of the list never matters."""
    for order in permutations(chosen):
        assert levels(levels=list(order))["slo.burn_rate"] == expected


def test_a_warning_can_be_raised_to_a_denial() -> None:
    """The organisation says what a rule costs; raising it is no relaxation."""
    found = levels_of(RULES, enforcement(levels=[level("slo.note", "deny")]), environment="staging", now=NOW)
    assert [each.effect for each in enforce((finding("slo.note", "warn"),), found)] == ["deny"]
    assert ledger_of(found, RULES) == ()


BITES = datetime(2027, 1, 1, tzinfo=timezone(timedelta(hours=14)))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (BITES - timedelta(microseconds=1), "warn"),
        (BITES, "deny"),
        (BITES + timedelta(days=1), "deny"),
        (datetime(2026, 12, 31, 9, 59, 59, tzinfo=UTC), "warn"),
        (datetime(2026, 12, 31, 10, 0, tzinfo=UTC), "deny"),
        (datetime(2026, 12, 30, 22, 0, tzinfo=timezone(timedelta(hours=-12))), "deny"),
    ],
)
def test_a_denial_waits_for_its_day_and_not_longer(now: datetime, expected: str) -> None:
    """The instant counts, whatever the time zone says on the wall."""
    dated = level("slo", "deny", effective_on=BITES.isoformat())
    found = levels_of(RULES, enforcement(levels=[dated]), environment="production", now=now)
    (shown,) = enforce((finding("slo.burn_rate"),), found)
    assert shown.effect == found["slo.burn_rate"].level == expected
    assert shown.message == ("m" if expected == "deny" else "m (denies from 2027-01-01T00:00:00+14:00)")


def test_a_denial_that_waits_is_in_the_ledger() -> None:
    """With the selector, the reason and the day on which it bites; a warning that will deny relaxes nothing."""
    dated = level("slo", "deny", effective_on=BITES.isoformat(), reason="teams need a quarter")
    found = levels_of(RULES, enforcement(levels=[dated]), environment="production", now=NOW)
    entries = ledger_of(found, RULES)
    assert [(each.kind, each.subject, each.effect) for each in entries] == [
        ("level", "slo.burn_rate", "deny is warn until 2027-01-01T00:00:00+14:00"),
        ("level", "slo.budget", "deny is warn until 2027-01-01T00:00:00+14:00"),
    ]
    assert {each.reason for each in entries} == {"profile p: slo: teams need a quarter"}


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        ({"exclude": ["*", "slo", "collection:baseline"]}, "profile p: excluded by slo"),
        ({"include": ["experiments"]}, "profile p: not included"),
        ({"include": ["experiments"], "exclude": ["experiments.floor"]}, "profile p: not included"),
        ({"levels": [level("slo", "off", reason="no service yet")]}, "profile p: slo: no service yet"),
    ],
)
def test_what_is_off_is_in_the_ledger(profile: dict[str, Any], reason: str) -> None:
    """Warnings too: each rule with the selector that switched it off."""
    found = levels_of(RULES, enforcement(**profile), environment="production", now=NOW)
    entries = [each for each in ledger_of(found, RULES) if each.subject.startswith("slo.")]
    assert [(each.subject, each.effect) for each in entries] == [
        ("slo.burn_rate", "deny is off"), ("slo.budget", "deny is off"), ("slo.note", "warn is off"),
    ]  # fmt: skip
    assert {each.reason for each in entries} == {reason}


def test_of_two_days_the_sooner_counts() -> None:
    """Two levels that are equally specific cannot postpone each other."""
    days = [level("slo", "deny", effective_on=f"202{year}-01-01T00:00:00Z") for year in (8, 7, 9)]
    for order in permutations([*days, level("slo", "warn")]):
        found = levels_of(RULES, enforcement(levels=list(order)), environment="production", now=NOW)
        assert found["slo.budget"].bites_on == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("profile", "problem"),
    [
        ({"levels": [level("slo", "warn", effective_on="2027-01-01T00:00:00Z")]}, "belongs to the level deny"),
        ({"levels": [level("slo", "deny", effective_on="2027-01-01T00:00:00")]}, "timezone"),
        ({"levels": [level("slo", "error")]}, "'deny', 'warn' or 'off'"),
        ({"levels": [level("slo", "off", reason=" ")]}, "reason"),
        ({"levels": [{"match": "slo", "level": "off"}]}, "reason"),
        ({"levels": [level("slo", "off", environments=[])]}, "at least 1"),
        ({"include": []}, "at least 1"),
        ({"excludes": ["slo"]}, "Extra inputs"),
        ({"exclude": [""]}, "at least 1"),
    ],
)
def test_refuses_a_profile_that_says_nothing_clear(profile: dict[str, Any], problem: str) -> None:
    """No relaxation without a reason, no empty list that could mean all or nothing, no date without a zone."""
    with pytest.raises(ValidationError, match=problem):
        enforcement(**profile)


@pytest.mark.parametrize(
    ("profile", "subject", "hint"),
    [
        ({"exclude": ["slo.burn_rat"]}, "enforcement.profiles.p.exclude.0", "did you mean 'slo.burn_rate'?"),
        ({"include": ["*", "sloo"]}, "enforcement.profiles.p.include.1", "did you mean 'slo'?"),
        ({"exclude": ["colection:baseline"]}, "enforcement.profiles.p.exclude.0", "'collection:baseline'"),
        ({"exclude": ["control:eu-ai-act:15(2)"]}, "enforcement.profiles.p.exclude.0", "'control:eu-ai-act:15(1)'"),
        ({"levels": [level("slo", "warn"), level("slo.burn_rate ", "off")]},
         "enforcement.profiles.p.levels.1.match", "did you mean 'slo.burn_rate'?"),
        ({"levels": [level("slo.burn_rate:subject", "off")]}, "enforcement.profiles.p.levels.0.match", "slo.burn_rate"),
    ],
)  # fmt: skip
def test_refuses_a_selector_that_matches_nothing(profile: dict[str, Any], subject: str, hint: str) -> None:
    """A misspelt exclude must not include, nor a misspelt include exclude; the nearest word is named."""
    with pytest.raises(ConfigurationError, match="matches no rule") as caught:
        check_enforcement(enforcement(**profile), RULES, ENVIRONMENTS)
    assert caught.value.subject == subject
    assert hint in caught.value.hint


def test_refuses_even_everything_when_there_is_no_rule() -> None:
    """`*` of nothing is nothing."""
    with pytest.raises(ConfigurationError, match="matches no rule"):
        check_enforcement(enforcement(), (), ENVIRONMENTS)


@pytest.mark.parametrize(
    ("use", "profile", "subject", "hint"),
    [
        ({"prodution": "p"}, {}, "enforcement.use.prodution", "did you mean 'production'?"),
        ({"production": "q"}, {}, "enforcement.use.production", "p"),
        ({"*": "q"}, {}, "enforcement.use.*", "p"),
        ({"*": "p"}, {"levels": [level("slo", "deny", environments=["stagin"])]},
         "enforcement.profiles.p.levels.0.environments", "did you mean 'staging'?"),
    ],
)  # fmt: skip
def test_refuses_an_environment_or_profile_that_nobody_knows(
    use: dict[str, str], profile: dict[str, Any], subject: str, hint: str
) -> None:
    """A misspelt environment would leave the strict profile unused."""
    with pytest.raises(ConfigurationError) as caught:
        check_enforcement(enforcement(use, **profile), RULES, ENVIRONMENTS)
    assert caught.value.subject == subject
    assert hint in caught.value.hint


def test_refuses_a_profile_that_nobody_uses() -> None:
    """Whoever wrote it believes that it is in force."""
    content = {"profiles": {"p": {}, "strict": {"include": ["*"]}}, "use": {"*": "p"}}
    with pytest.raises(ConfigurationError, match="no environment uses it") as caught:
        check_enforcement(Enforcement.model_validate_json(json.dumps(content)), RULES, ENVIRONMENTS)
    assert caught.value.subject == "enforcement.profiles.strict"


def test_accepts_settings_in_which_everything_is_known() -> None:
    """Every kind of selector, both kinds of environment."""
    found = enforcement(
        {"production": "p", "*": "p"},
        include=["*", "collection:baseline"],
        exclude=["control:iso-42001:A.6.2.6"],
        levels=[level("slo", "warn", environments=["staging"]), level("experiments.floor", "deny")],
    )
    check_enforcement(found, RULES, ENVIRONMENTS)
    check_enforcement(Enforcement(), (), ())


def test_the_library_can_be_selected_in_every_way() -> None:
    """Rules, gates and controls of the policies that ship are found; a gate that is no longer there would be named."""
    shipped = load_policies(library.LIBRARY).rules
    assert len(shipped) > 20
    words = ["*", *shipped, *(each.gate for each in shipped.values())]
    words += [f"control:{control}" for each in shipped.values() for control in each.controls]
    check_enforcement(enforcement(exclude=sorted(set(words))), shipped.values(), ENVIRONMENTS)
    own = levels_of(shipped.values(), Enforcement(), environment="production", now=NOW)
    assert {name: each.level for name, each in own.items()} == {name: each.severity for name, each in shipped.items()}


def test_an_environment_has_its_own_profile_before_the_general_one() -> None:
    """And none where neither is named."""
    content = {"profiles": {"a": {"exclude": ["slo"]}, "b": {}}, "use": {"production": "a", "*": "b"}}
    found = Enforcement.model_validate_json(json.dumps(content))
    assert [profile_for(found, each)[0] for each in ("production", "staging")] == ["a", "b"]
    only = Enforcement.model_validate_json(json.dumps(content | {"use": {"production": "a"}}))
    assert profile_for(only, "staging")[0] == ""
    with pytest.raises(ConfigurationError, match="no profile 'c'"):
        levels_of(RULES, Enforcement(use={"*": "c"}), environment="staging", now=NOW)


def test_settings_name_the_place_of_a_misspelt_key() -> None:
    """The section is read like every other: file, line and column, and the key that was meant."""
    text = "profiles:\n  p:\n    include: ['*']\n    exlude: [slo]\nuse: {'*': p}\n"
    with pytest.raises(ConfigurationError) as caught:
        validate(parse_located(text.encode(), "gatekeeper.yaml"), Enforcement)
    assert (str(caught.value.location), caught.value.hint) == ("gatekeeper.yaml:4:5", "did you mean 'exclude'?")
    assert validate(parse_located(text.replace("exlude", "exclude").encode(), "g"), Enforcement).use == {"*": "p"}


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ({}, ()),
        ({"exclude": ["slo"]}, ("slo",)),
        ({"levels": [level("*", "off")]}, ("slo", "experiments")),
        ({"include": ["slo.note"]}, ("experiments",)),
        ({"levels": [level("*", "warn")]}, ()),
        ({"exclude": ["slo.burn_rate", "slo.budget", "slo.note"]}, ("slo",)),
    ],
)
def test_names_the_gates_without_a_rule_in_force(profile: dict[str, Any], expected: tuple[str, ...]) -> None:
    """A required gate that nothing speaks for is not a pass."""
    found = levels_of(RULES, enforcement(**profile), environment="production", now=NOW)
    assert silent_gates(found, RULES, ("slo", "experiments")) == expected


def test_a_gate_without_rules_is_silent() -> None:
    """Whether its policy is empty or not there."""
    assert silent_gates({}, (), ("slo",)) == ("slo",)
    found = levels_of(RULES, Enforcement(), environment="production", now=NOW)
    assert silent_gates(found, RULES, ("slo", "lineage")) == ("lineage",)


def test_denials_come_first_and_findings_that_are_off_are_left_out() -> None:
    """The text of a finding is the policy's own."""
    found = levels_of(
        RULES,
        enforcement(levels=[level("slo.burn_rate", "warn"), level("slo.note", "deny"), level("slo.budget", "off")]),
        environment="production",
        now=NOW,
    )
    before = (finding("slo.burn_rate"), finding("slo.budget"), finding("slo.note", "warn", "x"), finding("slo.note"))
    after = enforce(before, found)
    assert [(each.rule, each.effect, each.subject) for each in after] == [
        ("slo.note", "deny", "x"), ("slo.note", "deny", "s"), ("slo.burn_rate", "warn", "s"),
    ]  # fmt: skip
    assert {each.message for each in after} == {"m"}
    outcomes = {each.rule: each.outcome for each in outcomes_of(RULES, after, found)}
    assert outcomes == {
        "slo.burn_rate": "warn", "slo.budget": "off", "slo.note": "deny", "experiments.floor": "pass",
    }  # fmt: skip


def test_a_finding_whose_rule_has_no_level_is_an_error() -> None:
    """It is neither dropped nor given a level."""
    with pytest.raises(InternalError, match=r"slo\.other"):
        enforce((finding("slo.other"),), {"slo.burn_rate": RuleLevel("off")})


def test_a_waived_rule_did_not_pass() -> None:
    """A denial beside a waived one is the outcome; a waived one beside a warning is."""
    waived = Finding(**dict(finding("slo.budget")) | {"effect": "waived", "waiver": "W-1"})
    own = levels_of(RULES, Enforcement(), environment="production", now=NOW)
    for found, expected in (
        ((waived,), "waived"),
        ((waived, finding("slo.budget")), "deny"),
        ((finding("slo.budget", "warn"), waived), "waived"),
    ):
        assert {each.rule: each.outcome for each in outcomes_of(RULES, found, own)}["slo.budget"] == expected
