package gatekeeper.gates.contracts

import rego.v1

# METADATA
# title: The quality rules hold
# description: Every library rule of the contract was computed over the data and holds.
# custom:
#   rule: contracts.quality_rules
#   severity: deny
#   remedy: Mend the data, or agree on another rule in the contract.
#   controls: ["nist-ai-rmf:MEASURE-2.1", "eu-ai-act:10(3)", "iso-42001:A.7.4"]
deny contains _placed(failed, {
	"rule": "contracts.quality_rules",
	"subject": sprintf("%s: %s", [contract.data.path, failed.subject]),
	"message": sprintf("%s (%s): %s, wanted %s", [failed.name, failed.metric, failed.measured, failed.wanted]),
}) if {
	some contract in input.evidence.contracts
	some failed in contract.data.quality_failed
}

deny contains {
	"rule": "contracts.quality_rules",
	"subject": contract.data.path,
	"message": sprintf("%v quality rules failed, more than are listed", [_value(contract.data, "quality_failed_count")]),
} if {
	some contract in input.evidence.contracts
	table := contract.data
	is_object(table)
	not _failures_listed(table)
}

# METADATA
# title: No severe rule is left unchecked
# description: No SQL or custom rule of a severity in deny_unchecked_severities is left to others.
# custom:
#   rule: contracts.unchecked_severe
#   severity: deny
#   remedy: Run the rule where it can be run and waive this one with the result, or write it as a library rule.
#   controls: ["nist-ai-rmf:MEASURE-2.1", "iso-42001:A.7.4"]
deny contains _placed(contract, {
	"rule": "contracts.unchecked_severe",
	"subject": contract.data.path,
	"message": sprintf("a quality rule of severity %s cannot be run here", [severity]),
}) if {
	some contract in input.evidence.contracts
	some severity in contract.data.unchecked_severities
	not _may_stay_unchecked(severity)
}

# METADATA
# title: Everything declared was checked
# description: The contract declares rules, types or constraints on the data that gatekeeper does not verify.
# custom:
#   rule: contracts.unchecked_quality
#   severity: warn
#   remedy: Check them with the tool that they are written for.
#   controls: ["nist-ai-rmf:MEASURE-2.13", "iso-42001:A.7.4"]
warn contains _placed(rule, {
	"rule": "contracts.unchecked_quality",
	"subject": sprintf("%s: %s", [contract.data.path, rule.subject]),
	"message": rule.reason,
}) if {
	some contract in input.evidence.contracts
	some rule in contract.data.unchecked
}

_failures_listed(table) if count(table.quality_failed) == table.quality_failed_count

_may_stay_unchecked(severity) if {
	every blocking in input.settings.thresholds.deny_unchecked_severities {
		blocking != severity
	}
}
