"""JSON (RFC 8259) as evidence: UTF-8, no duplicate keys, no NaN or infinity, bounded depth."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from gatekeeper.errors import EvidenceError, Location

MAX_DEPTH = 100
"""Levels of nesting that a document may have; real evidence stays below 30."""

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def decode_utf8(data: bytes, subject: str) -> str:
    """Decode bytes as UTF-8, with or without a byte order mark; anything else is malformed."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise EvidenceError(
            "malformed",
            subject,
            f"byte {error.start} is not UTF-8",
            hint="save the file as UTF-8",
        ) from error


def parse_json(data: bytes, subject: str) -> Any:
    """Parse one JSON document; raises `EvidenceError` (malformed) with line and column."""
    text = decode_utf8(data, subject)
    if not text.strip():
        raise EvidenceError("malformed", subject, "the file is empty, a JSON document was wanted")
    return _parse(text, subject, first_line=1)


def parse_json_lines(data: bytes, subject: str) -> Iterator[tuple[int, Any]]:
    """Parse NDJSON (one document a line, blank lines ignored); yields line number and document."""
    for number, line in enumerate(decode_utf8(data, subject).split("\n"), start=1):
        if line.strip():
            yield number, _parse(line, subject, first_line=number)


def _parse(text: str, subject: str, *, first_line: int) -> Any:
    try:
        value = json.loads(
            text,
            object_pairs_hook=_refuse_duplicates,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
        )
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        lines = text.split("\n")  # as JSON counts them
        excerpt = lines[error.lineno - 1] if error.lineno <= len(lines) else ""
        raise EvidenceError(
            "malformed",
            subject,
            f"not JSON: {error.msg} at line {line}, column {error.colno}",
            hint="the file may be truncated; write it again with the tool that made it",
            location=Location(subject, line, error.colno, excerpt),
        ) from error
    except (ValueError, RecursionError) as error:
        problem = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise EvidenceError("malformed", subject, problem) from error
    check_depth(value, subject)
    if _SURROGATE.search(text):
        _check_text(value, subject)
    return value


def _check_text(value: Any, subject: str) -> None:
    """Refuse text with half a surrogate pair: it cannot be written as UTF-8 again."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise EvidenceError("malformed", subject, "half a surrogate pair (\\ud800 to \\udfff) is not text") from error


def check_depth(value: Any, subject: str) -> None:
    """Refuse a value nested deeper than `MAX_DEPTH`, without recursion."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise EvidenceError("malformed", subject, f"nested deeper than {MAX_DEPTH} levels")
        following: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                following.extend(item.values())
            elif isinstance(item, list):
                following.extend(item)
        level = [item for item in following if isinstance(item, dict | list)]


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"duplicate key {key!r}")
            seen.add(key)
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number that JSON knows")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large for a number")
    return value
