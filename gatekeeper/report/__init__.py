"""
Reports: one module per format, each with `render(decisions) -> str`, listed in `RENDERERS`.

A renderer is pure: no clock, no environment, no file. It never changes a decision, and a run that decided
nothing never looks like one that allowed something.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, cast

from gatekeeper.errors import ConfigurationError

if TYPE_CHECKING:
    from gatekeeper.decision import Decision

RENDERERS: dict[str, str] = {
    "text": "gatekeeper.report.text",
    "json": "gatekeeper.report.json",
    "markdown": "gatekeeper.report.markdown",
    "junit": "gatekeeper.report.junit",
    "github": "gatekeeper.report.github",
    "openmetrics": "gatekeeper.metrics.openmetrics",
}
"""Module by format; imported only when the format is asked for."""


class Renderer(Protocol):
    """A module of `RENDERERS`."""

    def render(self, decisions: Sequence[Decision]) -> str:
        """Show the decisions of one run."""
        ...


def wants_colour(environment: Mapping[str, str], is_tty: bool) -> bool:
    """
    Say whether output to a stream is coloured.

    NO_COLOR wins (https://no-color.org), then FORCE_COLOR (https://force-color.org; `0` does not force),
    then TERM=dumb, then whether a terminal reads it. An empty variable counts as absent.
    """
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR", "") not in ("", "0"):
        return True
    return is_tty and environment.get("TERM") != "dumb"


def render(name: str, decisions: Sequence[Decision], *, colour: bool = False, width: int = 100) -> str:
    """
    Show the decisions of one run in a format; `colour` and `width` (columns) are for text alone.

    Raises `ConfigurationError` when there is no such format.
    """
    if name not in RENDERERS:
        raise ConfigurationError(f"format {name!r}", "no such report", hint=f"known: {', '.join(RENDERERS)}")
    if name == "text":
        from gatekeeper.report import text

        return text.render(decisions, colour=colour, width=width)
    return cast("Renderer", importlib.import_module(RENDERERS[name])).render(decisions)
