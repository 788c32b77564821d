"""Policy sets made from the text of their modules, and documents for them."""

from __future__ import annotations

import json
import re
from typing import Any

from gatekeeper.policy import Module, PolicySet

GATE = "gatekeeper.gates.probe"


def module(text: str, path: str | None = None) -> Module:
    """A module named after its package."""
    match = re.search(r"^package ([\w.]+)", text, re.MULTILINE)
    assert match is not None
    return Module(path or f"{match[1].replace('.', '/')}.rego", match[1], text)


def policy_set(*texts: str, data: dict[str, Any] | None = None) -> PolicySet:
    """A set of modules with one digest."""
    modules = tuple(module(text) for text in texts)
    return PolicySet("probe", "d" * 64, modules, data or {})


def gate(body: str, *, imports: str = "") -> str:
    """A gate with a silent `warn` and with whatever rules the body holds."""
    return f"package {GATE}\n\n{imports}\n\nwarn contains input.never\n\n{body}\n"


def document(**content: Any) -> bytes:
    """An input document, as canonical JSON would be."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
