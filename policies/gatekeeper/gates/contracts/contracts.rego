# METADATA
# title: Data contracts
# description: >-
#   Every contract of the candidate is valid and in force, its change is compatible or announced, and the data
#   conforms. The collector compares and counts; these rules judge. The rules on
#   changes, versions, data and quality are in the files of these names.
package gatekeeper.gates.contracts

import rego.v1

# METADATA
# title: The contract is valid
# description: Each contract of the manifest was read, is valid by the ODCS JSON Schema and promises something.
# custom:
#   rule: contracts.valid
#   severity: deny
#   remedy: Mend the contract where the finding points; editors check ODCS files against the same JSON Schema.
#   controls: ["nist-ai-rmf:MAP-2.3", "eu-ai-act:10(2)", "iso-42001:A.7.2"]
deny contains {
	"rule": "contracts.valid",
	"subject": "contracts",
	"message": "no contract was read",
} if {
	not input.evidence.contracts[0]
}

deny contains {
	"rule": "contracts.valid",
	"subject": sprintf("contracts[%d]", [index]),
	"message": "the manifest's contract is not the one in the evidence",
} if {
	some index, item in input.promotion.evidence.contracts
	not _is_for(index, item)
}

deny contains {
	"rule": "contracts.valid",
	"subject": sprintf("contracts[%d]", [index]),
	"message": "the evidence about this contract is not complete",
} if {
	some index, contract in input.evidence.contracts
	not _complete(contract)
}

deny contains _placed(fault, {
	"rule": "contracts.valid",
	"subject": contract.path,
	"message": sprintf("%s: %s", [_shown(fault.pointer), fault.message]),
}) if {
	some contract in input.evidence.contracts
	some fault in contract.faults
}

# METADATA
# title: The contract is in force
# description: The status of each contract is one of allowed_statuses.
# custom:
#   rule: contracts.status
#   severity: deny
#   remedy: Have the contract's owner agree and set its status to active.
#   controls: ["nist-ai-rmf:GOVERN-1.2", "iso-42001:A.7.2"]
deny contains _placed(contract, {
	"rule": "contracts.status",
	"subject": contract.path,
	"message": sprintf("its status is %v, one of allowed_statuses is wanted", [_value(contract, "status")]),
}) if {
	some contract in input.evidence.contracts
	not _in_force(contract)
}

# METADATA
# title: The contract has an owner
# description: Someone is named under `team`, so that readers know whom to ask.
# custom:
#   rule: contracts.owner
#   severity: warn
#   remedy: Name the team, or its members, under `team`.
#   controls: ["nist-ai-rmf:GOVERN-2.1", "iso-42001:A.3.2"]
warn contains _placed(contract, {
	"rule": "contracts.owner",
	"subject": contract.path,
	"message": "nobody is named under team",
}) if {
	some contract in input.evidence.contracts
	contract.fault_count == 0
	not _owned(contract)
}

# METADATA
# title: The contract was in force before
# description: There is no version at the base ref, so nothing could be compared.
# custom:
#   rule: contracts.new_contract
#   severity: warn
#   remedy: Check that the contract is really new; a moved one keeps its id.
#   controls: ["nist-ai-rmf:MAP-2.3"]
warn contains _placed(contract, {
	"rule": "contracts.new_contract",
	"subject": contract.path,
	"message": sprintf("version %v is the first; its compatibility was not judged", [_value(contract, "version")]),
}) if {
	some contract in input.evidence.contracts
	not _was_there(contract)
	contract.fault_count == 0
}

_is_for(index, item) if input.evidence.contracts[index].path == item.contract

_was_there(contract) if contract.is_new == false

_complete(contract) if {
	is_string(contract.path)
	is_string(contract.migration_path)
	is_number(contract.fault_count)
	is_number(contract.earlier_breaking_count)
	_faults_listed(contract)
	is_array(contract.earlier)
	is_array(contract.faults)
	is_boolean(contract.is_new)
	_compared(contract)
}

_faults_listed(contract) if count(contract.faults) > 0

_faults_listed(contract) if {
	contract.fault_count == 0
	count(contract.tables) > 0
}

_compared(contract) if contract.fault_count > 0

_compared(contract) if contract.is_new

_compared(contract) if {
	is_string(contract.base.against)
	is_boolean(contract.base.announced)
}

_in_force(contract) if {
	some status in input.settings.thresholds.allowed_statuses
	contract.status == status
}

_owned(contract) if contract.owner_count > 0

# What a message shows must be there, or the finding itself would be undefined and so fail open.
_value(item, key) := item[key]

_value(item, key) := "unknown" if not key in object.keys(item)

_shown(pointer) := pointer if pointer != ""

_shown("") := "the document"

_placed(item, finding) := object.union(finding, {"place": item.place}) if _has_place(item)

_placed(item, finding) := finding if not _has_place(item)

_has_place(item) if is_object(item.place)
