"""Signatures: only one true token, of a trusted key, over exactly these files, for this scope, at this time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from conftest import NOW
from trust.bundle_making import FILES, SLO, base64url, listed, signatures, signing_key, token, trust

from gatekeeper.errors import ConfigurationError
from gatekeeper.trust.keys import ALGORITHMS, Algorithm, Trust, public_half
from gatekeeper.trust.signature import Signature, sign_files, verify_files, verify_signature
from gatekeeper.trust.tarball import Member

SUBJECT = "b.tar.gz:.signatures.json"
KEY = signing_key()
CLAIMS = {"files": listed(FILES)}


def verify(content: bytes, trusted: Trust | None = None) -> Signature:
    """The signature that a `.signatures.json` holds."""
    return verify_signature(content, trusted or trust(KEY), SUBJECT)


def refusal(content: bytes, trusted: Trust | None = None) -> str:
    """Why a `.signatures.json` is refused."""
    with pytest.raises(ConfigurationError) as caught:
        verify(content, trusted)
    assert caught.value.subject.startswith(SUBJECT)
    return caught.value.problem


def file_refusal(signature: Signature, files: dict[str, bytes]) -> ConfigurationError:
    """Why files are not those of a signature."""
    with pytest.raises(ConfigurationError) as caught:
        verify_files(signature, [Member(name, name, content) for name, content in files.items()], "b.tar.gz")
    return caught.value


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_signed_verifies(algorithm: Algorithm) -> None:
    """Each algorithm: the key's id and every file come back, and the files hold against it."""
    key = signing_key(algorithm, scope="production")
    signature = verify(sign_files(FILES, key), trust(key, scope="production"))
    assert signature.signed_by == "team"
    assert set(signature.files) == set(FILES)
    verify_files(signature, [Member(name, name, content) for name, content in FILES.items()], "b.tar.gz")


def test_a_token_names_its_key_in_header_or_payload() -> None:
    """`kid` as today's OPA writes it, `keyid` as older ones and claims files do, or both alike."""
    for header, claims in (
        ({}, {"keyid": "team"}),
        ({"kid": "team"}, {}),
        ({"kid": "team"}, {"keyid": "team"}),
        ({"kid": ""}, {"keyid": "team"}),
    ):
        content = signatures(token(CLAIMS | claims, KEY, header={"alg": "ES256"} | header))
        assert verify(content).signed_by == "team"


def test_attack_stripped_token() -> None:
    """A signatures file without a token, with an empty one, or with two of which one is true, is refused."""
    true = token(CLAIMS, KEY)
    for tokens in ((), ("",), (true, true), (true, "forged")):
        assert refusal(signatures(*tokens))
    for content in (
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"signatures": null}',
        b'{"signatures": "x"}',
        b'{"signatures": [1]}',
        b"\xff",
    ):
        assert refusal(content)


def test_attack_unsecured_token() -> None:
    """`alg: none` with an empty signature, or with the true signature of another token, is refused."""
    head, body, signature = token(CLAIMS, KEY).split(".")
    none = base64url(b'{"alg":"none","kid":"team"}')
    assert refusal(signatures(f"{none}.{body}."))
    assert "none" in refusal(signatures(f"{none}.{body}.{signature}"))
    assert "not base64url" in refusal(signatures(f"{head}.{body}."))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
@pytest.mark.parametrize("claimed", ["HS256", "own"])
def test_attack_algorithm_confusion(algorithm: Algorithm, claimed: str) -> None:
    """The public key used as an HMAC secret signs nothing, whatever algorithm the token claims."""
    key = signing_key(algorithm)
    head = {"alg": "HS256" if claimed == "HS256" else algorithm, "kid": "team"}
    signed = f"{base64url(json.dumps(head).encode())}.{base64url(json.dumps(CLAIMS).encode())}"
    forged = hmac.new(public_half(key).key.encode(), signed.encode(), hashlib.sha256).digest()
    problem = refusal(signatures(f"{signed}.{base64url(forged)}"), trust(key))
    assert ("the trusted key 'team' signs with" if claimed == "HS256" else "does not verify") in problem


def test_attack_token_chooses_its_algorithm() -> None:
    """A true signature whose header claims another algorithm than the key's is refused before it is verified."""
    for alg in ("RS256", "ES384", "es256", None, 5, ["ES256"]):
        content = signatures(token(CLAIMS, KEY, header={"alg": alg, "kid": "team"}))
        assert "signs with ES256" in refusal(content)
    for extra in ({"crit": ["exp"]}, {"b64": False}):
        assert refusal(signatures(token(CLAIMS, KEY, header={"alg": "ES256", "kid": "team"} | extra)))


