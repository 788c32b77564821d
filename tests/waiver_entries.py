"""Makers of what the tests of waivers need: entries, files, rules, findings, key pairs."""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime
from typing import Any

from conftest import NOW
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from support import SHA, make_manifest

from gatekeeper.decision import Finding, GateVerdict, RuleOutcome, settle_gate
from gatekeeper.policy import Rule
from gatekeeper.waiver_signature import sign
from gatekeeper.waivers import Waiver, WaiverSettings, parse_waivers, signed_bytes
from gatekeeper.waiving import WaiverContext

OTHER_SHA = "1" * 64


def make_rule(name: str, severity: str = "deny", *, waivable: bool = True) -> Rule:
    """A rule as its METADATA describes it."""
    gate = name.partition(".")[0]
    return Rule(name, gate, severity, "t", "d", "r", ("iso:1",), f"{gate}.rego", 1, ("baseline",), waivable)


RULES = {
    each.rule: each
    for each in (
        make_rule("slo.burn_rate"),
        make_rule("slo.budget"),
        make_rule("slo.note", "warn"),
        make_rule("registry.signed", waivable=False),
        make_rule("contracts.breaking_change"),
    )
}


def make_finding(rule: str = "slo.burn_rate", effect: Any = "deny", subject: str = "availability") -> Finding:
    """A finding of a rule."""
    return Finding(rule=rule, effect=effect, subject=subject, message="m", title="t", remedy="r")


def make_gate(name: str, *findings: Finding, verdict: Any = None) -> GateVerdict:
    """A gate as promotion judges it."""
    worst = {each.rule: each.effect for each in reversed(findings)}
    rules = tuple(
        RuleOutcome(rule=each.rule, title="t", outcome=worst.get(each.rule, "pass"))  # type: ignore[arg-type]
        for each in RULES.values()
        if each.gate == name
    )
    settled, reason = settle_gate(findings)
    return GateVerdict(gate=name, verdict=verdict or settled, reason=reason, findings=findings, rules=rules)


def entry(**changes: Any) -> dict[str, Any]:
    """
    A waiver of `slo.burn_rate` for one subject and one version of the candidate of `make_manifest`, that applies.

    Keys of the candidate's scope are changed with `scope={…}`; None leaves a key out.
    """
    scope = {"name": "tumour-classifier", "environment": "production", "version": "2.3.0"} | changes.pop("scope", {})
    content = {
        "id": "W-1",
        "rule": "slo.burn_rate:availability",
        "candidate": {key: value for key, value in scope.items() if value is not None},
        "reason": "the burn is a known measuring fault",
        "ticket": "OPS-17",
        "approver": "Risk Board",
        "approved_at": "2026-11-01T09:00:00+01:00",
        "expires_at": "2027-01-15T18:00:00+01:00",
    } | changes
    return {key: value for key, value in content.items() if value is not None}


def waivers_file(*entries: dict[str, Any]) -> bytes:
    """A waivers file; JSON is YAML when characters past U+FFFF are not escaped and all others are."""
    content = {"apiVersion": "gatekeeper/v1", "kind": "Waivers", "waivers": entries}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    return re.sub("[\x7f-\uffff]", lambda char: f"\\u{ord(char.group()):04x}", text).encode()


def make_waiver(**changes: Any) -> Waiver:
    """One waiver, read as the file is."""
    return parse_waivers(waivers_file(entry(**changes)), "waivers.yaml")[0]


def make_settings(**changes: Any) -> WaiverSettings:
    """Settings of waivers, read as the file is."""
    return WaiverSettings.model_validate_json(json.dumps(changes))


def make_waiver_context(
    settings: WaiverSettings | None = None,
    *,
    now: datetime = NOW,
    version: str = "2.3.0",
    digests: tuple[str, ...] = (SHA,),
    **changes: Any,
) -> WaiverContext:
    """A promotion of tumour-classifier to production, with changes to its manifest."""
    candidate = {
        "kind": "model",
        "name": "tumour-classifier",
        "version": version,
        "artifacts": [{"path": f"model{number}", "sha256": digest} for number, digest in enumerate(digests)],
    }
    promotion = make_manifest(**({"candidate": candidate} | changes))
    return WaiverContext(promotion, RULES, settings or make_settings(), now)


class KeyPair:
    """A real Ed25519 key pair, made anew."""

    def __init__(self) -> None:
        self.private = Ed25519PrivateKey.generate()
        self.pem = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        public = self.private.public_key()
        self.public_text = base64.b64encode(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
        self.public_pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def signed(self, **changes: Any) -> dict[str, Any]:
        """An entry with this key's signature; `key_id` is `board` unless it is given."""
        content = entry(**({"key_id": "board"} | changes))
        (unsigned,) = parse_waivers(waivers_file(content | {"signature": "unsigned"}), "waivers.yaml")
        return content | {"signature": sign(signed_bytes(unsigned), self.pem)}
