"""gatekeeper explain"""

from __future__ import annotations

from pathlib import Path

import click


@click.command("explain")
@click.argument("rule")
@click.option("--settings", type=click.Path(path_type=Path), help="Trusted settings [default: gatekeeper.yaml].")
@click.option("--log", type=click.Path(path_type=Path), help="Decision log (JSONL), over the settings.")
def command(rule: str, settings: Path | None, log: Path | None) -> None:
    """Show what RULE asks, why, with which thresholds, and what to do; a gate's name shows all its rules."""
    from gatekeeper.cli.explaining import explain, recent_findings
    from gatekeeper.cli.options import trusted_side

    trusted = trusted_side(settings)
    click.echo(explain(rule, trusted.policies, trusted.settings))
    click.echo(recent_findings(rule, log or Path(trusted.settings.log.path)))
