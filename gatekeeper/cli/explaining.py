"""What `explain` and `policy list` say about rules."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

from gatekeeper.errors import ConfigurationError
from gatekeeper.manifest import nearest
from gatekeeper.policy import PolicySet, Rule
from gatekeeper.report.escape import one_line
from gatekeeper.requirements import read_defaults
from gatekeeper.settings import Settings

RECENT = 5
"""Findings shown beside a rule."""

TAIL_BYTES = 4 * 1024 * 1024
"""How much of a log's end is looked at."""


def explain(name: str, policies: PolicySet, settings: Settings) -> str:
    """Describe one rule, or every rule of a gate; raises `ConfigurationError` for an unknown name."""
    rules = policies.rules_of(name) or tuple(rule for rule in policies.rules.values() if rule.rule == name)
    if not rules:
        known = [*policies.rules, *policies.packages]
        raise ConfigurationError(name, "no such rule or gate", hint=nearest(name, known))
    gate = rules[0].gate
    defaults = read_defaults(policies)
    thresholds = defaults.thresholds.get(gate, {}) | settings.thresholds.get(gate, {})
    lines = [_describe(rule) for rule in rules]
    lines.append(f"Thresholds of the gate {gate} (gatekeeper/defaults/data.yaml, settings on top):")
    lines += [f"  {key}: {value}" for key, value in sorted(thresholds.items())]
    for override in defaults.overrides:
        where = " and ".join(filter(None, (override.environment, override.risk_tier and f"{override.risk_tier} risk")))
        lines += [f"  {key}: {value} (for {where})" for key, value in sorted(override.thresholds.get(gate, {}).items())]
    return "\n".join(lines)


def _describe(rule: Rule) -> str:
    body = textwrap.fill(rule.description, 96, initial_indent="  ", subsequent_indent="  ")
    remedy = textwrap.fill(rule.remedy, 96, initial_indent="  To do: ", subsequent_indent="         ")
    controls = ", ".join(rule.controls) or "none named"
    return (
        f"{rule.rule} ({rule.severity}): {rule.title}\n{body}\n{remedy}\n"
        f"  Controls: {controls}\n  Source: {rule.path}:{rule.line}\n"
    )


def recent_findings(name: str, log: Path) -> str:
    """List the last findings of a rule, or of a gate's rules, from the end of a decision log; newest first."""
    lines = _last_lines(log)
    if lines is None:
        return f"Recent findings: there is no decision log at {log}"
    found = []
    for line in reversed(lines):
        found += _findings_in(line, name)
        if len(found) >= RECENT:
            break
    title = f"Recent findings ({one_line(str(log))}):"
    return "\n".join([title, *(found[:RECENT] or ["  none in the records at its end"])])


def _last_lines(log: Path) -> list[bytes] | None:
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            return file.read(TAIL_BYTES).split(b"\n")[1 if size > TAIL_BYTES else 0 :]
    except OSError:
        return None


def _findings_in(line: bytes, name: str) -> list[str]:
    """The findings of one record; a line that is no record has none, because the log's own check names it."""
    try:
        result = json.loads(line)["result"]
        return [
            f"  {one_line(result['decided_at'])} {one_line(result['subject'])}: {finding['effect']}: "
            f"{one_line(finding['subject'])}: {one_line(finding['message'])}"
            for gate in result["gates"]
            for finding in gate["findings"]
            if name in (finding["rule"], gate["gate"])
        ]
    except (ValueError, KeyError, TypeError):
        return []


def list_policies(policies: PolicySet) -> str:
    """List gates and rules with severity and title, and the digest of the whole."""
    lines = [f"policies {policies.name} sha256:{policies.digest}"]
    width = max(map(len, policies.rules), default=0)
    for gate, package in sorted(policies.packages.items()):
        lines.append(f"\n{gate} (data.{package})")
        lines += [f"  {rule.rule:<{width}}  {rule.severity:<4}  {rule.title}" for rule in policies.rules_of(gate)]
    return "\n".join(lines)
