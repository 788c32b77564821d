"""gatekeeper check"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gatekeeper.cli.options import JudgeOptions, judge_options


@click.command("check")
@click.argument("manifests", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--base-ref", metavar="REF", help="Git ref that holds what is in force now, over the settings.")
@judge_options
def command(manifests: tuple[Path, ...], **options: Any) -> int:
    """Collect the evidence that MANIFESTS name and decide each promotion."""
    from gatekeeper.cli.judging import gather_evidence, judge

    return judge(manifests, JudgeOptions(**options), gather_evidence)
