"""A signature holds for one waiver, one key and one approver, and for nothing else."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import pytest
from conftest import NOW
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from waiver_entries import KeyPair, entry, make_finding, make_settings, make_waiver_context, waivers_file

from gatekeeper.decision import WaiverStatus
from gatekeeper.errors import ConfigurationError
from gatekeeper.waiver_signature import load_public_key, sign, signature_holds
from gatekeeper.waivers import parse_waivers, signed_bytes
from gatekeeper.waiving import apply_waivers

BOARD, MALLORY = KeyPair(), KeyPair()
KEYS = {"board": {"key": BOARD.public_text, "approver": "Risk Board"}}


def status(content: dict[str, Any], **changes: Any) -> WaiverStatus:
    """What becomes of an entry when only the board's key is trusted."""
    found = parse_waivers(waivers_file(content), "waivers.yaml")
    context = make_waiver_context(make_settings(**({"keys": KEYS} | changes)))
    waived = apply_waivers((make_finding(),), found, context)
    assert (waived.findings[0].effect == "waived") == (waived.statuses[0].state == "applied") == bool(waived.ledger)
    return waived.statuses[0]


# https://www.rfc-editor.org/rfc/rfc8032#section-7.1, tests 1 to 3: public key, message, signature
VECTORS = [
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
     "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
     "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS, ids=["empty", "one byte", "two bytes"])
def test_verifies_as_the_standard_says(key: str, message: str, signature: str) -> None:
    """The vectors of RFC 8032 hold, and with one bit turned they do not."""
    public = load_public_key(base64.b64encode(bytes.fromhex(key)).decode(), "k")
    raw = bytes.fromhex(signature)
    assert signature_holds(bytes.fromhex(message), base64.b64encode(raw).decode(), public)
    turned = bytes([raw[0] ^ 1, *raw[1:]])
    assert not signature_holds(bytes.fromhex(message), base64.b64encode(turned).decode(), public)
    assert not signature_holds(
        bytes.fromhex(message) + b"x", signature=base64.b64encode(raw).decode(), public_key=public
    )


@pytest.mark.parametrize(
    "signature", ["", "!", "AAAA", "A" * 86 + "==", "A" * 88, "é" * 88, base64.b64encode(b"x" * 65).decode()]
)
def test_a_signature_that_is_none_does_not_hold(signature: str) -> None:
    """Too short, too long, not Base64, zeros."""
    assert not signature_holds(b"payload", signature, load_public_key(BOARD.public_text, "k"))


def test_white_space_around_a_signature_is_no_signature() -> None:
    """There is one way to write it."""
    made = sign(b"payload", BOARD.pem)
    public = load_public_key(BOARD.public_text, "k")
    assert signature_holds(b"payload", made, public)
    for changed in (f"{made}\n", f" {made}", f"{made[:40]}\n{made[40:]}", made.rstrip("="), f"{made}{made}"):
        assert not signature_holds(b"payload", changed, public)


@settings(max_examples=100, deadline=None)
@given(payload=st.binary(max_size=200), other=st.binary(max_size=200))
def test_a_signature_holds_for_its_bytes_and_key_only(payload: bytes, other: bytes) -> None:
    """Any bytes."""
    made = sign(payload, BOARD.pem)
    assert signature_holds(payload, made, load_public_key(BOARD.public_pem, "k"))
    assert signature_holds(other, made, load_public_key(BOARD.public_text, "k")) == (payload == other)
    assert not signature_holds(payload, made, load_public_key(MALLORY.public_text, "k"))


def public_pem(private: Any) -> str:
    """The public half of a key as PEM."""
    return str(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("", "no Ed25519 public key"),
        ("not base64!", "no Ed25519 public key"),
        (base64.b64encode(b"x" * 31).decode(), "no Ed25519 public key"),
        (base64.b64encode(b"x" * 33).decode(), "no Ed25519 public key"),
        ("é" * 44, "no Ed25519 public key"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no PEM public key"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no PEM public key"),
        (BOARD.pem.decode(), "is a private key"),
        (public_pem(ec.generate_private_key(ec.SECP256R1())), "another algorithm"),
        (public_pem(rsa.generate_private_key(65537, 2048)), "another algorithm"),
        (public_pem(x25519.X25519PrivateKey.generate()), "another algorithm"),
    ],
    ids=["empty", "text", "short", "long", "letters", "broken pem", "certificate", "private", "ec", "rsa", "x25519"],
)
def test_refuses_a_key_that_is_no_ed25519_public_key(key: str, problem: str) -> None:
    """The settings are wrong, and the error names the key in them."""
    with pytest.raises(ConfigurationError, match=problem) as caught:
        load_public_key(key, "waivers.keys.board")
    assert caught.value.subject == "waivers.keys.board"


