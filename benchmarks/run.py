"""
Throughput, cold start and growth, beside conftest and opa on the same evidence with the same Rego.

    make bench

Whole processes, each table from one run on one machine; nothing here asserts a time.
"""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measure import Cost, interleave, run, show

PROJECT = Path(__file__).resolve().parent.parent
EXAMPLE = "tumour-classifier"
GATES = ("contracts", "lineage", "experiments", "slo")
TOOLS = PROJECT / ".tools" / "bin"
GATEKEEPER = str(Path(sys.executable).with_name("gatekeeper"))
DOCUMENTS = 400
ROUNDS = 15

CONFTEST = [str(TOOLS / "conftest"), "test", "-p", "policies", "--no-color", "-o", "json"]

WRAPPER = """\
package bench

deny contains object.union(finding, {"msg": finding.message}) if {
	some gate, document in input
	some finding in data.gatekeeper.gates[gate].deny with input as document
}
"""
"""The four gates in one package, so that the peers read one document for each promotion, as gatekeeper does."""


def prepare(folder: Path) -> str:
    """Build the example's repository, collect one bundle, and return the time to judge it by."""
    subprocess.run(
        [sys.executable, "examples/demo_repository.py", EXAMPLE, str(folder / "repo")], cwd=PROJECT, check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    shutil.copy(PROJECT / "examples" / "gatekeeper.yaml", folder / "repo")
    as_of = (PROJECT / "examples" / EXAMPLE / "as_of.txt").read_text("utf-8").strip()
    clock = ["--as-of", as_of, "--allow-past"]
    subprocess.run(
        [GATEKEEPER, "collect", "promotion.yaml", "-o", str(folder / "bundle.json"), *clock],
        cwd=folder / "repo", check=True,
    )  # fmt: skip
    shutil.copytree(PROJECT / "policies", folder / "policies", ignore=shutil.ignore_patterns("*_test.rego"))
    (folder / "policies" / "bench.rego").write_text(WRAPPER, "utf-8")
    return as_of


def peer_document(bundle: dict[str, Any], as_of: str) -> dict[str, Any]:
    """The inputs of the four gates as one document, with the thresholds that gatekeeper resolves."""
    from gatekeeper.evidence import EvidenceBundle
    from gatekeeper.library import LIBRARY
    from gatekeeper.policy import load_policies
    from gatekeeper.requirements import require
    from gatekeeper.settings import Settings

    parsed = EvidenceBundle.model_validate_json(json.dumps(bundle))
    required = require(parsed.promotion, load_policies(LIBRARY), Settings())
    return {
        each["gate"]: {
            "promotion": bundle["promotion"],
            "gate": each["gate"],
            "evidence": each["body"],
            "now": as_of,
            "settings": required.settings_of(each["gate"]),
        }
        for each in bundle["evidence"]
    }


def write_many(folder: Path, as_of: str) -> tuple[list[str], list[str]]:
    """Write bundles and peer documents that differ in the candidate's version."""
    from gatekeeper.evidence import bundle_digest

    bundle = json.loads((folder / "bundle.json").read_text("utf-8"))
    for name in ("bundles", "documents"):
        (folder / name).mkdir()
    bundles, documents = [], []
    for number in range(DOCUMENTS):
        bundle["promotion"]["candidate"]["version"] = f"2.3.{number}"
        bundle["digest"] = bundle_digest(bundle)
        bundles.append(f"bundles/{number:03}.json")
        documents.append(f"documents/{number:03}.json")
        (folder / bundles[-1]).write_text(json.dumps(bundle), "utf-8")
        (folder / documents[-1]).write_text(json.dumps(peer_document(bundle, as_of)), "utf-8")
    return bundles, documents


def throughput(folder: Path, as_of: str) -> None:
    """Many promotions in one run: a merge queue, a nightly check of everything."""
    bundles, documents = write_many(folder, as_of)
    size = (folder / bundles[0]).stat().st_size
    decide = [GATEKEEPER, "decide", *bundles, "--as-of", as_of, "--allow-past", "--format", "openmetrics", "--settings",
              "repo/gatekeeper.yaml", "--log", "many.jsonl"]  # fmt: skip
    costs = interleave(
        {
            "gatekeeper decide (logged, fsynced)": decide,
            "opa exec": [str(TOOLS / "opa"), "exec", "--decision", "bench/deny", "--bundle", "policies", *documents],
            "conftest test --namespace bench": [*CONFTEST, "--namespace", "bench", *documents],
        },
        cwd=folder, rounds=3,
    )  # fmt: skip
    show(f"{DOCUMENTS} promotions of 4 gates, {size / 1000:.0f} KB each; per promotion", costs,
         base="gatekeeper decide (logged, fsynced)", per=DOCUMENTS)  # fmt: skip
    lines = (folder / "many.jsonl").read_text("utf-8").count("\n")
    print(f"  records in the log: {lines} (3 runs of {DOCUMENTS})")


def cold_start(folder: Path, as_of: str) -> None:
    """One promotion, and what its time is made of."""
    python, clock = sys.executable, ["--as-of", as_of, "--allow-past", "--log", str(folder / "cold.jsonl")]
    floor = "floor: import click, pydantic BaseModel"
    settings = ["--settings", str(folder / "repo" / "gatekeeper.yaml")]
    document = str(folder / "documents" / "000.json")
    policies = str(folder / "policies")
    costs = interleave(
        {
            "bare python": [python, "-c", "pass"],
            "import click": [python, "-c", "import click"],
            floor: [python, "-c", "import click; from pydantic import BaseModel"],
            "floor and PyYAML": [python, "-c", "import click, yaml; from pydantic import BaseModel"],
            "import regorus": [python, "-c", "import regorus"],
            "import gatekeeper.cli.judging": [python, "-c", "import gatekeeper.cli.judging, gatekeeper.promotion"],
            "import git": [python, "-c", "import git"],
            "gatekeeper decide": [GATEKEEPER, "decide", str(folder / "bundle.json"), *clock, *settings],
            "gatekeeper check": [GATEKEEPER, "check", "promotion.yaml", *clock, *settings],
            "opa eval": [str(TOOLS / "opa"), "eval", "-d", policies, "-i", document, "data.bench.deny"],
            "conftest test": [str(TOOLS / "conftest"), "test", "--namespace", "bench", "-p", policies, document],
        },
        cwd=folder / "repo", rounds=ROUNDS,
    )  # fmt: skip
    show(f"Cold start, one promotion, median of {ROUNDS}", costs, base=floor)
    ratio = costs["gatekeeper check"].wall_seconds / costs["gatekeeper decide"].wall_seconds
    print(f"  check / decide: {ratio:.2f}")


def growth(folder: Path, as_of: str) -> None:
    """Evidence 10 and 100 times as large, rules 10 times as many."""
    repo, clock = folder / "repo", ["--as-of", as_of, "--allow-past", "--log", str(folder / "growth.jsonl")]
    check = [GATEKEEPER, "check", "promotion.yaml", *clock]
    costs: dict[str, Cost] = {"check": run(check, cwd=repo)}
    events, data = repo / "lineage" / "events.ndjson", repo / "data" / "holdout.csv"
    first_events, first_data = events.read_text("utf-8"), data.read_text("utf-8")
    header, _, rows = first_data.partition("\n")
    for factor in (10, 100):
        events.write_text("".join(_other_runs(first_events, number) for number in range(factor)), "utf-8")
        data.write_text(header + "\n" + rows * factor, "utf-8")
        size = (events.stat().st_size + data.stat().st_size) / 1e6
        costs[f"check, {factor}x events and rows ({size:.1f} MB)"] = run(check, cwd=repo)
    events.write_text(first_events, "utf-8")
    data.write_text(first_data, "utf-8")
    shutil.copytree(PROJECT / "policies", repo / "many-rules")
    _multiply_rules(repo / "many-rules", 10)
    more = repo / "more-rules.yaml"
    more.write_text((repo / "gatekeeper.yaml").read_text("utf-8") + "\npolicies: many-rules\n", "utf-8")
    decide = [GATEKEEPER, "decide", str(folder / "bundle.json"), *clock]
    costs["decide"] = run([*decide, "--settings", "gatekeeper.yaml"], cwd=repo)
    costs["decide, 10x rules"] = run([*decide, "--settings", "more-rules.yaml"], cwd=repo)
    show("Growth", costs, base="check")


def _other_runs(events: str, number: int) -> str:
    """The same events about other runs, jobs and datasets, so that nothing is a duplicate."""
    if number == 0:
        return events
    lines = []
    for line in events.splitlines():
        event = json.loads(line)
        run_id = event["run"]["runId"]
        event["run"]["runId"] = run_id[:-8] + f"{int(run_id[-8:], 16) ^ number:08x}"
        event["job"]["name"] += f"-{number}"
        for dataset in (*event.get("inputs", []), *event.get("outputs", [])):
            dataset["name"] += f"-{number}"
        lines.append(json.dumps(event))
    return "\n".join(lines) + "\n"


RULE = """\
# METADATA
# title: Nobody's candidate {number}
# description: A rule of the benchmark that reads the evidence and finds nothing.
# custom:
#   rule: {gate}.bench_{number}
#   severity: deny
#   remedy: none
#   controls: []
deny contains {{"rule": "{gate}.bench_{number}", "subject": "bench", "message": "never"}} if {{
	some value in input.evidence
	value == "nobody-{number}"
}}
"""


def _multiply_rules(policies: Path, factor: int) -> None:
    """Add to each gate so many rules that it has `factor` times as many."""
    from gatekeeper.policy import load_policies

    loaded = load_policies(policies)
    for gate in GATES:
        more = range(len(loaded.rules_of(gate)) * (factor - 1))
        rules = "\n".join(RULE.format(gate=gate, number=number) for number in more)
        text = f"package gatekeeper.gates.{gate}\n\n{rules}"
        (policies / "gatekeeper" / "gates" / gate / "bench.rego").write_text(text, "utf-8")


def main() -> None:
    """Run all three and print the tables."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
    compileall.compile_dir(PROJECT / "gatekeeper", quiet=2)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        as_of = prepare(folder)
        throughput(folder, as_of)
        cold_start(folder, as_of)
        growth(folder, as_of)


if __name__ == "__main__":
    main()
