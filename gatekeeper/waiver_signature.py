"""
Ed25519 signatures of waivers (https://www.rfc-editor.org/rfc/rfc8032), through the extra `signing`; pure.

A key is 32 bytes in Base64, or a PEM block as `openssl pkey -pubout` writes it. Keys come from the trusted settings.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from gatekeeper.errors import ConfigurationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KEY_BYTES = 32
SIGNATURE_BYTES = 64
_EXTRA = "pip install 'promotion-gatekeeper[signing]'"


def signature_holds(payload: bytes, signature: str, public_key: Ed25519PublicKey) -> bool:
    """Say whether a Base64 signature was made over exactly these bytes with the private half of the key."""
    from cryptography.exceptions import InvalidSignature

    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    if len(raw) != SIGNATURE_BYTES:
        return False
    try:
        public_key.verify(raw, payload)
    except InvalidSignature:
        return False
    return True


def load_public_key(text: str, name: str) -> Ed25519PublicKey:
    """
    Read a public key; `name` is where the settings hold it.

    Raises `ConfigurationError` when it is no Ed25519 public key, or `cryptography` is not installed.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise ConfigurationError(name, "signatures need the package cryptography", hint=_EXTRA) from error
    if "PRIVATE KEY" in text:
        raise ConfigurationError(name, "is a private key; it is known to everybody now", hint="replace the key pair")
    if "-----BEGIN" in text:
        return _from_pem(text, name)
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text.strip(), validate=True))
    except ValueError as error:  # binascii.Error is one
        raise ConfigurationError(
            name, f"is no Ed25519 public key: {KEY_BYTES} bytes in Base64, or a PEM block, were wanted"
        ) from error


def _from_pem(text: str, name: str) -> Ed25519PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(name, f"is no PEM public key: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError(name, "is a key of another algorithm, Ed25519 was wanted")
    return key


def sign(payload: bytes, private_key_pem: bytes) -> str:
    """Sign bytes with an unencrypted Ed25519 private key; raises `ConfigurationError` when it is none."""
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise ConfigurationError("signing key", "signatures need the package cryptography", hint=_EXTRA) from error
    try:
        key = load_pem_private_key(private_key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigurationError("signing key", "is no unencrypted PEM private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError("signing key", "is a key of another algorithm, Ed25519 was wanted")
    return base64.b64encode(key.sign(payload)).decode()
