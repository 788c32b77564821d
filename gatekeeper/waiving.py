"""
Applying waivers: which denials an approved exception sets aside, and what became of every waiver; pure.

A waiver that has expired, that its own beneficiary approved, that lasts longer than its severity allows, or whose
signature does not hold never applies, and its status says so. The clock is the run's. The order of waivers never
matters.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal

from gatekeeper.decision import Finding, GateVerdict, LedgerEntry, WaiverState, WaiverStatus, settle_gate
from gatekeeper.enforcement import score, strictest
from gatekeeper.manifest import PromotionManifest, nearest
from gatekeeper.policy import Rule
from gatekeeper.waiver_signature import load_public_key, signature_holds
from gatekeeper.waiver_versions import version_matches
from gatekeeper.waivers import Waiver, WaiverSettings, check_waivers, signed_bytes

EXPIRING = timedelta(days=30)
"""A waiver that ends within this time is announced."""

_JUDGED = ("deny", "warn")
_Fault = tuple[WaiverState, str]


@dataclass(frozen=True)
class WaiverContext:
    """What waivers are judged by: rules and settings from the trusted source, the run's clock."""

    promotion: PromotionManifest
    rules: Mapping[str, Rule]
    settings: WaiverSettings
    now: datetime
    requesters: tuple[str, ...] = ()
    """Who asks for the promotion beside its owner, as CI knows them; what the manifest declares proves little."""


@dataclass(frozen=True)
class Waived:
    """Findings after waivers, a status for every waiver in the order of ids, and the ledger of those that applied."""

    findings: tuple[Finding, ...]
    statuses: tuple[WaiverStatus, ...]
    ledger: tuple[LedgerEntry, ...]


def apply_waivers(findings: tuple[Finding, ...], waivers: Iterable[Waiver], context: WaiverContext) -> Waived:
    """
    Set aside the denials that a waiver in force names; they keep their text and name the waiver.

    Findings keep their order, and warnings are left as they are. Raises `ConfigurationError` for an id that appears
    twice, an unknown rule, a selector that matches none, and a key that cannot be used.
    """
    ordered = sorted(waivers, key=lambda each: (each.subject is None, each.id))
    check_waivers(ordered, context.rules, context.settings)
    faults = {each.id: _faults(each, context) for each in ordered}
    in_force = [each for each in ordered if not faults[each.id]]
    used: Counter[str] = Counter()
    after = []
    for finding in findings:
        covering = [each.id for each in in_force if finding.effect == "deny" and _names(each, finding)]
        used.update(covering)
        change = {"effect": "waived", "waiver": covering[0]} if covering else {}
        after.append(finding.model_copy(update=change))
    by_id = sorted(ordered, key=lambda each: each.id)
    return Waived(
        findings=tuple(after),
        statuses=tuple(
            _status(each, faults[each.id] or [_used(each, used[each.id], findings)], context.now) for each in by_id
        ),
        ledger=tuple(_ledger_entry(each, used[each.id]) for each in by_id if used[each.id]),
    )


def waive_gates(
    gates: tuple[GateVerdict, ...], waivers: Iterable[Waiver], context: WaiverContext
) -> tuple[tuple[GateVerdict, ...], Waived]:
    """
    Apply waivers to every gate of a decision at once, so that one is unused only when no gate needs it.

    Only a gate that was denied can change, and only to waived; a doubt stays a doubt.
    """
    findings = tuple(finding for each in gates if each.verdict in _JUDGED for finding in each.findings)
    waived = apply_waivers(findings, waivers, context)
    rest = iter(waived.findings)
    after = [
        _resettled(each, tuple(islice(rest, len(each.findings)))) if each.verdict in _JUDGED else each for each in gates
    ]
    return tuple(after), waived


def review_waivers(
    waivers: Iterable[Waiver], *, rules: Mapping[str, Rule], settings: WaiverSettings, now: datetime
) -> tuple[WaiverStatus, ...]:
    """Say of every waiver what can be said without a promotion: valid, or why it never applies."""
    found = sorted(waivers, key=lambda each: each.id)
    check_waivers(found, rules, settings)
    valid: list[_Fault] = [("valid", "applies to the candidate that it names")]
    return tuple(_status(each, _own_faults(each, rules[each.rule_id], settings, now) or valid, now) for each in found)


def _names(waiver: Waiver, finding: Finding) -> bool:
    return waiver.rule_id == finding.rule and waiver.subject in (None, finding.subject)


def _resettled(gate: GateVerdict, findings: tuple[Finding, ...]) -> GateVerdict:
    if findings == gate.findings:
        return gate
    findings = tuple(sorted(findings, key=lambda each: ("deny", "waived", "warn").index(each.effect)))
    verdict, reason = settle_gate(findings)
    effects: dict[str, set[str]] = {}
    for finding in findings:
        effects.setdefault(finding.rule, set()).add(finding.effect)
    rules = tuple(
        each.model_copy(update={"outcome": strictest(effects[each.rule])}) if each.rule in effects else each
        for each in gate.rules
    )
    return gate.model_copy(update={"verdict": verdict, "reason": reason, "findings": findings, "rules": rules})


