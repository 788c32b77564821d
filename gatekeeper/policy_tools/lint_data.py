"""Lint of the data: thresholds that rules use exist and are used, required gates exist, references lead somewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gatekeeper.collectors import COLLECTORS, load_collector
from gatekeeper.defaults import Defaults, Override, OwnDefaults
from gatekeeper.errors import ConfigurationError, EvidenceError, Location
from gatekeeper.policy_tools.findings import LintFinding, found_at, found_in
from gatekeeper.policy_tools.lint_rules import gates_of
from gatekeeper.policy_tools.references import References
from gatekeeper.policy_tools.sources import RuleText, Sources, place_of

GENERIC = ("max_age_seconds",)
"""Thresholds that gatekeeper itself compares, for every gate."""

_DATA = "gatekeeper/defaults/data.yaml"
_OVERRIDDEN = f"thresholds are keys of {_DATA}, and of the gate's Thresholds model"
AnyDefaults = Defaults | OwnDefaults
"""The library's data, or that of a folder which holds an organisation's own policies only."""


def lint_data(sources: Sources, references: References) -> Iterator[LintFinding]:
    """Check data and every reference to it; without readable data nothing else can be said."""
    yield from _check_references(sources, references)
    try:
        defaults = sources.defaults
    except ConfigurationError as error:
        yield found_in("data-schema", error)
        return
    places = _Places(sources.folder, f"custom/{_DATA}" if sources.is_own else _DATA)
    gates = set(gates_of(references).values())
    yield from _check_gates(defaults, gates, places)
    yield from _check_keys(defaults, references, places)
    for gate in sorted(gates & set(COLLECTORS)):
        yield from _check_values(gate, defaults, places)


class _Places:
    """Where a value stands in the data file."""

    def __init__(self, folder: Path, name: str) -> None:
        from gatekeeper.formats.strict_yaml import parse_located

        self.name, path = name, folder / name
        try:
            self.located = parse_located(path.read_bytes(), name) if path.is_file() else None
        except EvidenceError:
            self.located = None

    def of(self, *steps: str | int) -> Location:
        """The place of a key; of the file's beginning when the data is in another form."""
        return self.located.location(steps, key=True) if self.located else Location(self.name, 1, 1)


def _check_references(sources: Sources, references: References) -> Iterator[LintFinding]:
    """Every name below `data` is a rule, a package or a key of the data."""
    for rule in references.rules:
        for full, index in references.full_names(rule):
            if not _exists(full, sources.policies.data, references):
                place = place_of(rule.outline, index)
                yield found_at(place, "data-key", f"{full} is neither a rule nor data", "mend its spelling")


def _exists(full: str, data: dict[str, Any], references: References) -> bool:
    package = references.package_of(full)
    if package is not None:
        name = full.removeprefix(f"data.{package}").removeprefix(".").partition(".")[0]
        return not name or (package, name) in references.nodes
    if any(f"data.{each}.".startswith(f"{full}.") for each in references.packages):
        return True
    node: Any = data
    for step in full.split(".")[1:]:
        if not isinstance(node, dict) or step not in node:
            return False
        node = node[step]
    return True


def _check_gates(defaults: AnyDefaults, gates: set[str], places: _Places) -> Iterator[LintFinding]:
    """Required gates, and gates with thresholds, are gates that the policies have."""
    for environment, kinds in defaults.required_gates.items():
        for kind, required in kinds.items():
            for gate in required:
                if gate not in gates:
                    place = places.of("required_gates", environment, kind)
                    yield found_at(place, "required-gate", f"no policy has the gate {gate}", "mend its spelling")
        if not kinds:
            place = places.of("required_gates", environment)
            yield found_at(place, "required-gate", f"{environment} requires no gate", "no gate is not a pass")
    for gate in sorted(gates - set(defaults.thresholds)):
        yield found_at(places.of("thresholds"), "threshold", f"the gate {gate} has no thresholds", _OVERRIDDEN)
    for gate in defaults.thresholds:
        if gate not in gates:
            yield found_at(places.of("thresholds", gate), "threshold", f"no policy has the gate {gate}", _OVERRIDDEN)
    for number, override in enumerate(defaults.overrides):
        yield from _check_override(number, override, defaults, places)


def _check_override(number: int, override: Override, defaults: AnyDefaults, places: _Places) -> Iterator[LintFinding]:
    known = defaults.required_gates if isinstance(defaults, Defaults) else {override.environment}
    if override.environment is not None and override.environment not in known:
        place = places.of("overrides", number, "environment")
        message = f"no gates are required for the environment {override.environment}: the override never applies"
        yield found_at(place, "threshold", message, "mend its spelling")
    for gate, values in override.thresholds.items():
        for key in sorted(set(values) - set(defaults.thresholds.get(gate, {}))):
            place = places.of("overrides", number, "thresholds", gate, key)
            yield found_at(place, "threshold", f"{gate}.{key} overrides no threshold", _OVERRIDDEN)


def _check_keys(defaults: AnyDefaults, references: References, places: _Places) -> Iterator[LintFinding]:
    """Each threshold that a rule names exists, and each that exists decides something."""
    used: dict[str, set[str]] = {}
    gates = gates_of(references)
    for rule in references.rules:
        gate = gates.get(rule.outline.module.package)
        if gate is None:
            continue
        yield from _check_named(rule, gate, defaults, references)
        if rule.name in ("deny", "warn"):
            used.setdefault(gate, set()).update(references.thresholds_of(rule))
    for gate, values in defaults.thresholds.items():
        for key in values:
            if key not in used.get(gate, set()) and key not in GENERIC:
                place = places.of("thresholds", gate, key)
                message = f"no rule of the gate compares {gate}.{key}: it limits nothing"
                yield found_at(place, "threshold-unused", message, "use it in a rule, or remove it")


def _check_named(rule: RuleText, gate: str, defaults: AnyDefaults, references: References) -> Iterator[LintFinding]:
    for key, index in references.threshold_names(rule):
        if key not in defaults.thresholds.get(gate, {}):
            place = place_of(rule.outline, index)
            yield found_at(place, "threshold", f"{gate} has no threshold {key}: it is undefined", _OVERRIDDEN)


def _check_values(gate: str, defaults: AnyDefaults, places: _Places) -> Iterator[LintFinding]:
    """The gate's own model accepts its thresholds, alone and with every override on top."""
    general = defaults.thresholds.get(gate)
    if general is None:
        return
    layers: list[tuple[dict[str, Any], Location]] = [(general, places.of("thresholds", gate))]
    for number, override in enumerate(defaults.overrides):
        if gate in override.thresholds:
            place = places.of("overrides", number, "thresholds", gate)
            layers.append((general | override.thresholds[gate], place))
    for values, place in layers:
        try:
            load_collector(gate).Thresholds.model_validate_json(json.dumps(values))
        except ValidationError as error:
            for fault in error.errors():
                where = ".".join(str(step) for step in fault["loc"])
                yield found_at(place, "data-schema", f"{gate}.{where}: {fault['msg']}", _OVERRIDDEN)
