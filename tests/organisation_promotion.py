"""A promotion that must pass a gate of the organisation, as files, and the command as its users run it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from conftest import NOW

from gatekeeper import cli
from gatekeeper.cli.scaffolding import write_gate
from gatekeeper.document import sha256_hex

GOOD = {"measured_at": "2026-11-23T11:00:00Z", "value_ratio": 0.97, "sample_count": 2000}

MANIFEST = """\
apiVersion: gatekeeper/v1
kind: Promotion
candidate:
  kind: model
  name: tumour-classifier
  version: 2.3.0
  artifacts: [{path: model.json, sha256: DIGEST}]
from: staging
to: production
owner: team-imaging
evidence:
  fairness: {path: evidence/fairness.json}
"""

SETTINGS = """\
apiVersion: gatekeeper/v1
kind: Settings
engine: ENGINE
custom_policies: policies-custom
required_gates: {production: {model: [fairness]}}
"""

DECLARED = """\
custom_gates:
  fairness:
    schema: policies-custom/schemas/fairness.schema.json
    thresholds_schema: policies-custom/schemas/fairness.thresholds.schema.json
    max_age_seconds: 7200
    observed_at: /measured_at
"""

OWN = Path("policies-custom/custom/gatekeeper")
THRESHOLDS = OWN / "defaults/thresholds/fairness/data.yaml"
POLICY = OWN / "gates/fairness/fairness.rego"
SCHEMA = Path("policies-custom/schemas/fairness.schema.json")


CLOCK = ("--as-of", NOW.isoformat(), "--allow-past")


def _environment() -> dict[str, str]:
    dropped = ("NO_COLOR", "FORCE_COLOR", "GITHUB_", "GITLAB_", "CI", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {"COLUMNS": "200"}


@dataclass(frozen=True)
class OwnGate:
    """The folder of one promotion."""

    root: Path
    apart: bool = False
    """Commands run in a process of their own; otherwise in this one, which is much faster."""

    def write(self, name: str | Path, content: Any) -> None:
        """Write a file; what is no text or bytes becomes JSON."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")

    def edit(self, name: str | Path, old: str, new: str) -> None:
        """Replace text that must be there."""
        text = (self.root / name).read_text("utf-8")
        assert old in text, f"{old!r} is not in {name}"
        self.write(name, text.replace(old, new))

    def run(self, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run the command; `path` is one more folder of packages and asks for a process of its own."""
        environment = _environment() | ({"PYTHONPATH": str(path)} if path else {})
        if self.apart or path is not None:
            return subprocess.run(
                [sys.executable, "-m", "gatekeeper", *arguments, *CLOCK],
                cwd=self.root, capture_output=True, text=True, timeout=60, env=environment, check=False,
            )  # fmt: skip
        out, err = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.root), mock.patch.dict(os.environ, environment, clear=True),
            contextlib.redirect_stdout(out), contextlib.redirect_stderr(err),
        ):  # fmt: skip
            code = cli.run([*arguments, *CLOCK])
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    def check(self, *more: str, path: Path | None = None) -> tuple[int, dict[str, Any]]:
        """Run `check`; returns the exit code and the decision as JSON, and asks that both agree."""
        done = self.run("check", "promotion.yaml", "--format", "json", *more, path=path)
        assert "Traceback" not in done.stderr, done.stderr
        (decision,) = json.loads(done.stdout)["decisions"]
        assert decision["exit_code"] == done.returncode
        return done.returncode, decision


def make_own_gate(root: Path, *, engine: str = "embedded", apart: bool = False) -> OwnGate:
    """A promotion that the gate `fairness` allows: the scaffold, with its floor lowered."""
    promotion = OwnGate(root, apart)
    write_gate(root / "policies-custom", "fairness")
    promotion.edit(THRESHOLDS, "min_value_ratio: 1", "min_value_ratio: 0.9")
    promotion.write("model.json", "{}")
    promotion.write("promotion.yaml", MANIFEST.replace("DIGEST", sha256_hex(b"{}")))
    promotion.write("gatekeeper.yaml", SETTINGS.replace("ENGINE", engine) + DECLARED)
    promotion.write("evidence/fairness.json", GOOD)
    return promotion


def gate_of(decision: dict[str, Any], gate: str = "fairness") -> dict[str, Any]:
    """One gate of a decision as JSON."""
    found: dict[str, Any] = next(each for each in decision["gates"] if each["gate"] == gate)
    return found
