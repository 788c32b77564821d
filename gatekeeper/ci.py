"""
What the GitHub action needs beside the command: step outputs and the step summary.

Source: https://docs.github.com/actions/reference/workflow-commands-for-github-actions. Run as
`python -m gatekeeper.ci EXIT_CODE REPORT_JSON REPORT_MARKDOWN`; a report that is not there means that nothing
was decided, which is inconclusive.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAX_SUMMARY_BYTES = 1024 * 1024
"""GitHub drops a step summary that is larger."""


def step_outputs(exit_code: int, report: Path) -> dict[str, str]:
    """
    Work out the action's outputs.

    `decision` is allow only when the exit code is 0 and every decision of the report says so.
    """
    decisions = _decisions(report)
    outcomes = {each.get("outcome") for each in decisions}
    if exit_code == 0 and outcomes == {"allow"}:
        decision = "allow"
    else:
        decision = "deny" if exit_code == 1 and "deny" in outcomes else "inconclusive"
    return {
        "decision": decision,
        "exit-code": str(exit_code if exit_code != 0 or decision == "allow" else 70),
        "decision-id": "\n".join(str(each.get("decision_id", "")) for each in decisions),
        "report-json": str(report) if decisions else "",
    }


def _decisions(report: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(report.read_text("utf-8"))
    except (OSError, ValueError):
        return []
    decisions = content.get("decisions") if isinstance(content, dict) else None
    return [each for each in decisions if isinstance(each, dict)] if isinstance(decisions, list) else []


def render_outputs(outputs: Mapping[str, str]) -> str:
    """Render outputs with random delimiters, so that no value can end its own block and begin another."""
    blocks = []
    for name, value in outputs.items():
        delimiter = f"gatekeeper-{secrets.token_hex(16)}"
        blocks.append(f"{name}<<{delimiter}\n{value}\n{delimiter}\n")
    return "".join(blocks)


def summarise(markdown: Path, exit_code: int) -> str:
    """Read the Markdown report for the step summary, or say in its place that there is none."""
    try:
        text = markdown.read_text("utf-8")
    except (OSError, ValueError):
        return f"### ❔ INCONCLUSIVE\n\ngatekeeper ended with exit code {exit_code} before it could report; see the job's log.\n"
    if len(text.encode()) > MAX_SUMMARY_BYTES:
        return f"The report is larger than a step summary may be; exit code {exit_code}. See the report file.\n"
    return text


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    """Write outputs and summary to the files that the runner names; a later step blocks by the outputs."""
    exit_code, report, markdown = int(arguments[0]), Path(arguments[1]), Path(arguments[2])
    outputs = step_outputs(exit_code, report)
    for variable, text in (
        ("GITHUB_OUTPUT", render_outputs(outputs)),
        ("GITHUB_STEP_SUMMARY", summarise(markdown, exit_code)),
    ):
        if environment.get(variable):
            with Path(environment[variable]).open("a", encoding="utf-8") as file:
                file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
