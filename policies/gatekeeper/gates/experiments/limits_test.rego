package gatekeeper.gates.experiments_test

import data.gatekeeper.gates.experiments
import rego.v1

test_denies_metric_just_below_its_floor if {
	found := experiments.deny with input as _set("/evidence/metrics/0/candidate", 0.9499)
	found == {{
		"rule": "experiments.metric_floor",
		"subject": "accuracy",
		"message": "accuracy is 0.95 and must reach 0.95",
		"place": _place,
	}}
}

test_denies_floor_of_a_metric_that_is_null if {
	_rules(experiments.deny) == {"experiments.metric_floor"} with input as _set("/evidence/metrics/0/candidate", null)
}

test_denies_floor_of_a_metric_that_is_missing if {
	_rules(experiments.deny) == {"experiments.metric_floor"} with input as _without("/evidence/metrics/0/candidate")
}

test_denies_floor_of_a_metric_that_is_text if {
	_rules(experiments.deny) == {"experiments.metric_floor"} with input as _set("/evidence/metrics/0/candidate", "1")
}

test_denies_metric_just_above_its_ceiling if {
	found := experiments.deny with input as _set("/evidence/metrics/1/candidate", 80.1)
	found == {{
		"rule": "experiments.metric_ceiling",
		"subject": "latency_ms",
		"message": "latency_ms is 80 and may be at most 80",
		"place": _place,
	}}
}

test_denies_ceiling_of_a_metric_that_is_null if {
	_rules(experiments.deny) == {"experiments.metric_ceiling"} with input as _set("/evidence/metrics/1/candidate", null)
}

test_denies_ceiling_of_a_metric_that_is_missing if {
	_rules(experiments.deny) == {"experiments.metric_ceiling"} with input as _without("/evidence/metrics/1/candidate")
}

test_denies_guardrail_just_past_its_limit if {
	found := experiments.deny with input as _set("/evidence/guardrails/0/regression", 0.0101)
	found == {{
		"rule": "experiments.guardrail",
		"subject": "recall",
		"message": "recall is worse than the baseline by 0.01, at most 0.01 is allowed",
		"place": _place,
	}}
}

test_denies_guardrail_that_was_not_measured if {
	_rules(experiments.deny) == {"experiments.guardrail"} with input as _set("/evidence/guardrails/0/regression", null)
}

test_denies_guardrail_without_regression if {
	_rules(experiments.deny) == {"experiments.guardrail"} with input as _without("/evidence/guardrails/0/regression")
}

test_allows_guardrail_that_got_better if {
	count(experiments.deny) == 0 with input as _set("/evidence/guardrails/0/regression", -1)
}
