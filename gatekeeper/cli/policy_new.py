"""gatekeeper policy new"""

from __future__ import annotations

from pathlib import Path

import click


@click.command("new")
@click.argument("gate")
@click.option(
    "--folder", type=click.Path(path_type=Path), default="policies-custom", show_default=True,
    help="Folder of the organisation's own policies.",
)  # fmt: skip
def new_command(gate: str, folder: Path) -> None:
    """Start a GATE of your own: policy, test, schemas, thresholds and an example; it denies until you say otherwise."""
    from gatekeeper.cli.scaffolding import write_gate

    written = write_gate(folder, gate)
    for path in written:
        click.echo(f"wrote {path}")
    click.echo(f"Fill in what says FILL-IN; what to add to gatekeeper.yaml and promotion.yaml is in {written[-1]}")
