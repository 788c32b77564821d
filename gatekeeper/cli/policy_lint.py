"""gatekeeper policy lint"""

from __future__ import annotations

from pathlib import Path

import click


@click.command("lint")
@click.argument("policies", required=False, type=click.Path(path_type=Path))
@click.option("--settings", type=click.Path(path_type=Path), help="Trusted settings [default: gatekeeper.yaml].")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def lint_command(context: click.Context, policies: Path | None, settings: Path | None, form: str) -> None:
    """
    Find what makes a policy fail quietly: in the folder POLICIES, or in the policies in force.

    Exit codes: 0 clean, 1 something found, 2 the folder cannot be read, 4 the engine cannot run.
    """
    from gatekeeper.cli.policy_working import open_sources
    from gatekeeper.policy_tools.linting import lint, render_json, render_text

    sources, limits = open_sources(policies, settings)
    found = lint(sources, limits)
    click.echo((render_json if form == "json" else render_text)(found, len(sources.policies.modules)))
    context.exit(1 if found else 0)
