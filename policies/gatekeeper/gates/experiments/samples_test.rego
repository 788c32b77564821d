package gatekeeper.gates.experiments_test

import data.gatekeeper.gates.experiments
import rego.v1

test_denies_sample_just_too_small if {
	every run in ["baseline", "candidate"] {
		path := sprintf("/evidence/primary/result/%s_samples", [run])
		experiments.deny == {{
			"rule": "experiments.sample_size",
			"subject": run,
			"message": "99 samples were measured, at least min_samples are wanted",
		}} with input as _set(path, 99)
	}
}

test_denies_sample_of_unknown_size if {
	experiments.deny == {{
		"rule": "experiments.sample_size",
		"subject": "candidate",
		"message": "an unknown number of samples were measured, at least min_samples are wanted",
	}} with input as _without("/evidence/primary/result/candidate_samples")
}

test_denies_sample_ratio_mismatch if {
	experiments.deny == {{
		"rule": "experiments.sample_ratio",
		"subject": "allocation",
		"message": "candidate 1000, baseline 1200; a candidate's share of 0.5 was meant; p = 0.001 is below min_srm_p_value",
	}} with input as _set("/evidence/sample_ratio/p_value", 0.00099)
}

test_denies_declared_split_that_was_not_measured if {
	_rules(experiments.deny) == {"experiments.sample_ratio"} with input as _set("/evidence/sample_ratio/p_value", null)
}

test_denies_split_whose_evidence_is_missing if {
	found := experiments.deny with input as _without("/evidence/sample_ratio")
	{finding.message | some finding in found} == {"the split was not measured"}
}

test_allows_plan_without_allocation if {
	count(experiments.deny) == 0 with input as _set("/evidence/sample_ratio", null)
}
