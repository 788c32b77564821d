"""gatekeeper collect"""

from __future__ import annotations

from pathlib import Path

import click


@click.command("collect")
@click.argument("manifests", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File, or folder for several [default: stdout].")
@click.option("--settings", type=click.Path(path_type=Path), help="Trusted settings [default: gatekeeper.yaml].")
@click.option("--base-ref", metavar="REF", help="Git ref that holds what is in force now, over the settings.")
@click.option("--as-of", metavar="RFC3339", help="Collect as of this time instead of now.")
@click.option("--allow-past", is_flag=True, help="Let --as-of lie in the past.")
def command(
    manifests: tuple[Path, ...],
    output: Path | None,
    settings: Path | None,
    base_ref: str | None,
    as_of: str | None,
    allow_past: bool,
) -> int:
    """Gather the evidence that MANIFESTS name; exits 3 when a gate has a gap, and writes the bundle all the same."""
    from gatekeeper.cli.collecting import collect_each
    from gatekeeper.cli.options import parse_clock, trusted_side

    now, _ = parse_clock(as_of, allow_past=allow_past)
    trusted = trusted_side(settings)
    evidence = trusted.settings.evidence
    if base_ref is not None:
        evidence = evidence.model_copy(update={"base_ref": base_ref})
    return collect_each(manifests, output, evidence, now, collectors=trusted.collectors)
