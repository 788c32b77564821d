# METADATA
# title: Service level objectives
# description: >-
#   The service that the candidate enters has error budget left and is not burning it too fast. Figures are
#   computed by the collector; these rules compare them.
package gatekeeper.gates.slo

import rego.v1

# METADATA
# title: Every window was measured
# description: Each objective has its burn over the period and over both windows of every alert.
# custom:
#   rule: slo.complete
#   severity: deny
#   remedy: Measure the error ratio of every window that the objective requires.
#   controls: ["nist-ai-rmf:MEASURE-2.4", "iso-42001:A.6.2.6"]
deny contains {
	"rule": "slo.complete",
	"subject": "objectives",
	"message": "no objective was measured",
} if {
	not input.evidence.objectives[0]
}

deny contains {
	"rule": "slo.complete",
	"subject": sprintf("objectives[%d]", [index]),
	"message": "a required window, an alert or a figure is not there",
} if {
	some index, objective in input.evidence.objectives
	not _complete(objective)
}

# METADATA
# title: The target is not lax
# description: Each objective aims at least at min_target_ratio; a lax objective always has budget left.
# custom:
#   rule: slo.target_floor
#   severity: deny
#   remedy: Raise the objective's target, or have the threshold lowered for this environment.
#   controls: ["nist-ai-rmf:MANAGE-1.1", "eu-ai-act:15(1)"]
deny contains _placed(objective, {
	"rule": "slo.target_floor",
	"subject": objective.name,
	"message": sprintf(
		"the target is %s, at least min_target_ratio %s is wanted",
		[objective.budget.target_text, _limit("min_target_ratio")],
	),
}) if {
	some objective in input.evidence.objectives
	not _strict(objective)
}

# METADATA
# title: Error budget is left
# description: At least min_budget_remaining_ratio of the period's error budget is left.
# custom:
#   rule: slo.budget_left
#   severity: deny
#   remedy: Wait until old errors leave the period, or make the service more reliable before it changes again.
#   controls: ["nist-ai-rmf:MANAGE-1.1", "nist-ai-rmf:MEASURE-2.6", "eu-ai-act:15(4)"]
deny contains _placed(objective, {
	"rule": "slo.budget_left",
	"subject": objective.name,
	"message": sprintf(
		"%s of the error budget is left over %s, at least min_budget_remaining_ratio %s is wanted",
		[objective.budget.remaining_text, objective.budget.period, _limit("min_budget_remaining_ratio")],
	),
}) if {
	some objective in input.evidence.objectives
	not _budget_left(objective)
}

# METADATA
# title: The budget is not burning fast
# description: No alert that wakes someone fires; one fires when the burn over both its windows exceeds its factor.
# custom:
#   rule: slo.burn_rate
#   severity: deny
#   remedy: End the incident first; a promotion during one hides its cause.
#   controls: ["nist-ai-rmf:MEASURE-2.4", "nist-ai-rmf:MANAGE-4.1", "eu-ai-act:15(4)"]
deny contains _placed(objective, {"rule": "slo.burn_rate", "subject": objective.name, "message": pair.text}) if {
	some objective in input.evidence.objectives
	some pair in objective.budget.pairs
	not _slow(pair)
	not _quiet(pair)
}

# METADATA
# title: An outage would be noticed
# description: A complete outage makes every alert that wakes someone fire; with a large budget none could.
# custom:
#   rule: slo.alert_reachable
#   severity: deny
#   remedy: Raise the target or shorten the period, so that factor times budget stays below 1.
#   controls: ["nist-ai-rmf:MEASURE-2.4"]
deny contains _placed(objective, {
	"rule": "slo.alert_reachable",
	"subject": objective.name,
	"message": sprintf("even a complete outage would not fire %s/%s: %s", [pair.short, pair.long, pair.text]),
}) if {
	some objective in input.evidence.objectives
	some pair in objective.budget.pairs
	not _slow(pair)
	not pair.reachable
}

