package gatekeeper.gates.contracts_test

import data.gatekeeper.gates.contracts
import rego.v1

_data_with(changes) := _with({"data": object.union(_data, changes)})

_violation := {
	"column": "age", "kind": "minimum", "count": 2, "row_count": 9, "classified": true,
	"examples": [{"row": 3, "value": null}, {"row": 5, "value": null}],
	"place": {"path": "c.yaml", "line": 9, "column": 5},
}

test_denies_data_without_rows if {
	none := contracts.deny with input as _data_with({"row_count": 0})
	_messages(none) == {"0 rows, at least min_row_count are wanted"}
	every document in [_without_contract("data/row_count"), _without_threshold("min_row_count")] {
		found := contracts.deny with input as document
		_rules(found) == {"contracts.data_present"}
	}
}

test_denies_data_that_the_evidence_leaves_out if {
	every document in [_with({"data": null}), _data_with({"path": "other.csv"})] {
		found := contracts.deny with input as document
		"the data d.csv of the manifest was not checked" in _messages(found)
	}
}

test_a_contract_with_faults_need_not_have_its_data_checked if {
	fault := {"pointer": "", "message": "wrong", "place": null}
	broken := {"fault_count": 1, "faults": [fault], "base": null, "data": null, "tables": []}
	found := contracts.deny with input as _with(broken)
	_rules(found) == {"contracts.valid"}
}

_without_data(kind) := json.patch(_with({"data": null, "data_path": null}), [
	{"op": "replace", "path": "/promotion/candidate/kind", "value": kind},
	{"op": "replace", "path": "/promotion/evidence/contracts/0/data", "value": null},
])

test_denies_a_dataset_or_feature_view_without_data if {
	every kind in {"dataset", "feature_view"} {
		found := contracts.deny with input as _without_data(kind)
		_messages(found) == {"no data for the schema object orders"}
	}
}

test_allows_a_model_or_agent_without_data if {
	every kind in {"model", "agent"} {
		found := contracts.deny with input as _without_data(kind)
		found == set()
	}
}

test_denies_a_schema_object_without_data if {
	found := contracts.deny with input as _with({"tables": ["orders", "refunds"]})
	_messages(found) == {"no data for the schema object refunds"}
}

test_data_of_several_items_covers_a_contract if {
	first := object.union(_contract, {"tables": ["orders", "refunds"]})
	second := object.union(first, {"data": object.union(_data, {"table": "refunds"})})
	found := contracts.deny with input as _given([first, second])
	found == set()
}

test_denies_when_nobody_says_who_needs_data if {
	found := contracts.deny with input as _without_threshold("data_required_kinds")
	_rules(found) == {"contracts.data_present"}
}

test_denies_each_violation_with_rows_and_place if {
	found := contracts.deny with input as _data_with({"violation_count": 1, "violations": [_violation]})
	found == {{
		"rule": "contracts.data_conforms",
		"subject": "d.csv: age",
		"message": "minimum: 2 of 9 rows, first: row 3, row 5",
		"place": {"path": "c.yaml", "line": 9, "column": 5},
	}}
}

test_shows_the_values_that_evidence_has if {
	public := object.union(_violation, {"examples": [{"row": 3, "value": "-1"}]})
	bare := object.union(_violation, {"column": "(row)", "examples": []})
	found := contracts.deny with input as _data_with({"violation_count": 2, "violations": [public, bare]})
	_messages(found) == {"minimum: 2 of 9 rows, first: row 3 (-1)", "minimum: 2 of 9 rows"}
}

test_denies_violations_beyond_the_list if {
	every document in [
		_data_with({"violation_count": 1}),
		_without_contract("data/violation_count"),
		_without_contract("data/violations"),
	] {
		found := contracts.deny with input as document
		_rules(found) == {"contracts.data_conforms"}
	}
}
