"""Makers of what the tests of enforcement need: rules, findings, levels, settings."""

from __future__ import annotations

import json
from typing import Any

from gatekeeper.decision import Finding
from gatekeeper.enforcement import Enforcement
from gatekeeper.policy import Rule


def rule(
    name: str,
    severity: str = "deny",
    *,
    controls: tuple[str, ...] = ("eu-ai-act:15(1)",),
    collections: tuple[str, ...] = (),
) -> Rule:
    """A rule as its METADATA describes it."""
    gate = name.partition(".")[0]
    return Rule(name, gate, severity, f"title of {name}", "d", "r", controls, f"{gate}.rego", 1, collections)


def finding(name: str, effect: Any = "deny", subject: str = "s") -> Finding:
    """A finding of a rule."""
    return Finding(rule=name, effect=effect, subject=subject, message="m", title="t", remedy="r")


def level(match: str, name: str, **more: Any) -> dict[str, Any]:
    """A level as settings write it."""
    return {"match": match, "level": name, "reason": "because"} | more


def enforcement(use: dict[str, str] | None = None, **profile: Any) -> Enforcement:
    """Settings with one profile `p`, which every environment uses."""
    content = {"profiles": {"p": profile}, "use": use or {"*": "p"}}
    return Enforcement.model_validate_json(json.dumps(content))
