"""What `check` and `decide` have in common: set up a run, decide each promotion, record, report."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click

from gatekeeper.bundles import evidence_json, write_text
from gatekeeper.cli.options import JudgeOptions, parse_clock, parse_outputs
from gatekeeper.decision import Decision
from gatekeeper.engine import open_engine
from gatekeeper.errors import (
    EXIT_UNAVAILABLE,
    GatekeeperError,
    InternalError,
    Interrupted,
    UnavailableError,
    worst,
)
from gatekeeper.evidence import EvidenceBundle
from gatekeeper.library import find_policies
from gatekeeper.log.jsonl import append
from gatekeeper.log.record import make_record
from gatekeeper.policy import load_policies
from gatekeeper.promotion import Run, decide, undecided
from gatekeeper.report import render, wants_colour
from gatekeeper.settings import Settings, load_settings

Obtain = Callable[[Path, Run], EvidenceBundle]
"""How a command comes by the evidence of one path."""

Judged = list[tuple[Decision, EvidenceBundle | None]]


def judge(paths: Sequence[Path], options: JudgeOptions, obtain: Obtain) -> int:
    """Decide every path, record every decision, then report; returns the worst exit code."""
    outputs = parse_outputs(options.output)
    now, notices = parse_clock(options.as_of, allow_past=options.allow_past)
    settings = Settings()
    judged: Judged = []
    try:
        settings = _with_options(load_settings(options.settings), options)
        with _open_run(settings, now, notices) as run:
            for path in paths:
                judged.append(_judge_one(path, run, obtain))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # the edge: a bug leaves a record too
        cause = _explain(error, verbose=options.verbose)
        judged += [(undecided(cause, str(path), now), None) for path in paths[len(judged) :]]
    decisions = _record(judged, options.log or Path(settings.log.path), now)
    outputs += [(each.format, Path(each.path)) for each in settings.outputs]
    failed = _report(decisions, options.format, outputs)
    return worst([each.exit_code for each in decisions] + ([EXIT_UNAVAILABLE] if failed else []))


def _judge_one(path: Path, run: Run, obtain: Obtain) -> tuple[Decision, EvidenceBundle | None]:
    try:
        bundle = obtain(path, run)
    except GatekeeperError as error:
        return undecided(error, str(path), run), None
    return decide(bundle, str(path), run), bundle


@contextmanager
def _open_run(settings: Settings, now: datetime, notices: tuple[str, ...]) -> Iterator[Run]:
    policies = load_policies(find_policies(settings))
    engine = open_engine(settings.engine_settings)
    try:
        engine.load(policies)
        yield Run(settings, policies, engine, now, notices)
    finally:
        engine.close()


def _explain(error: BaseException, *, verbose: bool) -> GatekeeperError:
    """Name what ended the run before every path was decided."""
    match error:
        case GatekeeperError():
            return error
        case KeyboardInterrupt():
            return Interrupted("gatekeeper", "the run was interrupted before it decided", hint="run it again")
        case _:
            if verbose:
                click.echo("".join(traceback.format_exception(error)), err=True)
            problem = f"{type(error).__name__}: {error}"
            return InternalError("gatekeeper", problem, hint="run again with --verbose and report it")


def _with_options(settings: Settings, options: JudgeOptions) -> Settings:
    if options.base_ref is None:
        return settings
    evidence = settings.evidence.model_copy(update={"base_ref": options.base_ref})
    return settings.model_copy(update={"evidence": evidence})


def _record(judged: Judged, log: Path, now: datetime) -> list[Decision]:
    """Append every decision to the log; a decision that cannot be recorded is not one."""
    records = [make_record(decision, evidence_json(bundle) if bundle else None) for decision, bundle in judged]
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)  # the decisions are made; nothing may come between them and the log
    try:
        append(log, records)
    except UnavailableError as error:
        return [undecided(error, decision.subject, now, bundle=bundle) for decision, bundle in judged]
    return [decision for decision, _ in judged]


def _report(decisions: list[Decision], form: str, outputs: list[tuple[str, Path]]) -> bool:
    """Write every report; returns whether one of them failed."""
    failed = False
    for name, path in outputs:
        text = render(name, decisions)
        try:
            if str(path) == "-":
                click.echo(text, nl=False)
            else:
                write_text(path, text)
        except UnavailableError as error:
            click.echo(f"{error.subject}: error: {error.problem}\nhint: {error.hint}", err=True)
            failed = True
    colour = form == "text" and wants_colour(os.environ, is_tty=sys.stdout.isatty())
    width = shutil.get_terminal_size((100, 24)).columns
    click.echo(render(form, decisions, colour=colour, width=width), nl=False, color=True)
    return failed
