package gatekeeper.gates.experiments_test

import data.gatekeeper.gates.experiments
import rego.v1

_place := {"path": "experiment.yaml", "line": 14, "column": 3}

_evidence := {
	"observed_at": "2026-11-22T19:34:10Z",
	"hypothesis": "Pretraining helps rare classes.",
	"hypothesis_characters": 20,
	"owner": "team-imaging",
	"candidate": {"run": "8f", "name": "new", "ended_at": "2026-11-22T19:35:00Z"},
	"baseline": {"run": "1b", "name": "old", "ended_at": "2026-11-22T19:34:29Z"},
	"metrics": [
		{
			"name": "accuracy", "candidate": 0.95, "baseline": 0.9,
			"candidate_text": "0.95", "baseline_text": "0.9",
			"floor": {"value": 0.95, "text": "0.95", "place": _place}, "ceiling": null,
		},
		{
			"name": "latency_ms", "candidate": 80, "baseline": 90,
			"candidate_text": "80", "baseline_text": "90",
			"floor": null, "ceiling": {"value": 80, "text": "80", "place": _place},
		},
	],
	"limits_declared": 2,
	"primary": {
		"metric": "accuracy", "direction": "increase", "effect": "absolute",
		"minimum_effect": 0.05, "minimum_effect_text": "0.05",
		"method": "two_proportions", "alpha": 0.05, "alpha_text": "0.05", "place": _place,
		"result": {
			"candidate_samples": 100, "baseline_samples": 100,
			"effect": 0.05, "effect_text": "0.05", "improvement": 0.05,
			"interval_low": 0.01, "interval_high": 0.09, "interval_text": "[0.01, 0.09]",
			"p_value": 0.05, "p_value_text": "0.05", "significant": true,
		},
	},
	"guardrails": [{
		"metric": "recall", "direction": "increase", "effect": "absolute",
		"regression": 0.01, "regression_text": "0.01",
		"max_regression": 0.01, "max_regression_text": "0.01", "place": _place,
	}],
	"sample_ratio": {
		"count": "users", "candidate_count": 1000, "baseline_count": 1200,
		"split_text": "candidate 1000, baseline 1200; a candidate's share of 0.5 was meant",
		"p_value": 0.001, "p_value_text": "0.001", "place": _place,
	},
	"datasets": {"same": true, "candidate": ["wine@0a"], "baseline": ["wine@0a"]},
	"unmeasured": [],
}

_thresholds := {
	"max_age_seconds": 2592000, "min_hypothesis_characters": 20, "min_limits": 2,
	"min_samples": 100, "max_alpha": 0.05, "min_srm_p_value": 0.001,
}

_input := {"evidence": _evidence, "settings": {"thresholds": _thresholds}}

_set(path, value) := json.patch(_input, [{"op": "replace", "path": path, "value": value}])

_without(path) := json.patch(_input, [{"op": "remove", "path": path}])

_subjects(rule, findings) := {finding.subject | some finding in findings; finding.rule == rule}

_rules(findings) := {finding.rule | some finding in findings}

test_passes_at_every_boundary if {
	count(experiments.deny) == 0 with input as _input
	count(experiments.warn) == 0 with input as _input
}

test_denies_empty_evidence_by_every_rule_that_needs_it if {
	_rules(experiments.deny) == {
		"experiments.floors_declared", "experiments.hypothesis", "experiments.measured",
		"experiments.minimum_effect", "experiments.same_dataset", "experiments.sample_ratio",
		"experiments.sample_size", "experiments.significance",
	} with input as {"evidence": {}, "settings": {"thresholds": _thresholds}}
}

test_denies_missing_thresholds_by_every_rule_that_has_one if {
	_rules(experiments.deny) == {
		"experiments.floors_declared", "experiments.hypothesis", "experiments.sample_ratio",
		"experiments.sample_size", "experiments.significance",
	} with input as {"evidence": _evidence, "settings": {"thresholds": {}}}
}

test_denies_hypothesis_just_too_short if {
	found := experiments.deny with input as _set("/evidence/hypothesis_characters", 19)
	_subjects("experiments.hypothesis", found) == {"hypothesis"}
}

test_denies_hypothesis_missing if {
	found := experiments.deny with input as _without("/evidence/hypothesis_characters")
	_subjects("experiments.hypothesis", found) == {"hypothesis"}
}

test_denies_plan_with_too_few_limits if {
	_rules(experiments.deny) == {"experiments.floors_declared"} with input as _set("/evidence/limits_declared", 1)
}

test_denies_plan_whose_limits_are_missing if {
	_rules(experiments.deny) == {"experiments.floors_declared"} with input as _without("/evidence/limits_declared")
}

test_denies_metric_never_measured if {
	unmeasured := [{"run": "baseline", "name": "accuracy"}, {"run": "candidate", "name": "recall"}]
	found := experiments.deny with input as _set("/evidence/unmeasured", unmeasured)
	{finding.message | some finding in found} == {
		"accuracy was never logged by the baseline's run",
		"recall was never logged by the candidate's run",
	}
	_rules(found) == {"experiments.measured"}
}

test_denies_missing_part if {
	every part in ["guardrails", "metrics", "unmeasured"] {
		found := experiments.deny with input as _without(sprintf("/evidence/%s", [part]))
		_subjects("experiments.measured", found) == {part}
	}
}
