"""What a promotion must satisfy comes from the trusted side, whole, or the run is refused."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from conftest import PROJECT
from support import make_manifest

from gatekeeper.errors import ConfigurationError
from gatekeeper.evidence import MAX_AGE_SECONDS
from gatekeeper.manifest import PromotionManifest
from gatekeeper.policy import Module, PolicySet, load_policies
from gatekeeper.requirements import Requirements, read_defaults, require
from gatekeeper.settings import RiskSettings, Settings

DEFAULTS: dict[str, Any] = {
    "max_bundle_age_seconds": 3600,
    "required_gates": {
        "staging": {"model": ["lineage"], "dataset": []},
        "production": {"model": ["slo", "lineage", "slo"]},
    },
    "thresholds": {
        "lineage": {"max_age_seconds": 100},
        "slo": {"max_age_seconds": 200, "factor": 1},
        "own": {"max_age_seconds": 300},
    },
    "overrides": [
        {"environment": "production", "thresholds": {"slo": {"factor": 2}}},
        {"risk_tier": "high", "thresholds": {"slo": {"factor": 3}, "lineage": {"max_age_seconds": 50}}},
        {"environment": "production", "risk_tier": "high", "thresholds": {"slo": {"factor": 4}}},
        {"environment": "staging", "risk_tier": "low", "thresholds": {"slo": {"factor": 5}}},
    ],
}


def policies(**changes: Any) -> PolicySet:
    """Policies with three gates and defaults, changed at their top level."""
    modules = tuple(
        Module(f"{gate}.rego", f"gatekeeper.gates.{gate}", f"package gatekeeper.gates.{gate}\n")
        for gate in ("slo", "lineage", "own")
    )
    return PolicySet("policies", "d", modules, {"gatekeeper": {"defaults": copy.deepcopy(DEFAULTS) | changes}})


def resolve(
    settings: Settings | None = None, promotion: PromotionManifest | None = None, **changes: Any
) -> Requirements:
    """Work out what a model entering production must satisfy."""
    return require(promotion or make_manifest(), policies(**changes), settings or Settings())


def refusal(settings: Settings | None = None, **changes: Any) -> ConfigurationError:
    """The error with which requirements are refused."""
    promotion = changes.pop("promotion", None)
    with pytest.raises(ConfigurationError) as caught:
        resolve(settings, promotion, **changes)
    return caught.value


def tier(name: Any) -> Settings:
    """Settings in which every candidate has one tier."""
    return Settings(risk_tiers=RiskSettings(default=name))


def test_requires_what_the_table_says() -> None:
    """Required gates first, in their order and once; every other gate of the policies is known and not required."""
    required = resolve()
    assert required.gates == ("slo", "lineage")
    assert required.known_gates == ("slo", "lineage", "own")
    assert (required.environment, required.risk_tier) == ("production", "high")
    assert required.max_bundle_age_seconds == 3600
    assert required.notices == ()


@pytest.mark.parametrize(
    ("environment", "name", "factor", "age"),
    [
        ("production", "high", 4, 50), ("production", "medium", 2, 100), ("production", "low", 2, 100),
        ("staging", "high", 3, 50), ("staging", "low", 5, 100), ("staging", "medium", 1, 100),
    ],
)  # fmt: skip
def test_overrides_apply_where_they_say(environment: str, name: str, factor: int, age: int) -> None:
    """By environment, by risk tier, by both; the later one wins, key by key."""
    required = resolve(tier(name), make_manifest(**{"from": "development", "to": environment}))
    assert required.thresholds["slo"] == {"max_age_seconds": 200, "factor": factor}
    assert required.max_age_seconds("lineage") == age
    assert required.settings_of("slo") == {
        "environment": environment,
        "risk_tier": name,
        "thresholds": {"max_age_seconds": 200, "factor": factor},
    }


def test_resolving_changes_no_defaults() -> None:
    """One promotion's overrides are not the next one's thresholds."""
    library = policies()
    before = copy.deepcopy(library.data)
    require(make_manifest(), library, Settings(thresholds={"slo": {"factor": 9}}))
    assert library.data == before


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("prodution", "did you mean 'production'?"), ("Production", "did you mean 'production'?"),
        ("qa", "known here: production, staging"), ("production/eu", "did you mean 'production'?"),
    ],
)  # fmt: skip
def test_a_misspelt_environment_is_not_one_without_gates(target: str, hint: str) -> None:
    """It is refused, with the one that was meant."""
    error = refusal(promotion=make_manifest(to=target))
    assert (error.subject, error.problem) == (f"environment {target!r}", "no gates are required for it")
    assert error.hint == hint


@pytest.mark.parametrize("kind", ["dataset", "feature_view", "agent"])
@pytest.mark.parametrize("environment", ["staging", "production"])
def test_a_kind_without_gates_is_refused(kind: str, environment: str) -> None:
    """Whether its list is empty or absent: no gate is not a pass."""
    candidate = make_manifest().candidate.model_copy(update={"kind": kind})
    promotion = make_manifest(**{"from": "development", "to": environment}).model_copy(update={"candidate": candidate})
    error = refusal(promotion=promotion)
    assert error.problem == f"no gate is required for a {kind}, and no gate is not a pass"


def test_settings_replace_the_table_and_say_so() -> None:
    """The organisation's own table holds alone, and the report names it."""
    required = resolve(Settings(required_gates={"production": {"model": ("own",)}}))
    assert required.gates == ("own",)
    assert required.notices == ("the required gates are set by the settings, over the policies' own",)
    assert "no gates are required" in refusal(Settings(required_gates={})).problem
    assert "no gates are required" in refusal(Settings(required_gates={"staging": {"model": ("own",)}})).problem
    assert "no gate is required" in refusal(Settings(required_gates={"production": {"modle": ("own",)}})).problem


