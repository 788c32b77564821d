"""gatekeeper decide"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gatekeeper.cli.options import JudgeOptions, judge_options


@click.command("decide")
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path))
@judge_options
def command(bundles: tuple[Path, ...], **options: Any) -> int:
    """Decide each promotion from its evidence in BUNDLES; no network, no file of the candidate."""
    from gatekeeper.cli.judging import judge, read_evidence

    return judge(bundles, JudgeOptions(**options), read_evidence)
