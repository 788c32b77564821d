package gatekeeper.gates.contracts

import rego.v1

# METADATA
# title: The change is compatible
# description: >-
#   No change breaks readers in the contract's compatibility mode, unless a major version and a migration path
#   announce it.
# custom:
#   rule: contracts.compatible
#   severity: deny
#   remedy: Undo the change, or announce it with a major version and the custom property migrationPath.
#   controls: ["nist-ai-rmf:MANAGE-4.2", "eu-ai-act:10(2)", "iso-42001:A.7.6"]
deny contains _placed(change, {
	"rule": "contracts.compatible",
	"subject": change.subject,
	"message": _told(contract, comparison, change, "breaks"),
}) if {
	some contract in input.evidence.contracts
	some comparison in _comparisons(contract)
	not comparison.announced
	some change in comparison.changes
	_has(contract, change, "incompatible")
}

deny contains {
	"rule": "contracts.compatible",
	"subject": contract.path,
	"message": sprintf("not every change since %s is known to be compatible", [_value(comparison, "against")]),
} if {
	some contract in input.evidence.contracts
	some comparison in _comparisons(contract)
	not _accounted(contract, comparison)
}

# METADATA
# title: Every change can be judged
# description: >-
#   No change is undecidable, and no earlier version is left out, unless a major version and a migration path
#   announce a break: what is not known to be safe counts as a break.
# custom:
#   rule: contracts.undecidable
#   severity: deny
#   remedy: Make the change in a form that can be judged, or announce it as a break.
#   controls: ["nist-ai-rmf:MANAGE-4.2", "iso-42001:A.7.6"]
deny contains _placed(change, {
	"rule": "contracts.undecidable",
	"subject": change.subject,
	"message": _told(contract, comparison, change, "may break"),
}) if {
	some contract in input.evidence.contracts
	some comparison in _comparisons(contract)
	not comparison.announced
	some change in comparison.changes
	_has(contract, change, "undecidable")
}

deny contains {
	"rule": "contracts.undecidable",
	"subject": contract.path,
	"message": sprintf(
		"%v earlier versions have breaks, more than are listed",
		[_value(contract, "earlier_breaking_count")],
	),
} if {
	some contract in input.evidence.contracts
	not _earlier_listed(contract)
}

_comparisons(contract) := array.concat([contract.base], contract.earlier) if is_object(contract.base)

_comparisons(contract) := contract.earlier if contract.base == null

# The mode in force is the base version's: a change must not choose the rule that it is judged by.
_mode(contract) := contract.base_mode if is_string(contract.base_mode)

_mode(contract) := input.settings.thresholds.default_compatibility_mode if contract.base_mode == null

_demands := {
	"BACKWARD": {"backward"},
	"FORWARD": {"forward"},
	"FULL": {"backward", "forward"},
	"BACKWARD_TRANSITIVE": {"backward", "transitive"},
	"FORWARD_TRANSITIVE": {"forward", "transitive"},
	"FULL_TRANSITIVE": {"backward", "forward", "transitive"},
}

_directions(contract) := _demands[_mode(contract)] - {"transitive"}

_has(contract, change, verdict) if {
	some direction in _directions(contract)
	change[direction] == verdict
}

# Safe by the counts, announced, or with every change listed, so that the rules above see it.
_accounted(_, comparison) if comparison.announced

_accounted(contract, comparison) if {
	every direction in _directions(contract) {
		comparison[direction].incompatible == 0
		comparison[direction].undecidable == 0
	}
}

_accounted(contract, comparison) if {
	count(_directions(contract)) > 0
	count(comparison.changes) == comparison.change_count
}

_earlier_listed(contract) if count(contract.earlier) == contract.earlier_breaking_count

_told(contract, comparison, change, effect) := sprintf(
	"%s (%s) %s %s readers, since %s",
	[change.change, change.detail, effect, _mode(contract), _value(comparison, "against")],
)
