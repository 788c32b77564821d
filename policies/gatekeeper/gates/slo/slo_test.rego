package gatekeeper.gates.slo_test

import data.gatekeeper.gates.slo
import rego.v1

_windows := {
	"5m": {"seconds": 300, "error_ratio": 0.0144, "burn": 14.4, "burn_text": "14.40x"},
	"1h": {"seconds": 3600, "error_ratio": 0.0144, "burn": 14.4, "burn_text": "14.40x"},
	"2h": {"seconds": 7200, "error_ratio": 0.003, "burn": 3, "burn_text": "3.00x"},
	"1d": {"seconds": 86400, "error_ratio": 0.003, "burn": 3, "burn_text": "3.00x"},
	"30d": {"seconds": 2592000, "error_ratio": 0.0009, "burn": 0.9, "burn_text": "0.90x"},
}

_objective := {
	"name": "Answered",
	"event_count": 100,
	"covers_period": true,
	"place": {"path": "slo.yaml", "line": 9, "column": 15},
	"budget": {
		"target": 0.999,
		"target_text": "99.9 %",
		"period": "30d",
		"windows": _windows,
		"required_windows": ["5m", "1h", "2h", "1d", "30d"],
		"remaining_ratio": 0.1,
		"remaining_text": "10 %",
		"pairs": [
			{
				"severity": "page", "short": "5m", "long": "1h", "factor": 14.4,
				"burn_short": 14.4, "burn_long": 14.4, "reachable": true, "text": "page pair",
			},
			{
				"severity": "ticket", "short": "2h", "long": "1d", "factor": 3,
				"burn_short": 3, "burn_long": 3, "reachable": true, "text": "ticket pair",
			},
		],
	},
}

_thresholds := {"min_target_ratio": 0.999, "min_budget_remaining_ratio": 0.1, "min_event_count": 100}

_input(objectives) := {
	"evidence": {"slo": "api", "objectives": objectives, "warnings": []},
	"settings": {"thresholds": _thresholds},
}

_patched(operations) := _input([json.patch(_objective, operations)])

_set(path, value) := _patched([{"op": "replace", "path": path, "value": value}])

_without(path) := _patched([{"op": "remove", "path": path}])

_rules(findings) := {finding.rule | some finding in findings}

_placed := {"path": "slo.yaml", "line": 9, "column": 15}

test_passes_at_every_boundary if {
	_rules(slo.deny) == set() with input as _input([_objective])
	_rules(slo.warn) == set() with input as _input([_objective])
}

test_denies_when_no_objective_was_measured if {
	_rules(slo.deny) == {"slo.complete"} with input as _input([])
	"slo.complete" in _rules(slo.deny) with input as {"evidence": {}, "settings": {"thresholds": _thresholds}}
}

test_denies_when_anything_of_an_objective_is_not_there if {
	paths := [
		"/name", "/event_count", "/budget", "/budget/target_text", "/budget/remaining_text", "/budget/period",
		"/budget/windows", "/budget/windows/5m", "/budget/windows/1h", "/budget/windows/30d",
		"/budget/required_windows", "/budget/pairs", "/budget/pairs/0", "/budget/pairs/1", "/budget/pairs/0/text",
		"/budget/pairs/0/factor", "/budget/pairs/0/short", "/budget/pairs/0/severity",
	]
	every path in paths {
		"slo.complete" in _rules(slo.deny) with input as _without(path)
	}
}

test_denies_when_figures_have_another_type if {
	every path in ["/budget/windows/5m/burn", "/budget/pairs/1/factor", "/event_count"] {
		"slo.complete" in _rules(slo.deny) with input as _set(path, "much")
	}
}

test_denies_a_target_below_the_floor_and_says_where if {
	some finding in slo.deny with input as _set("/budget/target", 0.99)
	finding.rule == "slo.target_floor"
	finding.message == "the target is 99.9 %, at least min_target_ratio 0.999 is wanted"
	finding.place == _placed
}

test_denies_a_budget_just_below_the_limit if {
	_rules(slo.deny) == {"slo.budget_left"} with input as _set("/budget/remaining_ratio", 0.0999)
	_rules(slo.deny) == {"slo.budget_left"} with input as _set("/budget/remaining_ratio", -1)
}

test_denies_when_a_measurement_is_undefined if {
	_rules(slo.deny) == {"slo.target_floor"} with input as _without("/budget/target")
	_rules(slo.deny) == {"slo.budget_left"} with input as _without("/budget/remaining_ratio")
	_rules(slo.deny) == {"slo.alert_reachable"} with input as _without("/budget/pairs/0/reachable")
	_rules(slo.deny) == {"slo.burn_rate"} with input as _patched([
		{"op": "remove", "path": "/budget/pairs/0/burn_short"},
		{"op": "remove", "path": "/budget/pairs/0/burn_long"},
	])
}

test_denies_when_a_threshold_is_undefined if {
	document := {"evidence": _input([_objective]).evidence, "settings": {"thresholds": {}}}
	_rules(slo.deny) == {"slo.target_floor", "slo.budget_left", "slo.enough_traffic"} with input as document
}

test_denies_a_fast_burn_only_when_both_windows_exceed_the_factor if {
	_rules(slo.deny) == set() with input as _set("/budget/pairs/0/burn_short", 14.41)
	_rules(slo.deny) == set() with input as _set("/budget/pairs/0/burn_long", 14.41)
	_rules(slo.deny) == {"slo.burn_rate"} with input as _patched([
		{"op": "replace", "path": "/budget/pairs/0/burn_short", "value": 14.41},
		{"op": "replace", "path": "/budget/pairs/0/burn_long", "value": 14.41},
	])
}

test_warns_of_a_slow_burn_only_when_both_windows_exceed_the_factor if {
	_rules(slo.warn) == set() with input as _set("/budget/pairs/1/burn_short", 3.01)
	document := _patched([
		{"op": "replace", "path": "/budget/pairs/1/burn_short", "value": 3.01},
		{"op": "replace", "path": "/budget/pairs/1/burn_long", "value": 3.01},
	])
	_rules(slo.warn) == {"slo.slow_burn"} with input as document
	_rules(slo.deny) == set() with input as document
}

test_denies_an_alert_that_no_outage_could_fire if {
	_rules(slo.deny) == {"slo.alert_reachable"} with input as _set("/budget/pairs/0/reachable", false)
	_rules(slo.deny) == set() with input as _set("/budget/pairs/1/reachable", false)
}

test_denies_too_few_events_and_warns_when_nobody_counted if {
	_rules(slo.deny) == {"slo.enough_traffic"} with input as _set("/event_count", 99)
	_rules(slo.deny) == set() with input as _set("/event_count", null)
	_rules(slo.warn) == {"slo.traffic_known"} with input as _set("/event_count", null)
}

test_warns_of_a_period_that_is_not_covered if {
	_rules(slo.warn) == {"slo.full_period"} with input as _set("/covers_period", false)
	_rules(slo.warn) == set() with input as _set("/covers_period", null)
}

test_warns_of_each_warning_of_prometheus if {
	document := json.patch(_input([_objective]), [{"op": "replace", "path": "/evidence/warnings", "value": ["a", "b"]}])
	count(slo.warn) == 2 with input as document
	_rules(slo.warn) == {"slo.prometheus_warnings"} with input as document
}

test_finds_without_a_place_when_the_file_hides_it if {
	some finding in slo.deny with input as _patched([
		{"op": "replace", "path": "/place", "value": null},
		{"op": "replace", "path": "/budget/target", "value": 0.5},
	])
	object.keys(finding) == {"rule", "subject", "message"}
}
