"""Every way in which gatekeeper fails: one base class, one exit code a family, no code shared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

EXIT_ALLOW = 0
EXIT_DENY = 1
EXIT_CONFIGURATION = 2
EXIT_INCONCLUSIVE = 3
EXIT_UNAVAILABLE = 4
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130

WORST_FIRST = (
    EXIT_INTERRUPTED,
    EXIT_INTERNAL,
    EXIT_UNAVAILABLE,
    EXIT_CONFIGURATION,
    EXIT_DENY,
    EXIT_INCONCLUSIVE,
    EXIT_ALLOW,
)
"""The order in which several promotions in one run settle its exit code."""


def worst(codes: list[int]) -> int:
    """Settle one exit code for a run; one that decided nothing is inconclusive, an unknown code is internal."""
    if not codes:
        return EXIT_INCONCLUSIVE
    known = [code if code in WORST_FIRST else EXIT_INTERNAL for code in codes]
    return min(known, key=WORST_FIRST.index)


@dataclass(frozen=True)
class Location:
    """A place in a text file; line and column count from 1, as editors do."""

    path: str
    line: int
    column: int
    excerpt: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"

    def caret(self) -> str:
        """Show the line with a caret under the column, or nothing when the text is not at hand."""
        if not self.excerpt.strip():
            return ""
        excerpt = self.excerpt[:200]
        pad = "".join("\t" if char == "\t" else " " for char in excerpt[: self.column - 1])
        return f"    {excerpt}\n    {pad}^"


class GatekeeperError(Exception):
    """
    A failure with its subject, what was found and wanted, and what to do about it.

    `subject` names the thing at fault (a path, a gate, an engine), `problem` says what was found and
    what was wanted, `hint` says what to do next.
    """

    exit_code: ClassVar[int]

    def __init__(self, subject: str, problem: str, *, hint: str = "", location: Location | None = None) -> None:
        super().__init__(f"{subject}: {problem}")
        self.subject = subject
        self.problem = problem
        self.hint = hint
        self.location = location


class ConfigurationError(GatekeeperError):
    """The manifest, the settings, the policies or the command line are wrong."""

    exit_code = EXIT_CONFIGURATION


class EvidenceError(GatekeeperError):
    """
    Evidence is not usable; a collector raises it and the gate becomes inconclusive.

    `kind` is one of missing, stale, malformed, unverifiable.
    """

    exit_code = EXIT_INCONCLUSIVE

    def __init__(
        self, kind: str, subject: str, problem: str, *, hint: str = "", location: Location | None = None
    ) -> None:
        super().__init__(subject, problem, hint=hint, location=location)
        self.kind = kind


class UnavailableError(GatekeeperError):
    """An engine, a server or the log could not be used."""

    exit_code = EXIT_UNAVAILABLE


class InternalError(GatekeeperError):
    """gatekeeper itself is wrong; please report it."""

    exit_code = EXIT_INTERNAL


class Interrupted(GatekeeperError):
    """A signal ended the run before it decided."""

    exit_code = EXIT_INTERRUPTED
