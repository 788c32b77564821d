"""What `init` writes."""

from __future__ import annotations

from pathlib import Path

from gatekeeper.bundles import write_text
from gatekeeper.errors import ConfigurationError

_EVIDENCE = {
    "contracts": "  contracts:\n    - {contract: contracts/FILL-IN.odcs.yaml, data: data/FILL-IN.csv}\n",
    "lineage": (
        "  lineage:\n    openlineage: lineage/events.ndjson\n"
        "    outputs: [{namespace: FILL-IN, name: FILL-IN}]\n    inputs: [{namespace: FILL-IN, name: FILL-IN}]\n"
    ),
    "experiments": (
        "  experiments:\n    template: experiment.yaml\n"
        "    mlflow: {store: mlflow.db, run: FILL-IN, baseline: FILL-IN}\n"
    ),
    "slo": "  slo:\n    openslo: slo/serving.yaml\n    prometheus: {response: slo/prometheus.json}\n",
}
_GATES = {
    "model": ("contracts", "lineage", "experiments", "slo"),
    "dataset": ("contracts", "lineage"),
    "feature_view": ("contracts", "lineage", "slo"),
    "agent": ("lineage", "experiments", "slo"),
}

_MANIFEST = """\
# yaml-language-server: $schema=promotion.schema.json
# The schema beside this file comes from: gatekeeper schema promotion
apiVersion: gatekeeper/v1
kind: Promotion
candidate:
  kind: {kind}
  name: {name}
  version: 0.1.0
  artifacts:
    - {{path: FILL-IN, sha256: FILL-IN}} # sha256sum FILL-IN
from: staging
to: production
owner: FILL-IN
evidence:
{evidence}"""

_SETTINGS = """\
# yaml-language-server: $schema=settings.schema.json
# Trusted: keep this file where the author of a promotion cannot change it.
apiVersion: gatekeeper/v1
kind: Settings
engine: embedded
risk_tiers:
  default: high
  candidates: {{{name}: high}}
evidence:
  base_ref: origin/main
log: {{path: gatekeeper-decisions.jsonl}}
outputs:
  - {{format: markdown, path: gatekeeper-report.md}}
"""


def write_start(folder: Path, kind: str, name: str) -> list[Path]:
    """Write the two files; raises `ConfigurationError` when one of them is there already."""
    evidence = "".join(_EVIDENCE[gate] for gate in _GATES[kind])
    files = {
        folder / "promotion.yaml": _MANIFEST.format(kind=kind, name=name, evidence=evidence),
        folder / "gatekeeper.yaml": _SETTINGS.format(name=name),
    }
    for path in files:
        if path.exists():
            raise ConfigurationError(str(path), "is there already", hint="init never overwrites; choose another folder")
    for path, text in files.items():
        write_text(path, text)
    return list(files)
