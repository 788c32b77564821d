"""Makers of keys, tarballs, tokens and bundles, good and hostile."""

from __future__ import annotations

import base64
import gzip
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from conftest import NOW
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gatekeeper.trust.canonical import digest_file
from gatekeeper.trust.keys import Algorithm, SigningKey, Trust, VerificationKey, make_signature, public_half
from gatekeeper.trust.signature import SIGNATURES
from gatekeeper.trust.tarball import pack

CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
SLO = "gatekeeper/gates/slo/slo.rego"
DATA = "gatekeeper/defaults/data.yaml"
MANIFEST = b'{"revision":"r1","roots":["gatekeeper"],"rego_version":1}'
FILES = {
    ".manifest": MANIFEST,
    SLO: b"package gatekeeper.gates.slo\n\ndeny contains 1 if input.bad\n",
    DATA: b"thresholds: {slo: {max_age_seconds: 3600, ratio: 0.10}}\nowner: caf\xc3\xa9\n",
}


@cache
def signing_key(
    algorithm: Algorithm = "ES256", key_id: str = "team", *, scope: str = "", number: int = 0
) -> SigningKey:
    """A fresh private key; another `number` is another key of the same name."""
    private: Any = rsa.generate_private_key(65537, 2048)
    if algorithm in CURVES:
        private = ec.generate_private_key(CURVES[algorithm])
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return SigningKey(key_id, algorithm, pem, scope)


def trust(*keys: SigningKey, scope: str = "", **changes: Any) -> Trust:
    """Trust in the public halves of keys; changes are to each of them, such as `not_after`."""
    known = {key.key_id: VerificationKey(**(public_half(key).model_dump() | changes)) for key in keys}
    return Trust(known, NOW, scope)


def tar(entries: Sequence[tuple[str, bytes] | tarfile.TarInfo], *, format: int = tarfile.USTAR_FORMAT) -> bytes:  # noqa: A002
    """An uncompressed archive of entries exactly as they are given."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
                continue
            info = tarfile.TarInfo(entry[0])
            info.size = len(entry[1])
            archive.addfile(info, io.BytesIO(entry[1]))
    return buffer.getvalue()


def tarball(entries: Sequence[tuple[str, bytes] | tarfile.TarInfo], **options: Any) -> bytes:
    """The same, gzipped."""
    return gzip.compress(tar(entries, **options), mtime=0)


def base64url(data: bytes) -> str:
    """Base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def listed(files: Mapping[str, bytes]) -> list[dict[str, str]]:
    """What a signature says of files."""
    return [
        {
            "name": name,
            "hash": digest_file(name, files[name], algorithm="SHA-256", subject=name),
            "algorithm": "SHA-256",
        }
        for name in files
    ]


def token(claims: Any, key: SigningKey, *, header: Any = None) -> str:
    """A token over any claims and header, truly signed."""
    head = {"alg": key.algorithm, "kid": key.key_id} if header is None else header
    signed = f"{base64url(json.dumps(head).encode())}.{base64url(json.dumps(claims).encode())}"
    return f"{signed}.{base64url(make_signature(signed.encode(), key))}"


def signatures(*tokens: str) -> bytes:
    """A `.signatures.json` of tokens."""
    return json.dumps({"signatures": list(tokens)}).encode()


def signed(files: Mapping[str, bytes], key: SigningKey, **claims: Any) -> dict[str, bytes]:
    """Files with a true signature over them."""
    return {**files, SIGNATURES: signatures(token({"files": listed(files), **claims}, key))}


def bundle(files: Mapping[str, bytes]) -> bytes:
    """The bundle of files."""
    return pack(files)


def members(data: bytes) -> dict[str, bytes]:
    """The files of a tarball, by Python's own reader; OPA's leading slashes are dropped."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        return {
            entry.name.removeprefix("/"): reader.read()
            for entry in archive
            if (reader := archive.extractfile(entry)) is not None
        }


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files below a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


class Opa:
    """A real OPA that verifies bundles."""

    def __init__(self, binary: str, folder: Path) -> None:
        self.binary, self.folder = binary, folder

    def run(self, *arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a subcommand in the folder."""
        return subprocess.run(
            [self.binary, *map(str, arguments)], cwd=self.folder, capture_output=True, text=True, input=text, timeout=60
        )

    def refusal(self, data: bytes, key: SigningKey, *, scope: str = "") -> str:
        """Why OPA does not load a bundle with verification on; empty when it does."""
        (self.folder / "under-test.tar.gz").write_bytes(data)
        (self.folder / "key.pub").write_text(public_half(key).key)
        done = self.run(
            "build", "-b", "under-test.tar.gz", "-o", "loaded.tar.gz", "--verification-key", "key.pub",
            "--verification-key-id", key.key_id, "--signing-alg", key.algorithm, "--scope", scope,
        )  # fmt: skip
        return "" if done.returncode == 0 else done.stdout + done.stderr or "refused"
