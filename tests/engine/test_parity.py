"""The policies that ship decide the same on both engines, byte for byte, over thousands of documents."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from conftest import PROJECT
from engine.engines import FAILED, answer, both
from engine.generate import Generator
from examples_support import EXAMPLES, NAMES, load
from pydantic import ValidationError
from support import make_manifest

from gatekeeper.collection import collect
from gatekeeper.collectors import COLLECTORS, load_collector
from gatekeeper.decision import policy_input
from gatekeeper.document import Document, canonical_json
from gatekeeper.engine.embedded import EmbeddedEngine
from gatekeeper.engine.opa import OpaEngine
from gatekeeper.policy import PolicySet, load_policies
from gatekeeper.settings import load_settings

DOCUMENTS = 520
"""For each gate; together more than 2,000."""


@pytest.fixture(scope="module")
def policies() -> PolicySet:
    return load_policies(PROJECT / "policies")


@pytest.fixture(scope="module")
def engines(opa: str, policies: PolicySet) -> Iterator[tuple[EmbeddedEngine, OpaEngine]]:
    with both(opa, policies) as engines:
        yield engines


@pytest.fixture(scope="module")
def real_bodies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """Evidence that the collectors made of the two examples, by gate."""
    build = load(EXAMPLES / "demo_repository.py").build
    settings = load_settings(EXAMPLES / "gatekeeper.yaml").evidence
    found: dict[str, list[Any]] = {gate: [] for gate in COLLECTORS}
    for name in NAMES:
        folder = tmp_path_factory.mktemp("parity") / name
        build(name, folder)
        now = datetime.fromisoformat((EXAMPLES / name / "as_of.txt").read_text("utf-8").strip())
        for each in collect(folder / "promotion.yaml", settings, now).evidence:
            assert each.body is not None, each.gap
            found[each.gate].append(each.body)
    return found


def documents(gate: str, thresholds: dict[str, Any], bodies: list[Any]) -> Iterator[tuple[bytes, bool]]:
    """Inputs of a gate, each with whether `decide` would ever evaluate it; half of them it would."""
    collector, generator = load_collector(gate), Generator(gate, thresholds)
    schema = collector.Body.model_json_schema()
    promotion = make_manifest().model_dump(mode="json")
    for number in range(DOCUMENTS):
        limits = copy.deepcopy(thresholds)
        if number % 2:
            body = generator.varied(bodies[number // 2 % len(bodies)], lambda value: _holds(collector.Body, value))
            limits = generator.varied(limits, lambda value: _holds(collector.Thresholds, value))
        else:
            body = generator.body(schema) if number % 4 else copy.deepcopy(bodies[0])
            body = generator.broken(body) if number % 3 else body
            limits = limits if number % 5 else generator.broken(limits)
        settings = {"environment": "production", "risk_tier": "high", "thresholds": limits}
        parts = {"promotion": promotion, "gate": gate, "evidence": body, "now": "2026-11-23T12:00:00Z"}
        possible = _holds(collector.Body, body) and _holds(collector.Thresholds, limits)
        yield canonical_json(policy_input(**parts, settings=settings)), possible


def _holds(model: type[Document], value: Any) -> bool:
    try:
        model.model_validate_json(json.dumps(value))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("gate", COLLECTORS)
def test_decides_the_same_on_both_engines(
    engines: tuple[EmbeddedEngine, OpaEngine], policies: PolicySet, real_bodies: dict[str, list[Any]], gate: str
) -> None:
    """
    Both engines give the same findings for every document that `decide` would evaluate.

    For evidence that its model refuses, so that it never reaches an engine, one of them may refuse where the
    other answers; two different answers are a failure there too.
    """
    package, thresholds = policies.packages[gate], policies.defaults["thresholds"][gate]
    kinds: Counter[str] = Counter()
    for text, possible in documents(gate, thresholds, real_bodies[gate]):
        embedded, real = (answer(engine, package, text) for engine in engines)
        if FAILED in (embedded, real) and not possible:
            kinds["refused by one" if embedded != real else "refused by both"] += 1
            continue
        assert canonical_json(embedded) == canonical_json(real), text.decode()
        assert real.keys() == {"deny", "warn"}
        kinds["possible" if possible else "broken"] += 1
        kinds["denied" if real["deny"] else "not denied"] += possible
    assert kinds["possible"] >= DOCUMENTS / 2, kinds
    assert min(kinds["denied"], kinds["not denied"]) >= DOCUMENTS / 40, kinds
    assert kinds["refused by one"] < DOCUMENTS / 10, kinds


def test_compares_more_than_two_thousand_documents() -> None:
    """The number of documents keeps up with its claim."""
    assert len(COLLECTORS) * DOCUMENTS > 2000
