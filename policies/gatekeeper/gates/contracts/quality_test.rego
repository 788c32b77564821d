package gatekeeper.gates.contracts_test

import data.gatekeeper.gates.contracts
import rego.v1

_failed := {
	"subject": "age", "name": "few nulls", "metric": "nullValues", "measured": "12 rows", "wanted": "mustBe 0 rows",
	"severity": null, "place": {"path": "c.yaml", "line": 12, "column": 7},
}

_sql := {
	"subject": "age", "kind": "sql", "reason": "sql rule 'fresh' cannot be run here", "severity": "error",
	"place": {"path": "c.yaml", "line": 14, "column": 7},
}

test_denies_a_quality_rule_that_failed if {
	found := contracts.deny with input as _data_with({"quality_failed_count": 1, "quality_failed": [_failed]})
	found == {{
		"rule": "contracts.quality_rules",
		"subject": "d.csv: age",
		"message": "few nulls (nullValues): 12 rows, wanted mustBe 0 rows",
		"place": {"path": "c.yaml", "line": 12, "column": 7},
	}}
}

test_denies_failed_rules_beyond_the_list if {
	every document in [
		_data_with({"quality_failed_count": 1}),
		_without_contract("data/quality_failed"),
		_without_contract("data/quality_failed_count"),
	] {
		found := contracts.deny with input as document
		_rules(found) == {"contracts.quality_rules"}
	}
}

test_warns_of_what_was_not_checked if {
	unchecked := _data_with({
		"unchecked_count": 1, "unchecked_severities": ["warning"],
		"unchecked": [object.union(_sql, {"severity": "warning"})],
	})
	warned := contracts.warn with input as unchecked
	warned == {{
		"rule": "contracts.unchecked_quality",
		"subject": "d.csv: age",
		"message": "sql rule 'fresh' cannot be run here",
		"place": {"path": "c.yaml", "line": 14, "column": 7},
	}}
	denied := contracts.deny with input as unchecked
	denied == set()
}

_severe := _data_with({"unchecked_count": 1, "unchecked_severities": ["error"], "unchecked": [_sql]})

test_denies_what_was_not_checked_and_is_severe if {
	found := contracts.deny with input as _severe
	_messages(found) == {"a quality rule of severity error cannot be run here"}
}

test_severities_that_block_are_a_threshold if {
	path := "/settings/thresholds/deny_unchecked_severities"
	lenient := contracts.deny with input as json.patch(_severe, [{"op": "replace", "path": path, "value": []}])
	lenient == set()
	absent := contracts.deny with input as json.patch(_severe, [{"op": "remove", "path": path}])
	_rules(absent) == {"contracts.unchecked_severe"}
}
