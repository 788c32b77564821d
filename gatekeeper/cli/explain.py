"""gatekeeper explain"""

from __future__ import annotations

from pathlib import Path

import click


@click.command("explain")
@click.argument("rule")
@click.option("--settings", type=click.Path(path_type=Path), help="Trusted settings [default: gatekeeper.yaml].")
def command(rule: str, settings: Path | None) -> None:
    """Show what RULE asks, why, with which thresholds, and what to do; a gate's name shows all its rules."""
    from gatekeeper.cli.explaining import explain
    from gatekeeper.library import find_policies
    from gatekeeper.policy import load_policies
    from gatekeeper.settings import load_settings

    in_force = load_settings(settings)
    click.echo(explain(rule, load_policies(find_policies(in_force)), in_force))
