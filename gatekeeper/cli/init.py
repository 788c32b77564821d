"""gatekeeper init"""

from __future__ import annotations

from pathlib import Path

import click


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@click.option("--kind", type=click.Choice(["model", "dataset", "feature_view", "agent"]), default="model")
@click.option("--name", default="my-candidate", show_default=True, help="Name of the candidate.")
def command(folder: Path, kind: str, name: str) -> None:
    """Write promotion.yaml and gatekeeper.yaml into FOLDER to start from; existing files are kept."""
    from gatekeeper.cli.starting import write_start

    for path in write_start(folder, kind, name):
        click.echo(f"wrote {path}")
    click.echo("Fill in what says FILL-IN, then run: gatekeeper check promotion.yaml")
