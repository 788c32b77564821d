"""
Digests of a bundle's files as OPA computes them when it signs and verifies.

https://www.openpolicyagent.org/docs/management-bundles#signature-format: a structured file is parsed, its objects are
ordered by key, and the compact JSON text of the result is hashed; every other file is hashed as it is. Numbers keep
the text that a JSON file gives them; YAML's are written as Go writes an integer or a double. What OPA reads from YAML
otherwise than YAML 1.2 says (`0123`, `1_000`) has another digest here, and so is refused, never accepted.
"""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import Any

from gatekeeper.errors import ConfigurationError, EvidenceError
from gatekeeper.formats.strict_json import decode_utf8, parse_json
from gatekeeper.formats.strict_yaml import parse_yaml

HASHES = {"SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
"""Hash by the name that a signature gives it; OPA also takes MD5 and SHA-1, which are broken, and rarer ones."""

DATA_FILES = ("data.json", "data.yaml", "data.yml")
"""The files that OPA mounts as data; the last is refused where policies are loaded."""


class _Number(str):
    """The text of a JSON number."""

    __slots__ = ()


def digest_file(path: str, content: bytes, *, algorithm: str, subject: str) -> str:
    """
    Digest one file of a bundle as lower-case hex digits; `subject` names it in errors.

    Raises `ConfigurationError` when a structured file cannot be parsed, or the hash is not one of `HASHES`.
    """
    if algorithm not in HASHES:
        raise ConfigurationError(
            subject, f"its hash is of the kind {algorithm[:40]!r}", hint=f"accepted: {', '.join(HASHES)}"
        )
    if path.rsplit("/", 1)[-1] in (*DATA_FILES, ".manifest"):
        try:
            content = _encode(parse_structured(path, content, subject))
        except OverflowError as error:
            raise ConfigurationError(subject, "holds an integer that no double can hold") from error
    return hashlib.new(HASHES[algorithm], content).hexdigest()


def parse_structured(path: str, content: bytes, subject: str) -> Any:
    """
    Parse a data file or manifest; numbers of a JSON text are `str` subclasses that keep their spelling.

    OPA reads a YAML file that is JSON as JSON. Where YAML would give it another value it is refused, because policies
    are loaded as YAML. Raises `ConfigurationError`.
    """
    try:
        if not path.endswith((".yaml", ".yml")):
            return _spelled_json(content, subject)
        value = parse_yaml(content, subject)
    except EvidenceError as error:
        raise ConfigurationError(error.subject, error.problem, hint=error.hint, location=error.location) from error
    try:
        plain = parse_json(content, subject)
    except EvidenceError:
        return value
    if plain != value:
        raise ConfigurationError(subject, "means one thing as JSON and another as YAML", hint="name it data.json")
    return _spelled_json(content, subject)


def _spelled_json(content: bytes, subject: str) -> Any:
    parse_json(content, subject)  # refuses duplicate keys, depth, and constants that JSON does not know
    return json.loads(decode_utf8(content, subject), parse_int=_Number, parse_float=_Number)


def _encode(value: Any) -> bytes:
    match value:
        case dict():
            keys = sorted(value, key=str.encode)
            return b"{" + b",".join(_encode(str(key)) + b":" + _encode(value[key]) for key in keys) + b"}"
        case list():
            return b"[" + b",".join(_encode(item) for item in value) + b"]"
        case _Number():
            return str(value).encode()
        case str():
            # Go escapes these two line separators even where it leaves other text alone.
            text = json.dumps(value, ensure_ascii=False)
            return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").encode()
        case bool() | None:
            return json.dumps(value).encode()
        case _:
            return _go_number(value).encode()


def _go_number(value: int | float) -> str:
    """Write a number as Go's encoding/json does: integers of 64 bits as they are, all else as the nearest double."""
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        return str(value)
    sign, digits, exponent = Decimal(repr(float(value))).as_tuple()
    magnitude = len(digits) + int(exponent) - 1
    if value == 0 or -6 <= magnitude < 21:
        plain = format(Decimal(repr(float(value))), "f")
        return plain.removesuffix(".0")
    shown = "".join(map(str, digits)).rstrip("0")
    mantissa = f"{shown[0]}.{shown[1:]}" if len(shown) > 1 else shown
    return f"{'-' if sign else ''}{mantissa}e{magnitude:+d}"
