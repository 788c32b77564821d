package gatekeeper.gates.contracts_test

import data.gatekeeper.gates.contracts
import rego.v1

_announced := {"step": "major", "announced": true}

test_allows_an_announced_break_with_a_warning if {
	contract := {
		"version": "2.0.0", "migration_path": "docs/v2.md",
		"base": _changed("incompatible", "incompatible", _announced),
	}
	denied := contracts.deny with input as _with(contract)
	denied == set()
	warned := contracts.warn with input as _with(contract)
	_rules(warned) == {"contracts.breaking_change"}
	_messages(warned) == {"version 2.0.0 breaks readers; way past it: docs/v2.md"}
}

test_does_not_warn_of_a_major_version_without_break if {
	base := _changed("compatible", "compatible", _announced)
	found := contracts.warn with input as _with({"migration_path": "docs/v2.md", "base": base})
	found == set()
}

test_denies_a_break_without_major_version if {
	every step in {"minor", "patch", "prerelease"} {
		base := _changed("incompatible", "compatible", {"step": step})
		found := contracts.deny with input as _with({"base": base, "migration_path": "docs/v2.md"})
		_rules(found) == {"contracts.compatible", "contracts.major_version"}
	}
}

test_denies_a_break_without_migration_path if {
	base := _changed("undecidable", "compatible", {"step": "major"})
	found := contracts.deny with input as _with({"base": base})
	_rules(found) == {"contracts.undecidable", "contracts.migration_path"}
}

test_denies_a_version_that_does_not_move_with_the_content if {
	every step in {"same", "lower", "unknown"} {
		found := contracts.deny with input as _with({"base": object.union(_base, {"step": step})})
		_rules(found) == {"contracts.version_changed"}
	}
	every key in {"base/step", "base/content_changed"} {
		found := contracts.deny with input as _without_contract(key)
		_rules(found) == {"contracts.version_changed"}
	}
}

test_allows_the_same_version_of_the_same_content if {
	base := object.union(_base, {"step": "same", "content_changed": false})
	found := contracts.deny with input as _with({"base": base})
	found == set()
}

test_says_from_where_to_where_the_version_went if {
	base := object.union(_base, {"step": "lower", "version": "3.0.0"})
	found := contracts.deny with input as _with({"base": base})
	_messages(found) == {"the content changed, and the version went from 3.0.0 to 1.1.0 (lower)"}
}

_modes(base_mode, mode) := _with({"base_mode": base_mode, "mode": mode})

test_allows_a_mode_that_is_kept_or_stricter if {
	every pair in [
		["BACKWARD", "BACKWARD"], ["BACKWARD", "FULL"], [null, "FULL_TRANSITIVE"], ["FORWARD", "FORWARD_TRANSITIVE"],
		[null, null], ["BACKWARD", null], [null, "BACKWARD"],
	] {
		found := contracts.deny with input as _modes(pair[0], pair[1])
		found == set()
	}
}

test_denies_a_mode_that_is_relaxed if {
	every pair in [
		["FULL", "BACKWARD"], ["BACKWARD_TRANSITIVE", "FULL"], [null, "FORWARD"], ["FORWARD", null],
		["BACKWARD", "FORWARD"], ["FULL", "SIDEWAYS"],
	] {
		found := contracts.deny with input as _modes(pair[0], pair[1])
		_rules(found) == {"contracts.mode_kept"}
	}
	shown := contracts.deny with input as _modes("FULL", "BACKWARD")
	_messages(shown) == {"the mode in force is FULL, the new one is BACKWARD"}
}

test_allows_a_relaxed_mode_that_is_announced if {
	base := object.union(_base, _announced)
	contract := {"base": base, "base_mode": "FULL", "mode": "BACKWARD", "migration_path": "docs/v2.md"}
	found := contracts.deny with input as _with(contract)
	found == set()
}
