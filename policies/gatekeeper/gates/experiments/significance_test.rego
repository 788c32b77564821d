package gatekeeper.gates.experiments_test

import data.gatekeeper.gates.experiments
import rego.v1

_effect := "the effect is 0.05 [0.01, 0.09] with p = 0.05, and increase is better"

test_denies_improvement_just_too_small if {
	found := experiments.deny with input as _set("/evidence/primary/result/improvement", 0.0499)
	found == {{
		"rule": "experiments.minimum_effect",
		"subject": "accuracy",
		"message": sprintf("%s; an improvement of at least 0.05 is wanted", [_effect]),
		"place": _place,
	}}
}

test_denies_result_that_is_not_significant if {
	found := experiments.deny with input as _set("/evidence/primary/result/significant", false)
	found == {{
		"rule": "experiments.significance",
		"subject": "accuracy",
		"message": sprintf("%s; that is no improvement at the template's alpha of 0.05", [_effect]),
		"place": _place,
	}}
}

test_denies_p_value_just_above_alpha if {
	_rules(experiments.deny) == {"experiments.significance"} with input as _set("/evidence/primary/result/p_value", 0.0501)
}

test_denies_significant_worsening if {
	_rules(experiments.deny) == {
		"experiments.minimum_effect",
		"experiments.significance",
	} with input as _set("/evidence/primary/result/improvement", -0.05)
}

test_denies_no_improvement_even_when_none_is_asked if {
	patched := json.patch(_input, [
		{"op": "replace", "path": "/evidence/primary/result/improvement", "value": 0},
		{"op": "replace", "path": "/evidence/primary/minimum_effect", "value": 0},
	])
	_rules(experiments.deny) == {"experiments.significance"} with input as patched
}

test_denies_alpha_just_above_the_threshold if {
	found := experiments.deny with input as _set("/settings/thresholds/max_alpha", 0.0499)
	found == {{
		"rule": "experiments.significance",
		"subject": "accuracy",
		"message": "the template's alpha of 0.05 is above max_alpha",
		"place": _place,
	}}
}

test_denies_test_that_could_not_be_computed if {
	found := experiments.deny with input as _set("/evidence/primary/result", null)
	_rules(found) == {"experiments.minimum_effect", "experiments.sample_size", "experiments.significance"}
	some finding in found
	contains(finding.message, "could not be computed")
}

test_denies_missing_primary_metric_without_a_place if {
	found := experiments.deny with input as _without("/evidence/primary")
	_subjects("experiments.significance", found) == {"primary metric"}
	count([finding | some finding in found; finding.place]) == 0
}

test_denies_result_without_texts if {
	every key in ["improvement", "p_value", "significant"] {
		found := experiments.deny with input as _without(sprintf("/evidence/primary/result/%s", [key]))
		"experiments.significance" in _rules(found)
	}
}