# METADATA
# title: There was enough traffic
# description: Where events were counted, the period has at least min_event_count of them.
# custom:
#   rule: slo.enough_traffic
#   severity: deny
#   remedy: Let the service be used for longer, or send it synthetic requests.
#   controls: ["nist-ai-rmf:MEASURE-2.1"]
deny contains _placed(objective, {
	"rule": "slo.enough_traffic",
	"subject": objective.name,
	"message": sprintf(
		"%v events in the period, at least min_event_count %s are wanted",
		[objective.event_count, _limit("min_event_count")],
	),
}) if {
	some objective in input.evidence.objectives
	not _enough_traffic(objective)
}

# METADATA
# title: The budget is not burning slowly
# description: No alert that opens a ticket fires.
# custom:
#   rule: slo.slow_burn
#   severity: warn
#   remedy: Find out what fails before the budget is gone.
#   controls: ["nist-ai-rmf:MEASURE-2.4"]
warn contains _placed(objective, {"rule": "slo.slow_burn", "subject": objective.name, "message": pair.text}) if {
	some objective in input.evidence.objectives
	some pair in objective.budget.pairs
	_slow(pair)
	not _quiet(pair)
}

# METADATA
# title: The events were counted
# description: The number of events behind the ratios is known, so that too few of them would show.
# custom:
#   rule: slo.traffic_known
#   severity: warn
#   remedy: Add `events` to the saved answer, or make the total sum(increase(…)) or sum(rate(…)).
#   controls: ["nist-ai-rmf:MEASURE-2.1"]
warn contains {
	"rule": "slo.traffic_known",
	"subject": objective.name,
	"message": "nobody counted the events; a ratio of very few events says little",
} if {
	some objective in input.evidence.objectives
	objective.event_count == null
}

# METADATA
# title: The whole period was observed
# description: Prometheus has samples from the first hour of the period.
# custom:
#   rule: slo.full_period
#   severity: warn
#   remedy: Keep samples for at least the period (--storage.tsdb.retention.time), or wait until it is full.
#   controls: ["nist-ai-rmf:MEASURE-2.1"]
warn contains {
	"rule": "slo.full_period",
	"subject": objective.name,
	"message": sprintf("no samples from the first hour of %s: the budget rests on less", [objective.budget.period]),
} if {
	some objective in input.evidence.objectives
	objective.covers_period == false
}

# METADATA
# title: Prometheus had no reservations
# description: The answers came without warnings and infos.
# custom:
#   rule: slo.prometheus_warnings
#   severity: warn
#   remedy: Mend the query or the server that the warning names.
#   controls: ["nist-ai-rmf:MEASURE-2.13"]
warn contains {"rule": "slo.prometheus_warnings", "subject": input.evidence.slo, "message": warning} if {
	some warning in input.evidence.warnings
}

_complete(objective) if {
	is_string(objective.name)
	_counted(objective)
	budget := objective.budget
	is_string(budget.target_text)
	is_string(budget.remaining_text)
	is_number(budget.windows[budget.period].burn)
	every window in budget.required_windows {
		is_number(budget.windows[window].burn)
	}
	every pair in budget.pairs {
		_known(pair, budget)
	}
	some page in budget.pairs
	page.severity == "page"
	some ticket in budget.pairs
	_slow(ticket)
}

_counted(objective) if is_number(objective.event_count)

_counted(objective) if objective.event_count == null

_known(pair, budget) if {
	is_string(pair.text)
	is_number(pair.factor)
	is_number(budget.windows[pair.short].burn)
	is_number(budget.windows[pair.long].burn)
}

_strict(objective) if objective.budget.target >= input.settings.thresholds.min_target_ratio

_budget_left(objective) if {
	objective.budget.remaining_ratio >= input.settings.thresholds.min_budget_remaining_ratio
}

_enough_traffic(objective) if objective.event_count >= input.settings.thresholds.min_event_count

_enough_traffic(objective) if objective.event_count == null

_slow(pair) if pair.severity == "ticket"

_quiet(pair) if pair.burn_long <= pair.factor

_quiet(pair) if pair.burn_short <= pair.factor

_limit(key) := sprintf("%v", [input.settings.thresholds[key]])

_limit(key) := "(not set)" if not input.settings.thresholds[key]

_placed(objective, finding) := object.union(finding, {"place": objective.place}) if is_object(objective.place)

_placed(objective, finding) := finding if not _has_place(objective)

_has_place(objective) if is_object(objective.place)
