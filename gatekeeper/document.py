"""The base of every document that crosses gatekeeper's boundary, and the one JSON form that is digested."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """
    Frozen, strict, closed: unknown keys and wrong types are errors, NaN and infinity are not numbers.

    Models are built on first use (`defer_build`), because a run touches only a few of them.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        defer_build=True,
        populate_by_name=True,
        serialize_by_alias=True,
    )


def canonical_json(value: Any) -> bytes:
    """
    Render a JSON value so that equal values have equal bytes: sorted keys, no spaces, UTF-8.

    It is not RFC 8785: floats keep Python's shortest form. Digests made of it are compared only with
    digests made by gatekeeper.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256_hex(data: bytes) -> str:
    """Digest bytes as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()
