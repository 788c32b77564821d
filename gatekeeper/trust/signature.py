"""
`.signatures.json`: one JSON Web Token that lists every file of a bundle with its hash.

Format: https://www.openpolicyagent.org/docs/management-bundles#signature-format; the token is a JWS in compact form
(RFC 7515, section 7.1). Where OPA is lenient this is not: the token's own `alg` must be that of the configured key,
`kid` and `keyid` must agree, `exp` and `nbf` are held against the run's clock, no file is listed twice, and no file is
exempt.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gatekeeper.errors import ConfigurationError, EvidenceError
from gatekeeper.formats.strict_json import parse_json
from gatekeeper.trust.canonical import digest_file
from gatekeeper.trust.keys import SigningKey, Trust, is_signed, make_signature
from gatekeeper.trust.tarball import Member

SIGNATURES = ".signatures.json"

_HASH = "SHA-256"
_PLUGINS = ("", "_default")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_DIGEST = re.compile(r"[0-9a-fA-F]{64,128}")


@dataclass(frozen=True)
class SignedFile:
    """What a signature says about one file."""

    digest: str
    """Lower-case hex digits."""
    algorithm: str
    """Name of the hash, as OPA writes it."""


@dataclass(frozen=True)
class Signature:
    """A signature that was verified."""

    signed_by: str
    """Id of the key."""
    files: Mapping[str, SignedFile]
    """By the name that the archive must give the file."""


def verify_signature(content: bytes, trust: Trust, subject: str) -> Signature:
    """
    Verify the token of a `.signatures.json`; whether its files are the bundle's is for `verify_files`.

    Raises `ConfigurationError` for anything but exactly one token, signed with a trusted key, for the trusted scope.
    """
    # 1. Exactly one token, of no plugin.
    token = _only_token(content, subject)
    head, body, raw = (_decode(part, subject) for part in _parts(token, subject))
    header, claims = _object(head, f"{subject} (header)"), _object(body, f"{subject} (payload)")
    # 2. The key that it names is trusted at this time, and was made for this algorithm.
    key_id = _key_id(header, claims, subject)
    key = trust.key(key_id, subject)
    if header.get("alg") != key.algorithm or "crit" in header or "b64" in header:
        raise ConfigurationError(
            subject, f"its token is {header.get('alg')!r:.40}, the trusted key {key_id!r} signs with {key.algorithm}",
            hint="the algorithm is the key's, never the token's choice",
        )  # fmt: skip
    # 3. The signature is that of the key.
    if not is_signed(token.rpartition(".")[0].encode("ascii"), raw, key, subject=subject):
        raise ConfigurationError(
            subject, f"the signature does not verify with the key {key_id!r}",
            hint="the bundle was changed after it was signed, or signed with another key",
        )  # fmt: skip
    # 4. It is for this scope, and for this time.
    _check_claims(claims, trust, subject)
    return Signature(key_id, _signed_files(claims, subject))


def verify_files(signature: Signature, members: Iterable[Member], archive: str) -> None:
    """
    Hold the signature against a bundle: exactly its files, each with its hash.

    Raises `ConfigurationError` naming the file that is not listed, is absent, or has another content.
    """
    missing = dict(signature.files)
    for member in members:
        subject = f"{archive}:{member.path}"
        signed = missing.pop(member.signed_name, None)
        if signed is None:
            raise ConfigurationError(subject, "is not listed in the bundle's signature", hint="sign the bundle again")
        digest = digest_file(member.path, member.content, algorithm=signed.algorithm, subject=subject)
        if digest != signed.digest:
            raise ConfigurationError(
                subject, "is not the file that was signed: its digest differs", hint="fetch the bundle again"
            )
    if missing:
        raise ConfigurationError(
            f"{archive}:{min(missing)[:200]}", f"was signed and is not in the bundle ({len(missing)} such files)"
        )


def sign_files(files: Mapping[str, bytes], key: SigningKey) -> bytes:
    """Write a `.signatures.json` for files by path, as `opa build` does: `kid` and, for older OPAs, `keyid`."""
    listed = [
        {"name": path, "hash": digest_file(path, files[path], algorithm=_HASH, subject=path), "algorithm": _HASH}
        for path in sorted(files, key=str.encode)
    ]
    claims = {"files": listed, "keyid": key.key_id} | ({"scope": key.scope} if key.scope else {})
    header = {"alg": key.algorithm, "kid": key.key_id, "typ": "JWT"}
    signed = f"{_encode(header)}.{_encode(claims)}"
    token = f"{signed}.{_base64url(make_signature(signed.encode('ascii'), key))}"
    return json.dumps({"signatures": [token]}).encode()


def _only_token(content: bytes, subject: str) -> str:
    document = _object(content, subject)
    tokens, plugin = document.get("signatures"), document.get("plugin", "")
    if not isinstance(tokens, list) or len(tokens) != 1 or not isinstance(tokens[0], str):
        raise ConfigurationError(subject, "exactly one token was wanted under `signatures`")
    if plugin not in _PLUGINS or document.keys() - {"signatures", "plugin"}:
        raise ConfigurationError(subject, "asks for a signing plugin, or holds more than `signatures`")
    return tokens[0]


def _parts(token: str, subject: str) -> list[str]:
    parts = token.split(".")
    if len(parts) != 3:
        raise ConfigurationError(subject, f"its token has {len(parts)} parts, 3 were wanted")
    return parts


def _decode(part: str, subject: str) -> bytes:
    """Decode base64url without padding; only the one spelling of each value is taken."""
    if _BASE64URL.fullmatch(part) and len(part) % 4 != 1:
        data = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        if _base64url(data) == part:
            return data
    raise ConfigurationError(subject, "a part of its token is not base64url")


def _object(content: bytes, subject: str) -> dict[str, Any]:
    try:
        value = parse_json(content, subject)
    except EvidenceError as error:
        raise ConfigurationError(error.subject, error.problem, location=error.location) from error
    if not isinstance(value, dict):
        raise ConfigurationError(subject, "is no JSON object")
    return value


def _key_id(header: dict[str, Any], claims: dict[str, Any], subject: str) -> str:
    named = [value for value in (header.get("kid"), claims.get("keyid")) if value not in (None, "")]
    if not named:
        raise ConfigurationError(
            subject, "its token names no key", hint='sign with a claims file: {"keyid": "<id of the key>"}'
        )
    if not all(isinstance(value, str) and value == named[0] for value in named):
        raise ConfigurationError(subject, f"its token names two keys, {named[0]!r:.100} and {named[-1]!r:.100}")
    return str(named[0])


def _check_claims(claims: dict[str, Any], trust: Trust, subject: str) -> None:
    scope = claims.get("scope", "")
    if scope != trust.scope:
        raise ConfigurationError(
            subject, f"is signed for the scope {scope!r:.100}, {trust.scope!r} was wanted",
            hint="the bundle is meant for another use; fetch the right one, or mend the scope in the settings",
        )  # fmt: skip
    now = trust.now.timestamp()
    for claim in ("nbf", "exp"):
        moment = claims.get(claim, now if claim == "nbf" else now + 1)
        if not isinstance(moment, int | float) or isinstance(moment, bool):
            raise ConfigurationError(subject, f"its claim `{claim}` is no time")
        if now < moment if claim == "nbf" else now >= moment:
            raise ConfigurationError(subject, f"its claim `{claim}` says that it is not valid at this time")


def _signed_files(claims: dict[str, Any], subject: str) -> dict[str, SignedFile]:
    listed, found = claims.get("files"), dict[str, SignedFile]()
    for each in listed if isinstance(listed, list) else []:
        entry = each if isinstance(each, dict) else {}
        name, digest, algorithm = entry.get("name"), entry.get("hash"), entry.get("algorithm")
        if not (isinstance(name, str) and isinstance(digest, str) and isinstance(algorithm, str)):
            raise ConfigurationError(subject, "lists a file without name, hash or algorithm")
        if name in found or not _DIGEST.fullmatch(digest):
            raise ConfigurationError(subject, f"lists {name!r:.200} twice, or without a digest")
        found[name] = SignedFile(digest.lower(), algorithm)
    if not found:
        raise ConfigurationError(subject, "lists no files")
    return found


def _encode(value: dict[str, Any]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
