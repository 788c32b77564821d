"""Lint of the rules: METADATA and findings agree, every rule is reached, defined and tested; pure but for one look."""

from __future__ import annotations

from collections.abc import Iterator

from gatekeeper.engine.rego import is_literal
from gatekeeper.errors import ConfigurationError, Location
from gatekeeper.policy import GATE_PREFIXES, Module, Rule, parse_rules
from gatekeeper.policy_tools.findings import LintFinding, found_at, found_in
from gatekeeper.policy_tools.references import ENTRY_POINTS, References, emitted_ids, node_of, unquote
from gatekeeper.policy_tools.sources import RuleText, Sources, place_of

_LITERAL = 'write `"rule": "<gate>.<name>"` into the finding itself'


def lint_rules(sources: Sources, references: References) -> Iterator[LintFinding]:
    """Check METADATA, ids, severities, entry points, reachability and tests of all rules."""
    gates = gates_of(references)
    documented: dict[str, Rule] = {}
    broken: set[str] = set()
    for module in sources.policies.modules:
        if module.package in gates:
            yield from _read_metadata(module, gates[module.package], documented, broken)
    emitted: dict[str, set[str]] = {}
    for rule in references.rules:
        package = rule.outline.module.package
        if package in gates and rule.name in ENTRY_POINTS:
            yield from _check_head(rule, documented, emitted, broken=gates[package] in broken)
    yield from _check_emitted(documented, emitted)
    yield from _check_entry_points(references, gates)
    yield from _check_reached(references, gates)
    yield from _check_tests(sources, documented)


def gates_of(references: References) -> dict[str, str]:
    """Gate by package."""
    return {
        package: gate
        for package in references.packages
        for prefix in GATE_PREFIXES
        if (gate := package.removeprefix(prefix)) != package and "." not in gate
    }


def _read_metadata(module: Module, gate: str, known: dict[str, Rule], broken: set[str]) -> Iterator[LintFinding]:
    try:
        rules = parse_rules(module, gate)
    except ConfigurationError as error:
        broken.add(gate)
        yield found_in("metadata", error)
        return
    for rule in rules:
        first = known.setdefault(rule.rule, rule)
        if first is not rule:
            place = Location(rule.path, rule.line, 1)
            taken = f"the rule id {rule.rule} is taken by {first.path}:{first.line}"
            yield found_at(place, "rule-id", taken, "rule ids are unique; give one of them another name")
        if not rule.controls:
            yield found_at(Location(rule.path, rule.line, 1), "metadata", f"{rule.rule} names no control", "add one")


def _check_head(
    rule: RuleText, documented: dict[str, Rule], emitted: dict[str, set[str]], *, broken: bool
) -> Iterator[LintFinding]:
    """Check one `deny` or `warn`: a literal id, with METADATA of the same severity."""
    ids = emitted_ids(rule)
    if not ids and rule.outline.text(rule.index - 1) != "default":
        yield found_at(rule.place, "literal-id", f"{rule.name} names no rule id as a literal", _LITERAL)
    for name, index in ids:
        place = place_of(rule.outline, index)
        emitted.setdefault(name, set()).add(rule.name)
        if name in documented and documented[name].severity != rule.name:
            message = f"{name} is found by {rule.name}, and its METADATA says {documented[name].severity}"
            yield found_at(place, "severity", message, "make custom.severity the name of the rule")
        elif name not in documented and not broken:
            yield found_at(place, "undocumented", f"{name} has no METADATA", "describe it above the rule")


def _check_emitted(documented: dict[str, Rule], emitted: dict[str, set[str]]) -> Iterator[LintFinding]:
    for name, rule in documented.items():
        if name not in emitted:
            place = Location(rule.path, rule.line, 1)
            message = f"no finding carries the id {name}: the rule can never be reported"
            yield found_at(place, "never-emitted", message, "mend the id, or remove the METADATA")


def _check_entry_points(references: References, gates: dict[str, str]) -> Iterator[LintFinding]:
    for package, gate in sorted(gates.items()):
        module = next(each.module for each in references.outlines if each.module.package == package)
        for name in ENTRY_POINTS:
            if (package, name) not in references.nodes:
                place = Location(module.path, 1, 1)
                yield found_at(place, "entry-points", f"the gate {gate} has no {name}", f"add a `{name} contains` rule")


def _check_reached(references: References, gates: dict[str, str]) -> Iterator[LintFinding]:
    """Every rule is reached from `deny` or `warn`, or is offered by a library."""
    roots = [rule for rule in references.rules if _is_root(rule, gates)]
    reached = references.reached_from(roots) | {node_of(rule) for rule in roots}
    for node, rules in references.nodes.items():
        if node not in reached:
            message = f"nothing that decides refers to {rules[0].name}"
            yield found_at(rules[0].place, "unreachable", message, "remove it, or use it where it was meant to be")


def _is_root(rule: RuleText, gates: dict[str, str]) -> bool:
    if rule.outline.module.package in gates:
        return rule.name in ENTRY_POINTS
    return not rule.name.startswith("_")


def _check_tests(sources: Sources, documented: dict[str, Rule]) -> Iterator[LintFinding]:
    """A test file beside each policy, and each rule id in a test of its folder."""
    tests = {module.path: module for module in sources.tests}
    for module in sources.policies.modules:
        expected = f"{module.path.removesuffix('.rego')}_test.rego"
        if expected not in tests:
            yield found_at(Location(module.path, 1, 1), "no-test", "no test lies beside it", f"write {expected}")
    named = {
        (path.rpartition("/")[0], word) for path, module in tests.items() for word in _literals(module)
    }  # by folder
    for name, rule in documented.items():
        if (rule.path.rpartition("/")[0], name) not in named:
            place = Location(rule.path, rule.line, 1)
            yield found_at(place, "untested", f"no test names {name}", "test that it is found, and when it is not")


def _literals(module: Module) -> set[str]:
    from gatekeeper.engine.rego import read_outline

    return {unquote(token) for token in read_outline(module).tokens if is_literal(token)}
