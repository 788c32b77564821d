"""The vocabulary of compatibility: a change, its verdict in each direction, and where it lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Verdict = Literal["compatible", "incompatible", "undecidable"]
Path = tuple[str | int, ...]


class Effect(NamedTuple):
    """
    What a change does to readers.

    `backward`: a reader of the new contract reads data of the old one. `forward`: a reader of the old
    contract reads data of the new one. Full compatibility is both.
    """

    backward: Verdict
    forward: Verdict


HARMLESS = Effect("compatible", "compatible")
TIGHTENED = Effect("incompatible", "compatible")
"""The new contract admits less: old data may break it."""
LOOSENED = Effect("compatible", "incompatible")
"""The new contract admits more: new data may break the old one."""
BROKEN = Effect("incompatible", "incompatible")
UNKNOWN = Effect("undecidable", "undecidable")
"""Nothing safe can be said, so it counts as a break until it is announced as one."""


@dataclass(frozen=True)
class Change:
    """One difference between two versions of a contract."""

    kind: str
    subject: str
    detail: str
    effect: Effect
    path: Path
    in_head: bool = True

    @property
    def pointer(self) -> str:
        """RFC 6901 JSON pointer into the new contract, or into the old one for what is gone."""
        return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in self.path)


@dataclass(frozen=True)
class Where:
    """One element in both versions: its readable name and the way to it in each."""

    subject: str
    base: Path
    head: Path

    def key(self, *steps: str) -> Where:
        """The same element, one or more keys deeper."""
        return Where(self.subject, (*self.base, *steps), (*self.head, *steps))

    def item(self, name: str, base: int, head: int) -> Where:
        """A named child, wherever it stands in the two lists."""
        subject = f"{self.subject}.{name}" if self.subject else name
        return Where(subject, (*self.base, base), (*self.head, head))

    def nested(self, name: str) -> Where:
        """The same way with a longer name, for the items of an array or the values of a map."""
        return Where(f"{self.subject}{name}", self.base, self.head)

    def change(self, kind: str, detail: str, effect: Effect, *, gone: bool = False) -> Change:
        """Name a change of this element; `gone` points into the old contract."""
        return Change(kind, self.subject, detail, effect, self.base if gone else self.head, in_head=not gone)


def show(value: Any) -> str:
    """Render a value of a contract for a message, at most 80 characters."""
    text = value if isinstance(value, str) else "absent" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
