"""A small policy folder that is clean, written to disk, for tests that break it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner

from gatekeeper.policy_tools.sources import Sources, read_sources

RULES = "gatekeeper/gates/probe/probe.rego"
TESTS = "gatekeeper/gates/probe/probe_test.rego"
DATA = "gatekeeper/defaults/data.yaml"

POLICY = """\
# METADATA
# title: Probe
# description: A gate for tests.
package gatekeeper.gates.probe

import rego.v1

# METADATA
# title: The score is high enough
# description: The score reaches min_score.
# custom:
#   rule: probe.score
#   severity: deny
#   remedy: Raise it.
#   controls: ["nist-ai-rmf:MEASURE-2.3"]
deny contains {
	"rule": "probe.score",
	"subject": "score",
	"message": sprintf("the score must reach %v", [input.settings.thresholds.min_score]),
} if {
	not _reaches
}

_reaches if input.evidence.score >= input.settings.thresholds.min_score

# METADATA
# title: The score was reviewed
# description: Somebody looked at the score.
# custom:
#   rule: probe.reviewed
#   severity: warn
#   remedy: Have it reviewed.
#   controls: ["nist-ai-rmf:MEASURE-2.3"]
#   waivable: false
#   collections: [reviews]
warn contains {"rule": "probe.reviewed", "subject": "score", "message": "nobody looked"} if {
	not input.evidence.reviewed
}
"""

TEST = """\
package gatekeeper.gates.probe_test

import data.gatekeeper.gates.probe
import rego.v1

_input(score) := {"evidence": {"score": score}, "settings": {"thresholds": {"min_score": 3}}}

test_allows_a_score_at_the_limit if {
	probe.deny == set() with input as _input(3)
}

test_denies_a_score_below_it if {
	{finding.rule | some finding in probe.deny} == {"probe.score"} with input as _input(2)
}

test_warns_of_a_score_that_nobody_reviewed if {
	{finding.rule | some finding in probe.warn} == {"probe.reviewed"} with input as _input(3)
}
"""

DEFAULTS = """\
max_bundle_age_seconds: 60
required_gates:
  production:
    model: [probe]
thresholds:
  probe:
    max_age_seconds: 60
    min_score: 3
overrides:
  - environment: production
    risk_tier: high
    thresholds:
      probe: {min_score: 5}
"""


@dataclass(frozen=True)
class Library:
    """The folder, and edits to it."""

    root: Path

    def edit(self, path: str, old: str, new: str) -> Library:
        """Replace text that is there exactly once."""
        text = (self.root / path).read_text("utf-8")
        assert text.count(old) == 1, (old, text.count(old))
        return self.write(path, text.replace(old, new))

    def append(self, path: str, text: str) -> Library:
        return self.write(path, (self.root / path).read_text("utf-8") + text)

    def write(self, path: str, text: str) -> Library:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
        return self

    def remove(self, path: str) -> Library:
        (self.root / path).unlink()
        return self

    def sources(self) -> Sources:
        return read_sources(self.root)


def make_library(root: Path) -> Library:
    """Write the clean folder."""
    return Library(root).write(RULES, POLICY).write(TESTS, TEST).write(DATA, DEFAULTS)


def run(command: click.Command, *arguments: str) -> tuple[int, str]:
    """Run a command as its users do; a failure of ours is raised."""
    done = CliRunner().invoke(command, list(arguments), catch_exceptions=False)
    return done.exit_code, done.output


def parse(text: str) -> Any:
    return json.loads(text)
