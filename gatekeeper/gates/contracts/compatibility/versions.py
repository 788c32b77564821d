"""How far the version of a contract moved (https://semver.org/spec/v2.0.0.html)."""

from __future__ import annotations

import re
from typing import Literal

Step = Literal["major", "minor", "patch", "prerelease", "same", "lower", "unknown"]

_NUMBER = r"(0|[1-9][0-9]{0,17})"
_PART = r"(?:0|[1-9][0-9]{0,17}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_SEMVER = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_PART}(?:\.{_PART})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
Precedence = tuple[int, int, int, tuple[tuple[int, int, str], ...]]
_RELEASED = ((2, 0, ""),)
"""Sorts after every pre-release (clause 11.3)."""


def parse_version(text: str) -> Precedence | None:
    """Order a semantic version by clause 11, without its build part; None when it is none."""
    match = _SEMVER.fullmatch(text)
    if match is None:
        return None
    identifiers = tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part) for part in (match[4] or "").split(".") if part
    )
    return int(match[1]), int(match[2]), int(match[3]), identifiers or _RELEASED


def version_step(base: str, head: str) -> Step:
    """
    Say how a version moved; `unknown` when one of the two is not semantic.

    Below 1.0.0 a break needs a new major number too: clause 4 promises nothing there, and a contract does.
    """
    before, after = parse_version(base), parse_version(head)
    if before is None or after is None:
        return "same" if base == head else "unknown"
    if before == after:
        return "same"
    if after < before:
        return "lower"
    steps: tuple[Step, ...] = ("major", "minor", "patch", "prerelease")
    return next(step for step, old, new in zip(steps, before, after, strict=True) if old != new)
