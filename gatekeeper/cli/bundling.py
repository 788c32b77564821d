"""What `policy bundle` does."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from gatekeeper.errors import ConfigurationError, UnavailableError
from gatekeeper.trust.building import BuiltBundle, build_bundle
from gatekeeper.trust.keys import Algorithm, SigningKey

MAX_KEY_BYTES = 64 * 1024


@dataclass(frozen=True)
class SigningOptions:
    """How to sign, as the command line says it."""

    signing_key: Path | None = None
    algorithm: Algorithm | None = None
    key_id: str | None = None
    scope: str | None = None


def write_bundle(folder: Path, output: Path, signing: SigningOptions, *, revision: str | None = None) -> str:
    """
    Build a bundle, write it whole or not at all, and say what was written.

    Raises `ConfigurationError` for policies, key or options that are wrong, `UnavailableError` when it cannot be
    written.
    """
    key = _read_key(signing)
    built = build_bundle(folder, revision=revision, key=key)
    _write(output, built.data)
    return _describe(output, built, key)


def _read_key(signing: SigningOptions) -> SigningKey | None:
    if signing.signing_key is None:
        if signing.algorithm or signing.key_id or signing.scope:
            raise ConfigurationError(
                "--signing-key", "is missing, and --algorithm, --key-id and --scope ask for a signature",
                hint="add --signing-key, or leave the others out for an unsigned bundle",
            )  # fmt: skip
        return None
    if not signing.key_id:
        raise ConfigurationError("--key-id", "is needed to sign: verifiers choose the key by it", hint="add --key-id")
    try:
        with signing.signing_key.open("rb") as file:
            pem = file.read(MAX_KEY_BYTES)
    except OSError as error:
        raise ConfigurationError(str(signing.signing_key), f"cannot be read: {error.strerror}") from error
    return SigningKey(signing.key_id, signing.algorithm or "ES256", pem, signing.scope or "")


def _write(output: Path, data: bytes) -> None:
    try:
        descriptor, name = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            Path(name).chmod(0o644)
            Path(name).replace(output)
        except OSError:
            Path(name).unlink()
            raise
    except OSError as error:
        raise UnavailableError(str(output), f"cannot be written: {error.strerror}") from error


def _describe(output: Path, built: BuiltBundle, key: SigningKey | None) -> str:
    signed = "not signed"
    if key is not None:
        signed = f"signed by {key.key_id} with {key.algorithm}" + (f" for the scope {key.scope}" if key.scope else "")
    return f"{output}: {len(built.files)} files below {', '.join(built.roots)}, {built.revision}, {signed}"
