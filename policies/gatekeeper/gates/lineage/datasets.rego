package gatekeeper.gates.lineage

import rego.v1

# METADATA
# title: Datasets have versions
# description: >-
#   With require_version, outputs and sources have a version facet; with require_intermediates what lies between
#   them too.
# custom:
#   rule: lineage.version
#   severity: deny
#   remedy: Have the job emit the DatasetVersionDatasetFacet.
#   controls: ["nist-ai-rmf:MAP-4.1", "eu-ai-act:11(1)", "iso-42001:A.7.5"]
deny contains {
	"rule": "lineage.version",
	"subject": _label(dataset),
	"message": sprintf(
		"this %s has no version facet (%d of %d such datasets)",
		[dataset.role, list.without_version, list.total],
	),
} if {
	not input.settings.thresholds.require_version == false
	some list in _lists
	some dataset in list.listed
	not _has_version(dataset)
}

# METADATA
# title: Datasets have owners
# description: >-
#   With require_owner, outputs and sources have an owner, of their own or of the job that wrote them; with
#   require_intermediates what lies between them too.
# custom:
#   rule: lineage.owner
#   severity: deny
#   remedy: Have the job emit the ownership facet of the dataset or of itself.
#   controls: ["nist-ai-rmf:GOVERN-2.1", "iso-42001:A.3.2", "iso-42001:A.7.5"]
deny contains {
	"rule": "lineage.owner",
	"subject": _label(dataset),
	"message": sprintf(
		"this %s has no owner, nor has a job that wrote it (%d of %d such datasets)",
		[dataset.role, list.without_owner, list.total],
	),
} if {
	not input.settings.thresholds.require_owner == false
	some list in _lists
	some dataset in list.listed
	not dataset.owners[0]
}

# METADATA
# title: Data quality assertions hold
# description: The latest result of every assertion about a dataset on the path is a success.
# custom:
#   rule: lineage.assertions
#   severity: deny
#   remedy: Mend the data and run the check again, so that its latest result is a success.
#   controls: ["nist-ai-rmf:MEASURE-2.5", "eu-ai-act:10(3)", "iso-42001:A.7.4"]
deny contains {
	"rule": "lineage.assertions",
	"subject": _label(failed),
	"message": _assertion_text(failed, input.evidence.failed_assertions.total),
} if {
	some failed in input.evidence.failed_assertions.listed
}

# METADATA
# title: Data quality assertions that only warn
# description: An assertion whose severity is warn failed at its latest run.
# custom:
#   rule: lineage.assertion_warned
#   severity: warn
#   remedy: Look at the data; raise the check's severity if the failure matters.
#   controls: ["nist-ai-rmf:MEASURE-2.5", "eu-ai-act:10(3)"]
warn contains {
	"rule": "lineage.assertion_warned",
	"subject": _label(warned),
	"message": _assertion_text(warned, input.evidence.warned_assertions.total),
} if {
	some warned in input.evidence.warned_assertions.listed
}

_lists contains input.evidence.endpoints

_lists contains input.evidence.intermediates if not input.settings.thresholds.require_intermediates == false

_has_version(dataset) if is_string(dataset.version)

_assertion_text(failed, total) := sprintf(
	"%s%s failed when %s ran it last (%d in all)",
	[failed.assertion, _column_text(failed), failed.job, total],
)

_column_text(failed) := sprintf(" of column %s", [failed.column]) if failed.column != ""

_column_text(failed) := "" if failed.column == ""
