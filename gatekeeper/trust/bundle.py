"""
An OPA bundle (https://www.openpolicyagent.org/docs/management-bundles#bundle-file-format) as a source of policies.

It is read in memory from one pass over the file, so what is verified is what is evaluated. A bundle whose signature,
file set or manifest leaves any doubt is a configuration error: no promotion is judged by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from gatekeeper.document import Document
from gatekeeper.errors import ConfigurationError, EvidenceError
from gatekeeper.formats.strict_json import parse_json
from gatekeeper.trust.keys import Trust
from gatekeeper.trust.roots import normalise_roots, refuse_outside
from gatekeeper.trust.signature import SIGNATURES, verify_files, verify_signature
from gatekeeper.trust.tarball import MAX_ARCHIVE_BYTES, Member, unpack

MANIFEST = ".manifest"

_REFUSED_NAMES = {
    "policy.wasm": "is compiled policy; only Rego is evaluated",
    "plan.json": "is compiled policy; only Rego is evaluated",
    "plan.pb": "is compiled policy; only Rego is evaluated",
    "patch.json": "makes this a delta bundle, which cannot be signed",
    "data.yml": "is not read; name it data.yaml",
}


class BundleManifest(Document):
    """`.manifest` as OPA defines it; an unknown or misspelt key is refused, because OPA would pass it over."""

    revision: Annotated[str, Field(max_length=500)] = ""
    """What its builder calls this version."""
    roots: tuple[str, ...] | None = None
    """Parts of `data` that the bundle owns; without them all of it."""
    wasm: Annotated[tuple[Any, ...], Field(max_length=0)] | None = None
    """Compiled policies: none may be there."""
    rego_version: Literal[1] | None = None
    """Version of the language; only 1 is evaluated."""
    file_rego_versions: dict[str, Literal[1]] = {}
    """Version by pattern of file names."""
    metadata: dict[str, Any] | None = None
    """Anything else; not interpreted."""


@dataclass(frozen=True)
class BundleContents:
    """A bundle that was read, and verified where it was signed."""

    files: Mapping[str, bytes]
    """Every file but manifest and signature, by its path; the exact bytes that are evaluated and digested."""
    revision: str
    roots: tuple[str, ...]
    signed_by: str | None
    """Id of the key that signed it; None when it is not signed, which the caller had to allow."""


@dataclass(frozen=True)
class TrustedBundle:
    """A bundle as a place of trusted files; see `gatekeeper.trust.TrustedFiles`."""

    path: str
    contents: BundleContents

    @property
    def name(self) -> str:
        """The file, its revision and who signed it."""
        signed = f"signed by {self.contents.signed_by}" if self.contents.signed_by else "not signed"
        return f"bundle {self.path} ({self.contents.revision or 'no revision'}, {signed})"

    @property
    def relaxed(self) -> str:
        """Why a reader should doubt it."""
        return "" if self.contents.signed_by else f"the policy bundle {self.path} is not signed"

    def read(self, path: str) -> bytes | None:
        """Read one file; see `TrustedFiles.read`."""
        return self.contents.files.get(path)

    def list(self, folder: str) -> dict[str, bytes] | None:
        """Read every file below a folder; see `TrustedFiles.list`."""
        prefix = "" if folder in ("", ".") else f"{folder.rstrip('/')}/"
        found = {
            path.removeprefix(prefix): content
            for path, content in self.contents.files.items()
            if path.startswith(prefix)
        }
        return found or None


def read_bundle(path: Path, trust: Trust, *, require_signature: bool = True) -> BundleContents:
    """
    Read and verify a bundle file.

    Without `require_signature` an unsigned bundle is taken; a signature that is there is verified all the same.
    Raises `ConfigurationError` naming the bundle and the file in it.
    """
    try:
        if not path.is_file():
            raise ConfigurationError(str(path), "no such bundle, a .tar.gz file was wanted")
        with path.open("rb") as file:
            data = file.read(MAX_ARCHIVE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(str(path), f"cannot be read: {error.strerror}") from error
    return open_bundle(data, str(path), trust, require_signature=require_signature)


def open_bundle(data: bytes, archive: str, trust: Trust, *, require_signature: bool = True) -> BundleContents:
    """Verify a bundle's bytes; see `read_bundle`. `archive` names it in errors."""
    # 1. Its members, within limits and with plain names.
    members = unpack(data, archive)
    # 2. The signature: a trusted key, the right scope, exactly these files with these contents.
    signed_by = _verify(members, archive, trust, require_signature=require_signature)
    # 3. Only what is evaluated as it stands: no compiled policy, no second manifest, no patch.
    files = {path: member.content for path, member in members.items() if path not in (MANIFEST, SIGNATURES)}
    for file in files:
        _refuse_kind(file, archive)
    # 4. The manifest, and nothing outside the roots that it names.
    manifest = _read_manifest(members.get(MANIFEST), f"{archive}:{MANIFEST}")
    roots = normalise_roots(("",) if manifest.roots is None else manifest.roots, f"{archive}:{MANIFEST}")
    refuse_outside(files, roots, archive)
    return BundleContents(files, manifest.revision, roots, signed_by)


def _verify(members: Mapping[str, Member], archive: str, trust: Trust, *, require_signature: bool) -> str | None:
    signatures = members.get(SIGNATURES)
    if signatures is None:
        if require_signature:
            raise ConfigurationError(
                archive,
                f"is not signed: it has no {SIGNATURES}",
                hint="sign it: gatekeeper policy bundle --signing-key …",
            )
        return None
    signature = verify_signature(signatures.content, trust, f"{archive}:{SIGNATURES}")
    verify_files(signature, [member for path, member in members.items() if path != SIGNATURES], archive)
    return signature.signed_by


def _refuse_kind(path: str, archive: str) -> None:
    name = path.rsplit("/", 1)[-1]
    folded = name.casefold()
    problem = _REFUSED_NAMES.get(folded)
    if folded.endswith((".manifest", ".manifest.pb")):
        problem = "is a second manifest, or one in protobuf, which is not read"
    elif folded != name and (folded.endswith(".rego") or folded in ("data.json", "data.yaml")):
        problem = "is not read; its name is written in lower case"
    if problem is not None:
        raise ConfigurationError(f"{archive}:{path}", problem)


def _read_manifest(member: Member | None, subject: str) -> BundleManifest:
    if member is None:
        return BundleManifest()
    try:
        parse_json(member.content, subject)
        return BundleManifest.model_validate_json(member.content)
    except EvidenceError as error:
        raise ConfigurationError(error.subject, error.problem, location=error.location) from error
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in fault["loc"]) or "the document"
        raise ConfigurationError(subject, f"{where}: {fault['msg'][:300]}") from error
