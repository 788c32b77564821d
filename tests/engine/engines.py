"""Both engines with the same policies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gatekeeper.engine import Engine
from gatekeeper.engine.embedded import EmbeddedEngine
from gatekeeper.engine.opa import OpaEngine
from gatekeeper.errors import UnavailableError
from gatekeeper.policy import PolicySet
from gatekeeper.settings import EngineSettings

FAILED = "the engine failed"


@contextmanager
def both(opa: str, policies: PolicySet) -> Iterator[tuple[EmbeddedEngine, OpaEngine]]:
    """The embedded engine and a real OPA, both loaded."""
    embedded, real = EmbeddedEngine(EngineSettings()), OpaEngine(EngineSettings(name="opa", binary=opa))
    try:
        embedded.load(policies)
        real.load(policies)
        yield embedded, real
    finally:
        embedded.close()
        real.close()


def answer(engine: Engine, package: str, document: bytes) -> Any:
    """What the engine says, or that it failed; why is each engine's own matter."""
    try:
        return engine.evaluate(package, document).result
    except UnavailableError:
        return FAILED