@pytest.mark.parametrize(("gate", "hint"), [("sol", "did you mean 'slo'?"), ("drift", "known here: lineage, own, slo")])
def test_an_unknown_required_gate_is_refused(gate: str, hint: str) -> None:
    """A gate that no policy has cannot be passed by not being there."""
    error = refusal(Settings(required_gates={"production": {"model": ("slo", gate)}}))
    assert (error.subject, error.problem, error.hint) == (f"required gate {gate!r}", "no policy has it", hint)


def test_settings_thresholds_win_and_show() -> None:
    """Over the overrides too; every one of them is a notice."""
    required = resolve(Settings(thresholds={"slo": {"factor": 9, "max_age_seconds": 1}}))
    assert required.thresholds["slo"] == {"factor": 9, "max_age_seconds": 1}
    assert required.notices == (
        "threshold slo.factor is set to 9 by the settings, over the policies' own",
        "threshold slo.max_age_seconds is set to 1 by the settings, over the policies' own",
    )


def test_thresholds_of_an_unknown_gate_are_refused() -> None:
    """A misspelt gate would leave the real one with weaker limits; in settings and overrides alike."""
    error = refusal(Settings(thresholds={"slos": {"factor": 9}}))
    assert (error.subject, error.hint) == ("thresholds of gate 'slos'", "did you mean 'slo'?")
    error = refusal(overrides=[{"thresholds": {"lineag": {"max_age_seconds": 1}}}])
    assert (error.subject, error.hint) == ("thresholds of gate 'lineag'", "did you mean 'lineage'?")


def test_an_override_for_a_misspelt_environment_is_refused() -> None:
    """It would never apply, and the general, weaker thresholds would."""
    wrong = [{"environment": "prodution", "thresholds": {"slo": {"factor": 9}}}]
    error = refusal(overrides=wrong)
    assert (error.subject, error.hint) == ("override for environment 'prodution'", "did you mean 'production'?")
    named = Settings(required_gates={"production": {"model": ("slo",)}, "prodution": {"model": ("slo",)}})
    assert resolve(named, overrides=wrong).thresholds["slo"]["factor"] == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_bundle_age_seconds": 0}, "max_bundle_age_seconds"),
        ({"max_bundle_age_seconds": MAX_AGE_SECONDS + 1}, "max_bundle_age_seconds"),
        ({"max_bundle_age_seconds": "3600"}, "max_bundle_age_seconds"),
        ({"max_bundle_age_seconds": 1.5}, "max_bundle_age_seconds"),
        ({"required_gate": {}}, "required_gate"),
        ({"required_gates": {"production": ["slo"]}}, "required_gates.production"),
        ({"required_gates": {"production": {"model": "slo"}}}, "required_gates.production.model"),
        ({"required_gates": {"pro duction": {"model": ["slo"]}}}, "required_gates.pro duction"),
        ({"thresholds": []}, "thresholds"),
        ({"thresholds": {"slo": None}}, "thresholds.slo"),
        ({"overrides": [{"enviroment": "production", "thresholds": {}}]}, "overrides.0"),
        ({"overrides": [{"risk_tier": "hihg", "thresholds": {}}]}, "overrides.0.risk_tier"),
        ({"overrides": [{"environment": "production"}]}, "overrides.0.thresholds"),
        ({"overrides": {}}, "overrides"),
    ],
)
def test_defaults_of_another_shape_are_refused(changes: dict[str, Any], words: str) -> None:
    """A misspelt key of the policy data is an error, never a rule without its limit."""
    error = refusal(**changes)
    assert error.subject == "policies/gatekeeper/defaults/data.yaml"
    assert error.problem.startswith(words)


@pytest.mark.parametrize("key", ["max_bundle_age_seconds", "required_gates", "thresholds"])
def test_defaults_that_lack_a_part_are_refused(key: str) -> None:
    """Only overrides may be absent."""
    library = policies()
    del library.data["gatekeeper"]["defaults"][key]
    with pytest.raises(ConfigurationError, match=key):
        read_defaults(library)
    assert replace(resolve(overrides=[])).thresholds["slo"]["factor"] == 1


@pytest.mark.parametrize(
    ("name", "expected"), [("tumour-classifier", "low"), ("tumor-classifier", "high"), ("tumour-classifier2", "high")]
)
def test_only_a_named_candidate_leaves_the_default_tier(name: str, expected: str) -> None:
    """A misspelt name has the default tier, which is high unless the trusted side says otherwise."""
    settings = Settings(risk_tiers=RiskSettings(candidates={"tumour-classifier": "low"}))
    candidate = make_manifest().candidate.model_copy(update={"name": name})
    assert resolve(settings, make_manifest().model_copy(update={"candidate": candidate})).risk_tier == expected


def test_the_library_requires_gates_for_every_kind_in_every_environment() -> None:
    """Nothing that ships promotes without a gate, and its gates have thresholds."""
    defaults = read_defaults(load_policies(PROJECT / "policies"))
    assert set(defaults.required_gates) == {"development", "staging", "production"}
    for by_kind in defaults.required_gates.values():
        assert set(by_kind) == {"model", "dataset", "feature_view", "agent"}
        assert all(by_kind.values())
        assert {gate for gates in by_kind.values() for gate in gates} <= set(defaults.thresholds)
