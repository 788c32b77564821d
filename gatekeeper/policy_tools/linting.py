"""
The lint of a policy folder: what makes a policy fail quietly, or mean something else than its author thinks.

It goes beyond what loading refuses, and names everything that it finds rather than the first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gatekeeper.engine.portable import bind_all_heads, check_outlines
from gatekeeper.engine.rego import Outline, read_outline
from gatekeeper.errors import ConfigurationError
from gatekeeper.policy_tools.findings import LintFinding, found_in
from gatekeeper.policy_tools.lint_data import lint_data
from gatekeeper.policy_tools.lint_rules import lint_rules
from gatekeeper.policy_tools.references import References
from gatekeeper.policy_tools.sources import Sources

if TYPE_CHECKING:
    from gatekeeper.settings import EngineSettings


def lint(sources: Sources, engine: EngineSettings) -> list[LintFinding]:
    """
    Find every fault of a policy folder, in the order of files and lines.

    Raises `UnavailableError` when the embedded engine cannot run: what was not compiled is not clean.
    """
    outlines, found = _read(sources)
    if found:
        return found  # what they define is not known, and would be missed everywhere else
    found += _portability(outlines)
    if not found:
        found += _compile(sources, engine)
    references = References(outlines)
    found += lint_rules(sources, references)
    found += lint_data(sources, references)
    return sorted(set(found), key=lambda each: (each.path, each.line, each.column, each.id, each.message))


def render_text(found: list[LintFinding], files: int) -> str:
    """One line for each finding with a hint under it, and a count."""
    lines = []
    for each in found:
        lines.append(f"{each.path}:{each.line}:{each.column}: {each.id}: {each.message}")
        lines += [f"  hint: {each.hint}"] if each.hint else []
    return "\n".join([*lines, f"{len(found)} findings in {files} policies"])


def render_json(found: list[LintFinding], files: int) -> str:
    """The same for programs."""
    return json.dumps({"findings": [each.__dict__ for each in found], "policies": files}, indent=2)


def _read(sources: Sources) -> tuple[list[Outline], list[LintFinding]]:
    outlines, found = [], []
    for module in sources.policies.modules:
        try:
            outlines.append(read_outline(module))
        except ConfigurationError as error:
            found.append(found_in("portable", error))
    return outlines, found


def _portability(outlines: list[Outline]) -> Iterator[LintFinding]:
    """What loading would refuse; the first fault only, since the others may follow from it."""
    try:
        bind_all_heads(outlines)
        check_outlines(outlines)
    except ConfigurationError as error:
        yield found_in("portable", error)


def _compile(sources: Sources, settings: EngineSettings) -> Iterator[LintFinding]:
    from gatekeeper.engine.embedded import EmbeddedEngine

    engine = EmbeddedEngine(settings)
    try:
        engine.load(sources.policies)
    except ConfigurationError as error:
        yield found_in("compiles", error)
    finally:
        engine.close()
