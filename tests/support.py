"""Makers of the values that tests need: manifests, contexts."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from conftest import NOW

from gatekeeper.collectors import Context
from gatekeeper.files import Workspace
from gatekeeper.manifest import PromotionManifest
from gatekeeper.settings import EvidenceSettings

SHA = "0" * 64


def make_manifest(**changes: Any) -> PromotionManifest:
    """A promotion of a model from staging to production, with changes at its top level."""
    content: dict[str, Any] = {
        "apiVersion": "gatekeeper/v1",
        "kind": "Promotion",
        "candidate": {
            "kind": "model",
            "name": "tumour-classifier",
            "version": "2.3.0",
            "artifacts": [{"path": "model.json", "sha256": SHA}],
        },
        "from": "staging",
        "to": "production",
        "owner": "team-imaging",
        "evidence": {},
    }
    return PromotionManifest.model_validate_json(json.dumps(content | changes))


def make_context(
    root: Path, *, now: datetime = NOW, settings: EvidenceSettings | None = None, **changes: Any
) -> Context:
    """A collector's context over a folder that is both repository root and manifest folder."""
    return Context(
        workspace=Workspace(root=root, base=root),
        promotion=make_manifest(**changes),
        settings=settings or EvidenceSettings(),
        now=now,
    )
