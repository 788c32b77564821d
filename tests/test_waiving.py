"""A waiver sets aside the denials that it names for the candidate that it names, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from conftest import NOW
from hypothesis import given
from hypothesis import strategies as st
from support import SHA
from waiver_entries import (
    OTHER_SHA,
    RULES,
    KeyPair,
    entry,
    make_finding,
    make_settings,
    make_waiver,
    make_waiver_context,
    waivers_file,
)

from gatekeeper.decision import Finding, WaiverStatus, settle_gate
from gatekeeper.errors import ConfigurationError
from gatekeeper.waivers import Waiver, parse_waivers
from gatekeeper.waiving import EXPIRING, WaiverContext, apply_waivers, fold, review_waivers

BOARD = KeyPair()


def status(waiver: Waiver, context: WaiverContext | None = None, *findings: Finding) -> WaiverStatus:
    """What becomes of one waiver over one denial that it names, when nothing else is given."""
    found = findings or (make_finding(waiver.rule_id),)
    waived = apply_waivers(found, (waiver,), context or make_waiver_context())
    (one,) = waived.statuses
    applied = [each for each in waived.findings if each.effect == "waived"]
    assert bool(applied) == (one.state == "applied") == bool(waived.ledger)
    assert (one.id, one.rule, one.reason, one.ticket) == (waiver.id, waiver.rule, waiver.reason, waiver.ticket)
    assert (one.approver, one.expires_at) == (waiver.approver, waiver.expires_at)
    return one


def test_a_waived_denial_keeps_its_text_and_names_its_waiver() -> None:
    """The reader sees what was found and who let it pass."""
    denial = make_finding()
    waived = apply_waivers((denial,), (make_waiver(),), make_waiver_context())
    assert waived.findings == (Finding(**dict(denial) | {"effect": "waived", "waiver": "W-1"}),)
    assert settle_gate(waived.findings) == ("waived", "1 denial waived; nothing else denies it")


def test_an_applied_waiver_is_in_the_ledger() -> None:
    """With what it sets aside, until when, why and by whose word."""
    (one,) = apply_waivers((make_finding(),), (make_waiver(),), make_waiver_context()).ledger
    assert (one.kind, one.subject) == ("waiver", "W-1")
    assert one.effect == "sets aside 1 denial of slo.burn_rate:availability until 2027-01-15T18:00:00+01:00"
    assert one.reason == "the burn is a known measuring fault (approved by Risk Board, OPS-17)"


def test_a_waived_finding_without_a_waiver_cannot_be_made() -> None:
    """Nor a denial that claims one."""
    for effect, waiver in (("waived", None), ("deny", "W-1"), ("warn", "W-1")):
        with pytest.raises(ValueError, match="names its waiver"):
            Finding(**dict(make_finding()) | {"effect": effect, "waiver": waiver})


def test_one_denial_beside_waived_ones_denies() -> None:
    """All of a gate's denials must be waived; the rest of the list keeps its order."""
    found = (make_finding(), make_finding(subject="latency"), make_finding("slo.note", "warn"))
    waived = apply_waivers(found, (make_waiver(),), make_waiver_context())
    assert [each.effect for each in waived.findings] == ["waived", "deny", "warn"]
    assert settle_gate(waived.findings) == ("deny", "1 finding of 1 rule denies it")
    assert settle_gate(waived.findings[::2]) == ("waived", "1 denial waived; nothing else denies it")
    assert waived.statuses[0].message == "sets aside 1 denial"


@pytest.mark.parametrize(
    ("rule", "subject", "state"),
    [
        ("slo.burn_rate", "availability", "applied"),
        ("slo.burn_rate:availability", "availability", "applied"),
        ("slo.burn_rate:availability", "Availability", "unused"),
        ("slo.burn_rate:availability", "availability ", "unused"),
        ("slo.burn_rate:availability", "\u0430vailability", "unused"),
        ("slo.burn_rate:a", "availability", "unused"),
        ("slo.burn_rate:*", "availability", "unused"),
        ("slo.burn_rate:*", "*", "applied"),
        ("slo.burn_rate:a:b", "a:b", "applied"),
        ("slo.burn_rate:a:b", "a", "unused"),
        ("slo.budget:availability", "availability", "unused"),
    ],
)
def test_a_waiver_is_for_its_rule_and_subject(rule: str, subject: str, state: str) -> None:
    """A subject is compared letter by letter, a star is a star."""
    assert status(make_waiver(rule=rule), None, make_finding(subject=subject)).state == state


