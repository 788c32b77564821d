package gatekeeper.gates.experiments

import rego.v1

# METADATA
# title: Every metric reaches its floor
# description: A metric with a floor was measured on the candidate and reaches it.
# custom:
#   rule: experiments.metric_floor
#   severity: deny
#   remedy: Improve the candidate, or have the template's owner lower the floor.
#   controls: ["nist-ai-rmf:MEASURE-2.3", "eu-ai-act:15(1)"]
deny contains {
	"rule": "experiments.metric_floor",
	"subject": row.name,
	"message": sprintf("%s is %s and must reach %s", [row.name, row.candidate_text, row.floor.text]),
	"place": row.floor.place,
} if {
	some row in input.evidence.metrics
	is_object(row.floor)
	not _reaches_floor(row)
}

_reaches_floor(row) if {
	is_number(row.candidate)
	row.candidate >= row.floor.value
}

# METADATA
# title: No metric passes its ceiling
# description: A metric with a ceiling was measured on the candidate and stays at or below it.
# custom:
#   rule: experiments.metric_ceiling
#   severity: deny
#   remedy: Improve the candidate, or have the template's owner raise the ceiling.
#   controls: ["nist-ai-rmf:MEASURE-2.3", "eu-ai-act:15(1)"]
deny contains {
	"rule": "experiments.metric_ceiling",
	"subject": row.name,
	"message": sprintf("%s is %s and may be at most %s", [row.name, row.candidate_text, row.ceiling.text]),
	"place": row.ceiling.place,
} if {
	some row in input.evidence.metrics
	is_object(row.ceiling)
	not _within_ceiling(row)
}

_within_ceiling(row) if {
	is_number(row.candidate)
	row.candidate <= row.ceiling.value
}

# METADATA
# title: No guardrail gets worse than allowed
# description: A guardrail metric was measured on both runs and is worse by max_regression at most.
# custom:
#   rule: experiments.guardrail
#   severity: deny
#   remedy: Mend what got worse, or have the template's owner allow more of it.
#   controls: ["nist-ai-rmf:MEASURE-2.5", "nist-ai-rmf:MANAGE-1.1", "eu-ai-act:15(1)"]
deny contains {
	"rule": "experiments.guardrail",
	"subject": row.metric,
	"message": sprintf(
		"%s is worse than the baseline by %s, at most %s is allowed",
		[row.metric, row.regression_text, row.max_regression_text],
	),
	"place": row.place,
} if {
	some row in input.evidence.guardrails
	not _within_guardrail(row)
}

_within_guardrail(row) if {
	is_number(row.regression)
	row.regression <= row.max_regression
}
