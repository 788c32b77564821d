"""gatekeeper policy docs"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command("docs")
@click.argument("policies", required=False, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the pages.")
@click.option("--check", is_flag=True, help="Write nothing; fail when a page is stale.")
@click.option("--settings", type=click.Path(path_type=Path), help="Trusted settings [default: gatekeeper.yaml].")
@click.pass_context
def docs_command(context: click.Context, /, policies: Path | None, settings: Path | None, **where: Any) -> None:
    """
    Write a Markdown page for each gate of POLICIES, or of the policies in force, with all its rules.

    Exit codes: 0 written or up to date, 1 a page is stale (--check), 2 the policies are not whole.
    """
    from gatekeeper.cli.policy_working import open_sources, write_pages

    sources, _ = open_sources(policies, settings)
    stale = write_pages(sources, where["output"], check=where["check"])
    for each in stale:
        click.echo(f"{where['output'].as_posix()}/{each}; run `gatekeeper policy docs`")
    context.exit(1 if stale else 0)