@pytest.mark.parametrize(
    ("scope", "context", "state"),
    [
        ({}, {}, "applied"),
        ({"name": "tumour-classifier2"}, {}, "out_of_scope"),
        ({"name": "Tumour-classifier"}, {}, "out_of_scope"),
        ({"environment": "staging"}, {}, "out_of_scope"),
        ({}, {"to": "production-eu"}, "out_of_scope"),
        ({"version": None}, {"version": "17"}, "applied"),
        ({}, {"version": "2.3.1"}, "unused"),
        ({}, {"version": "2.3.0 "}, "unused"),
        ({"version": ">=2.3,<2.4"}, {"version": "2.3.9"}, "applied"),
        ({"version": ">=2.3,<2.4"}, {"version": "2.4.0"}, "unused"),
        ({"version": ">=2.3,<2.4"}, {"version": "2.4.0rc1"}, "unused"),
        ({"version": ">=2.3,<2.4"}, {"version": "2.3.1+evil"}, "unused"),
        ({"version": ">=0"}, {"version": "main"}, "unused"),
        ({"digests": [SHA]}, {}, "applied"),
        ({"digests": [SHA, OTHER_SHA]}, {}, "applied"),
        ({"digests": [OTHER_SHA]}, {}, "unused"),
        ({"digests": [SHA, OTHER_SHA]}, {"digests": (SHA, OTHER_SHA)}, "applied"),
        ({"digests": [SHA]}, {"digests": (SHA, OTHER_SHA)}, "unused"),
        ({"digests": [SHA], "version": "9"}, {}, "unused"),
    ],
)
def test_a_waiver_is_for_its_candidate(scope: dict[str, Any], context: dict[str, Any], state: str) -> None:
    """
    Name and environment exactly, version exactly or in its range, and every artefact among the digests: a waived file
    does not carry another one through.
    """
    found = status(make_waiver(scope=scope), make_waiver_context(**context))
    assert found.state == state
    assert found.message


ZONE = timezone(timedelta(hours=1))
END = datetime(2027, 1, 15, 18, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (END - timedelta(microseconds=1), "applied"),
        (END, "expired"),
        (END.astimezone(UTC), "expired"),
        (END.astimezone(timezone(timedelta(hours=-12))), "expired"),
        (END.astimezone(timezone(timedelta(hours=14))), "expired"),
        (END + timedelta(days=400), "expired"),
        (datetime(2027, 1, 15, 17, 59, 59, tzinfo=UTC), "expired"),
        (datetime(2027, 1, 15, 16, 59, 59, tzinfo=UTC), "applied"),
    ],
)
def test_an_expired_waiver_never_applies(now: datetime, state: str) -> None:
    """At the instant of its end it is over, whatever the wall clock of either side says."""
    found = status(make_waiver(), make_waiver_context(now=now))
    assert found.state == state
    assert ("expired 2027-01-15T18:00:00+01:00" in found.message) == (state == "expired")


