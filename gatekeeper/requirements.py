"""What the trusted side requires of a promotion: gates, thresholds and risk tier; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gatekeeper.defaults import Defaults as Defaults
from gatekeeper.defaults import OwnDefaults, read_own_defaults
from gatekeeper.defaults import read_defaults as read_defaults
from gatekeeper.errors import ConfigurationError
from gatekeeper.manifest import Candidate, PromotionManifest, nearest
from gatekeeper.organisation import is_own
from gatekeeper.policy import PolicySet
from gatekeeper.settings import RiskTier, Settings


@dataclass(frozen=True)
class Requirements:
    """What one promotion must satisfy."""

    gates: tuple[str, ...]
    """Required gates; never empty."""
    known_gates: tuple[str, ...]
    """Every gate of the policies: the required ones first, in their order."""
    environment: str
    """The environment entered."""
    environments: tuple[str, ...]
    """Every environment for which gates are required."""
    risk_tier: RiskTier
    """The candidate's risk tier."""
    thresholds: dict[str, dict[str, Any]]
    """Resolved thresholds by gate."""
    max_bundle_age_seconds: int
    """Age at which evidence as a whole is stale."""
    skipped_gates: tuple[str, ...]
    """Gates that the policies require and the settings' own table leaves out."""
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
    known = settings.candidates.get(promotion.candidate.name)
    if known is not None and known.kind != promotion.candidate.kind:
        raise ConfigurationError(
            f"candidate {promotion.candidate.name!r}",
            f"the manifest calls it a {promotion.candidate.kind}, the settings a {known.kind}",
            hint="the kind decides which gates are required; mend the manifest",
        )
    _check_custom_gates(policies, settings)
    gates = required_gates(defaults, settings, promotion)
    gates = tuple(dict.fromkeys((*gates, *_added_gates(read_own_defaults(policies), defaults, settings, promotion))))
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
        skipped_gates=tuple(gate for gate in _by_default(defaults, promotion) if gate not in gates),
        environment=promotion.target,
        environments=tuple({**defaults.required_gates, **(settings.required_gates or {})}),
        risk_tier=tier,
        thresholds=thresholds,
        max_bundle_age_seconds=defaults.max_bundle_age_seconds,
        notices=tuple(notices),
    )


def _by_default(defaults: Defaults, promotion: PromotionManifest) -> tuple[str, ...]:
    return defaults.required_gates.get(promotion.target, {}).get(promotion.candidate.kind, ())


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


def _added_gates(
    own: OwnDefaults, defaults: Defaults, settings: Settings, promotion: PromotionManifest
) -> tuple[str, ...]:
    """Name the gates that an organisation's data adds; it can only add to environments that the table has."""
    table = settings.required_gates if settings.required_gates is not None else defaults.required_gates
    for environment in own.required_gates:
        if environment not in table:
            raise ConfigurationError(
                f"data.custom.gatekeeper.defaults.required_gates: environment {environment!r}",
                "is not in the table of required gates",
                hint=nearest(environment, list(table)),
            )
    return own.required_gates.get(promotion.target, {}).get(promotion.candidate.kind, ())


def _check_custom_gates(policies: PolicySet, settings: Settings) -> None:
    for gate in settings.custom_gates:
        if not is_own(policies, gate):
            own = [each for each in policies.packages if is_own(policies, each)]
            raise ConfigurationError(
                f"custom_gates.{gate}", f"no policy is the package custom.gatekeeper.gates.{gate}",
                hint=nearest(gate, own) if own else "name the folder of its policy under custom_policies",
            )  # fmt: skip


def risk_tier(settings: Settings, candidate: Candidate) -> RiskTier:
    """Look up the candidate's risk tier; one that nobody named has the default."""
    known = settings.candidates.get(candidate.name)
    if known is not None and known.risk_tier is not None:
        return known.risk_tier
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
    for gate, custom in settings.custom_gates.items():
        if "max_age_seconds" in resolved.get(gate, {}):
            problem = "is set by custom_gates and by the thresholds of the policies"
            raise ConfigurationError(f"max_age_seconds of gate {gate!r}", problem, hint="leave the second one out")
        resolved[gate] = {"max_age_seconds": custom.max_age_seconds, **resolved.get(gate, {})}
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
            misspelt = sorted(values.keys() - resolved[gate].keys()) if gate in settings.custom_gates else []
            if misspelt:  # the thresholds of a gate without a collector are those that its own data names
                raise ConfigurationError(
                    f"thresholds of gate {gate!r}", f"unknown key {misspelt[0]!r}",
                    hint=nearest(misspelt[0], list(resolved[gate])),
                )  # fmt: skip
            resolved[gate] |= values
    return resolved
