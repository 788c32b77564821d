"""Whatever waivers, findings and clock are: nothing outside a waiver's scope changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from conftest import NOW
from hypothesis import given, settings
from hypothesis import strategies as st
from support import SHA
from waiver_entries import OTHER_SHA, RULES, entry, make_finding, make_gate, make_waiver_context, waivers_file

from gatekeeper.decision import Finding, GateVerdict, settle
from gatekeeper.waivers import Waiver, parse_waivers
from gatekeeper.waiving import WaiverContext, apply_waivers, waive_gates

RULE_IDS = st.sampled_from(sorted(RULES))
SUBJECTS = st.sampled_from(["a", "b", "a:b", "*", " a"])
FINDINGS = st.lists(st.builds(make_finding, RULE_IDS, st.sampled_from(["deny", "warn"]), SUBJECTS), max_size=8)
ENTRIES = st.builds(
    entry,
    rule=st.builds(lambda rule, subject: f"{rule}:{subject}" if subject else rule, RULE_IDS, st.none() | SUBJECTS),
    scope=st.fixed_dictionaries(
        {
            "name": st.sampled_from(["tumour-classifier", "other"]),
            "environment": st.sampled_from(["production", "staging"]),
            "version": st.sampled_from([None, "2.3.0", "2.3.1", ">=2.3,<2.4", ">=0", "<2"]),
            "digests": st.sampled_from([None, [SHA], [OTHER_SHA], [SHA, OTHER_SHA]]),
        }
    ),
    approver=st.sampled_from(["Risk Board", "team-imaging", "te\u0430m"]),
    approved_at=st.sampled_from(["2026-11-01T00:00:00Z", "2026-11-23T12:00:00Z", "2026-11-24T00:00:00Z"]),
    expires_at=st.sampled_from(["2026-11-23T12:00:00Z", "2026-11-24T01:00:00+14:00", "2026-12-01T00:00:00Z",
                                "2027-11-01T00:00:00Z"]),
)  # fmt: skip
FILES = st.lists(ENTRIES, max_size=6).map(
    lambda found: parse_waivers(waivers_file(*({**each, "id": f"W-{n}"} for n, each in enumerate(found))), "w")
)
CONTEXTS = st.builds(
    lambda version, digests, now: make_waiver_context(version=version, digests=digests, now=now),
    st.sampled_from(["2.3.0", "2.3.1", "latest", "1.9"]),
    st.sampled_from([(SHA,), (SHA, OTHER_SHA)]),
    st.sampled_from([NOW, NOW + timedelta(days=8), NOW - timedelta(days=30)]),
)


@settings(max_examples=300, deadline=None)
@given(findings=FINDINGS, waivers=FILES, context=CONTEXTS)
def test_a_waiver_changes_nothing_outside_its_scope(
    findings: list[Finding], waivers: tuple[Waiver, ...], context: WaiverContext
) -> None:
    """
    Finding by finding, only the effect and the waiver's name change, only of a denial, and only by a waiver that names
    it, its candidate, its environment and a time that the clock is within, approved by somebody else.
    """
    waived = apply_waivers(tuple(findings), waivers, context)
    known = {each.id: each for each in waivers}
    assert [each.id for each in waived.statuses] == sorted(known)
    for before, after in zip(findings, waived.findings, strict=True):
        assert after.model_copy(update={"effect": before.effect, "waiver": None}) == before
        if after == before:
            continue
        assert (before.effect, after.effect) == ("deny", "waived")
        assert after.waiver is not None
        waiver = known[after.waiver]
        assert waiver.rule in (before.rule, f"{before.rule}:{before.subject}")
        assert RULES[before.rule].waivable
        assert (waiver.candidate.name, waiver.candidate.environment) == ("tumour-classifier", "production")
        assert waiver.approved_at <= context.now < waiver.expires_at
        assert waiver.expires_at - waiver.approved_at <= timedelta(days=180 if before.rule == "slo.note" else 90)
        assert waiver.approver == "Risk Board"
    applied = {each.id for each in waived.statuses if each.state == "applied"}
    assert applied == {each.subject for each in waived.ledger}
    assert {each.waiver for each in waived.findings} - {None} <= applied


@settings(max_examples=150, deadline=None)
@given(findings=FINDINGS, waivers=FILES, context=CONTEXTS, randomly=st.randoms(use_true_random=False))
def test_the_order_of_waivers_does_not_matter(
    findings: list[Finding], waivers: tuple[Waiver, ...], context: WaiverContext, randomly: Any
) -> None:
    """The same findings, the same statuses, the same ledger."""
    mixed = tuple(randomly.sample(waivers, len(waivers)))
    assert apply_waivers(tuple(findings), mixed, context) == apply_waivers(tuple(findings), waivers, context)


@settings(max_examples=150, deadline=None)
@given(findings=FINDINGS, waivers=FILES, context=CONTEXTS)
def test_a_waiver_taken_away_never_lets_more_through(
    findings: list[Finding], waivers: tuple[Waiver, ...], context: WaiverContext
) -> None:
    """Waivers only ever add exceptions of their own; applying them again changes nothing more."""
    whole = apply_waivers(tuple(findings), waivers, context)
    fewer = apply_waivers(tuple(findings), waivers[1:], context)
    for one, other in zip(fewer.findings, whole.findings, strict=True):
        assert not (one.effect == "waived" and other.effect == "deny")
    assert apply_waivers(whole.findings, waivers, context).findings == whole.findings


@settings(max_examples=150, deadline=None)
@given(findings=FINDINGS, waivers=FILES, context=CONTEXTS, doubtful=st.booleans())
def test_gates_and_findings_are_waived_alike(
    findings: list[Finding], waivers: tuple[Waiver, ...], context: WaiverContext, doubtful: bool
) -> None:
    """A denial is lost neither between gates nor in sorting; a doubt keeps the promotion from being allowed."""
    names = ("slo", "registry", "contracts")
    own = {name: tuple(each for each in findings if each.rule.startswith(f"{name}.")) for name in names}
    extra = (GateVerdict(gate="lineage", verdict="inconclusive", reason="r"),) if doubtful else ()
    after, waived = waive_gates((*(make_gate(name, *own[name]) for name in names), *extra), waivers, context)
    straight = apply_waivers(tuple(each for name in names for each in own[name]), waivers, context)
    assert sorted(each.model_dump_json() for each in straight.findings) == sorted(
        each.model_dump_json() for verdict in after for each in verdict.findings
    )
    assert waived.statuses == straight.statuses
    outcome = settle(after, ())[0]
    denied = any(each.effect == "deny" for each in straight.findings)
    assert outcome == ("deny" if denied else "inconclusive" if doubtful else "allow")
