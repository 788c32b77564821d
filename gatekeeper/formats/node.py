"""A value inside a parsed document that knows its way from the root, so that every refusal names a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gatekeeper.errors import EvidenceError, Location
from gatekeeper.formats.strict_yaml import LocatedDocument, Path

MAX_NAME = 255
"""Characters of a name."""


@dataclass(frozen=True)
class Node:
    """
    A JSON value with its path; `located` gives line and column where the document is known.

    Every access checks the type and raises `EvidenceError` (malformed) with the path when it is another.
    """

    value: Any
    path: Path
    subject: str
    located: LocatedDocument | None = None

    def refuse(self, problem: str, *, kind: str = "malformed", hint: str = "") -> EvidenceError:
        """Make the error that says what is wrong with this value; the caller raises it."""
        where = ".".join(str(step) for step in self.path)
        return EvidenceError(
            kind, self.subject, f"{where}: {problem}" if where else problem, hint=hint, location=self.location()
        )

    def location(self) -> Location | None:
        """The value's place, or its nearest ancestor's."""
        return self.located.location(self.path) if self.located else None

    def has(self, key: str) -> bool:
        """Say whether this is a mapping with something other than null under the key."""
        return isinstance(self.value, dict) and self.value.get(key) is not None

    def child(self, key: str | int) -> Node:
        """Step down; what is absent has the value None."""
        value = self.value[key] if isinstance(key, int) or self.has(key) else None
        return Node(value, (*self.path, key), self.subject, self.located)

    def mapping(self, key: str) -> Node:
        """Step down to a mapping."""
        node = self.child(key)
        if not isinstance(node.value, dict):
            raise node.refuse("is missing" if node.value is None else "is not a mapping")
        return node

    def items(self, key: str) -> list[Node]:
        """List the items of a list that is not empty."""
        node = self.child(key)
        if not isinstance(node.value, list) or not node.value:
            raise node.refuse("is not a list with at least one item")
        return [node.child(index) for index in range(len(node.value))]

    def text(self, key: str, *, limit: int = MAX_NAME) -> str:
        """Read text that is not blank."""
        node = self.child(key)
        if not isinstance(node.value, str) or not node.value.strip() or len(node.value) > limit:
            raise node.refuse(f"is not text of 1 to {limit} characters")
        return node.value
