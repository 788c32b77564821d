"""gatekeeper policy diff"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

_PATH = click.Path(path_type=Path)


@click.command("diff")
@click.argument("base")
@click.argument("head")
@click.option("--evidence", multiple=True, type=_PATH, help="Bundle, or folder of bundles, to judge under both.")
@click.option("--log", multiple=True, type=_PATH, help="Decision log (JSONL) whose evidence is judged under both.")
@click.option("--allow-weakening", metavar="REASON", help="Exit 0 although the policies get weaker; shown.")
@click.option("--require-approval", is_flag=True, help="Exit 1 for every known weakening, seen in evidence or not.")
@click.option("--settings", type=_PATH, help="Trusted settings [default: gatekeeper.yaml].")
@click.option("--format", "form", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True)
@click.pass_context
def diff_command(context: click.Context, /, base: str, head: str, form: str, **options: Any) -> None:
    """
    Compare the policies BASE with HEAD: each a folder, or a git ref with a path (origin/main:policies).

    Exit codes: 0 no promotion flips to allow, 1 one does, 2 policies or settings are wrong, 3 the evidence does
    not tell, 4 the engine cannot run.
    """
    from gatekeeper.cli.diffing import DiffOptions, render_review, review_policies

    review = review_policies(base, head, DiffOptions(**options))
    click.echo(render_review(review, form), nl=False)
    context.exit(review.exit_code)
