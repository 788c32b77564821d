# METADATA
# title: Experiments
# description: >-
#   The candidate was compared with its baseline under a plan that says what must be shown. Figures are computed
#   by the collector; these rules compare them.
package gatekeeper.gates.experiments

import rego.v1

# METADATA
# title: The hypothesis is stated
# description: The template says in at least min_hypothesis_characters what is expected, and why.
# custom:
#   rule: experiments.hypothesis
#   severity: deny
#   remedy: Write into the experiment template what the candidate is expected to change, and why.
#   controls: ["nist-ai-rmf:MAP-1.1", "iso-42001:A.6.2.2"]
deny contains {
	"rule": "experiments.hypothesis",
	"subject": "hypothesis",
	"message": "the template states no hypothesis, or one shorter than min_hypothesis_characters",
} if {
	not _hypothesis_stated
}

_hypothesis_stated if {
	input.evidence.hypothesis_characters >= input.settings.thresholds.min_hypothesis_characters
}

# METADATA
# title: The plan sets limits
# description: The template declares at least min_limits floors and ceilings; a plan that asks nothing shows nothing.
# custom:
#   rule: experiments.floors_declared
#   severity: deny
#   remedy: Declare metric_floors or metric_ceilings in the experiment template.
#   controls: ["nist-ai-rmf:MEASURE-1.1", "iso-42001:A.6.2.4"]
deny contains {
	"rule": "experiments.floors_declared",
	"subject": "metric_floors",
	"message": "the template declares fewer floors and ceilings than min_limits",
} if {
	not _limits_declared
}

_limits_declared if input.evidence.limits_declared >= input.settings.thresholds.min_limits

# METADATA
# title: Everything that the plan names was measured
# description: Each metric and figure of the template was logged by the candidate's run and by the baseline's.
# custom:
#   rule: experiments.measured
#   severity: deny
#   remedy: Log the metric in both runs, or mend its name in the experiment template.
#   controls: ["nist-ai-rmf:MEASURE-2.3", "eu-ai-act:15(1)", "iso-42001:A.6.2.4"]
deny contains {
	"rule": "experiments.measured",
	"subject": each.name,
	"message": sprintf("%s was never logged by the %s's run", [each.name, each.run]),
} if {
	some each in input.evidence.unmeasured
}

deny contains {
	"rule": "experiments.measured",
	"subject": part,
	"message": "the evidence lacks this part",
} if {
	some part in ["guardrails", "metrics", "unmeasured"]
	not _is_there(part)
}

_is_there(part) if is_array(input.evidence[part])
