"""The base of every document that crosses gatekeeper's boundary, and the one JSON form that is digested."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json


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


def dump_json(value: Any, *, strict: bool = True) -> bytes:
    """
    Render a JSON value quickly, in the order of its keys; for engines and records, not for digests.

    Raises `ValueError` for NaN and infinity, which JSON does not know; not strict leaves them to a model, which
    refuses them with their place.
    """
    data = to_json(value, by_alias=True)
    if strict and (b"NaN" in data or b"Infinity" in data):
        json.loads(data, parse_constant=_refuse_constant)  # inside a text they are words
    return data


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number that JSON knows")


def sha256_hex(data: bytes) -> str:
    """Digest bytes as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()
