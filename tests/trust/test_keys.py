"""Keys: each algorithm takes its own kind of key, each key its own time, and nothing stands in for a missing library."""

from __future__ import annotations

import json
import sys
from datetime import timedelta

import pytest
from conftest import NOW
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError
from trust.bundle_making import signing_key, trust

from gatekeeper.errors import ConfigurationError
from gatekeeper.trust.keys import (
    ALGORITHMS,
    Algorithm,
    SigningKey,
    VerificationKey,
    is_signed,
    make_signature,
    public_half,
)

MESSAGE = b"header.payload"


def verified(signature: bytes, key: VerificationKey, message: bytes = MESSAGE) -> bool:
    """Whether a signature verifies."""
    return is_signed(message, signature, key, subject="b.tar.gz")


def private(key: object, *, password: bytes | None = None, algorithm: Algorithm = "ES256") -> SigningKey:
    """A signing key of any private key."""
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return SigningKey("team", algorithm, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))  # type: ignore[attr-defined]  # any key has it


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_algorithm_verifies_its_own_signature_only(algorithm: Algorithm) -> None:
    """A true signature verifies; another message, one flipped bit, another length or another key does not."""
    key = public_half(signing_key(algorithm))
    signature = make_signature(MESSAGE, signing_key(algorithm))
    assert verified(signature, key)
    flipped = signature[:-1] + bytes([signature[-1] ^ 1])
    half = len(signature) // 2
    padded = signature[:half] + b"\0" + signature[half:]  # the same two numbers in ECDSA, spelt otherwise
    for forged in (
        flipped,
        padded,
        signature[:-1],
        signature + b"\0",
        b"",
        bytes(len(signature)),
        b"\xff" * len(signature),
    ):
        assert not verified(forged, key)
    assert not verified(signature, key, b"header.other")
    assert not verified(signature, public_half(signing_key(algorithm, number=1)))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "ES384", "ES512"])
def test_signing_twice_gives_the_same_bytes(algorithm: Algorithm) -> None:
    """RSA as PKCS #1 and ECDSA as RFC 6979 leave nothing to chance, so a signed bundle is reproducible."""
    assert make_signature(MESSAGE, signing_key(algorithm)) == make_signature(MESSAGE, signing_key(algorithm))


def test_one_rsa_key_does_not_verify_another_algorithms_signature() -> None:
    """PS256 and RS256 take the same kind of key, but a signature of the one is none of the other."""
    signing = signing_key("RS256")
    as_pss = public_half(signing).model_copy(update={"algorithm": "PS256"})
    assert not verified(make_signature(MESSAGE, signing), as_pss)
    assert not verified(
        make_signature(MESSAGE, signing), public_half(signing).model_copy(update={"algorithm": "RS384"})
    )


@pytest.mark.parametrize(
    ("made_for", "configured"),
    [
        ("RS256", "ES256"),
        ("ES256", "RS256"),
        ("ES256", "PS256"),
        ("ES256", "ES384"),
        ("ES384", "ES256"),
        ("ES512", "ES384"),
    ],
)
def test_refuses_a_key_of_another_kind(made_for: Algorithm, configured: Algorithm) -> None:
    """An RSA key configured for ES256, or a key on another curve, is a fault of the settings, not a failed signature."""
    key = VerificationKey(algorithm=configured, key=public_half(signing_key(made_for)).key)
    with pytest.raises(ConfigurationError, match=f"{configured} takes"):
        verified(make_signature(MESSAGE, signing_key(made_for)), key)


