"""What `collect` does: one bundle for each manifest, gaps named on stderr."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from gatekeeper.bundles import dump_bundle, write_text
from gatekeeper.collection import collect
from gatekeeper.collectors.registry import BUILT_IN, Collectors
from gatekeeper.errors import EXIT_ALLOW, EXIT_INCONCLUSIVE, ConfigurationError, worst
from gatekeeper.evidence import EvidenceBundle
from gatekeeper.settings import EvidenceSettings


def collect_each(
    manifests: Sequence[Path],
    output: Path | None,
    settings: EvidenceSettings,
    now: datetime,
    *,
    collectors: Collectors = BUILT_IN,
) -> int:
    """
    Collect every manifest and write its bundle; returns 0, or 3 when a gap is in one.

    Raises `ConfigurationError` when several bundles would go to one file.
    """
    if len(manifests) > 1 and (output is None or output.is_file()):
        raise ConfigurationError("--output", "a folder is wanted for several manifests", hint="write --output bundles/")
    codes = []
    for manifest in manifests:
        bundle = collect(manifest, settings, now, collectors=collectors)
        text = dump_bundle(bundle)
        if output is None or str(output) == "-":
            click.echo(text, nl=False)
        else:
            write_text(_target(output, bundle, several=len(manifests) > 1), text)
        codes.append(_announce_gaps(bundle))
    return worst(codes)


def _target(output: Path, bundle: EvidenceBundle, *, several: bool) -> Path:
    if not several and not output.is_dir():
        return output
    candidate = bundle.promotion.candidate
    name = f"{candidate.name}-{candidate.version}-{bundle.promotion.target}".replace("/", "_")
    return output / f"{name}.evidence.json"


def _announce_gaps(bundle: EvidenceBundle) -> int:
    gaps = [("candidate", bundle.gap), *((each.gate, each.gap) for each in bundle.evidence)]
    code = EXIT_ALLOW
    for name, gap in gaps:
        if gap is not None:
            click.echo(f"{name}: {gap.kind}: {gap.subject}: {gap.message}", err=True)
            click.echo(f"hint: {gap.hint}" if gap.hint else "hint: see the bundle", err=True)
            code = EXIT_INCONCLUSIVE
    return code
