"""What the trusted side requires of a promotion: gates, thresholds and risk tier; pure."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, ValidationError

from gatekeeper.document import Document
from gatekeeper.errors import ConfigurationError
from gatekeeper.evidence import MAX_AGE_SECONDS
from gatekeeper.manifest import Candidate, Name, PromotionManifest, nearest
from gatekeeper.policy import PolicySet
from gatekeeper.settings import RiskTier, Settings


class Override(Document):
    """Thresholds that differ in one environment, for one risk tier, or both."""

    environment: Name | None = None
    """Environment entered; every one when absent."""
    risk_tier: RiskTier | None = None
    """Risk tier; every one when absent."""
    thresholds: dict[Name, dict[str, Any]]
    """Thresholds by gate that replace the general ones."""


class Defaults(Document):
    """Shape of `policies/gatekeeper/defaults/data.yaml`."""

    max_bundle_age_seconds: Annotated[int, Field(gt=0, le=MAX_AGE_SECONDS)]
    """Age at which a whole evidence bundle is stale."""
    required_gates: dict[Name, dict[Name, tuple[Name, ...]]]
    """Gates by environment entered and candidate kind."""
    thresholds: dict[Name, dict[str, Any]]
    """Thresholds by gate."""
    overrides: tuple[Override, ...] = ()
    """Exceptions by environment and risk tier; later ones win."""


@dataclass(frozen=True)
class Requirements:
    """What one promotion must satisfy."""

    gates: tuple[str, ...]
    """Required gates; never empty."""
    known_gates: tuple[str, ...]
    """Every gate of the policies: the required ones first, in their order."""
    environment: str
    """The environment entered."""
    risk_tier: RiskTier
    """The candidate's risk tier."""
    thresholds: dict[str, dict[str, Any]]
    """Resolved thresholds by gate."""
    max_bundle_age_seconds: int
    """Age at which evidence as a whole is stale."""
    notices: tuple[str, ...]
    """Overrides of the trusted settings that a reader of the report should know."""

    def settings_of(self, gate: str) -> dict[str, Any]:
        """`input.settings` of one gate's policy."""
        return {
            "environment": self.environment,
            "risk_tier": self.risk_tier,
            "thresholds": self.thresholds.get(gate, {}),
        }

    def max_age_seconds(self, gate: str) -> int:
        """Age at which a measurement of one gate is stale."""
        return int(self.thresholds[gate]["max_age_seconds"])


def require(promotion: PromotionManifest, policies: PolicySet, settings: Settings) -> Requirements:
    """
    Work out what a promotion must satisfy.

    Raises `ConfigurationError` when the environment or the kind is not in the table, when a gate is required
    that the policies do not have, or when a threshold is missing, misspelt or of the wrong type.
    """
    defaults = read_defaults(policies)
    gates = required_gates(defaults, settings, promotion)
    unknown = [gate for gate in gates if gate not in policies.packages]
    if unknown:
        raise ConfigurationError(
            f"required gate {unknown[0]!r}", "no policy has it", hint=nearest(unknown[0], list(policies.packages))
        )
    tier = risk_tier(settings, promotion.candidate)
    thresholds = resolve_thresholds(defaults, settings, promotion.target, tier)
    notices = [f"threshold {gate}.{key} is set to {value!r} by the settings, over the policies' own"
               for gate, values in settings.thresholds.items() for key, value in values.items()]  # fmt: skip
    if settings.required_gates is not None:
        notices.append("the required gates are set by the settings, over the policies' own")
    return Requirements(
        gates=gates,
        known_gates=(*gates, *(gate for gate in sorted(policies.packages) if gate not in gates)),
        environment=promotion.target,
        risk_tier=tier,
        thresholds=thresholds,
        max_bundle_age_seconds=defaults.max_bundle_age_seconds,
        notices=tuple(notices),
    )


def read_defaults(policies: PolicySet) -> Defaults:
    """Validate the policy data; raises `ConfigurationError`."""
    return _parse_defaults(json.dumps(policies.defaults), policies.name)


@functools.lru_cache(maxsize=8)
def _parse_defaults(text: str, name: str) -> Defaults:
    try:
        return Defaults.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(step) for step in fault["loc"])
        raise ConfigurationError(f"{name}/gatekeeper/defaults/data.yaml", f"{where}: {fault['msg']}") from error


def required_gates(defaults: Defaults, settings: Settings, promotion: PromotionManifest) -> tuple[str, ...]:
    """
    Name the gates that a promotion must pass.

    Raises `ConfigurationError` when the table has no gate for it: a misspelt environment must not be one
    without gates.
    """
    table = settings.required_gates if settings.required_gates is not None else defaults.required_gates
    environment, kind = promotion.target, promotion.candidate.kind
    if environment not in table:
        raise ConfigurationError(
            f"environment {environment!r}", "no gates are required for it", hint=nearest(environment, list(table))
        )
    gates = table[environment].get(kind, ())
    if not gates:
        raise ConfigurationError(
            f"environment {environment!r}",
            f"no gate is required for a {kind}, and no gate is not a pass",
            hint="name its gates under required_gates in gatekeeper.yaml",
        )
    return tuple(dict.fromkeys(gates))


def risk_tier(settings: Settings, candidate: Candidate) -> RiskTier:
    """Look up the candidate's risk tier; one that nobody named has the default."""
    return settings.risk_tiers.candidates.get(candidate.name, settings.risk_tiers.default)


def resolve_thresholds(
    defaults: Defaults, settings: Settings, environment: str, tier: str
) -> dict[str, dict[str, Any]]:
    """
    Lay overrides and settings over the general thresholds, key by key.

    Raises `ConfigurationError` for an unknown gate, and for an override whose environment nothing else names:
    misspelt, it would never apply.
    """
    environments = {*defaults.required_gates, *(settings.required_gates or {})}
    for each in defaults.overrides:
        if each.environment is not None and each.environment not in environments:
            raise ConfigurationError(
                f"override for environment {each.environment!r}",
                "no gates are required for it",
                hint=nearest(each.environment, list(environments)),
            )
    resolved = {gate: dict(values) for gate, values in defaults.thresholds.items()}
    layers = [
        each.thresholds
        for each in defaults.overrides
        if each.environment in (None, environment) and each.risk_tier in (None, tier)
    ]
    for layer in (*layers, settings.thresholds):
        for gate, values in layer.items():
            if gate not in resolved:
                raise ConfigurationError(
                    f"thresholds of gate {gate!r}", "no such gate", hint=nearest(gate, list(resolved))
                )
            resolved[gate] |= values
    return resolved
