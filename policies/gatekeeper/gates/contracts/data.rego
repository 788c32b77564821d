package gatekeeper.gates.contracts

import rego.v1

# METADATA
# title: The data is there
# description: >-
#   Data that the manifest names was read and has min_row_count rows; a candidate of data_required_kinds has
#   data for every schema object of its contracts.
# custom:
#   rule: contracts.data_present
#   severity: deny
#   remedy: Name a data file for each schema object, and make sure that it has rows.
#   controls: ["nist-ai-rmf:MEASURE-2.1", "eu-ai-act:10(3)", "iso-42001:A.7.3"]
deny contains _placed(contract, {
	"rule": "contracts.data_present",
	"subject": contract.data.path,
	"message": sprintf("%v rows, at least min_row_count are wanted", [_value(contract.data, "row_count")]),
}) if {
	some contract in input.evidence.contracts
	table := contract.data
	is_object(table)
	not _enough_rows(table)
}

deny contains {
	"rule": "contracts.data_present",
	"subject": sprintf("contracts[%d]", [index]),
	"message": sprintf("the data %s of the manifest was not checked", [item.data]),
} if {
	some index, item in input.promotion.evidence.contracts
	is_string(item.data)
	not _read(index, item)
}

deny contains _placed(contract, {
	"rule": "contracts.data_present",
	"subject": contract.path,
	"message": sprintf("no data for the schema object %s", [table]),
}) if {
	_data_is_required
	some contract in input.evidence.contracts
	some table in contract.tables
	not _covered(contract, table)
}

deny contains {
	"rule": "contracts.data_present",
	"subject": "thresholds",
	"message": "it is not known which kinds of candidate need data",
} if {
	not _kinds_known
}

# METADATA
# title: The data conforms
# description: No column of the data breaks the contract, none is missing, and none is undeclared.
# custom:
#   rule: contracts.data_conforms
#   severity: deny
#   remedy: Mend the data in the pipeline that makes it, or agree on another contract.
#   controls: ["nist-ai-rmf:MEASURE-2.1", "eu-ai-act:10(3)", "iso-42001:A.7.4"]
deny contains _placed(violation, {
	"rule": "contracts.data_conforms",
	"subject": sprintf("%s: %s", [contract.data.path, violation.column]),
	"message": sprintf(
		"%s: %d of %d rows%s",
		[violation.kind, violation.count, violation.row_count, _first_rows(violation.examples)],
	),
}) if {
	some contract in input.evidence.contracts
	some violation in contract.data.violations
}

deny contains {
	"rule": "contracts.data_conforms",
	"subject": contract.data.path,
	"message": sprintf("%v violations, more than are listed", [_value(contract.data, "violation_count")]),
} if {
	some contract in input.evidence.contracts
	table := contract.data
	is_object(table)
	not _all_listed(table)
}

_kinds_known if is_array(input.settings.thresholds.data_required_kinds)

_enough_rows(table) if table.row_count >= input.settings.thresholds.min_row_count

_read(index, item) if input.evidence.contracts[index].data.path == item.data

_read(index, _) if input.evidence.contracts[index].fault_count > 0

_data_is_required if {
	some kind in input.settings.thresholds.data_required_kinds
	kind == input.promotion.candidate.kind
}

_covered(contract, table) if {
	some other in input.evidence.contracts
	other.path == contract.path
	other.data.table == table
}

_all_listed(table) if table.violation_count == count(table.violations)

_first_rows([]) := ""

_first_rows(examples) := sprintf(", first: %s", [concat(", ", [_row(each) | some each in examples])]) if {
	count(examples) > 0
}

_row(example) := sprintf("row %d", [example.row]) if example.value == null

_row(example) := sprintf("row %d (%s)", [example.row, example.value]) if is_string(example.value)
