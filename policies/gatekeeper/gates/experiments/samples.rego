package gatekeeper.gates.experiments

import rego.v1

# METADATA
# title: Both samples are large enough
# description: The candidate's run and the baseline's hold at least min_samples observations; the tests are asymptotic.
# custom:
#   rule: experiments.sample_size
#   severity: deny
#   remedy: Evaluate both runs on more samples.
#   controls: ["nist-ai-rmf:MEASURE-2.1", "nist-ai-rmf:MEASURE-2.3"]
deny contains {
	"rule": "experiments.sample_size",
	"subject": run,
	"message": sprintf("%s samples were measured, at least min_samples are wanted", [_samples_text(run)]),
} if {
	some run in ["baseline", "candidate"]
	not _enough_samples(run)
}

_enough_samples(run) if {
	_is_counted(run)
	_samples(run) >= input.settings.thresholds.min_samples
}

_is_counted(run) if is_number(_samples(run))

_samples(run) := input.evidence.primary.result[sprintf("%s_samples", [run])]

_samples_text(run) := sprintf("%d", [_samples(run)]) if _is_counted(run)

_samples_text(run) := "an unknown number of" if not _is_counted(run)

# METADATA
# title: The split is the one that was meant
# description: >-
#   Where the template declares an allocation, both runs counted their units, and the split is not so uneven that
#   chance would make it less often than min_srm_p_value (sample-ratio mismatch).
# custom:
#   rule: experiments.sample_ratio
#   severity: deny
#   remedy: Find out which units were lost or counted twice, mend it, and measure again; a mismatch biases every metric.
#   controls: ["nist-ai-rmf:MEASURE-2.1", "nist-ai-rmf:MEASURE-2.5"]
deny contains {
	"rule": "experiments.sample_ratio",
	"subject": "allocation",
	"message": _split,
} if {
	not _no_split_declared
	not _split_as_meant
}

_no_split_declared if input.evidence.sample_ratio == null

_split_as_meant if {
	is_number(input.evidence.sample_ratio.p_value)
	input.evidence.sample_ratio.p_value >= input.settings.thresholds.min_srm_p_value
}

default _split := "the split was not measured"

_split := sprintf("%s; p = %s is below min_srm_p_value", [
	input.evidence.sample_ratio.split_text,
	input.evidence.sample_ratio.p_value_text,
])
