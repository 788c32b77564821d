"""
Values that are the same on both engines, going in and coming out.

regorus holds whole numbers in 64 bits and writes 1.0 as 1; OPA keeps the digits as they were sent. So numbers
beyond 64 bits are refused, and OPA is sent 1 for 1.0. A set comes out as a list in the engine's own order, so
it is sorted here.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from gatekeeper.document import canonical_json
from gatekeeper.errors import ConfigurationError, UnavailableError

if TYPE_CHECKING:
    from gatekeeper.policy import PolicySet

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Size of what an engine may answer; a gate's findings are a few kilobytes."""

MAX_WHOLE = 2**63 - 1
"""Largest number, either way, that policies may see."""

_SHAPES = bytes(ord("0") if chr(byte) in "0123456789" else ord("E") if chr(byte) in "eE" else 32 for byte in range(256))
_LARGE = re.compile(rb"(?:^|[:,\[])[ \t\r\n]*-?(?:[0-9]{18}|[0-9]++(?:\.[0-9]++)?[eE])")
"""A number stands after one of these marks; text that looks alike only costs a closer look."""


def refuse_inexact(document: bytes, subject: str) -> None:
    """Refuse a JSON document with a number beyond 64 bits; raises `UnavailableError`: no engine could judge it."""
    if _may_be_large(document) and (number := find_inexact(parse(document, subject))):
        raise UnavailableError(subject, f"the number {number} is beyond 64 bits", hint="mend the evidence")


def parse(document: bytes, subject: str) -> Any:
    """Parse an input document; raises `UnavailableError` when it is not JSON."""
    try:
        return json.loads(document)
    except (ValueError, RecursionError) as error:
        raise UnavailableError(subject, f"the input is not JSON: {error}") from error


def _may_be_large(document: bytes) -> bool:
    """Look for a long row of digits or an exponent: 10 µs for 10 KB, a tenth of the expression's time."""
    shape = document.translate(_SHAPES)
    return (b"0" * 18 in shape or b"0E" in shape) and _LARGE.search(document) is not None


def refuse_inexact_data(policies: PolicySet) -> None:
    """Refuse policy data with a number beyond 64 bits; raises `ConfigurationError`."""
    if number := find_inexact(policies.data):
        raise ConfigurationError(policies.name, f"the number {number} in the data is beyond 64 bits")


def find_inexact(value: Any) -> str:
    """Find a number in a JSON value that is beyond 64 bits; empty when there is none."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, int | float) and not -MAX_WHOLE <= item <= MAX_WHOLE:
            return str(item)[:40]
    return ""


def whole(value: Any) -> Any:
    """Write 1.0 as 1 everywhere in a JSON value."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole(item) for item in value]
    return value


def settle(result: dict[str, Any]) -> dict[str, Any]:
    """Give an engine's result the one form that it has on every engine."""
    plain = {name: whole(value) for name, value in result.items()}
    return {
        name: sorted(value, key=canonical_json) if isinstance(value, list) else value for name, value in plain.items()
    }