def test_refuses_to_sign_with_anything_but_an_open_ed25519_key() -> None:
    """An encrypted key, a key of another algorithm, a public key, no key."""
    locked = BOARD.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for key in (locked, other, BOARD.public_pem.encode(), b"", b"-----BEGIN"):
        with pytest.raises(ConfigurationError) as caught:
            sign(b"payload", key)
        assert caught.value.subject == "signing key"


def test_without_cryptography_a_signature_is_an_error_and_no_signature_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The package is optional; what cannot be verified is neither accepted nor passed over."""
    signed = parse_waivers(waivers_file(BOARD.signed()), "w")
    for name in [each for each in sys.modules if each.partition(".")[0] == "cryptography"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError, match="need the package cryptography") as caught:
        apply_waivers((make_finding(),), signed, make_waiver_context(make_settings(keys=KEYS)))
    assert "promotion-gatekeeper[signing]" in caught.value.hint
    with pytest.raises(ConfigurationError, match="need the package cryptography"):
        sign(b"payload", BOARD.pem)
    unsigned = parse_waivers(waivers_file(entry()), "w")
    assert apply_waivers((make_finding(),), unsigned, make_waiver_context()).statuses[0].state == "applied"


@pytest.mark.parametrize(
    "key", [BOARD.public_text, BOARD.public_pem, f" {BOARD.public_text}\n"], ids=["base64", "PEM", "spaced"]
)
def test_a_signed_waiver_applies(key: str) -> None:
    """With the key in either form."""
    keys = {"board": {"key": key, "approver": "Risk Board"}}
    assert status(BOARD.signed(), keys=keys, require_signature=True).state == "applied"


CHANGES: dict[str, dict[str, Any]] = {
    "later expiry": {"expires_at": "2027-01-16T18:00:00+01:00"},
    "later by the zone": {"expires_at": "2027-01-15T18:00:00Z"},
    "earlier expiry": {"expires_at": "2027-01-14T18:00:00+01:00"},
    "approved later": {"approved_at": "2026-11-02T09:00:00+01:00"},
    "other id": {"id": "W-2"},
    "every subject": {"rule": "slo.burn_rate"},
    "other reason": {"reason": "none"},
    "other ticket": {"ticket": "OPS-18"},
    "asked for by somebody": {"requested_by": "team-imaging"},
    "any version": {"scope": {"version": None}},
    "range of versions": {"scope": {"version": ">=0"}},
    "digests dropped": {"scope": {"digests": ["0" * 64]}},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_an_old_signature_does_not_hold_for_a_changed_waiver(change: dict[str, Any]) -> None:
    """No field can be edited after approval, in either direction."""
    signature = BOARD.signed()["signature"]
    found = status(entry(key_id="board", signature=signature) | entry(**change, key_id="board", signature=signature))
    assert (found.state, found.message) == (
        "bad_signature", "the signature is not one of key 'board' over this waiver",
    )  # fmt: skip


def test_the_same_instant_written_otherwise_has_the_same_signature() -> None:
    """The time is signed, not its spelling."""
    signature = BOARD.signed()["signature"]
    assert status(entry(key_id="board", signature=signature, expires_at="2027-01-15T17:00:00.000Z")).state == "applied"


def test_a_signature_of_another_waiver_does_not_hold() -> None:
    """Neither of another entry of the file, nor of the same one for another environment."""
    other = BOARD.signed(id="W-2", rule="slo.budget")["signature"]
    assert status(entry(key_id="board", signature=other)).state == "bad_signature"
    staged = BOARD.signed(scope={"environment": "staging"})["signature"]
    assert status(entry(key_id="board", signature=staged)).state == "bad_signature"


def test_a_signature_over_something_else_does_not_hold() -> None:
    """What is signed says that it is a waiver: the bare fields are not enough."""
    payload = signed_bytes(parse_waivers(waivers_file(BOARD.signed()), "w")[0])
    bare = json.dumps(json.loads(payload)["waiver"], sort_keys=True, separators=(",", ":")).encode()
    assert json.loads(payload)["kind"] == "Waiver"
    assert status(entry(key_id="board", signature=sign(payload, BOARD.pem))).state == "applied"
    assert status(entry(key_id="board", signature=sign(bare, BOARD.pem))).state == "bad_signature"


def test_the_signed_bytes_never_change() -> None:
    """Signatures made by an earlier version hold; a new optional field must not change them."""
    (waiver,) = parse_waivers(waivers_file(entry(key_id="board", signature="x")), "w")
    assert signed_bytes(waiver) == (
        b'{"apiVersion":"gatekeeper/v1","kind":"Waiver","waiver":{"approved_at":"2026-11-01T08:00:00Z",'
        b'"approver":"Risk Board","candidate":{"environment":"production","name":"tumour-classifier",'
        b'"version":"2.3.0"},"expires_at":"2027-01-15T17:00:00Z","id":"W-1","key_id":"board",'
        b'"reason":"the burn is a known measuring fault","rule":"slo.burn_rate:availability","ticket":"OPS-17"}}'
    )


def test_a_waiver_signed_by_a_stranger_does_not_apply() -> None:
    """Under the board's key id, and under an id of the stranger's own."""
    assert status(MALLORY.signed()).state == "bad_signature"
    found = status(MALLORY.signed(key_id="mallory"))
    assert (found.state, found.message.partition(" (")[0]) == (
        "bad_signature", "key 'mallory' is not in the trusted settings",
    )  # fmt: skip
    assert status(MALLORY.signed(key_id="mallory"), keys={}).state == "bad_signature"


@pytest.mark.parametrize("place", ["file", "entry", "scope"])
def test_a_key_in_the_waivers_file_is_refused(place: str) -> None:
    """A waiver cannot bring the key that verifies it."""
    content = json.loads(waivers_file(MALLORY.signed(key_id="mallory")))
    keys = {"mallory": {"key": MALLORY.public_text, "approver": "Risk Board"}}
    target = {"file": content, "entry": content["waivers"][0], "scope": content["waivers"][0]["candidate"]}[place]
    target["keys"] = keys
    with pytest.raises(ConfigurationError, match="unknown key 'keys'") as caught:
        parse_waivers(json.dumps(content).encode(), "waivers.yaml")
    assert caught.value.location is not None


@pytest.mark.parametrize("approver", ["Mallory", "risk board", "Risk  Board", "Risk Board "])
def test_a_key_is_bound_to_its_approver(approver: str) -> None:
    """The board's key signs for the board, letter by letter; another name does not pass under it."""
    found = status(BOARD.signed(approver=approver))
    assert found.state == "bad_signature"
    assert "is of Risk Board, not of" in found.message


