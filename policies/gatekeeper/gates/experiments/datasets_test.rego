package gatekeeper.gates.experiments_test

import data.gatekeeper.gates.experiments
import rego.v1

test_denies_runs_measured_on_different_data if {
	experiments.deny == {{
		"rule": "experiments.same_dataset",
		"subject": "evaluation dataset",
		"message": "the candidate was measured on wine@0a, the baseline on wine@0a",
	}} with input as _set("/evidence/datasets/same", false)
}

test_denies_missing_comparison_of_datasets if {
	found := experiments.deny with input as _without("/evidence/datasets")
	{[finding.rule, finding.message] | some finding in found} == {[
		"experiments.same_dataset",
		"the evidence lacks the comparison of datasets",
	]}
}

test_warns_of_unknown_data if {
	unknown := _set("/evidence/datasets", {"same": null, "candidate": [], "baseline": ["wine@0a"]})
	count(experiments.deny) == 0 with input as unknown
	experiments.warn == {{
		"rule": "experiments.dataset_logged",
		"subject": "evaluation dataset",
		"message": "a run did not log the dataset that it was evaluated on, so that they cannot be compared",
	}} with input as unknown
}
