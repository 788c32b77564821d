"""gatekeeper policy"""

from __future__ import annotations

from pathlib import Path

import click

from gatekeeper.cli.policy_bundle import bundle_command
from gatekeeper.cli.policy_diff import diff_command
from gatekeeper.cli.policy_docs import docs_command
from gatekeeper.cli.policy_lint import lint_command
from gatekeeper.cli.policy_new import new_command
from gatekeeper.cli.policy_test import test_command


@click.group("policy")
def command() -> None:
    """Look at the policies in force, and work on them."""


for each in (bundle_command, diff_command, docs_command, lint_command, new_command, test_command):
    command.add_command(each)


@command.command("list")
@click.option("--settings", type=click.Path(path_type=Path), help="Trusted settings [default: gatekeeper.yaml].")
def list_command(settings: Path | None) -> None:
    """List every gate and rule, and the digest that decisions record."""
    from gatekeeper.cli.explaining import list_policies
    from gatekeeper.cli.options import trusted_side

    click.echo(list_policies(trusted_side(settings).policies))
