"""gatekeeper schema"""

from __future__ import annotations

import json

import click

from gatekeeper.schemas import SCHEMAS


@click.command("schema")
@click.argument("document", type=click.Choice(sorted(SCHEMAS)))
def command(document: str) -> None:
    """Print the JSON Schema of DOCUMENT, for editors and validators."""
    from gatekeeper.contracts import load_schema

    click.echo(json.dumps(load_schema(document), indent=2, ensure_ascii=False))
