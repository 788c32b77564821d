"""
Collectors gather evidence; one module per gate, each satisfying `Collector`, listed in `COLLECTORS`.

A collector reads files only through its `Workspace`, computes every figure in Python, and returns its
evidence model or raises `EvidenceError`, which becomes a gap.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, cast

from gatekeeper.document import Document
from gatekeeper.evidence import EvidenceBody, GateThresholds
from gatekeeper.files import Workspace

if TYPE_CHECKING:
    from gatekeeper.manifest import PromotionManifest
    from gatekeeper.settings import EvidenceSettings

COLLECTORS = {
    "contracts": "gatekeeper.collectors.contracts",
    "lineage": "gatekeeper.collectors.lineage",
    "experiments": "gatekeeper.collectors.experiments",
    "slo": "gatekeeper.collectors.slo",
}
"""Module by gate; imported only when the gate is used."""


@dataclass(frozen=True)
class Context:
    """What a collector may know and use."""

    workspace: Workspace
    """The only door to files; keeps the digests of what was read."""
    promotion: PromotionManifest
    """What wants to move."""
    settings: EvidenceSettings
    """Limits: base ref, allowed hosts, sizes, time-outs."""
    now: datetime
    """The run's pinned clock."""


class Collector(Protocol):
    """A module of this package."""

    Request: type[Document]
    """Shape of the gate's part of the manifest's `evidence`."""
    Body: type[EvidenceBody]
    """Shape of the evidence."""
    Thresholds: type[GateThresholds]
    """Shape of the gate's thresholds."""

    def collect(self, request: Any, context: Context) -> EvidenceBody:
        """Gather the evidence; raises `EvidenceError` when it is missing, stale, malformed or unverifiable."""
        ...


def load_collector(gate: str) -> Collector:
    """Import the collector of a known gate."""
    return cast("Collector", importlib.import_module(COLLECTORS[gate]))
