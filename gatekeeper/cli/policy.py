"""gatekeeper policy"""

from __future__ import annotations

from pathlib import Path

import click


@click.group("policy")
def command() -> None:
    """Look at the policies in force."""


@command.command("list")
@click.option("--settings", type=click.Path(path_type=Path), help="Trusted settings [default: gatekeeper.yaml].")
def list_command(settings: Path | None) -> None:
    """List every gate and rule, and the digest that decisions record."""
    from gatekeeper.cli.explaining import list_policies
    from gatekeeper.library import find_policies
    from gatekeeper.policy import load_policies
    from gatekeeper.settings import load_settings

    click.echo(list_policies(load_policies(find_policies(load_settings(settings)))))
