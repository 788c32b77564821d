"""The action: clean under the linters, and run for real by act for every kind of outcome."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import PROJECT, find_tool, git

BIN = Path(sys.executable).parent
WORKFLOW = """\
on: push
jobs:
  gate:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4 # act copies the local repository in its place
      - id: gate
        uses: ./action
        continue-on-error: true
        with:
          manifests: ${{ env.MANIFEST }}
          settings: gatekeeper.yaml
          policy-ref: main
          expect-to: production
          as-of: "AS_OF"
          log: RESULTS/decisions.jsonl
          python: PYTHON
      - shell: bash
        env:
          OUTCOME: ${{ steps.gate.outcome }}
          DECISION: ${{ steps.gate.outputs.decision }}
          CODE: ${{ steps.gate.outputs.exit-code }}
          ID: ${{ steps.gate.outputs.decision-id }}
          REPORT: ${{ steps.gate.outputs.report-json }}
        run: |
          printf '%s\\n' "$OUTCOME" "$DECISION" "$CODE" "$ID" > RESULTS/result.txt
          cp "$REPORT" RESULTS/report.json
"""


def run(*command: str, cwd: Path = PROJECT, timeout: float = 120, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env=os.environ | variables, capture_output=True, text=True, timeout=timeout, check=False
    )


def test_action_follows_the_schema_of_github() -> None:
    """check-jsonschema finds action.yml and the workflows valid."""
    done = run(str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.github-actions", "action.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    workflows = [str(path) for path in (PROJECT / ".github/workflows").glob("*.yml")]
    done = run(str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *workflows)
    assert done.returncode == 0, done.stdout + done.stderr


def test_action_has_no_finding_of_zizmor() -> None:
    """zizmor, strict about what it collects, has nothing to say about the action and the workflows."""
    done = run(str(BIN / "zizmor"), "--offline", "--strict-collection", "--no-progress", "action.yml", ".github")
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_can_fail(tmp_path: Path) -> None:
    """The same zizmor refuses an action that puts an input into a script."""
    broken = (PROJECT / "action.yml").read_text("utf-8").replace('"$MANIFESTS"', '"${{ inputs.manifests }}"')
    (tmp_path / "action.yml").write_text(broken, "utf-8")
    assert run(str(BIN / "zizmor"), "--offline", "--strict-collection", str(tmp_path / "action.yml")).returncode != 0


def test_workflows_have_no_finding_of_actionlint() -> None:
    """actionlint has nothing to say about the workflows."""
    done = run(find_tool("actionlint"), "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_input_passes_through_the_environment() -> None:
    """No input is interpolated into a script, and the defaults of the settings are not repeated in the action."""
    action = yaml.safe_load((PROJECT / "action.yml").read_text("utf-8"))
    for step in action["runs"]["steps"]:
        assert "${{" not in step["run"]
    assert set(action["outputs"]) >= {"decision", "exit-code", "decision-id", "report-json"}


def copy_action(target: Path) -> None:
    """Copy the tracked files, as a checkout of the action's repository would hold them."""
    for name in run("git", "ls-files", "-co", "--exclude-standard").stdout.splitlines():
        if not name.startswith(("tests/", "examples/", "docs/")) and (PROJECT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, target / name)


@pytest.mark.parametrize(
    ("example", "spoil", "expected"),
    [
        ("tumour-classifier", False, ("success", "allow", "0")),
        ("clinical-features", False, ("failure", "deny", "1")),
        ("tumour-classifier", True, ("failure", "inconclusive", "3")),
    ],
    ids=["allow", "deny", "inconclusive"],
)
def test_act_runs_the_action(tmp_path: Path, example: str, *, spoil: bool, expected: tuple[str, str, str]) -> None:
    """act, without a container, installs and runs the action: the outputs and the step's outcome are those of the decision."""
    root = tmp_path / "repo"
    run(sys.executable, "examples/demo_repository.py", example, str(root))
    git(root, "checkout", "-q", "main")
    shutil.copy(PROJECT / "examples" / "gatekeeper.yaml", root)
    git(root, "add", "gatekeeper.yaml")
    git(root, "commit", "-q", "-m", "Trusted settings")
    git(root, "checkout", "-q", "promote")
    copy_action(root / "action")
    if spoil:
        (root / "lineage" / "events.ndjson").unlink()
    results = tmp_path / "results"
    results.mkdir()
    as_of = (PROJECT / "examples" / example / "as_of.txt").read_text("utf-8").strip()
    workflow = root / ".github" / "workflows" / "gate.yml"
    workflow.parent.mkdir(parents=True)
    values = {"AS_OF": as_of, "PYTHON": sys.executable, "RESULTS": str(results)}
    text = WORKFLOW
    for name, value in values.items():
        text = text.replace(name, value)
    workflow.write_text(text, "utf-8")
    git(root, "remote", "add", "origin", "https://github.com/example/example")
    done = run(
        str(BIN / "act"), "push", "-P", "ubuntu-latest=-self-hosted", "--json", "--env", "MANIFEST=promotion.yaml",
        cwd=root, timeout=300,
    )  # fmt: skip
    assert (results / "result.txt").is_file(), done.stdout + done.stderr
    outcome, decision, code, decision_id = (results / "result.txt").read_text("utf-8").split()
    assert (outcome, decision, code) == expected, done.stdout + done.stderr
    report = json.loads((results / "report.json").read_text("utf-8"))
    (record,) = (results / "decisions.jsonl").read_text("utf-8").splitlines()
    assert report["decisions"][0]["decision_id"] == decision_id == json.loads(record)["decision_id"]
