package gatekeeper.gates.experiments

import rego.v1

# METADATA
# title: The improvement is large enough
# description: The primary metric moves in the better direction by the template's minimum_effect at least.
# custom:
#   rule: experiments.minimum_effect
#   severity: deny
#   remedy: Improve the candidate, or keep the baseline.
#   controls: ["nist-ai-rmf:MEASURE-2.3", "nist-ai-rmf:MANAGE-1.1"]
deny contains _placed({
	"rule": "experiments.minimum_effect",
	"subject": _metric,
	"message": sprintf("%s; an improvement of at least %s is wanted", [_found, _minimum_text]),
}) if {
	not _large_enough
}

_large_enough if _result.improvement >= _primary.minimum_effect

# METADATA
# title: The improvement is not chance
# description: >-
#   The declared test rejects "no effect" in the better direction at the template's alpha, which is max_alpha at
#   most.
# custom:
#   rule: experiments.significance
#   severity: deny
#   remedy: Measure as many samples as the difference needs, or keep the baseline; lower an alpha above max_alpha.
#   controls: ["nist-ai-rmf:MEASURE-2.1", "nist-ai-rmf:MEASURE-1.1"]
deny contains _placed({
	"rule": "experiments.significance",
	"subject": _metric,
	"message": sprintf("%s; that is no improvement at the template's alpha of %s", [_found, _alpha_text]),
}) if {
	not _significant
}

_significant if {
	_result.significant == true
	_result.p_value <= _primary.alpha
	_result.improvement > 0
}

deny contains _placed({
	"rule": "experiments.significance",
	"subject": _metric,
	"message": sprintf("the template's alpha of %s is above max_alpha", [_alpha_text]),
}) if {
	not _alpha_strict
}

_alpha_strict if _primary.alpha <= input.settings.thresholds.max_alpha

_primary := input.evidence.primary

_result := _primary.result

default _metric := "primary metric"

_metric := _primary.metric

default _alpha_text := "(unknown)"

_alpha_text := _primary.alpha_text

default _minimum_text := "the template's minimum_effect"

_minimum_text := _primary.minimum_effect_text

default _found := "the declared test could not be computed, because a figure was not measured"

_found := sprintf(
	"the effect is %s %s with p = %s, and %s is better",
	[_result.effect_text, _result.interval_text, _result.p_value_text, _primary.direction],
)

_has_place if is_object(_primary.place)

_placed(finding) := object.union(finding, {"place": _primary.place}) if _has_place

_placed(finding) := finding if not _has_place
