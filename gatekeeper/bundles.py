"""Evidence bundles as files: `collect` writes them, `decide` reads them and trusts none of them."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gatekeeper.errors import EvidenceError, UnavailableError
from gatekeeper.evidence import EvidenceBundle, bundle_digest
from gatekeeper.formats.strict_json import parse_json

MAX_BUNDLE_BYTES = 64 * 1024 * 1024


def load_bundle(path: Path) -> EvidenceBundle:
    """
    Read a bundle (`-` is standard input) and check its shape and digest.

    Raises `EvidenceError`: missing, malformed, or unverifiable when the digest is not that of the content.
    """
    name = str(path)
    data = _read(path, name)
    content = parse_json(data, name)
    try:
        bundle = EvidenceBundle.model_validate_json(data.removeprefix(codecs.BOM_UTF8), by_alias=True, by_name=False)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in fault["loc"]) or "the document"
        raise EvidenceError(
            "malformed", name, f"{where}: {fault['msg'][:300]}", hint="make it with `gatekeeper collect`"
        ) from error
    found = bundle_digest(content)
    if bundle.digest != found:
        raise EvidenceError(
            "unverifiable",
            name,
            f"its content has the digest {found}, it names {bundle.digest or 'none'}",
            hint="it was changed after it was collected; collect again",
        )
    return bundle


def _read(path: Path, name: str) -> bytes:
    if name == "-":
        return _bounded(sys.stdin.buffer.read(MAX_BUNDLE_BYTES + 1), name)
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        os.set_blocking(descriptor, True)  # a pipe without a writer has ended; one with a writer is waited for
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(MAX_BUNDLE_BYTES + 1)
    except FileNotFoundError as error:
        raise EvidenceError(
            "missing", name, "no such evidence bundle", hint="run `gatekeeper collect` first"
        ) from error
    except OSError as error:
        raise EvidenceError("unverifiable", name, f"cannot be read: {error.strerror}") from error
    return _bounded(data, name)


def _bounded(data: bytes, name: str) -> bytes:
    if len(data) > MAX_BUNDLE_BYTES:
        raise EvidenceError("unverifiable", name, f"larger than {MAX_BUNDLE_BYTES} bytes")
    return data


def dump_bundle(bundle: EvidenceBundle) -> str:
    """Render a bundle as a file's text."""
    return json.dumps(bundle.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all, by rename; raises `UnavailableError`."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():  # a device or a pipe cannot be renamed over
            path.write_text(text, "utf-8")
            return
        partial.write_text(text, "utf-8")
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise UnavailableError(
            str(path), f"cannot be written: {error.strerror}", hint="mend the path given with --output"
        ) from error


def evidence_json(bundle: EvidenceBundle) -> dict[str, Any]:
    """The parts of a bundle that a decision record carries, so that the decision can be made again."""
    return bundle.model_dump(mode="json", exclude={"promotion", "api_version", "kind"})
