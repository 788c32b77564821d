package gatekeeper.gates.contracts

import rego.v1

# METADATA
# title: The compatibility mode is not relaxed
# description: The contract declares a mode at least as strict as the one in force, unless a break is announced.
# custom:
#   rule: contracts.mode_kept
#   severity: deny
#   remedy: Keep the custom property compatibilityMode, or announce the change as a break.
#   controls: ["nist-ai-rmf:GOVERN-1.4", "iso-42001:A.7.6"]
deny contains _placed(contract, {
	"rule": "contracts.mode_kept",
	"subject": contract.path,
	"message": sprintf("the mode in force is %s, the new one is %s", [_mode(contract), _next_mode(contract)]),
}) if {
	some contract in input.evidence.contracts
	is_object(contract.base)
	not contract.base.announced
	not _mode_kept(contract)
}

# METADATA
# title: A break has a major version
# description: Where a change breaks readers or may break them, the major number of the version is higher.
# custom:
#   rule: contracts.major_version
#   severity: deny
#   remedy: Raise the major number of the contract's version.
#   controls: ["nist-ai-rmf:MANAGE-4.2", "iso-42001:A.7.6"]
deny contains _placed(contract, {
	"rule": "contracts.major_version",
	"subject": contract.path,
	"message": sprintf(
		"readers may break, and %v to %v is no major step (%s)",
		[_value(comparison, "version"), _value(contract, "version"), _value(comparison, "step")],
	),
}) if {
	some contract in input.evidence.contracts
	some comparison in _comparisons(contract)
	_breaking(contract, comparison)
	not _is_major(comparison)
}

# METADATA
# title: A break has a migration path
# description: Where a change breaks readers or may break them, the contract says how they get past it.
# custom:
#   rule: contracts.migration_path
#   severity: deny
#   remedy: Add the custom property migrationPath with a text, a path or a URL.
#   controls: ["nist-ai-rmf:MANAGE-4.3", "iso-42001:A.8.2"]
deny contains _placed(contract, {
	"rule": "contracts.migration_path",
	"subject": contract.path,
	"message": "readers may break, and the custom property migrationPath is not there",
}) if {
	some contract in input.evidence.contracts
	some comparison in _comparisons(contract)
	_breaking(contract, comparison)
	contract.migration_path == ""
}

# METADATA
# title: The version moves with the content
# description: A contract that changed has a higher semantic version than the one in force.
# custom:
#   rule: contracts.version_changed
#   severity: deny
#   remedy: Raise the contract's version, as semantic versioning has it.
#   controls: ["nist-ai-rmf:GOVERN-1.4", "iso-42001:A.7.6"]
deny contains _placed(contract, {
	"rule": "contracts.version_changed",
	"subject": contract.path,
	"message": sprintf(
		"the content changed, and the version went from %v to %v (%s)",
		[_value(contract.base, "version"), _value(contract, "version"), _value(contract.base, "step")],
	),
}) if {
	some contract in input.evidence.contracts
	base := contract.base
	is_object(base)
	not _version_moved(base)
}

# METADATA
# title: A break is on its way
# description: A change breaks readers or may break them, and a major version and a migration path announce it.
# custom:
#   rule: contracts.breaking_change
#   severity: warn
#   remedy: Tell the readers of the contract before the promotion.
#   controls: ["nist-ai-rmf:MANAGE-4.3", "iso-42001:A.8.2"]
warn contains _placed(contract, {
	"rule": "contracts.breaking_change",
	"subject": contract.path,
	"message": sprintf(
		"version %v breaks readers; way past it: %s",
		[_value(contract, "version"), contract.migration_path],
	),
}) if {
	some contract in input.evidence.contracts
	is_object(contract.base)
	contract.base.announced
	_breaking(contract, contract.base)
}

_next_mode(contract) := contract.mode if is_string(contract.mode)

_next_mode(contract) := input.settings.thresholds.default_compatibility_mode if contract.mode == null

_breaking(contract, comparison) if {
	some direction in _directions(contract)
	some verdict in ["incompatible", "undecidable"]
	comparison[direction][verdict] > 0
}

_mode_kept(contract) if {
	demanded := _demands[_mode(contract)]
	offered := _demands[_next_mode(contract)]
	every demand in demanded { demand in offered }
}

_is_major(comparison) if comparison.step == "major"

_version_moved(base) if base.content_changed == false

_version_moved(base) if {
	base.content_changed
	base.step in {"major", "minor", "patch", "prerelease"}
}
