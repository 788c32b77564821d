"""An engine's answer is findings in the agreed shape, or an error; never less than it said."""

from __future__ import annotations

from typing import Any

import pytest

from gatekeeper.errors import ConfigurationError
from gatekeeper.findings import read_findings
from gatekeeper.policy import Rule


def rule(name: str, severity: str = "deny") -> Rule:
    """A rule as its METADATA describes it."""
    return Rule(name, "slo", severity, f"title of {name}", "d", f"remedy of {name}", ("iso:1",), "slo.rego", 1)


RULES = (rule("slo.a"), rule("slo.b"), rule("slo.w", "warn"))


def member(name: str = "slo.a", **changes: Any) -> dict[str, Any]:
    """A finding as a policy writes it."""
    return {"rule": name, "subject": "s", "message": "m"} | changes


def refusal(result: dict[str, Any], rules: tuple[Rule, ...] = RULES) -> ConfigurationError:
    """The error with which an answer is refused; it names the gate."""
    with pytest.raises(ConfigurationError) as caught:
        read_findings("slo", result, rules)
    assert caught.value.subject == "gate 'slo'"
    return caught.value


def test_findings_carry_what_the_metadata_says() -> None:
    """Title, remedy and controls come from the rule, the rest from the finding."""
    place = {"path": "f", "line": 2, "column": 3}
    (found,), _ = read_findings("slo", {"deny": [member(place=place)], "warn": []}, RULES)
    assert (found.rule, found.effect, found.subject, found.message) == ("slo.a", "deny", "s", "m")
    assert (found.title, found.remedy, found.controls) == ("title of slo.a", "remedy of slo.a", ("iso:1",))
    assert found.place is not None
    assert (found.place.path, found.place.line, found.place.column) == ("f", 2, 3)


def test_denials_come_first_and_in_one_order() -> None:
    """The engine's order of a set does not show."""
    denied = [member("slo.b"), member("slo.a", subject="z"), member("slo.a", subject="b")]
    result = {"warn": [member("slo.w")], "deny": denied}
    findings, _ = read_findings("slo", result, RULES)
    turned, _ = read_findings("slo", {"deny": denied[::-1], "warn": [member("slo.w")]}, RULES)
    assert findings == turned
    assert [(each.effect, each.rule) for each in findings][-1] == ("warn", "slo.w")
    assert len(findings) == 4


def test_every_rule_has_an_outcome() -> None:
    """Rules that found nothing passed, and are named."""
    result = {"deny": [member("slo.b"), member("slo.b", subject="t")], "warn": [member("slo.w")]}
    _, outcomes = read_findings("slo", result, RULES)
    assert [(each.rule, each.outcome) for each in outcomes] == [("slo.a", "pass"), ("slo.b", "deny"), ("slo.w", "warn")]
    _, outcomes = read_findings("slo", {"deny": [], "warn": []}, RULES)
    assert {each.outcome for each in outcomes} == {"pass"}


def test_a_gate_without_rules_decides_nothing() -> None:
    """Two empty sets from a policy without METADATA are not a pass."""
    assert refusal({"deny": [], "warn": []}, ()).problem == "its policy has no rules"


@pytest.mark.parametrize(
    ("result", "effect"),
    [
        ({}, "deny"), ({"warn": []}, "deny"), ({"deny": []}, "warn"), ({"deny": None, "warn": []}, "deny"),
        ({"deny": [], "warn": None}, "warn"), ({"denies": [], "warn": []}, "deny"),
    ],
)  # fmt: skip
def test_an_undefined_rule_is_an_error(result: dict[str, Any], effect: str) -> None:
    """What a policy does not define, it does not pass."""
    error = refusal(result)
    assert error.problem == f"its policy does not define `{effect}`"
    assert error.hint == f"write `{effect} contains …` rules"


@pytest.mark.parametrize("effect", ["deny", "warn"])
@pytest.mark.parametrize(
    ("value", "kind"),
    [({}, "an object"), ({"a": member()}, "an object"), ("", "a string"), (False, "a boolean"), (True, "a boolean"),
     (0, "a number"), (1.5, "a number")],
)  # fmt: skip
def test_anything_but_a_set_is_an_error(effect: str, value: Any, kind: str) -> None:
    """`deny := false`, `deny = {}` and `deny[x] = y` look empty, and are not a pass."""
    other = {"deny": "warn", "warn": "deny"}[effect]
    assert refusal({effect: value, other: []}).problem == f"`{effect}` is {kind}, a set of findings was wanted"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("too slow", "a string"), (7, "a number"), (None, "null"), (True, "a boolean"), ([], "an array"),
        ({}, "an object"), (member(rule=""), "an object"), (member(rule=1), "an object"), (member(subject=""), "an object"),
        (member(message=None), "an object"), (member(mesage="m"), "an object"), (member(severity="deny"), "an object"),
        (member(place={"line": 1}), "an object"), (member(place={"path": "f", "line": 0}), "an object"),
        (member(place={"path": "f", "line": 1.5}), "an object"), (member(place="f:1"), "an object"),
        ({"rule": "slo.a", "subject": "s"}, "an object"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("effect", ["deny", "warn"])
def test_a_member_that_is_no_finding_is_an_error(effect: str, value: Any, kind: str) -> None:
    """Text, null, a missing or unknown key: it is not dropped."""
    result: dict[str, Any] = {"deny": [], "warn": []} | {effect: [value]}
    error = refusal(result)
    assert error.problem.startswith(f"a member of `{effect}` is {kind} that is no finding (")
    assert "(: " not in error.problem
    assert error.hint == "a finding is {rule, subject, message} and optionally place"


@pytest.mark.parametrize("name", ["slo.unknown", "SLO.A", "lineage.a", "slo.a "])
def test_a_finding_of_an_unknown_rule_is_an_error(name: str) -> None:
    """A rule id that the METADATA does not know is a misspelling, not a finding to drop."""
    assert refusal({"deny": [member(name)], "warn": []}).problem == (
        f"a finding names the rule {name!r}, which has no METADATA"
    )


def test_a_rule_cannot_deny_and_be_described_as_a_warning() -> None:
    """The METADATA that reviewers read and the rule that runs say the same."""
    error = refusal({"deny": [member("slo.w")], "warn": []})
    assert error.problem == "slo.w is in `deny`, its METADATA says severity warn"


def test_a_rule_cannot_warn_and_be_described_as_a_denial() -> None:
    """Moved to `warn` by mistake, a rule that should block would let everything through."""
    error = refusal({"deny": [], "warn": [member("slo.a")]})
    assert error.problem == "slo.a is in `warn`, its METADATA says severity deny"


def test_one_bad_member_spoils_the_answer() -> None:
    """Good findings beside it do not make it a decision."""
    assert "no finding" in refusal({"deny": [member(), "x"], "warn": []}).problem
