"""gatekeeper policy test"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command("test")
@click.argument("policies", required=False, type=click.Path(path_type=Path))
@click.option("--settings", type=click.Path(path_type=Path), help="Trusted settings [default: gatekeeper.yaml].")
@click.option("--threshold", type=click.FloatRange(0, 100), default=0, help="Lines to be covered, in per cent.")
@click.option("--opa", type=click.Path(path_type=Path), help="Real opa [default: PATH or .tools/bin/opa, if there].")
@click.pass_context
def test_command(context: click.Context, /, policies: Path | None, settings: Path | None, **options: Any) -> None:
    """
    Run the Rego tests of POLICIES, or of the policies in force, on the embedded engine and on OPA if it is there.

    Exit codes: 0 all passed, 1 a test failed, the engines disagree, too little is covered or there is no test,
    2 the folder cannot be read or does not compile, 4 an engine cannot run.
    """
    from gatekeeper.cli.policy_working import open_sources, run_tests

    sources, limits = open_sources(policies, settings)
    report = run_tests(sources, limits, **options)
    click.echo(report.text)
    context.exit(1 if report.failures else 0)
