"""Diagrams for GitHub's Markdown; each stands beside a table that says the same."""

from __future__ import annotations

from collections.abc import Sequence

from gatekeeper.decision import GateVerdict
from gatekeeper.report.escape import mermaid_label

MAX_BARS = 40
"""Bars beyond which a diagram cannot be read."""


def gantt(gates: Sequence[GateVerdict]) -> str:
    """
    Draw each gate's phases end to end, in milliseconds from its start; empty when there is too much or nothing.

    A phase shorter than a millisecond is drawn as one. Beyond a second the axis needs both `%s`, seconds,
    and `%L`, milliseconds within their second (https://d3js.org/d3-time-format).
    """
    drawn = [(gate, bars) for gate in gates if (bars := _bars(gate))]
    if not drawn or sum(len(bars) for _, bars in drawn) > MAX_BARS:
        return ""
    longest = max(bars[-1][2] for _, bars in drawn)
    lines = ["```mermaid", "gantt", "  accTitle: Time that each gate took, by phase"]
    lines += ["  dateFormat x", f"  axisFormat {'%L ms' if longest < 1000 else '%s.%L s'}"]
    for gate, bars in drawn:
        lines.append(f"  section {mermaid_label(gate.gate)}")
        lines += [f"  {phase} :{start}, {end}" for phase, start, end in bars]
    return "\n".join([*lines, "```"])


def _bars(gate: GateVerdict) -> list[tuple[str, int, int]]:
    """Phase, start and end in whole milliseconds."""
    timing, bars, start = gate.timing, [], 0
    for phase in ("queue", "collect", "evaluate"):
        seconds: float = getattr(timing, f"{phase}_seconds")
        if seconds > 0:
            end = start + max(round(seconds * 1000), 1)
            bars.append((phase, start, end))
            start = end
    return bars
