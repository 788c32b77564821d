"""Thresholds and required gates as policy data: the library's own, and what an organisation adds for its own gates."""

from __future__ import annotations

import functools
import json
from typing import Annotated, Any

from pydantic import Field, ValidationError

from gatekeeper.document import Document
from gatekeeper.errors import ConfigurationError
from gatekeeper.evidence import MAX_AGE_SECONDS
from gatekeeper.manifest import Kind, Name, nearest
from gatekeeper.organisation import is_own, own_defaults
from gatekeeper.policy import PolicySet
from gatekeeper.settings import RiskTier


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


class OwnDefaults(Document):
    """Shape of `data.custom.gatekeeper.defaults`: only gates of the organisation, and only more of them."""

    required_gates: dict[Name, dict[Kind, tuple[Name, ...]]] = {}
    """Gates required beside those of the table in force, by environment entered and candidate kind."""
    thresholds: dict[Name, dict[str, Any]] = {}
    """Thresholds by gate."""
    overrides: tuple[Override, ...] = ()
    """Exceptions by environment and risk tier; later ones win."""


def read_defaults(policies: PolicySet) -> Defaults:
    """Validate the library's data and lay an organisation's thresholds beside it; raises `ConfigurationError`."""
    defaults: Defaults = _parse(
        Defaults, json.dumps(policies.defaults), f"{policies.name}/gatekeeper/defaults/data.yaml"
    )
    own = read_own_defaults(policies)
    taken = sorted(defaults.thresholds.keys() & own.thresholds.keys())
    if taken:
        raise ConfigurationError(
            f"thresholds of gate {taken[0]!r}", "are set by the library and under custom", hint="leave one of them out"
        )
    if not own.thresholds and not own.overrides:
        return defaults
    return defaults.model_copy(
        update={
            "thresholds": {**defaults.thresholds, **own.thresholds},
            "overrides": (*defaults.overrides, *own.overrides),
        }
    )


def read_own_defaults(policies: PolicySet) -> OwnDefaults:
    """
    Validate what an organisation's data says.

    Raises `ConfigurationError` for an unknown key, and for every gate that is not the organisation's own: data
    under `custom` cannot loosen a threshold of the library.
    """
    found = own_defaults(policies)
    if found is None:
        return OwnDefaults()
    where = f"{policies.name}: data.custom.gatekeeper.defaults"
    own: OwnDefaults = _parse(OwnDefaults, json.dumps(found), where)
    thresholds = [gate for layer in (own.thresholds, *(each.thresholds for each in own.overrides)) for gate in layer]
    required = [gate for kinds in own.required_gates.values() for gates in kinds.values() for gate in gates]
    for gate in (*thresholds, *required):
        if not is_own(policies, gate):
            known = [each for each in policies.packages if is_own(policies, each)]
            problem = f"{gate!r} is no gate below custom.gatekeeper.gates"
            hint = nearest(gate, known) if known else "write the package custom.gatekeeper.gates.<gate> first"
            raise ConfigurationError(where, problem, hint=hint)
    return own


@functools.lru_cache(maxsize=16)
def _parse(model: type[Document], text: str, name: str) -> Any:
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(step) for step in fault["loc"])
        raise ConfigurationError(name, f"{where}: {fault['msg']}") from error
