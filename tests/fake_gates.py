"""Fake gates whose collectors and engine say what a test wants, and evidence for them."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import Annotated, Any

import pytest
from conftest import NOW
from pydantic import Field
from support import SHA, make_manifest

from gatekeeper.collectors import COLLECTORS, Context
from gatekeeper.decision import Decision, EngineReference, GateVerdict
from gatekeeper.document import Document
from gatekeeper.engine import Answer, Engine
from gatekeeper.evidence import Evidence, EvidenceBody, EvidenceBundle, Gap, GateThresholds, Source, seal
from gatekeeper.policy import Module, PolicySet
from gatekeeper.promotion import Run, decide
from gatekeeper.settings import Settings

CLEAN: dict[str, Any] = {"deny": [], "warn": []}


class Body(EvidenceBody):
    """What the fake gates find."""

    ratio: Annotated[float, Field(ge=0, le=1)]
    """A ratio."""
    origin: Annotated[str, Field(alias="from")] = "x"
    """A field under another name."""


class Thresholds(GateThresholds):
    """What the fake gates are measured by."""

    floor_ratio: float
    """A floor."""


class FakeEngine:
    """An engine that answers what it was told, by gate, and keeps what it was asked."""

    def __init__(self, answers: dict[str, dict[str, Any] | Exception]) -> None:
        self.answers = answers
        self.asked: dict[str, dict[str, Any]] = {}

    def load(self, policies: PolicySet) -> None:
        """Take any policies."""

    def evaluate(self, package: str, document: bytes) -> Answer:
        """Answer, or raise."""
        gate = package.removeprefix("gatekeeper.gates.")
        self.asked[gate] = json.loads(document)
        answer = self.answers.get(gate, CLEAN)
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer, 0.001)

    def reference(self) -> EngineReference:
        """A name."""
        return EngineReference(name="embedded", version="fake")

    def close(self) -> None:
        """Nothing to stop."""


def rego(gate: str) -> str:
    """A policy with one rule that denies and one that warns."""
    text = f"package gatekeeper.gates.{gate}\n"
    for name, severity in (("floor", "deny"), ("top", "warn")):
        text += (
            f"\n# METADATA\n# title: T\n# description: D.\n# custom:\n#   rule: {gate}.{name}\n#   severity: {severity}\n"
            f'#   remedy: R.\n{severity} contains {{"rule": "{gate}.{name}", "subject": "s", "message": "m"}} if '
            f"not _{name}(input)\n"
        )
    text += "\n_floor(given) if given.evidence.ratio >= given.settings.thresholds.floor_ratio\n"
    text += "\n_top(given) if given.evidence.ratio == 1\n"
    return text


def policies(**defaults: Any) -> PolicySet:
    """Three gates; a model entering production needs alpha and beta."""
    modules = tuple(
        Module(f"{gate}.rego", f"gatekeeper.gates.{gate}", rego(gate)) for gate in ("alpha", "beta", "gamma")
    )
    limits = {"max_age_seconds": 3600, "floor_ratio": 0.5}
    data = {
        "max_bundle_age_seconds": 7200,
        "required_gates": {"production": {"model": ["alpha", "beta"]}},
        "thresholds": {gate: dict(limits) for gate in ("alpha", "beta", "gamma")},
    }
    return PolicySet("policies", "d" * 64, modules, {"gatekeeper": {"defaults": data | defaults}})


def make_evidence(gate: str, **changes: Any) -> Evidence:
    """Evidence that was measured and collected just now."""
    fields: dict[str, Any] = {
        "gate": gate,
        "collected_at": NOW,
        "queue_seconds": 0.25,
        "duration_seconds": 2.0,
        "sources": (Source(path="a", sha256=SHA, size_bytes=1),),
        "body": {"observed_at": NOW.isoformat(), "ratio": 0.75},
    }
    return Evidence(**(fields | changes))


def make_bundle(*evidence: Evidence, **changes: Any) -> EvidenceBundle:
    """A sealed bundle; alpha and beta have good evidence unless others are given."""
    named = {each.gate for each in evidence}
    rest = tuple(make_evidence(gate) for gate in ("alpha", "beta") if gate not in named)
    fields: dict[str, Any] = {
        "promotion": make_manifest(),
        "manifest_sha256": SHA,
        "collected_at": NOW,
        "collect_seconds": 3.0,
        "commit": "c" * 40,
        "base_ref": "origin/main",
        "evidence": (*evidence, *rest),
    }
    return seal(EvidenceBundle(**(fields | changes)))


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the three gates known for one test, with the models above."""
    module: Any = ModuleType("fake_collector")
    module.Body, module.Thresholds, module.Request = Body, Thresholds, Document
    monkeypatch.setitem(sys.modules, "fake_collector", module)
    for gate in ("alpha", "beta", "gamma"):
        monkeypatch.setitem(COLLECTORS, gate, "fake_collector")


def judge(
    bundle: EvidenceBundle | None = None, engine: Engine | None = None, settings: Settings | None = None, **run: Any
) -> Decision:
    """Decide with the fake gates."""
    fields: dict[str, Any] = {"policies": policies(), "now": NOW} | run
    bundle = bundle if bundle is not None else make_bundle()
    return decide(bundle, "promotion.yaml", Run(settings or Settings(), engine=engine or FakeEngine({}), **fields))


def verdict(decision: Decision, gate: str = "alpha") -> GateVerdict:
    """One gate's verdict."""
    return next(each for each in decision.gates if each.gate == gate)


def doubt(decision: Decision, gate: str = "alpha") -> Gap:
    """The gap that made one gate, and so the whole promotion, inconclusive."""
    assert (decision.outcome, decision.exit_code) == ("inconclusive", 3)
    found = verdict(decision, gate)
    assert (found.verdict, found.findings, found.rules, found.problem) == ("inconclusive", (), (), None)
    assert found.gap is not None
    assert found.reason == f"evidence is {found.gap.kind}: {found.gap.subject}: {found.gap.message}"
    return found.gap


def finding(gate: str, name: str = "floor") -> dict[str, Any]:
    """A finding as a policy writes it."""
    return {"rule": f"{gate}.{name}", "subject": "s", "message": "m"}


class Request(Document):
    """What a fake gate asks of the manifest."""

    path: str = "data.txt"
    """File to read."""


class TextBody(EvidenceBody):
    """What a fake gate finds."""

    text: str
    """The file's text."""


def read_file(request: Request, context: Context) -> TextBody:
    """A collector that reads one file."""
    return TextBody(observed_at=None, text=context.workspace.read(request.path).decode())
