"""What `check` and `decide` have in common: set up a run, decide each promotion, record, report."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

import click

from gatekeeper.bundles import evidence_json, load_bundle, write_text
from gatekeeper.cli.options import JudgeOptions, parse_clock, parse_outputs
from gatekeeper.decision import Decision, Preview
from gatekeeper.document import dump_json
from gatekeeper.engine import open_engine
from gatekeeper.engine.embedded import discard_early
from gatekeeper.errors import (
    EXIT_UNAVAILABLE,
    ConfigurationError,
    GatekeeperError,
    InternalError,
    Interrupted,
    UnavailableError,
    worst,
)
from gatekeeper.evidence import EvidenceBundle
from gatekeeper.log.jsonl import append_lines
from gatekeeper.log.record import make_record
from gatekeeper.promotion import Run, decide, undecided
from gatekeeper.report import render, wants_colour
from gatekeeper.settings import EvidenceSettings, Settings
from gatekeeper.trusted import TrustedSide, load_trusted

Obtain = Callable[[Path, EvidenceSettings, Run], EvidenceBundle]
"""How a command comes by the evidence of one path; a named function, so that another process can be told."""

PARALLEL_FROM = 64
"""Promotions in one run from which a second process pays for its start."""

Judged = list[tuple[Decision, bytes]]
"""Decisions, each with its record as JSON, which another process hands over as it is."""


@dataclass(frozen=True)
class _Sitting:
    """What all decisions of a run have in common; can be sent to another process."""

    trusted: TrustedSide
    now: datetime
    notices: tuple[str, ...]
    obtain: Obtain
    options: JudgeOptions


def judge(paths: Sequence[Path], options: JudgeOptions, obtain: Obtain) -> int:
    """Decide every path, record every decision, then report; returns the worst exit code."""
    outputs = parse_outputs(options.output)
    now, notices = parse_clock(options.as_of, allow_past=options.allow_past)
    settings = Settings()
    judged: Judged = []
    try:
        trusted = load_trusted(options.whereabouts(), now)
        settings = trusted.settings
        sitting = _Sitting(trusted, now, notices, obtain, options)
        for share in _judge_all(paths, sitting):
            judged += share
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # the edge: a bug leaves a record too
        cause = _explain(error, verbose=options.verbose)
        judged += [_recorded(undecided(cause, str(path), now)) for path in paths[len(judged) :]]
    decisions = _record(judged, options.log or Path(settings.log.path), now)
    outputs += [(each.format, Path(each.path)) for each in settings.outputs]
    failed = _report(decisions, options.format, outputs)
    return worst([each.exit_code for each in decisions] + ([EXIT_UNAVAILABLE] if failed else []))


def read_evidence(path: Path, _settings: EvidenceSettings, _run: Run) -> EvidenceBundle:
    """Take the evidence from a bundle, for `decide`."""
    return load_bundle(path)


def gather_evidence(path: Path, settings: EvidenceSettings, run: Run) -> EvidenceBundle:
    """Collect the evidence that a manifest names, for `check`."""
    from gatekeeper.collection import collect

    return collect(path, settings, run.now, collectors=run.collectors)


def _judge_all(paths: Sequence[Path], sitting: _Sitting) -> Iterator[Judged]:
    """Decide in this process, or many promotions in one process for each core; in the order of the paths."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    shared_server = sitting.trusted.settings.engine_settings.url is not None  # it holds one set of policies
    if len(paths) < PARALLEL_FROM or cores == 1 or shared_server:
        yield from _judge_share(sitting, paths)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    discard_early()  # a worker belongs to one process
    size = -(-len(paths) // cores)
    shares = [paths[start : start + size] for start in range(0, len(paths), size)]
    with ProcessPoolExecutor(len(shares), mp_context=get_context("fork")) as pool:
        yield from pool.map(partial(_judge_whole_share, sitting), shares)


def _judge_whole_share(sitting: _Sitting, paths: Sequence[Path]) -> Judged:
    return [each for judged in _judge_share(sitting, paths) for each in judged]


def _judge_share(sitting: _Sitting, paths: Sequence[Path]) -> Iterator[Judged]:
    with _open_run(sitting.trusted, sitting) as run:
        for path in paths:
            yield [_judge_one(path, run, sitting)]


@contextmanager
def _open_run(trusted: TrustedSide, sitting: _Sitting) -> Iterator[Run]:
    engine = open_engine(trusted.settings.engine_settings)
    try:
        engine.load(trusted.policies)
        yield Run(
            trusted.settings,
            trusted.policies,
            engine,
            sitting.now,
            sitting.notices,
            waivers=trusted.waivers,
            ledger=trusted.ledger,
            collectors=trusted.collectors,
            requesters=_requesters(os.environ),
        )
    finally:
        engine.close()


def _preview(bundle: EvidenceBundle, path: Path, sitting: _Sitting) -> Preview:
    """Judge the same evidence by the settings and policies of the work tree; any fault is inconclusive."""
    where = replace(sitting.options.whereabouts(), policy_ref=None, work_tree=True)
    try:
        with _open_run(load_trusted(where, sitting.now), sitting) as run:
            found = decide(bundle, str(path), run)
    except GatekeeperError as error:
        found = undecided(error, str(path), sitting.now)
    verdicts = {each.gate: each.verdict for each in found.gates}
    return Preview(outcome=found.outcome, reason=found.reason, policy=found.policy, verdicts=verdicts)


def _judge_one(path: Path, run: Run, sitting: _Sitting) -> tuple[Decision, bytes]:
    evidence, options = run.settings.evidence, sitting.options
    if options.base_ref is not None:
        evidence = evidence.model_copy(update={"base_ref": options.base_ref})
    try:
        bundle = sitting.obtain(path, evidence, run)
        _check_target(bundle, options.expect_to)
    except GatekeeperError as error:
        return _recorded(undecided(error, str(path), run))
    decision = decide(bundle, str(path), run)
    if options.preview:
        decision = decision.model_copy(update={"preview": _preview(bundle, path, sitting)})
    return _recorded(decision, bundle)


def _check_target(bundle: EvidenceBundle, wanted: str | None) -> None:
    """Refuse a promotion to another environment than the pipeline is about to deploy to."""
    if wanted is not None and bundle.promotion.target != wanted:
        raise ConfigurationError(
            f"environment {bundle.promotion.target!r}",
            f"the manifest asks for it, the pipeline for {wanted!r} (--expect-to)",
            hint="the environment decides which gates are required; mend `to` in the manifest",
        )


def _requesters(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Who asked for this run, as the CI system says; none of them may approve a waiver for it."""
    names = (environment.get(variable, "") for variable in ("GITHUB_ACTOR", "GITLAB_USER_LOGIN"))
    return tuple(name for name in names if name)


def _recorded(decision: Decision, bundle: EvidenceBundle | None = None) -> tuple[Decision, bytes]:
    return decision, dump_json(make_record(decision, evidence_json(bundle) if bundle else None))


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


def _record(judged: Judged, log: Path, now: datetime) -> list[Decision]:
    """Append every decision to the log; a decision that cannot be recorded is not one."""
    numbers = (signal.SIGINT, signal.SIGTERM)  # the decisions are made; nothing may come between them and the log
    handlers = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        append_lines(log, [record for _, record in judged])
    except UnavailableError as error:
        return [undecided(error, decision.subject, now).model_copy(update={"promotion": decision.promotion})
                for decision, _ in judged]  # fmt: skip
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)
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
