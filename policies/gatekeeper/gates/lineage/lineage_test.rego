package gatekeeper.gates.lineage_test

import data.gatekeeper.gates.lineage
import rego.v1

_place := {"path": "events.ndjson", "line": 3, "column": 1}

_none := {"total": 0, "listed": []}

_output := {
	"namespace": "registry", "name": "model", "traced": true, "found": "a completed run wrote it",
	"version": "sha256:ab", "is_artifact": true,
}

_upstream := {
	"namespace": "lake", "name": "secret", "kind": "dataset", "reason": "never_written",
	"found": "no run in the events wrote it", "job": "etl/train", "place": _place,
}

_run := {
	"run_id": "r1", "job": "etl/train", "state": "COMPLETE", "commit": "c0ffee", "commit_known": true,
	"place": _place,
}

_datasets(role) := {
	"total": 2, "without_version": 1, "without_owner": 1,
	"listed": [{"namespace": "lake", "name": role, "role": role, "version": "7", "owners": ["team"]}],
}

_evidence := {
	"outputs": [_output],
	"unused_inputs": _none,
	"unknown_upstream": _none,
	"runs": {"total": 1, "listed": [_run], "uncompleted": 1, "without_commit": 1, "unknown_commit": 1},
	"endpoints": _datasets("output"),
	"intermediates": _datasets("intermediate"),
	"contradictions": _none,
	"failed_assertions": _none,
	"warned_assertions": _none,
	"counts": {"duplicates_ratio": 0.25, "duplicates_text": "1 of 4 (25.0%)"},
}

_thresholds := {
	"require_version": true, "require_owner": true, "require_intermediates": true, "require_code_commit": true,
	"max_duplicates_ratio": 0.25,
}

_input := {"evidence": _evidence, "settings": {"thresholds": _thresholds}}

_set(path, value) := json.patch(_input, [{"op": "replace", "path": path, "value": value}])

_set_both(path, value, other, second) := json.patch(_set(path, value), [{
	"op": "replace", "path": other,
	"value": second,
}])

_without(path) := json.patch(_input, [{"op": "remove", "path": path}])

_of(rule, findings) := {[finding.subject, finding.message] | some finding in findings; finding.rule == rule}

_places(rule, findings) := {finding.place | some finding in findings; finding.rule == rule}

test_passes_at_every_boundary if {
	lineage.deny == set() with input as _input
	lineage.warn == set() with input as _input
}

test_denies_an_output_that_is_not_traced if {
	untraced := object.union(_output, {"traced": false, "found": "no run in the events wrote it"})
	expected := {["registry/model", "is not traced: no run in the events wrote it"]}
	_of("lineage.output_traced", lineage.deny) == expected with input as _set("/evidence/outputs", [_output, untraced])
}

test_denies_without_outputs if {
	count(_of("lineage.output_traced", lineage.deny)) == 1 with input as _set("/evidence/outputs", [])
}

test_denies_whatever_part_is_missing if {
	every key in [
		"outputs", "unknown_upstream", "runs", "endpoints", "intermediates", "contradictions", "failed_assertions",
		"runs/uncompleted", "endpoints/without_owner", "intermediates/without_version", "runs/listed", "runs/total",
		"outputs/0/is_artifact", "outputs/0/found", "outputs/0/traced", "runs/listed/0/state", "runs/listed/0/place",
		"endpoints/listed/0/role", "intermediates/listed/0/name",
	] {
		some finding in lineage.deny with input as _without(sprintf("/evidence/%s", [key]))
		finding.rule == "lineage.output_traced"
	}
}

test_denies_whatever_threshold_is_missing if {
	every key in ["version", "owner", "intermediates", "code_commit"] {
		some finding in lineage.deny with input as _without(sprintf("/settings/thresholds/require_%s", [key]))
		finding.rule == "lineage.output_traced"
	}
}

test_denies_an_output_that_is_another_file if {
	expected := {["registry/model", "the run wrote sha256:ab, which is not an artefact of the candidate"]}
	other := _set("/evidence/outputs/0/is_artifact", false)
	_of("lineage.artifact_digest", lineage.deny) == expected with input as other
}

test_warns_when_no_output_is_tied_to_an_artefact if {
	document := _set("/evidence/outputs/0/is_artifact", null)
	lineage.deny == set() with input as document
	count(_of("lineage.artifact_unbound", lineage.warn)) == 1 with input as document
}

test_one_tied_output_is_enough if {
	version := object.union(_output, {"is_artifact": null, "version": "7"})
	lineage.warn == set() with input as _set("/evidence/outputs", [version, _output])
}

test_denies_unknown_upstream if {
	document := _set("/evidence/unknown_upstream", {"total": 30, "listed": [_upstream]})
	message := "this dataset is not a declared input, and no run in the events wrote it (etl/train; 30 in all)"
	_of("lineage.known_upstream", lineage.deny) == {["lake/secret", message]} with input as document
	_places("lineage.known_upstream", lineage.deny) == {_place} with input as document
}

test_denies_unknown_upstream_that_could_not_be_shown if {
	every key in ["found", "place", "kind", "job"] {
		listed := {"total": 1, "listed": [object.remove(_upstream, [key])]}
		some finding in lineage.deny with input as _set("/evidence/unknown_upstream", listed)
		finding.rule == "lineage.output_traced"
	}
}

test_warns_of_an_unused_input if {
	unused := {"total": 2, "listed": [{"namespace": "lake", "name": "old"}]}
	expected := {["lake/old", "no run on the path read this input (2 in all)"]}
	_of("lineage.input_unused", lineage.warn) == expected with input as _set("/evidence/unused_inputs", unused)
}
