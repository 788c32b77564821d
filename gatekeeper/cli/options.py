"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from gatekeeper.errors import ConfigurationError
from gatekeeper.trusted import TrustedSide, Whereabouts, load_trusted

Function = TypeVar("Function", bound=Callable[..., Any])
FORMATS = ("text", "json", "markdown", "junit", "github", "openmetrics")


@dataclass(frozen=True)
class JudgeOptions:
    """What `check` and `decide` take from the command line."""

    settings: Path | None
    as_of: str | None
    allow_past: bool
    log: Path | None
    format: str
    output: tuple[str, ...]
    policy_ref: str | None = None
    trust_work_tree: bool = False
    preview: bool = False
    expect_to: str | None = None
    base_ref: str | None = None
    verbose: bool = False

    def whereabouts(self) -> Whereabouts:
        """Where the trusted side is to be looked for."""
        return Whereabouts(Path.cwd(), os.environ, self.settings, self.policy_ref, work_tree=self.trust_work_tree)


_JUDGE = (
    click.option("--settings", type=click.Path(path_type=Path), help="Trusted settings [default: gatekeeper.yaml]."),
    click.option(
        "--policy-ref", metavar="REF", help="Git ref of settings, policies and waivers [default in CI: the base ref]."
    ),
    click.option("--trust-work-tree", is_flag=True, help="In CI, read them from the work tree; shows in the report."),
    click.option("--preview", is_flag=True, help="Show as well what the change's own policies would say."),
    click.option(
        "--expect-to", metavar="ENV", help="Environment that the pipeline deploys to; another one is refused."
    ),
    click.option("--as-of", metavar="RFC3339", help="Judge by this time instead of now."),
    click.option("--allow-past", is_flag=True, help="Let --as-of lie in the past; shows in the report."),
    click.option("--log", type=click.Path(path_type=Path), help="Decision log (JSONL), over the settings."),
    click.option("--format", type=click.Choice(FORMATS), default="text", show_default=True, help="Report on stdout."),
    click.option("--output", multiple=True, metavar="FORMAT=PATH", help="Write a report as well; repeatable."),
    click.option("--verbose", is_flag=True, help="Show tracebacks of internal errors."),
)


def judge_options(function: Function) -> Function:
    """Add the options of the commands that judge."""
    for option in reversed(_JUDGE):
        function = option(function)
    return function


def parse_outputs(values: tuple[str, ...]) -> list[tuple[str, Path]]:
    """Parse `FORMAT=PATH`; raises `ConfigurationError`."""
    outputs = []
    for value in values:
        name, equals, path = value.partition("=")
        if name not in FORMATS or not equals or not path:
            raise ConfigurationError(
                f"--output {value}", "FORMAT=PATH was wanted", hint=f"formats: {', '.join(FORMATS)}"
            )
        outputs.append((name, Path(path)))
    return outputs


def parse_clock(as_of: str | None, *, allow_past: bool) -> tuple[datetime, tuple[str, ...]]:
    """
    Read the run's clock once; returns it with a notice when it was moved.

    Raises `ConfigurationError` when the time has no zone, or lies in the past without leave.
    """
    now = datetime.now(UTC)
    if as_of is None:
        return now, ()
    try:
        moment = datetime.fromisoformat(as_of)
    except ValueError as error:
        raise ConfigurationError(f"--as-of {as_of}", "not a time", hint="write 2026-11-23T12:00:00Z") from error
    if moment.tzinfo is None:
        raise ConfigurationError(f"--as-of {as_of}", "has no time zone", hint=f"write {as_of}Z for UTC")
    if moment < now and not allow_past:
        raise ConfigurationError(
            f"--as-of {as_of}", "lies in the past", hint="add --allow-past; the report will say so"
        )
    direction = "past" if moment < now else "future"
    return moment, (f"judged as of {moment.isoformat()}, which lay in the {direction} when it ran (--as-of)",)


def trusted_side(settings: Path | None) -> TrustedSide:
    """Load the trusted side for commands that do not judge."""
    return load_trusted(Whereabouts(Path.cwd(), os.environ, settings), datetime.now(UTC))
