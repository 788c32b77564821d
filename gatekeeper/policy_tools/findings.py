"""What the lint says."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gatekeeper.errors import ConfigurationError, Location

_PLACE = re.compile(r"^(?P<path>.+?):(?P<line>\d+)$")


@dataclass(frozen=True)
class LintFinding:
    """One fault, with its place and what to do about it."""

    path: str
    """File, relative to the policy folder."""
    line: int
    """From 1."""
    column: int
    """From 1."""
    id: str
    """The lint rule, as docs/policy-tools.md lists it."""
    message: str
    """What was found."""
    hint: str = ""
    """What to do."""


def found_at(place: Location, name: str, message: str, hint: str = "") -> LintFinding:
    """Make a finding for a place."""
    return LintFinding(place.path, place.line, place.column, name, message, hint)


def found_in(name: str, error: ConfigurationError) -> LintFinding:
    """Make a finding of what loading refuses; its place is in the error, or in its subject as `path:line`."""
    place = error.location
    if place is None:
        match = _PLACE.match(error.subject)
        place = Location(match["path"], int(match["line"]), 1) if match else Location(error.subject, 1, 1)
    return found_at(place, name, error.problem, error.hint)
