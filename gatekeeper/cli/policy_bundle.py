"""gatekeeper policy bundle"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gatekeeper.trust.keys import ALGORITHMS


@click.command("bundle")
@click.argument("policies", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The bundle to write: a .tar.gz.")
@click.option("--revision", help="Name of this version [default: sha256:<digest of the policies>].")
@click.option(
    "--signing-key", type=click.Path(path_type=Path), help="Private key in PEM; without it nothing is signed."
)
@click.option("--algorithm", type=click.Choice(ALGORITHMS), help="Algorithm of the key [default: ES256].")
@click.option("--key-id", help="Name under which the public key is trusted; needed to sign.")
@click.option("--scope", help="What the signature is for; OPA and gatekeeper compare it.")
def bundle_command(policies: Path, output: Path, revision: str | None, **signing: Any) -> None:
    """
    Build an OPA bundle of the policy folder POLICIES, byte for byte reproducible, signed when a key is given.

    \b
    gatekeeper policy bundle policies -o bundle.tar.gz --signing-key key.pem --key-id team-2026
    opa run -s -b bundle.tar.gz --verification-key key.pub --verification-key-id team-2026 --signing-alg ES256
    """
    from gatekeeper.cli.bundling import SigningOptions, write_bundle

    click.echo(write_bundle(policies, output, SigningOptions(**signing), revision=revision))
