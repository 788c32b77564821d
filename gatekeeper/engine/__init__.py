"""
Engines evaluate Rego; each is a module with one class that satisfies `Engine`.

The same policies and the same input give the same result on each, byte for byte; where two differ, OPA is right,
and the lint of `gatekeeper.engine.portable` refuses what they differ in. See docs/engines.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from gatekeeper.decision import EngineReference
    from gatekeeper.policy import PolicySet
    from gatekeeper.settings import EngineSettings


@dataclass(frozen=True)
class Answer:
    """
    What a gate's package said.

    `result` is `{"deny": value, "warn": value}`; a rule that is undefined is absent from it. A value that is a
    list is sorted, and whole numbers have no point; nothing else about the shape of the values is promised.
    `seconds` is the time that the evaluation took.
    """

    result: dict[str, Any]
    seconds: float


class Engine(Protocol):
    """Something that evaluates Rego; used from one thread at a time."""

    def load(self, policies: PolicySet) -> None:
        """
        Take the policies that all evaluations use.

        Raises `ConfigurationError` when they do not compile or call what is forbidden, `UnavailableError`
        when the engine cannot be reached.
        """
        ...

    def evaluate(self, package: str, document: bytes) -> Answer:
        """
        Evaluate `deny` and `warn` of one package with a JSON document as input.

        Raises `UnavailableError` when the engine failed, was killed, ran out of time or memory, or a builtin
        failed.
        """
        ...

    def reference(self) -> EngineReference:
        """Name and version, for the record."""
        ...

    def close(self) -> None:
        """Stop what was started; safe to call twice."""
        ...


def open_engine(settings: EngineSettings) -> Engine:
    """Open the engine that the settings name."""
    match settings.name:
        case "embedded":
            from gatekeeper.engine.embedded import EmbeddedEngine

            return EmbeddedEngine(settings)
        case "opa":
            from gatekeeper.engine.opa import OpaEngine

            return OpaEngine(settings)