@pytest.mark.parametrize("approver", ["Risk Board", "risk-board", "RISK BOARD ", "Rísk\u00a0Board"])
def test_an_approver_with_a_key_must_sign(approver: str) -> None:
    """Stripping the signature does not help, also where signatures are not required of everybody."""
    found = status(entry(approver=approver))
    assert (found.state, found.message) == ("unsigned", f"has no signature; {approver} needs one")
    assert status(entry(approver="Somebody Else")).state == "applied"


def test_where_signatures_are_required_every_waiver_needs_one() -> None:
    """Also of approvers who have no key."""
    found = status(entry(approver="Somebody Else"), require_signature=True)
    assert (found.state, found.message) == ("unsigned", "has no signature; every waiver needs one")
    assert status(entry(approver="Somebody Else"), require_signature=True, keys={}).state == "unsigned"


@pytest.mark.parametrize("missing", ["signature", "key_id"])
def test_half_a_signature_is_refused(missing: str) -> None:
    """A signature without the name of its key, or the reverse, is a fault of the file."""
    content = {key: value for key, value in BOARD.signed().items() if key != missing}
    with pytest.raises(ConfigurationError, match="belong together"):
        parse_waivers(waivers_file(content), "waivers.yaml")


def test_a_signature_does_not_mend_anything_else() -> None:
    """Expired, too long or self-approved stays so under the best signature."""
    assert status(BOARD.signed(expires_at=NOW.isoformat())).state == "expired"
    assert status(BOARD.signed(expires_at="2027-02-15T00:00:00Z")).state == "too_long"
    keys = {"board": {"key": BOARD.public_text, "approver": "team-imaging"}}
    assert status(BOARD.signed(approver="team-imaging"), keys=keys).state == "self_approved"


def test_a_key_of_the_settings_that_is_none_stops_the_run() -> None:
    """A key that cannot be read is a fault of the settings, not of the waiver."""
    with pytest.raises(ConfigurationError, match="no Ed25519 public key") as caught:
        status(BOARD.signed(), keys={"board": {"key": "AAAA", "approver": "Risk Board"}})
    assert caught.value.subject == "waivers.keys.board"
