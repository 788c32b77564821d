"""
Run both examples: one promotion that is allowed and one that is denied.

    python examples/run_demo.py [TARGET_DIR]

Builds each example's git repository below TARGET_DIR (default `build/demo`), runs `gatekeeper check` in it as CI
would, and fails when the exit code is not the documented one.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import demo_repository

EXAMPLES = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Demo:
    """One promotion, what should become of it, and how to say so."""

    example: str
    exit_code: int
    story: str


DEMOS = (
    Demo("tumour-classifier", 0, "A model asks to enter production. Its evidence is complete and good: allowed."),
    Demo(
        "clinical-features",
        1,
        "A data set asks to enter production. Its contract breaks its readers and its rows break the contract: denied.",
    ),
)
REPORTS = {"markdown": "report.md", "json": "decision.json", "openmetrics": "metrics.txt"}


def run(demo: Demo, target: Path) -> int:
    """Build one example's repository, check its promotion, and return the exit code of gatekeeper."""
    repository, results = target / demo.example, target / f"{demo.example}-results"
    commit = demo_repository.build(demo.example, repository)
    results.mkdir(exist_ok=True)
    for name in REPORTS.values():
        (results / name).unlink(missing_ok=True)
    print(f"\n=== {demo.example}\n{demo.story}\nRepository: {repository} (main is {commit[:12]})\n", flush=True)
    as_of = (EXAMPLES / demo.example / "as_of.txt").read_text("utf-8").strip()
    command = [
        *(sys.executable, "-m", "gatekeeper", "check", "promotion.yaml"),
        *("--settings", str(EXAMPLES / "gatekeeper.yaml")),
        # The evidence ages; the demo judges by the time at which it was fresh, and the report says so.
        *("--as-of", as_of, "--allow-past"),
        *("--log", str(target / "decisions.jsonl")),
        *(part for form, name in REPORTS.items() for part in ("--output", f"{form}={results / name}")),
    ]
    # In the candidate's repository, outside which the settings lie: they are the platform's own.
    return subprocess.run(command, check=False, cwd=repository).returncode


def main(arguments: list[str]) -> int:
    """Run every demo; 0 when each ended as documented."""
    target = (Path(arguments[0]) if arguments else EXAMPLES.parent / "build" / "demo").resolve()
    target.mkdir(parents=True, exist_ok=True)
    surprises = 0
    for demo in DEMOS:
        code = run(demo, target)
        surprises += code != demo.exit_code
        verdict = "as documented" if code == demo.exit_code else f"BUT {demo.exit_code} WAS EXPECTED"
        print(f"\n{demo.example}: exit code {code}, {verdict}", flush=True)
    reports = [target / f"{demo.example}-results" / name for demo in DEMOS for name in REPORTS.values()]
    print("\nReports, metrics and the decision log (which grows by a line for each decision):")
    for path in (*reports, target / "decisions.jsonl"):
        print(f"  {path}" if path.is_file() else f"  {path} was NOT written")
    return 1 if surprises else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
