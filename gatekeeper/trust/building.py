"""
Build an OPA bundle from a policy folder: the same policies give the same bytes, and OPA loads it with verification on.

Only what is evaluated goes in, as it stands: Rego without its tests, data, and the JSON and YAML files beside them
(schemas of an organisation's own gates). So the digest of the policies is the same in the folder and in the bundle.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gatekeeper.errors import ConfigurationError
from gatekeeper.policy import digest_files, load_policies
from gatekeeper.trust.bundle import MANIFEST, open_bundle
from gatekeeper.trust.folder import Folder
from gatekeeper.trust.keys import SigningKey, Trust, public_half
from gatekeeper.trust.roots import find_roots
from gatekeeper.trust.signature import SIGNATURES, sign_files
from gatekeeper.trust.tarball import pack

_SUFFIXES = (".rego", ".json", ".yaml")


@dataclass(frozen=True)
class BuiltBundle:
    """A bundle, ready to be written."""

    data: bytes
    revision: str
    roots: tuple[str, ...]
    files: tuple[str, ...]
    """Paths of the files, without manifest and signature."""


def build_bundle(folder: Path, *, revision: str | None = None, key: SigningKey | None = None) -> BuiltBundle:
    """
    Build a bundle of a policy folder, signed when there is a key; the revision defaults to the policies' digest.

    Raises `ConfigurationError` when the policies do not load, or the bundle would not be accepted by `read_bundle`.
    """
    policies = load_policies(folder)
    _ = policies.rules  # METADATA that is incomplete is refused here, not where the bundle is used
    files = _read_files(folder)
    evaluated = {path: content for path, content in files.items() if _is_policy(path)}
    if digest_files(evaluated) != policies.digest:
        raise ConfigurationError(str(folder), "was changed while it was read", hint="run it again")
    revision = f"sha256:{policies.digest}" if revision is None else revision
    roots = find_roots(files)
    manifest = {"revision": revision, "roots": list(roots), "rego_version": 1}
    members = {MANIFEST: json.dumps(manifest, separators=(",", ":"), ensure_ascii=False).encode(), **files}
    if key is not None:
        members[SIGNATURES] = sign_files(members, key)
    data = pack(members)
    _check(data, str(folder), key)
    return BuiltBundle(data, revision, roots, tuple(sorted(files)))


def _read_files(folder: Path) -> dict[str, bytes]:
    """Read what goes into a bundle; a hidden policy is refused, because OPA mounts it elsewhere than we do."""
    source, found = Folder(folder), dict[str, bytes]()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or path.suffix not in _SUFFIXES or name.endswith("_test.rego"):
            continue
        if any(step.startswith(".") for step in name.split("/")):
            if _is_policy(name):
                raise ConfigurationError(
                    str(path), "is hidden, and a bundle holds no hidden policies", hint="rename it"
                )
            continue
        content = source.read(name)
        if content is None:
            raise ConfigurationError(str(path), "is a link to nothing", hint="remove it")
        found[name] = content
    return found


def _is_policy(path: str) -> bool:
    return path.endswith(".rego") or path.rsplit("/", 1)[-1] in ("data.json", "data.yaml")


def _check(data: bytes, folder: str, key: SigningKey | None) -> None:
    """Read the bundle as its users will; the key has no dates here, so any time will do."""
    keys = {} if key is None else {key.key_id: public_half(key)}
    trust = Trust(keys, datetime(2000, 1, 1, tzinfo=UTC), "" if key is None else key.scope)
    open_bundle(data, f"bundle of {folder}", trust, require_signature=key is not None)