def _faults(waiver: Waiver, context: WaiverContext) -> list[_Fault]:
    """List why a waiver does not apply to a promotion; the first is its state."""
    scope, promotion = waiver.candidate, context.promotion
    candidate = promotion.candidate
    if scope.name != candidate.name or scope.environment != promotion.target:
        return [("out_of_scope", f"is for {scope.name} entering {scope.environment}")]
    faults = _own_faults(waiver, context.rules[waiver.rule_id], context.settings, context.now)
    if fold(waiver.approver) in {fold(each) for each in (promotion.owner, *context.requesters)}:
        faults.append(("self_approved", f"approved by {waiver.approver}, who owns the promotion or asks for it"))
    if scope.version is not None and not version_matches(scope.version, candidate.version):
        faults.append(("unused", f"is for version {scope.version} only"))
    if scope.digests is not None and not {each.sha256 for each in candidate.artifacts} <= set(scope.digests):
        faults.append(("unused", "is for artefacts with other digests"))
    return faults


def _own_faults(waiver: Waiver, rule: Rule, settings: WaiverSettings, now: datetime) -> list[_Fault]:
    """List why a waiver never applies, whatever the promotion."""
    faults: list[_Fault] = []
    if not rule.waivable or any(score(each, rule) for each in settings.non_waivable):
        faults.append(("not_waivable", f"{rule.rule} cannot be waived"))
    faults += _date_faults(waiver, rule, settings, now)
    if waiver.requested_by is not None and fold(waiver.approver) == fold(waiver.requested_by):
        faults.append(("self_approved", f"approved by {waiver.approver}, who asked for it"))
    listed = settings.approvers
    if listed is None and not (fold(waiver.approver).isascii() and fold(waiver.approver)):
        faults.append(
            ("unknown_approver", f"name {waiver.approver!r} under waivers.approvers: it may look like another")
        )
    elif listed is not None and waiver.approver not in listed:
        faults.append(("unknown_approver", f"{waiver.approver!r} is not among waivers.approvers of the settings"))
    return faults + _signature_faults(waiver, settings)


def _date_faults(waiver: Waiver, rule: Rule, settings: WaiverSettings, now: datetime) -> list[_Fault]:
    approved, expires = waiver.approved_at, waiver.expires_at
    if approved >= expires:
        return [("inconsistent", f"approved {approved.isoformat()}, after it ends {expires.isoformat()}")]
    faults: list[_Fault] = []
    if now >= expires:
        faults.append(("expired", f"expired {expires.isoformat()}"))
    if approved > now:
        faults.append(("not_yet", f"approved {approved.isoformat()}, after the run's clock"))
    days = settings.max_days.deny if rule.severity == "deny" else settings.max_days.warn
    if expires - approved > timedelta(days=days):
        lasts = (expires - approved) / timedelta(days=1)
        faults.append(("too_long", f"lasts {lasts:.1f} days; at most {days} are allowed for {rule.severity}"))
    return faults


def _signature_faults(waiver: Waiver, settings: WaiverSettings) -> list[_Fault]:
    if waiver.signature is None or waiver.key_id is None:
        signs = any(fold(each.approver) == fold(waiver.approver) for each in settings.keys.values())
        if settings.require_signature or signs:
            return [("unsigned", f"has no signature; {'every waiver' if not signs else waiver.approver} needs one")]
        return []
    key = settings.keys.get(waiver.key_id)
    if key is None:
        known = f" ({nearest(waiver.key_id, list(settings.keys))})" if settings.keys else ""
        return [("bad_signature", f"key {waiver.key_id!r} is not in the trusted settings{known}")]
    if key.approver != waiver.approver:
        return [("bad_signature", f"key {waiver.key_id!r} is of {key.approver}, not of {waiver.approver}")]
    public_key = load_public_key(key.key, f"waivers.keys.{waiver.key_id}")
    if signature_holds(signed_bytes(waiver), waiver.signature, public_key):
        return []
    return [("bad_signature", f"the signature is not one of key {waiver.key_id!r} over this waiver")]


def fold(person: str) -> str:
    """Reduce a name to what two ways of writing it share: letters and digits, without case, accents and spaces."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", person).casefold())
    return "".join(char for char in plain if char.isalnum())


def _used(waiver: Waiver, count: int, findings: tuple[Finding, ...]) -> _Fault:
    if count:
        return "applied", f"sets aside {count} denial" + ("" if count == 1 else "s")
    if any(_names(waiver, each) for each in findings):
        return "unused", "what it names only warns, which needs no waiver"
    return "unused", "nothing that it names was denied"


def _status(waiver: Waiver, faults: list[_Fault], now: datetime) -> WaiverStatus:
    state = faults[0][0]
    warnings: list[Literal["expiring", "over_broad"]] = []
    if state in ("applied", "unused", "valid") and waiver.expires_at - now <= EXPIRING:
        warnings.append("expiring")
    if state != "out_of_scope" and waiver.over_broad:
        warnings.append("over_broad")
    return WaiverStatus(
        id=waiver.id,
        rule=waiver.rule,
        state=state,
        message="; ".join(message for _, message in faults),
        warnings=tuple(warnings),
        reason=waiver.reason,
        ticket=waiver.ticket,
        approver=waiver.approver,
        expires_at=waiver.expires_at,
    )


def _ledger_entry(waiver: Waiver, count: int) -> LedgerEntry:
    effect = (
        f"sets aside {count} denial{'' if count == 1 else 's'} of {waiver.rule} until {waiver.expires_at.isoformat()}"
    )
    reason = f"{waiver.reason} (approved by {waiver.approver}, {waiver.ticket})"
    return LedgerEntry(kind="waiver", subject=waiver.id, effect=effect, reason=reason)