def test_refuses_weak_and_unknown_kinds_of_keys() -> None:
    """RSA below 2048 bits and keys that no algorithm here uses are refused, to sign and to verify."""
    for key, words in (
        (private(rsa.generate_private_key(65537, 1024), algorithm="RS256"), "1024 bits"),
        (private(ed25519.Ed25519PrivateKey.generate()), "of another kind"),
        (private(ec.generate_private_key(ec.SECP256K1())), "secp256k1"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            make_signature(MESSAGE, key)


@pytest.mark.parametrize(
    "pem",
    [
        "secret", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        signing_key().pem.decode(), public_half(signing_key()).key * 2,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ],
    ids=["no PEM", "damaged", "private", "two keys", "certificate"],
)  # fmt: skip
def test_refuses_what_is_not_one_public_key(pem: str) -> None:
    """A private key does not belong into settings, and of two keys nobody knows which one was meant."""
    with pytest.raises(ConfigurationError, match="its trusted key is") as caught:
        verified(b"x" * 64, VerificationKey(algorithm="ES256", key=pem))
    assert "openssl pkey" in caught.value.hint


def test_refuses_to_sign_with_what_is_no_private_key() -> None:
    """A public key, garbage, or a key with a password ends with the reason."""
    locked = private(ec.generate_private_key(ec.SECP256R1()), password=b"secret")
    for key in (
        SigningKey("team", "ES256", b"garbage"),
        SigningKey("team", "ES256", public_half(signing_key()).key.encode()),
        locked,
    ):
        with pytest.raises(ConfigurationError, match="signing key team: is no private key in PEM without a password"):
            make_signature(MESSAGE, key)


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", "none", "NONE", "EdDSA", "es256", "", "RS1"])
def test_settings_know_no_shared_secrets_and_no_none(algorithm: str) -> None:
    """With a shared secret every verifier can sign; `none` signs nothing."""
    with pytest.raises(ValidationError, match="algorithm"):
        VerificationKey.model_validate_json(json.dumps({"algorithm": algorithm, "key": "secret"}))


def test_settings_refuse_dates_in_the_wrong_order_or_without_zone() -> None:
    """A key that is never valid, or at nobody knows what time, is a mistake."""
    base = {"algorithm": "ES256", "key": "k"}
    for dates in (
        {"not_before": "2026-02-01T00:00:00Z", "not_after": "2026-02-01T00:00:00Z"},
        {"not_after": "2026-02-01T00:00:00"},
    ):
        with pytest.raises(ValidationError):
            VerificationKey.model_validate_json(json.dumps(base | dates))
    assert VerificationKey.model_validate_json(json.dumps(base | {"not_after": "2026-02-01T00:00:00+02:00"}))


def test_a_key_is_trusted_from_its_first_moment_until_before_its_last() -> None:
    """At `not_before` it is valid, at `not_after` no longer; both by the run's clock."""
    second = timedelta(seconds=1)
    for dates in ({"not_before": NOW}, {"not_after": NOW + second}, {"not_before": NOW, "not_after": NOW + second}):
        assert trust(signing_key(), **dates).key("team", "b")
    with pytest.raises(ConfigurationError, match="expired at 2026-11-23T12:00:00"):
        trust(signing_key(), not_after=NOW).key("team", "b")
    with pytest.raises(ConfigurationError, match="not valid before"):
        trust(signing_key(), not_before=NOW + second).key("team", "b")


def test_rotation_keeps_two_keys_side_by_side() -> None:
    """Old and new key are trusted by their ids; a third is not, and the message says which are."""
    both = trust(signing_key(key_id="2025"), signing_key(key_id="2026", number=1))
    assert both.key("2025", "b") != both.key("2026", "b")
    with pytest.raises(ConfigurationError, match="'2024', which is not trusted") as caught:
        both.key("2024", "b")
    assert caught.value.hint == "trusted are: 2025, 2026"


def test_without_the_library_nothing_verifies_and_nothing_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    """An extra that is not installed is said with its install command; it never counts as verified."""
    signature, key = make_signature(MESSAGE, signing_key()), public_half(signing_key())
    for name in [each for each in sys.modules if each.split(".")[0] == "cryptography"]:
        monkeypatch.setitem(sys.modules, name, None)
    for use in (lambda: verified(signature, key), lambda: make_signature(MESSAGE, signing_key())):
        with pytest.raises(ConfigurationError, match="not installed") as caught:
            use()
        assert caught.value.hint == "pip install 'promotion-gatekeeper[signing]'"


def test_a_signing_key_never_shows_itself() -> None:
    """The private key is in no representation, so in no log and no traceback."""
    assert "PRIVATE" not in repr(signing_key())