@pytest.mark.parametrize(
    ("expires", "last_second"),
    [
        ("2026-12-01T00:00:00+14:00", datetime(2026, 11, 30, 9, 59, 59, tzinfo=UTC)),
        ("2026-12-01T00:00:00-12:00", datetime(2026, 12, 1, 11, 59, 59, tzinfo=UTC)),
        ("2026-12-01T00:00:00-00:00", datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)),
        # Europe's clocks go back: 02:30 happens twice, and the offset says which
        ("2026-10-25T02:30:00+02:00", datetime(2026, 10, 25, 0, 29, 59, tzinfo=UTC)),
        ("2026-10-25T02:30:00+01:00", datetime(2026, 10, 25, 1, 29, 59, tzinfo=UTC)),
        # and forward: 02:30 never happens on the wall, but the instant does
        ("2027-03-28T02:30:00+01:00", datetime(2027, 3, 28, 1, 29, 59, tzinfo=UTC)),
        ("2028-02-29T23:59:59Z", datetime(2028, 2, 29, 23, 59, 58, tzinfo=UTC)),
        ("2028-03-01T00:00:00Z", datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_no_time_zone_gives_an_hour_more(expires: str, last_second: datetime) -> None:
    """Farthest zones, both ends of summer time, a leap day: one second before it applies, at the instant it is over."""
    approved = (last_second - timedelta(days=60)).isoformat()
    waiver = make_waiver(approved_at=approved, expires_at=expires)
    assert status(waiver, make_waiver_context(now=last_second)).state == "applied"
    assert status(waiver, make_waiver_context(now=last_second + timedelta(seconds=1))).state == "expired"


@pytest.mark.parametrize(
    ("approved", "expires", "state"),
    [
        ("2026-11-23T12:00:00Z", "2026-12-23T12:00:00Z", "applied"),
        ("2026-11-23T12:00:00.000001Z", "2026-12-23T12:00:00Z", "not_yet"),
        ("2026-11-23T12:59:59+01:00", "2026-12-23T12:00:00Z", "applied"),
        ("2026-11-23T12:00:00-12:00", "2026-12-23T12:00:00Z", "not_yet"),
        ("2026-11-23T11:00:00Z", "2026-11-23T11:00:00Z", "inconsistent"),
        ("2026-11-23T11:00:00Z", "2026-11-23T11:30:00+01:00", "inconsistent"),
        ("2027-03-01T00:00:00Z", "2027-01-01T00:00:00Z", "inconsistent"),
        ("2026-10-01T00:00:00Z", "2026-12-30T00:00:00Z", "applied"),
        ("2026-10-01T00:00:00Z", "2026-12-30T00:00:00.000001Z", "too_long"),
        ("2026-10-01T00:00:00+14:00", "2026-12-30T00:00:00Z", "too_long"),
        ("2026-08-01T00:00:00Z", "2026-11-01T00:00:00Z", "expired"),
    ],
)
def test_a_waiver_lives_from_its_approval_for_its_severity_at_most(approved: str, expires: str, state: str) -> None:
    """Not before it was approved, not longer than 90 days, and never when it ends before it begins."""
    assert status(make_waiver(approved_at=approved, expires_at=expires)).state == state


@pytest.mark.parametrize(
    ("rule", "days", "limits", "state"),
    [
        ("slo.burn_rate", 90, {}, "applied"), ("slo.burn_rate", 91, {}, "too_long"),
        ("slo.note", 180, {}, "applied"), ("slo.note", 181, {}, "too_long"),
        ("slo.burn_rate", 7, {"deny": 7}, "applied"), ("slo.burn_rate", 8, {"deny": 7}, "too_long"),
        ("slo.burn_rate", 200, {"deny": 200}, "applied"), ("slo.note", 8, {"warn": 7}, "too_long"),
    ],
)  # fmt: skip
def test_the_longest_lifetime_is_the_severitys(rule: str, days: int, limits: dict[str, int], state: str) -> None:
    """The rule's own severity counts, also where the settings raise a warning to a denial."""
    begin = NOW - timedelta(days=1)
    waiver = make_waiver(
        rule=rule, approved_at=begin.isoformat(), expires_at=(begin + timedelta(days=days)).isoformat()
    )
    context = make_waiver_context(make_settings(max_days=limits))
    found = status(waiver, context, make_finding(rule))
    assert found.state == state
    if state == "too_long":
        assert found.message.startswith(f"lasts {days}.0 days; at most ")


@pytest.mark.parametrize(
    ("approver", "state"),
    [
        ("team-imaging", "self_approved"), ("Team-Imaging", "self_approved"), (" team-imaging ", "self_approved"),
        ("TEAM IMAGING", "self_approved"), ("team\u00a0imaging", "self_approved"), ("team_imaging", "self_approved"),
        ("@team-imaging", "self_approved"), ("team-\u200bimaging", "self_approved"),
        ("t\u00e9am-imaging", "self_approved"), ("\uff54eam-imaging", "self_approved"),
        ("team\u2011imaging", "self_approved"), ("te\u00adam-imaging", "self_approved"),
        ("team-imag\u0131ng", "unknown_approver"), ("te\u0430m-imaging", "unknown_approver"),
        ("\u0430\u0441\u0435", "unknown_approver"), ("---", "unknown_approver"), ("\u3164", "unknown_approver"),
        ("team-imaging-leads", "applied"), ("Risk Board", "applied"), ("J\u00fcrgen Wei\u00df", "applied"),
    ],
)  # fmt: skip
def test_nobody_approves_a_waiver_of_their_own_promotion(approver: str, state: str) -> None:
    """Whatever the case, spaces, accents and invisible letters; lookalikes of another alphabet are in doubt."""
    assert status(make_waiver(approver=approver)).state == state


def test_nobody_approves_what_they_asked_for() -> None:
    """Whoever asked for the waiver, or as CI knows them for the promotion."""
    assert status(make_waiver(requested_by="risk board")).state == "self_approved"
    assert status(make_waiver(requested_by="alice")).state == "applied"
    known = make_waiver_context()
    context = WaiverContext(known.promotion, known.rules, known.settings, known.now, requesters=("alice", "RISK-BOARD"))
    assert status(make_waiver(), context).state == "self_approved"


@pytest.mark.parametrize(
    ("approver", "state"),
    [
        ("Risk Board", "applied"), ("Илья", "applied"), ("team-imaging", "self_approved"),
        ("risk board", "unknown_approver"), ("Risk Board ", "unknown_approver"), ("Илья2", "unknown_approver"),
        ("Risk B\u043eard", "unknown_approver"), ("Mallory", "unknown_approver"),
    ],
)  # fmt: skip
def test_where_approvers_are_listed_nobody_else_approves(approver: str, state: str) -> None:
    """Letter by letter, so that no lookalike passes; an owner on the list is still the owner."""
    context = make_waiver_context(make_settings(approvers=["Risk Board", "Илья", "team-imaging"]))
    assert status(make_waiver(approver=approver), context).state == state


@given(name=st.text(max_size=30))
def test_folding_a_name_twice_changes_nothing(name: str) -> None:
    """What two ways of writing share has one form."""
    assert fold(fold(name)) == fold(name)
    assert fold(f" {name}\t") == fold(name)


@pytest.mark.parametrize(
    ("rule", "non_waivable", "state"),
    [
        ("registry.signed", [], "not_waivable"),
        ("registry.signed:availability", [], "not_waivable"),
        ("slo.burn_rate", ["slo.burn_rate"], "not_waivable"),
        ("slo.burn_rate", ["slo"], "not_waivable"),
        ("slo.burn_rate", ["collection:baseline"], "not_waivable"),
        ("slo.burn_rate", ["control:iso:1"], "not_waivable"),
        ("slo.burn_rate", ["*"], "not_waivable"),
        ("slo.burn_rate", ["slo.budget", "contracts"], "applied"),
    ],
)
def test_some_rules_cannot_be_waived(rule: str, non_waivable: list[str], state: str) -> None:
    """Because they say so themselves, or because the settings do."""
    context = make_waiver_context(make_settings(non_waivable=non_waivable))
    assert status(make_waiver(rule=rule), context).state == state


def test_a_warning_needs_no_waiver() -> None:
    """It stays a warning, and the waiver is reported as unused."""
    warning = make_finding(effect="warn")
    waived = apply_waivers((warning,), (make_waiver(),), make_waiver_context())
    assert waived.findings == (warning,)
    assert (waived.statuses[0].state, waived.statuses[0].message) == (
        "unused", "what it names only warns, which needs no waiver",
    )  # fmt: skip


def test_what_was_not_denied_leaves_the_waiver_unused() -> None:
    """So that somebody removes it."""
    waived = apply_waivers((), (make_waiver(),), make_waiver_context())
    assert (waived.statuses[0].state, waived.statuses[0].message) == ("unused", "nothing that it names was denied")
    assert waived.ledger == ()


@pytest.mark.parametrize(
    ("left", "warned"), [(EXPIRING, True), (EXPIRING + timedelta(seconds=1), False), (timedelta(seconds=1), True)]
)
def test_a_waiver_that_ends_within_30_days_is_announced(left: timedelta, warned: bool) -> None:
    """It still applies; an expired one is expired, not expiring."""
    found = status(make_waiver(expires_at=(NOW + left).isoformat()))
    assert (found.state, found.warnings) == ("applied", ("expiring",) if warned else ())
    assert "expiring" not in status(make_waiver(expires_at=(NOW - left).isoformat())).warnings


@pytest.mark.parametrize("version", [None, ">=0", ">=0,<99999", "!=1"])
def test_an_over_broad_waiver_is_announced(version: str | None) -> None:
    """For every subject, any content and an open range of versions; also when it did not apply."""
    waiver = make_waiver(rule="slo.burn_rate", scope={"version": version})
    assert status(waiver).warnings == ("over_broad",)
    assert status(waiver, None, make_finding("slo.budget")).warnings == ("over_broad",)
    assert status(waiver, make_waiver_context(to="staging", **{"from": "dev"})).warnings == ()


def test_every_reason_is_told_and_the_first_is_the_state() -> None:
    """Whoever mends one fault should know of the others."""
    waiver = make_waiver(
        rule="registry.signed", approver="team-imaging", approved_at="2026-01-01T00:00:00Z",
        expires_at="2026-11-01T00:00:00Z", scope={"version": "1"},
    )  # fmt: skip
    found = status(waiver)
    assert found.state == "not_waivable"
    assert found.message == (
        "registry.signed cannot be waived; expired 2026-11-01T00:00:00+00:00; "
        "lasts 304.0 days; at most 90 are allowed for deny; "
        "approved by team-imaging, who owns the promotion or asks for it; is for version 1 only"
    )


def test_of_two_waivers_for_one_denial_the_narrower_is_named() -> None:
    """Both applied, so neither is called unused; the order of the file does not matter."""
    waivers = (make_waiver(id="A", rule="slo.burn_rate"), make_waiver(id="B"), make_waiver(id="C"))
    for order in (waivers, waivers[::-1]):
        waived = apply_waivers((make_finding(),), order, make_waiver_context())
        assert waived.findings[0].waiver == "B"
        assert [(each.id, each.state) for each in waived.statuses] == [(each, "applied") for each in "ABC"]


def test_an_unknown_rule_and_an_id_twice_stop_the_run() -> None:
    """Also when the file was read without the rules."""
    with pytest.raises(ConfigurationError, match="there is no rule"):
        apply_waivers((), (make_waiver(rule="slo.burn_rat"),), make_waiver_context())
    with pytest.raises(ConfigurationError, match="taken"):
        apply_waivers((), (make_waiver(), make_waiver(rule="slo.budget")), make_waiver_context())
    with pytest.raises(ConfigurationError, match="matches no rule"):
        apply_waivers((), (), make_waiver_context(make_settings(non_waivable=["sloo"])))


def test_review_says_what_holds_without_a_promotion() -> None:
    """For an audit of the whole file: every candidate, every environment."""
    found = parse_waivers(
        waivers_file(
            entry(id="a", scope={"name": "other"}),
            entry(id="b", expires_at="2026-11-23T12:00:00Z"),
            entry(id="c", expires_at="2026-12-01T00:00:00Z", rule="slo.burn_rate", scope={"version": None}),
            entry(id="d", requested_by="RISK BOARD"),
            BOARD.signed(id="e"),
        ),
        "waivers.yaml",
    )
    statuses = review_waivers(found[::-1], rules=RULES, settings=make_settings(), now=NOW)
    assert [(each.id, each.state, each.warnings) for each in statuses] == [
        ("a", "valid", ()), ("b", "expired", ()), ("c", "valid", ("expiring", "over_broad")),
        ("d", "self_approved", ()), ("e", "bad_signature", ()),
    ]  # fmt: skip
    keys = {"board": {"key": BOARD.public_text, "approver": "Risk Board"}}
    trusted = review_waivers(found, rules=RULES, settings=make_settings(keys=keys), now=NOW)
    assert [each.state for each in trusted] == ["unsigned", "expired", "unsigned", "self_approved", "valid"]
    with pytest.raises(ConfigurationError, match="there is no rule"):
        review_waivers(found, rules={}, settings=make_settings(), now=NOW)
