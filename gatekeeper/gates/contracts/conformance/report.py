"""What a check of data found: violations by column and kind, with counts and first rows, and what was not checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from gatekeeper.formats.strict_yaml import Path
from gatekeeper.formats.tabular import Occurrences

MAX_EXAMPLES = 5
_MAX_SHOWN_CHARS = 60


@dataclass
class Violation:
    """
    One way in which one column breaks the contract.

    `path` leads to what was broken in the contract. `examples` are (row, value) pairs; the value is None
    unless the column is classified as public, because evidence is kept and shown.
    """

    column: str
    kind: str
    path: Path
    public: bool
    count: int = 0
    examples: list[tuple[int, str | None]] = field(default_factory=list)

    def add(self, row: int, value: Any) -> None:
        """Count one row."""
        self.count += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append((row, show_value(value) if self.public else None))


@dataclass(frozen=True)
class Unchecked:
    """Something that the contract declares and that was not verified."""

    subject: str
    kind: Literal["sql", "custom", "option"]
    reason: str
    severity: str | None
    path: Path


@dataclass(frozen=True)
class QualityResult:
    """What one quality rule measured."""

    subject: str
    name: str
    metric: str
    passed: bool
    measured: str
    wanted: str
    severity: str | None
    path: Path


@dataclass
class Report:
    """Everything that was found in one data file."""

    table: str
    rows: int = 0
    columns: int = 0
    violations: dict[tuple[str, str], Violation] = field(default_factory=dict)
    quality: list[QualityResult] = field(default_factory=list)
    unchecked: list[Unchecked] = field(default_factory=list)
    ignored_text_rules: int = 0

    def violation(self, column: str, kind: str, *, path: Path, public: bool = False) -> Violation:
        """Find or start the violation of one kind in one column."""
        return self.violations.setdefault((column, kind), Violation(column, kind, path, public))

    def add_rows(self, column: str, kind: str, *, path: Path, found: Occurrences) -> None:
        """Take over a count whose values are never shown."""
        violation = self.violation(column, kind, path=path)
        violation.count += found.count
        violation.examples = [(row, None) for row in found.rows]

    def add_all(self, violation: Violation, rows: Iterable[tuple[int, Any]]) -> None:
        """Count several rows with their values."""
        for row, value in rows:
            violation.add(row, value)


def show_value(value: Any) -> str:
    """Render a value of the data on one line, at most 60 characters."""
    text = value if isinstance(value, str) else str(value)
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[: _MAX_SHOWN_CHARS + 1])
    return text if len(text) <= _MAX_SHOWN_CHARS else f"{text[: _MAX_SHOWN_CHARS - 3]}..."
