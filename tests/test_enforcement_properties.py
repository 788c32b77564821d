"""Whatever the levels are: nothing that they relax stays hidden, and no doubt becomes an allow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from conftest import NOW
from enforcement_settings import enforcement, finding, level, rule
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatekeeper.decision import Finding, GateVerdict, settle, settle_gate
from gatekeeper.enforcement import Enforcement, RuleLevel, enforce, ledger_of, levels_of, silent_gates

SELECTORS = st.sampled_from(
    ["*", "a", "b", "a.x", "a.y", "b.x", "c.w", "c", "collection:k", "control:f:1", "control:f:2", "nothing"]
)
LEVELS = st.builds(
    lambda match, name, days, environment: level(
        match,
        name,
        **({"effective_on": (NOW + timedelta(days=days)).isoformat()} if name == "deny" and days is not None else {}),
        **({"environments": [environment]} if environment else {}),
    ),
    SELECTORS,
    st.sampled_from(["deny", "warn", "off"]),
    st.none() | st.integers(-2, 2),
    st.sampled_from(["", "production", "staging"]),
)
PROFILES = st.fixed_dictionaries(
    {
        "include": st.lists(SELECTORS, min_size=1, max_size=4),
        "exclude": st.lists(SELECTORS, max_size=4),
        "levels": st.lists(LEVELS, max_size=6),
    }
)
LIBRARY = (
    rule("a.x", collections=("k",), controls=("f:1",)), rule("a.y", controls=("f:2",)), rule("a.z", "warn"),
    rule("b.x", collections=("k",), controls=("f:2",)), rule("c.w", "warn", controls=("f:1",)), rule("c.x"),
)  # fmt: skip
GATES = ("a", "b", "c", "unwritten")


def judge(gate: str, found: tuple[Finding, ...], levels: dict[str, RuleLevel], *, doubtful: bool) -> GateVerdict:
    """Judge one gate as promotion does: a doubt and a silent gate are inconclusive."""
    if doubtful or silent_gates(levels, LIBRARY, (gate,)):
        return GateVerdict(gate=gate, verdict="inconclusive", reason="r")
    own = tuple(each for each in found if each.rule.startswith(f"{gate}."))
    verdict, reason = settle_gate(enforce(own, levels))
    return GateVerdict(gate=gate, verdict=verdict, reason=reason)


def outcome(gates: Callable[[str], GateVerdict], required: set[str]) -> str:
    """The outcome over the required gates."""
    return settle(tuple(gates(gate) for gate in sorted(required)), ())[0]


@settings(max_examples=300, deadline=None)
@given(
    profile=PROFILES,
    firing=st.sets(st.sampled_from([each.rule for each in LIBRARY])),
    required=st.sets(st.sampled_from(GATES), min_size=1),
    doubtful=st.sets(st.sampled_from(GATES)),
)
@example(profile={"include": ["*"], "exclude": ["a"]}, firing={"a.x"}, required={"a"}, doubtful=set())
@example(profile={"levels": [level("*", "off")]}, firing={"a.x"}, required=set(GATES), doubtful=set())
def test_no_levels_allow_what_was_not_allowed_without_saying_so(
    profile: dict[str, Any], firing: set[str], required: set[str], doubtful: set[str]
) -> None:
    """
    Whatever the levels, an allow needs every required gate decided and with a rule in force, and every denial of the
    policies that no longer denies stands in the ledger.
    """
    found = tuple(finding(each.rule, each.severity) for each in LIBRARY if each.rule in firing)
    own = levels_of(LIBRARY, Enforcement(), environment="production", now=NOW)
    chosen = levels_of(LIBRARY, enforcement(**profile), environment="production", now=NOW)
    ledger = {each.subject: each for each in ledger_of(chosen, LIBRARY)}
    before = outcome(lambda gate: judge(gate, found, own, doubtful=gate in doubtful), required)
    after = outcome(lambda gate: judge(gate, found, chosen, doubtful=gate in doubtful), required)
    if after == "allow":
        assert not required & (doubtful | {"unwritten"})
        denied = {each.rule for each in found if each.effect == "deny" and each.rule.partition(".")[0] in required}
        assert denied <= set(ledger)
        assert all(chosen[name].level in ("warn", "off") and ledger[name].reason for name in denied)
        assert all(any(chosen[each.rule].level != "off" for each in LIBRARY if each.gate == gate) for gate in required)
    if not ledger and before != "allow":
        assert after != "allow"


@settings(max_examples=100, deadline=None)
@given(profile=PROFILES, randomly=st.randoms(use_true_random=False))
def test_the_order_of_the_lists_never_matters(profile: dict[str, Any], randomly: Any) -> None:
    """A merge that moves lines changes nothing, not even a word of the ledger."""
    first = levels_of(LIBRARY, enforcement(**profile), environment="production", now=NOW)
    mixed = {key: randomly.sample(value, len(value)) for key, value in profile.items()}
    assert levels_of(LIBRARY, enforcement(**mixed), environment="production", now=NOW) == first


@settings(max_examples=100, deadline=None)
@given(profile=PROFILES, firing=st.sets(st.sampled_from([each.rule for each in LIBRARY])))
def test_enforcing_invents_nothing_and_drops_only_what_is_off(profile: dict[str, Any], firing: set[str]) -> None:
    """Every finding is there again, or its rule is off and listed."""
    found = tuple(finding(each.rule, each.severity) for each in LIBRARY if each.rule in firing)
    chosen = levels_of(LIBRARY, enforcement(**profile), environment="production", now=NOW)
    after = enforce(found, chosen)
    off = {name for name, each in chosen.items() if each.level == "off"}
    assert sorted(each.rule for each in after) == sorted(firing - off)
    assert off <= {each.subject for each in ledger_of(chosen, LIBRARY)}
    assert all(each.effect == chosen[each.rule].level for each in after)