def test_attack_key_in_the_token() -> None:
    """A key that the token brings along (`jwk`, `x5c`, `jku`) is not used: the forger's signature does not verify."""
    forger = signing_key(number=1)
    brought = {"jwk": {"kty": "EC"}, "x5c": [public_half(forger).key], "jku": "https://evil.example/keys"}
    content = signatures(token(CLAIMS, forger, header={"alg": "ES256", "kid": "team"} | brought))
    assert "does not verify" in refusal(content)


def test_attack_unknown_key_or_none() -> None:
    """A token of a key that is not trusted, or that names no key, is refused even where only one key is trusted."""
    assert "'intruder', which is not trusted" in refusal(sign_files(FILES, signing_key(key_id="intruder")))
    assert "names no key" in refusal(signatures(token(CLAIMS, KEY, header={"alg": "ES256"})))
    assert "which is not trusted" in refusal(sign_files(FILES, KEY), Trust({}, NOW))
    for kid in (5, ["team"], {"a": 1}, True):
        assert refusal(signatures(token(CLAIMS, KEY, header={"alg": "ES256", "kid": kid})))


def test_attack_key_id_swap() -> None:
    """Renaming the key in header or payload breaks the signature; naming two keys is refused even when it is true."""
    other = signing_key(key_id="other", number=1)
    both = trust(KEY, other)
    _, body, signature = token(CLAIMS, KEY).split(".")
    swapped = base64url(b'{"alg":"ES256","kid":"other"}')
    assert "does not verify with the key 'other'" in refusal(signatures(f"{swapped}.{body}.{signature}"), both)
    assert "names two keys" in refusal(signatures(token(CLAIMS | {"keyid": "other"}, KEY)), both)
    assert verify(signatures(token(CLAIMS, other)), both).signed_by == "other"


def test_attack_changed_payload() -> None:
    """A payload with a file more, or one digest changed, no longer has the signature."""
    head, body, signature = token(CLAIMS, KEY).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["files"][1]["hash"] = "0" * 64
    forged = base64url(json.dumps(claims).encode())
    assert "does not verify" in refusal(signatures(f"{head}.{forged}.{signature}"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda true: true + "=", lambda true: true + "\n", lambda true: " " + true, lambda true: true + ".x",
        lambda true: true.replace(".", "..", 1), lambda true: true.rsplit(".", 1)[0], lambda true: true.replace(".", "+.", 1),
        lambda true: true[:-1] + chr(ord(true[-1]) + 1), lambda true: "ü" + true, lambda true: true[:-1],
    ],
    ids=["padding", "newline", "space", "four parts", "empty part", "two parts", "plus", "last bit", "not ascii", "cut"],
)  # fmt: skip
def test_only_the_one_spelling_of_a_token_is_taken(spoil: Any) -> None:
    """Padding, white space, other alphabets and loose last bits are refused: a token has one spelling."""
    assert refusal(signatures(spoil(token(CLAIMS, KEY))))


@pytest.mark.parametrize(
    ("signed_for", "wanted"),
    [
        ("staging", "production"),
        ("production", ""),
        ("", "production"),
        ("Production", "production"),
        (None, ""),
        (5, ""),
    ],
)
def test_attack_wrong_scope(signed_for: Any, wanted: str) -> None:
    """A signature for another use is refused; so is one with a scope where none is expected, as in OPA."""
    content = signatures(token(CLAIMS | {"scope": signed_for}, KEY))
    assert "is signed for the scope" in refusal(content, trust(KEY, scope=wanted))
    assert "is signed for the scope" in refusal(signatures(token(CLAIMS, KEY)), trust(KEY, scope="production"))


def test_attack_expired_key() -> None:
    """A true signature of a key whose time is over, or has not come, is refused by the run's clock."""
    content = sign_files(FILES, KEY)
    assert "expired at" in refusal(content, trust(KEY, not_after=NOW))
    assert "not valid before" in refusal(content, trust(KEY, not_before=NOW + timedelta(seconds=1)))
    assert verify(content, trust(KEY, not_after=NOW + timedelta(seconds=1)))


