package gatekeeper.gates.lineage_test

import data.gatekeeper.gates.lineage
import rego.v1

_failed := {
	"namespace": "lake", "name": "raw",
	"assertion": "not_null", "column": "id", "check": "", "job": "dbt/test",
}

_intermediates := "/settings/thresholds/require_intermediates"

test_denies_an_output_without_a_version if {
	expected := {["lake/output", "this output has no version facet (1 of 2 such datasets)"]}
	document := _set("/evidence/endpoints/listed/0/version", null)
	_of("lineage.version", lineage.deny) == expected with input as document
}

test_denies_an_output_without_an_owner if {
	expected := {["lake/output", "this output has no owner, nor has a job that wrote it (1 of 2 such datasets)"]}
	document := _set("/evidence/endpoints/listed/0/owners", [])
	_of("lineage.owner", lineage.deny) == expected with input as document
}

test_denies_what_lies_between_without_a_version if {
	path := "/evidence/intermediates/listed/0/version"
	count(_of("lineage.version", lineage.deny)) == 1 with input as _set(path, null)
	lineage.deny == set() with input as _set_both(path, null, _intermediates, false)
}

test_denies_what_lies_between_without_an_owner if {
	path := "/evidence/intermediates/listed/0/owners"
	count(_of("lineage.owner", lineage.deny)) == 1 with input as _set(path, [])
	lineage.deny == set() with input as _set_both(path, [], _intermediates, false)
}

test_requires_nothing_that_the_thresholds_waive if {
	version := _set_both("/evidence/endpoints/listed/0/version", null, "/settings/thresholds/require_version", false)
	lineage.deny == set() with input as version
	owner := _set_both("/evidence/endpoints/listed/0/owners", [], "/settings/thresholds/require_owner", false)
	lineage.deny == set() with input as owner
}

test_requires_everything_without_thresholds if {
	faulty := _set_both("/evidence/intermediates/listed/0/version", null, "/evidence/endpoints/listed/0/owners", [])
	document := json.remove(faulty, ["/settings"])
	count(_of("lineage.version", lineage.deny)) == 1 with input as document
	count(_of("lineage.owner", lineage.deny)) == 1 with input as document
}

test_denies_a_failed_assertion if {
	document := _set("/evidence/failed_assertions", {"total": 3, "listed": [_failed]})
	expected := {["lake/raw", "not_null of column id failed when dbt/test ran it last (3 in all)"]}
	_of("lineage.assertions", lineage.deny) == expected with input as document
}

test_names_no_column_for_a_whole_dataset if {
	whole := object.union(_failed, {"column": ""})
	document := _set("/evidence/failed_assertions", {"total": 3, "listed": [whole]})
	expected := {["lake/raw", "not_null failed when dbt/test ran it last (3 in all)"]}
	_of("lineage.assertions", lineage.deny) == expected with input as document
}

test_only_warns_of_an_assertion_with_severity_warn if {
	document := _set("/evidence/warned_assertions", {"total": 3, "listed": [_failed]})
	lineage.deny == set() with input as document
	count(_of("lineage.assertion_warned", lineage.warn)) == 1 with input as document
}
