package gatekeeper.gates.lineage

import rego.v1

# METADATA
# title: Every run completed
# description: No run on the path failed, was aborted or never ended, unless its job ran again afterwards.
# custom:
#   rule: lineage.run_completed
#   severity: deny
#   remedy: Run the job again until it completes, then export its events.
#   controls: ["nist-ai-rmf:MEASURE-2.5", "iso-42001:A.6.2.4"]
deny contains {
	"rule": "lineage.run_completed",
	"subject": run.job,
	"message": sprintf(
		"run %s is %s, COMPLETE was wanted (%d such runs on the path)",
		[run.run_id, run.state, input.evidence.runs.uncompleted],
	),
	"place": run.place,
} if {
	some run in input.evidence.runs.listed
	not _completed(run)
}

# METADATA
# title: Events do not contradict each other
# description: No run is reported with two ends or by two jobs, on the path or elsewhere in the events.
# custom:
#   rule: lineage.no_contradiction
#   severity: deny
#   remedy: Find out which event is wrong; give every run an id of its own.
#   controls: ["nist-ai-rmf:MEASURE-2.13", "eu-ai-act:12(1)"]
deny contains {
	"rule": "lineage.no_contradiction",
	"subject": contradiction.job,
	"message": sprintf(
		"run %s: %s (%d such runs in the events)",
		[contradiction.run_id, contradiction.found, input.evidence.contradictions.total],
	),
	"place": contradiction.place,
} if {
	some contradiction in input.evidence.contradictions.listed
}

# METADATA
# title: The code is known
# description: With require_code_commit, every run on the path names a git commit that is HEAD or an ancestor of it.
# custom:
#   rule: lineage.code_commit
#   severity: deny
#   remedy: >-
#     Emit the sourceCodeLocation facet with the full commit id, run merged code only, and check out with the whole
#     history; declare what another repository's jobs wrote as an input.
#   controls: ["nist-ai-rmf:MEASURE-2.8", "eu-ai-act:11(1)", "iso-42001:A.6.2.4"]
deny contains {
	"rule": "lineage.code_commit",
	"subject": run.job,
	"message": sprintf("run %s: %s", [run.run_id, _code_fault(run)]),
	"place": run.place,
} if {
	not input.settings.thresholds.require_code_commit == false
	some run in input.evidence.runs.listed
	not run.commit_known == true
}

# METADATA
# title: Few events arrived twice
# description: The share of duplicates is at most max_duplicates_ratio; more hints at a broken exporter.
# custom:
#   rule: lineage.duplicates
#   severity: warn
#   remedy: Look at the exporter; duplicates are dropped and change nothing else.
#   controls: ["nist-ai-rmf:MEASURE-2.13"]
warn contains {
	"rule": "lineage.duplicates",
	"subject": "events",
	"message": sprintf("%s events were delivered again", [input.evidence.counts.duplicates_text]),
} if {
	not _few_duplicates
}

_completed(run) if run.state == "COMPLETE"

_few_duplicates if input.evidence.counts.duplicates_ratio <= input.settings.thresholds.max_duplicates_ratio

_code_fault(run) := "no sourceCodeLocation facet names a git commit" if run.commit == null

_code_fault(run) := sprintf("commit %s is not in the history of HEAD", [run.commit]) if run.commit != null