@pytest.mark.parametrize(
    ("claims", "accepted"),
    [
        ({"exp": NOW.timestamp() + 1}, True), ({"exp": NOW.timestamp()}, False), ({"nbf": NOW.timestamp()}, True),
        ({"nbf": NOW.timestamp() + 1}, False), ({"exp": "tomorrow"}, False), ({"nbf": True}, False), ({"exp": None}, False),
        ({"iat": 1, "iss": "JWTService"}, True),
    ],
)  # fmt: skip
def test_a_token_with_dates_is_held_to_them(claims: dict[str, Any], accepted: bool) -> None:
    """Whoever wrote `exp` or `nbf` meant it, though OPA passes over both; `iat` and `iss` are for information."""
    content = signatures(token(CLAIMS | claims, KEY))
    if accepted:
        assert verify(content)
    else:
        assert "its claim" in refusal(content)


@pytest.mark.parametrize(
    "files",
    [
        None, [], {}, "x", [5], [{}], [{"name": "a", "hash": "0" * 64}], [{"name": 1, "hash": "0" * 64, "algorithm": "SHA-256"}],
        [{"name": "a", "hash": "", "algorithm": "SHA-256"}], [{"name": "a", "hash": "xyz", "algorithm": "SHA-256"}],
        [{"name": "a", "hash": "0" * 64, "algorithm": ""}] * 2,
    ],
)  # fmt: skip
def test_refuses_a_list_of_files_that_proves_nothing(files: Any) -> None:
    """A true signature over no files, over files without digests, or over one name twice, is refused."""
    assert refusal(signatures(token({"files": files}, KEY)))


@pytest.mark.parametrize(
    "document",
    [{"plugin": "aws-kms"}, {"plugin": None}, {"extra": 1}],
)
def test_refuses_plugins_and_unknown_keys(document: dict[str, Any]) -> None:
    """A bundle cannot ask for another way of verification than this one; OPA's own default name is taken."""
    true = {"signatures": [token(CLAIMS, KEY)]}
    assert verify(json.dumps(true | {"plugin": "_default"}).encode())
    assert "plugin" in refusal(json.dumps(true | document).encode())


def test_refuses_duplicate_keys_in_every_part() -> None:
    """Where a key is there twice, two readers see two documents."""
    head, body, signature = token(CLAIMS, KEY).split(".")
    twice = base64url(b'{"alg":"ES256","alg":"none","kid":"team"}')
    assert "duplicate key" in refusal(signatures(f"{twice}.{body}.{signature}"))
    assert "duplicate key" in refusal(b'{"signatures": [], "signatures": []}')
    payload = base64url(b'{"files":[],"files":[]}')
    assert "duplicate key" in refusal(signatures(f"{head}.{payload}.{signature}"))


def test_attack_changed_added_and_removed_files() -> None:
    """A file with another content, one that is not listed, and one that is gone: each is named."""
    signature = verify(sign_files(FILES, KEY))
    changed = file_refusal(signature, FILES | {SLO: FILES[SLO] + b"\n"})
    assert (changed.subject, "its digest differs" in changed.problem) == (f"b.tar.gz:{SLO}", True)
    added = file_refusal(signature, FILES | {"gatekeeper/allow.rego": b"package gatekeeper.allow\n"})
    assert (added.subject, "is not listed" in added.problem) == ("b.tar.gz:gatekeeper/allow.rego", True)
    removed = file_refusal(signature, {name: FILES[name] for name in FILES if name != SLO})
    assert (removed.subject, "was signed and is not in the bundle" in removed.problem) == (f"b.tar.gz:{SLO}", True)
    assert "was signed and is not" in file_refusal(signature, {}).problem


def test_attack_swapped_files() -> None:
    """Two listed files that changed their names are both refused: a digest belongs to a name."""
    other = "gatekeeper/gates/slo/other.rego"
    files = FILES | {other: b"package gatekeeper.gates.slo\n"}
    signature = verify(sign_files(files, KEY))
    assert file_refusal(signature, files | {SLO: files[other], other: files[SLO]}).subject.endswith(".rego")


def test_signing_is_reproducible_and_names_the_key_twice_alike() -> None:
    """The same files and key give the same bytes; nothing of the time or the machine is in them."""
    content = sign_files(FILES, KEY)
    assert content == sign_files(dict(reversed(FILES.items())), KEY)
    head, body, _ = json.loads(content)["signatures"][0].split(".")
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "ES256", "kid": "team", "typ": "JWT"}
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    assert (sorted(claims), claims["keyid"]) == (["files", "keyid"], "team")
