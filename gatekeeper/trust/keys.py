"""
The keys that sign and verify policy bundles: RSA and ECDSA as JSON Web Algorithms name them (RFC 7518, section 3).

No `HS*`: whoever can verify with a shared secret can also sign. No `none`. The algorithm is always that of the
configured key, and each algorithm takes one kind of key only, so that a token cannot choose how it is checked.
`cryptography` does the arithmetic; it is the extra `signing` and is imported when the first key is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import AwareDatetime, Field, model_validator

from gatekeeper.document import Document
from gatekeeper.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

    PublicKey = RSAPublicKey | EllipticCurvePublicKey
    PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)

MIN_RSA_BITS = 2048
"""RFC 7518, sections 3.3 and 3.5."""

_CURVES = {"ES256": ("secp256r1", 32), "ES384": ("secp384r1", 48), "ES512": ("secp521r1", 66)}
"""Curve, and bytes of each of the two numbers of a signature (RFC 7518, section 3.4)."""


class VerificationKey(Document):
    """A public key that the trusted settings know, and when it may be used."""

    algorithm: Algorithm
    """Algorithm of every signature made with it."""
    key: Annotated[str, Field(min_length=1, max_length=20_000)]
    """The public key as PEM (`-----BEGIN PUBLIC KEY-----`)."""
    not_before: AwareDatetime | None = None
    """The first moment at which it is trusted."""
    not_after: AwareDatetime | None = None
    """The moment from which it is no longer trusted."""

    @model_validator(mode="after")
    def _in_order(self) -> VerificationKey:
        if self.not_before is not None and self.not_after is not None and self.not_before >= self.not_after:
            raise ValueError("not_before is not before not_after")
        return self


@dataclass(frozen=True)
class Trust:
    """What a signature is held against: the keys by id, the scope, and the run's clock."""

    keys: Mapping[str, VerificationKey]
    now: datetime
    scope: str = ""
    """What the signature must say it is for; empty: it must say nothing, as in OPA."""

    def key(self, key_id: str, subject: str) -> VerificationKey:
        """Choose a key by its id; raises `ConfigurationError` when it is unknown, or not valid at this time."""
        key = self.keys.get(key_id)
        if key is None:
            raise ConfigurationError(
                subject, f"is signed with the key {key_id!r:.100}, which is not trusted",
                hint=f"trusted are: {', '.join(sorted(self.keys)) or 'none'}",
            )  # fmt: skip
        if key.not_before is not None and self.now < key.not_before:
            raise ConfigurationError(subject, f"its key {key_id!r} is not valid before {key.not_before.isoformat()}")
        if key.not_after is not None and self.now >= key.not_after:
            raise ConfigurationError(
                subject, f"its key {key_id!r} expired at {key.not_after.isoformat()}", hint="sign it with a newer key"
            )
        return key


@dataclass(frozen=True)
class SigningKey:
    """A private key with the name under which its public half is trusted."""

    key_id: str
    algorithm: Algorithm
    pem: bytes = field(repr=False)
    scope: str = ""


def is_signed(message: bytes, signature: bytes, key: VerificationKey, *, subject: str) -> bool:
    """
    Verify a raw signature (RFC 7515, section 5.2) with a key's own algorithm.

    Raises `ConfigurationError` when the key is not usable or the extra `signing` is not installed.
    """
    public = load_public_key(key, subject)
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    try:
        if isinstance(public, EllipticCurvePublicKey):
            public.verify(_der_signature(signature, key.algorithm), message, _ecdsa(key.algorithm))
        else:
            public.verify(signature, message, _padding(key.algorithm), _hash(key.algorithm))
    except InvalidSignature:
        return False
    return True


def make_signature(message: bytes, key: SigningKey) -> bytes:
    """
    Sign as RFC 7515, section 5.1; RS* and ES* (RFC 6979) give the same bytes each time, PS* is salted.

    Raises `ConfigurationError` when the key is not usable.
    """
    private = load_private_key(key)
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    if not isinstance(private, EllipticCurvePrivateKey):
        return private.sign(message, _padding(key.algorithm), _hash(key.algorithm))
    size = _CURVES[key.algorithm][1]
    first, second = decode_dss_signature(private.sign(message, _ecdsa(key.algorithm, deterministic=True)))
    return first.to_bytes(size, "big") + second.to_bytes(size, "big")


def public_half(key: SigningKey) -> VerificationKey:
    """The key that verifies what a signing key signs."""
    private = load_private_key(key)
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return VerificationKey(algorithm=key.algorithm, key=pem.decode())


def load_public_key(key: VerificationKey, subject: str) -> PublicKey:
    """Parse a public key and refuse one that does not fit its algorithm."""
    require_cryptography(subject)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    hint = "a public key in PEM is wanted: openssl pkey -in private.pem -pubout"
    if key.key.count("-----BEGIN ") != 1:
        raise ConfigurationError(subject, "its trusted key is not exactly one PEM block", hint=hint)
    try:
        public: PublicKey = _fit(load_pem_public_key(key.key.encode()), key.algorithm, subject)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(subject, f"its trusted key is no public key in PEM: {error}", hint=hint) from error
    return public


def load_private_key(key: SigningKey) -> PrivateKey:
    """Parse a private key without a password and refuse one that does not fit its algorithm."""
    subject = f"signing key {key.key_id}"
    require_cryptography(subject)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private: PrivateKey = _fit(load_pem_private_key(key.pem, password=None), key.algorithm, subject)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(
            subject, f"is no private key in PEM without a password: {str(error)[:200]}", hint="openssl pkey -in key.pem"
        ) from error
    return private


def require_cryptography(subject: str) -> None:
    """Raise `ConfigurationError` when the extra is not installed: what cannot be verified is never taken as signed."""
    try:
        import cryptography.exceptions  # noqa: F401  # only whether it is there
    except ImportError as error:
        raise ConfigurationError(
            subject, "signatures need the package `cryptography`, which is not installed",
            hint="pip install 'promotion-gatekeeper[signing]'",
        ) from error  # fmt: skip


def _fit(key: Any, algorithm: Algorithm, subject: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    found = "of another kind"
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        if algorithm not in _CURVES and key.key_size >= MIN_RSA_BITS:
            return key
        found = f"RSA with {key.key_size} bits"
    elif isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        if algorithm in _CURVES and key.curve.name == _CURVES[algorithm][0]:
            return key
        found = f"on the curve {key.curve.name}"
    wanted = f"a key on the curve {_CURVES[algorithm][0]}" if algorithm in _CURVES else f"RSA with {MIN_RSA_BITS} bits"
    raise ConfigurationError(subject, f"its key is {found}, and {algorithm} takes {wanted}")


def _hash(algorithm: Algorithm) -> Any:
    from cryptography.hazmat.primitives import hashes

    return {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[algorithm[2:]]


def _padding(algorithm: Algorithm) -> Any:
    from cryptography.hazmat.primitives.asymmetric import padding

    if algorithm.startswith("RS"):
        return padding.PKCS1v15()
    return padding.PSS(padding.MGF1(_hash(algorithm)), padding.PSS.DIGEST_LENGTH)


def _ecdsa(algorithm: Algorithm, *, deterministic: bool = False) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.ECDSA(_hash(algorithm), deterministic_signing=deterministic)


def _der_signature(signature: bytes, algorithm: Algorithm) -> bytes:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    size = _CURVES[algorithm][1]
    if len(signature) != 2 * size:
        raise InvalidSignature
    return encode_dss_signature(int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big"))
