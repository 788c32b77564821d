package gatekeeper.gates.contracts_test

import data.gatekeeper.gates.contracts
import rego.v1

_place := {"path": "c.yaml", "line": 1, "column": 1}

_none := {"compatible": 0, "incompatible": 0, "undecidable": 0}

_base := {
	"against": "git:main:c.yaml", "version": "1.0.0", "step": "minor", "content_changed": true, "announced": false,
	"change_count": 0, "backward": _none, "forward": _none, "changes": [],
}

_data := {
	"path": "d.csv", "format": "csv", "table": "orders", "row_count": 1, "column_count": 2,
	"violation_count": 0, "violations": [], "quality_passed_count": 1, "quality_failed_count": 0,
	"quality_failed": [], "unchecked_count": 0, "unchecked_severities": [], "unchecked": [], "text_rule_count": 0,
}

_contract := {
	"path": "c.yaml", "id": "orders", "version": "1.1.0", "status": "active", "owner_count": 1, "tables": ["orders"],
	"fault_count": 0, "faults": [], "mode": null, "base_mode": null, "migration_path": "", "is_new": false,
	"base": _base, "earlier_count": 0, "earlier_breaking_count": 0, "earlier": [], "data_path": "d.csv",
	"data": _data, "place": _place,
}

_thresholds := {
	"max_age_seconds": 1, "default_compatibility_mode": "BACKWARD", "allowed_statuses": ["active"],
	"data_required_kinds": ["dataset", "feature_view"], "min_row_count": 1, "deny_unchecked_severities": ["error"],
}

_promotion := {
	"candidate": {"kind": "dataset"},
	"evidence": {"contracts": [{"contract": "c.yaml", "data": "d.csv", "table": null}]},
}

_given(listed) := {
	"promotion": _promotion,
	"evidence": {"observed_at": null, "contracts": listed},
	"settings": {"thresholds": _thresholds},
}

_with(changes) := _given([object.union(_contract, changes)])

_patched(operations) := json.patch(_given([_contract]), operations)

_without_contract(key) := _patched([{"op": "remove", "path": sprintf("/evidence/contracts/0/%s", [key])}])

_without_threshold(key) := _patched([{"op": "remove", "path": sprintf("/settings/thresholds/%s", [key])}])

_rules(findings) := {finding.rule | some finding in findings}

_messages(findings) := {finding.message | some finding in findings}

test_allows_a_contract_at_every_boundary if {
	denied := contracts.deny with input as _given([_contract])
	denied == set()
	warned := contracts.warn with input as _given([_contract])
	warned == set()
}

test_denies_no_contracts if {
	every document in [_given([]), _patched([{"op": "remove", "path": "/evidence/contracts"}]), {}] {
		found := contracts.deny with input as document
		"no contract was read" in _messages(found)
	}
}

test_denies_evidence_about_another_contract if {
	found := contracts.deny with input as _with({"path": "other.yaml"})
	_messages(found) == {"the manifest's contract is not the one in the evidence"}
}

test_denies_a_contract_that_evidence_leaves_out if {
	more := [{"contract": "c.yaml", "data": "d.csv"}, {"contract": "left-out.yaml"}]
	found := contracts.deny with input as _patched([{
		"op": "replace", "path": "/promotion/evidence/contracts",
		"value": more,
	}])
	_rules(found) == {"contracts.valid"}
}

test_denies_each_missing_key if {
	every key in {
		"path", "migration_path", "fault_count", "faults", "tables", "earlier_breaking_count", "earlier", "is_new",
		"base", "base/against", "base/announced",
	} {
		found := contracts.deny with input as _without_contract(key)
		"the evidence about this contract is not complete" in _messages(found)
	}
}

test_denies_faults_that_are_counted_and_not_listed if {
	found := contracts.deny with input as _with({"fault_count": 1})
	_rules(found) == {"contracts.valid"}
}

test_denies_each_fault_at_its_place if {
	faults := [
		{"pointer": "/schema/0", "message": "wrong", "place": {"path": "c.yaml", "line": 7, "column": 3}},
		{"pointer": "", "message": "worse", "place": null},
	]
	broken := {"fault_count": 2, "faults": faults, "base": null, "data": null, "tables": []}
	denied := contracts.deny with input as _with(broken)
	denied == {
		{
			"rule": "contracts.valid", "subject": "c.yaml", "message": "/schema/0: wrong",
			"place": {"path": "c.yaml", "line": 7, "column": 3},
		},
		{"rule": "contracts.valid", "subject": "c.yaml", "message": "the document: worse"},
	}
	warned := contracts.warn with input as _with(broken)
	warned == set()
}

test_denies_a_status_that_is_not_allowed if {
	every status in {"draft", "deprecated", null, "Active"} {
		found := contracts.deny with input as _with({"status": status})
		_rules(found) == {"contracts.status"}
	}
	absent := contracts.deny with input as _without_contract("status")
	_messages(absent) == {"its status is unknown, one of allowed_statuses is wanted"}
	no_list := contracts.deny with input as _without_threshold("allowed_statuses")
	_rules(no_list) == {"contracts.status"}
}

test_warns_of_a_contract_without_owner if {
	every document in [_with({"owner_count": 0}), _without_contract("owner_count")] {
		found := contracts.warn with input as document
		_rules(found) == {"contracts.owner"}
	}
}

test_warns_of_a_new_contract if {
	new := _with({"is_new": true, "base": null})
	warned := contracts.warn with input as new
	_messages(warned) == {"version 1.1.0 is the first; its compatibility was not judged"}
	denied := contracts.deny with input as new
	denied == set()
	unknown := contracts.warn with input as _without_contract("is_new")
	_rules(unknown) == {"contracts.new_contract"}
}

test_a_finding_without_place_has_none if {
	found := contracts.deny with input as _with({"status": "draft", "place": null})
	count(found) == 1
	every finding in found {
		not "place" in object.keys(finding)
	}
}
