"""
The report for GitHub's pull-request view: workflow commands that the runner turns into annotations.

Source: https://docs.github.com/actions/reference/workflow-commands-for-github-actions. GitHub keeps ten
annotations of a level for each step, so that with more the tenth says how many there are.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gatekeeper.decision import Decision, Place
from gatekeeper.report import outline
from gatekeeper.report.escape import one_line, workflow_data, workflow_property

MAX_PER_LEVEL = 10
"""Annotations of one level that GitHub shows for one step; further ones are lost without a word."""


@dataclass(frozen=True)
class _Annotation:
    """One annotation; `path` is relative to the repository and empty when there is none."""

    level: Literal["error", "warning", "notice"]
    title: str
    message: str
    path: str = ""
    line: int = 1
    column: int = 1


def render(decisions: Sequence[Decision]) -> str:
    """Render decisions as workflow commands, errors first; a run that decided nothing is an error."""
    annotations = [each for decision in decisions for each in _annotate(decision)]
    if not decisions:
        message = f"{outline.NOTHING_DECIDED}; {outline.NOTHING_HINT}"
        annotations.append(_Annotation("error", "gatekeeper: INCONCLUSIVE", message))
    lines = []
    for level in ("error", "warning", "notice"):
        of_level = [each for each in annotations if each.level == level]
        if len(of_level) > MAX_PER_LEVEL:
            more = len(of_level) - MAX_PER_LEVEL + 1
            rest = _Annotation(of_level[0].level, "gatekeeper", f"{more} more in the summary")
            of_level = [*of_level[: MAX_PER_LEVEL - 1], rest]
        lines += [_command(each) for each in of_level]
    return "".join(f"{line}\n" for line in lines)


def _annotate(decision: Decision) -> list[_Annotation]:
    name = one_line(outline.candidate_of(decision))
    title = f"gatekeeper: {decision.outcome.upper()} {name}"
    found = [_of_step("error", step, decision) for step in outline.next_steps(decision)]
    found += [_of_step("warning", step, decision) for step in outline.notes(decision)]
    found += [
        _Annotation("warning", f"gatekeeper: relaxed for {name}", one_line(each))
        for each in outline.relaxations(decision)
    ]
    if decision.outcome == "allow":
        found.append(_Annotation("notice", title, one_line(decision.reason), _repository_path(decision)))
    return found


def _of_step(level: Literal["error", "warning"], step: outline.Step, decision: Decision) -> _Annotation:
    place = step.place
    where = _where(place) if place else f"{one_line(step.subject)}: "
    remedy = f"\nFix: {one_line(step.remedy)}" if step.remedy else ""
    return _Annotation(
        level,
        one_line(outline.title(step)),
        f"{where}{one_line(step.message)}{remedy}",
        _repository_path(decision, step),
        place.line if place else 1,
        place.column if place else 1,
    )


def _where(place: Place) -> str:
    return f"{one_line(place.path)}:{place.line}:{place.column}: "


def _repository_path(decision: Decision, step: outline.Step | None = None) -> str:
    """
    Find the file to annotate: the step's place, else the manifest; nothing when neither is in the repository.

    Places of evidence are relative to the manifest, those of configuration to the working folder, and GitHub
    wants them relative to the repository, which is where a job runs.
    """
    path, manifest = (step.place.path if step and step.place else ""), decision.subject
    if "://" in path or path.startswith("git:"):
        return ""
    if path and step and step.gate:
        if not manifest.endswith((".yaml", ".yml")):
            return ""
        path = posixpath.join(posixpath.dirname(manifest), path)
    found = posixpath.normpath(path or manifest)
    return "" if found.startswith(("../", "/")) or found in ("..", ".") else one_line(found)


def _command(annotation: _Annotation) -> str:
    properties = {"line": str(annotation.line), "col": str(annotation.column), "title": annotation.title}
    if annotation.path:
        properties = {"file": annotation.path} | properties
    listed = ",".join(f"{name}={workflow_property(value)}" for name, value in properties.items())
    return f"::{annotation.level} {listed}::{workflow_data(annotation.message)}"
