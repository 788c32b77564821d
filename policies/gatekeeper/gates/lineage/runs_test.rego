package gatekeeper.gates.lineage_test

import data.gatekeeper.gates.lineage
import rego.v1

_state := "/evidence/runs/listed/0/state"

_commit := "/evidence/runs/listed/0/commit"

_commit_known := "/evidence/runs/listed/0/commit_known"

test_denies_every_other_state if {
	every state in ["FAIL", "ABORT", "UNENDED", "CONTRADICTORY"] {
		message := sprintf("run r1 is %s, COMPLETE was wanted (1 such runs on the path)", [state])
		_of("lineage.run_completed", lineage.deny) == {["etl/train", message]} with input as _set(_state, state)
	}
}

test_denies_a_run_without_a_commit if {
	document := _set_both(_commit, null, _commit_known, null)
	expected := {["etl/train", "run r1: no sourceCodeLocation facet names a git commit"]}
	_of("lineage.code_commit", lineage.deny) == expected with input as document
}

test_denies_a_commit_outside_the_history if {
	expected := {["etl/train", "run r1: commit c0ffee is not in the history of HEAD"]}
	_of("lineage.code_commit", lineage.deny) == expected with input as _set(_commit_known, false)
}

test_requires_no_commit_only_when_the_threshold_says_so if {
	document := _set_both(_commit_known, false, "/settings/thresholds/require_code_commit", false)
	lineage.deny == set() with input as document
	unset := json.patch(document, [{"op": "remove", "path": "/settings/thresholds/require_code_commit"}])
	count(_of("lineage.code_commit", lineage.deny)) == 1 with input as unset
}

test_places_findings_about_runs if {
	document := _set_both(_commit_known, false, _state, "FAIL")
	_places("lineage.run_completed", lineage.deny) == {_place} with input as document
	_places("lineage.code_commit", lineage.deny) == {_place} with input as document
}

test_denies_contradictions if {
	found := "COMPLETE and FAIL were both reported"
	contradiction := {"run_id": "r2", "job": "etl/clean", "found": found, "place": _place}
	document := _set("/evidence/contradictions", {"total": 4, "listed": [contradiction]})
	expected := {["etl/clean", sprintf("run r2: %s (4 such runs in the events)", [found])]}
	_of("lineage.no_contradiction", lineage.deny) == expected with input as document
}

test_warns_of_more_duplicates_than_the_threshold if {
	expected := {["events", "1 of 4 (25.0%) events were delivered again"]}
	document := _set("/settings/thresholds/max_duplicates_ratio", 0.24)
	_of("lineage.duplicates", lineage.warn) == expected with input as document
}

test_warns_of_duplicates_without_a_threshold if {
	document := _without("/settings/thresholds/max_duplicates_ratio")
	count(_of("lineage.duplicates", lineage.warn)) == 1 with input as document
}
