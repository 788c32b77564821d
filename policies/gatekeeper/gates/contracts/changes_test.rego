package gatekeeper.gates.contracts_test

import data.gatekeeper.gates.contracts
import rego.v1

_change(backward, forward) := {
	"change": "constraint_tightened", "subject": "orders.age", "detail": "minimum: 0 to 18", "pointer": "/schema/0",
	"backward": backward, "forward": forward, "place": {"path": "c.yaml", "line": 9, "column": 5},
}

_counted(verdict) := object.union(_none, {verdict: 1})

_changed(backward, forward, more) := object.union(
	object.union(_base, {
		"change_count": 1,
		"backward": _counted(backward),
		"forward": _counted(forward),
		"changes": [_change(backward, forward)],
	}),
	more,
)

_judged(backward, forward, mode) := _with({
	"base": _changed(backward, forward, {}),
	"base_mode": mode, "mode": mode,
})

_breaks := {"contracts.compatible", "contracts.major_version", "contracts.migration_path"}

_unknown := {"contracts.undecidable", "contracts.major_version", "contracts.migration_path"}

test_allows_a_change_that_is_safe_in_the_mode if {
	every case in [
		["compatible", "incompatible", "BACKWARD"], ["compatible", "undecidable", "BACKWARD_TRANSITIVE"],
		["incompatible", "compatible", "FORWARD"], ["undecidable", "compatible", "FORWARD_TRANSITIVE"],
		["compatible", "compatible", "FULL"], ["compatible", "incompatible", null],
	] {
		found := contracts.deny with input as _judged(case[0], case[1], case[2])
		found == set()
	}
}

test_denies_a_break_in_the_mode if {
	every case in [
		["incompatible", "compatible", "BACKWARD"], ["incompatible", "compatible", "FULL_TRANSITIVE"],
		["compatible", "incompatible", "FORWARD"], ["compatible", "incompatible", "FULL"],
		["compatible", "incompatible", "FORWARD_TRANSITIVE"], ["incompatible", "compatible", null],
	] {
		found := contracts.deny with input as _judged(case[0], case[1], case[2])
		_rules(found) == _breaks
	}
}

test_denies_what_cannot_be_decided if {
	every case in [["undecidable", "compatible", null], ["compatible", "undecidable", "FULL"]] {
		found := contracts.deny with input as _judged(case[0], case[1], case[2])
		_rules(found) == _unknown
	}
}

test_finding_names_the_change_and_its_place if {
	found := contracts.deny with input as _judged("incompatible", "compatible", null)
	{
		"rule": "contracts.compatible",
		"subject": "orders.age",
		"message": "constraint_tightened (minimum: 0 to 18) breaks BACKWARD readers, since git:main:c.yaml",
		"place": {"path": "c.yaml", "line": 9, "column": 5},
	} in found
}

test_head_does_not_choose_its_mode if {
	base := _changed("incompatible", "compatible", {})
	found := contracts.deny with input as _with({"base": base, "mode": "FORWARD"})
	_rules(found) == _breaks | {"contracts.mode_kept"}
}

test_denies_changes_beyond_the_list if {
	unlisted := contracts.deny with input as _with({"base": _changed("incompatible", "compatible", {"changes": []})})
	_rules(unlisted) == _breaks
	more := {"change_count": 2, "backward": {"compatible": 1, "incompatible": 0, "undecidable": 1}}
	partly := contracts.deny with input as _with({"base": _changed("compatible", "compatible", more)})
	_rules(partly) == {"contracts.compatible", "contracts.major_version", "contracts.migration_path"}
}

test_denies_without_a_known_mode if {
	base := {"base": _changed("incompatible", "compatible", {}), "mode": "FULL"}
	unknown := contracts.deny with input as _with(object.union(base, {"base_mode": "SIDEWAYS"}))
	"contracts.compatible" in _rules(unknown)
	no_default := contracts.deny with input as _without_threshold("default_compatibility_mode")
	"contracts.compatible" in _rules(no_default)
	no_mode := contracts.deny with input as _without_contract("base_mode")
	"contracts.compatible" in _rules(no_mode)
}

test_denies_without_verdicts if {
	found := contracts.deny with input as _patched([
		{"op": "remove", "path": "/evidence/contracts/0/base/backward"},
		{"op": "remove", "path": "/evidence/contracts/0/base/change_count"},
	])
	_rules(found) == {"contracts.compatible"}
}

_strict := {"base_mode": "BACKWARD_TRANSITIVE", "mode": "BACKWARD_TRANSITIVE"}

_earlier := _changed("incompatible", "compatible", {"against": "git:abc:c.yaml", "version": "0.9.0"})

_with_earlier(comparison, more) := _with(object.union_n([
	_strict,
	{"earlier": [comparison], "earlier_count": 1, "earlier_breaking_count": 1},
	more,
]))

test_denies_a_break_of_an_earlier_version if {
	found := contracts.deny with input as _with_earlier(_earlier, {})
	_rules(found) == _breaks
}

test_allows_an_announced_break_of_an_earlier_version if {
	announced := object.union(_earlier, {"announced": true, "step": "major"})
	found := contracts.deny with input as _with_earlier(announced, {"migration_path": "docs/v2.md"})
	found == set()
}

test_denies_earlier_versions_beyond_the_list if {
	found := contracts.deny with input as _with({"earlier_breaking_count": 21})
	_rules(found) == {"contracts.undecidable"}
}
