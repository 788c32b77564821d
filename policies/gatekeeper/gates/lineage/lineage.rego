# METADATA
# title: Lineage
# description: >-
#   Every output of the candidate comes from declared inputs, through completed runs of known code. The collector
#   traces; these rules say what the trace must show.
package gatekeeper.gates.lineage

import rego.v1

# METADATA
# title: Every output is traced
# description: A completed run wrote each declared output, and the evidence and the thresholds are whole.
# custom:
#   rule: lineage.output_traced
#   severity: deny
#   remedy: Export the events of the run that made the output, or mend namespace and name in the manifest.
#   controls: ["nist-ai-rmf:MAP-4.1", "eu-ai-act:10(2)", "iso-42001:A.7.5"]
deny contains {
	"rule": "lineage.output_traced",
	"subject": _label(output),
	"message": sprintf("is not traced: %s", [output.found]),
} if {
	some output in input.evidence.outputs
	not output.traced == true
}

deny contains {
	"rule": "lineage.output_traced",
	"subject": "lineage",
	"message": "the evidence or a threshold is not whole, so nothing is traced",
} if {
	not _whole
}

# METADATA
# title: The output is the candidate
# description: Where an output's version is a SHA-256, it is the digest of one of the candidate's artefacts.
# custom:
#   rule: lineage.artifact_digest
#   severity: deny
#   remedy: Promote the file that the run wrote, or export the events of the run that wrote this file.
#   controls: ["nist-ai-rmf:MANAGE-3.2", "eu-ai-act:12(1)", "iso-42001:A.6.2.4"]
deny contains {
	"rule": "lineage.artifact_digest",
	"subject": _label(output),
	"message": sprintf("the run wrote %s, which is not an artefact of the candidate", [output.version]),
} if {
	some output in input.evidence.outputs
	output.is_artifact == false
}

# METADATA
# title: No unknown upstream
# description: Tracing ends at declared inputs and nowhere else.
# custom:
#   rule: lineage.known_upstream
#   severity: deny
#   remedy: Declare the source as an input once it is approved, or export the events of the runs that wrote it.
#   controls: ["nist-ai-rmf:MAP-4.1", "eu-ai-act:10(2)", "iso-42001:A.7.5"]
deny contains {
	"rule": "lineage.known_upstream",
	"subject": _label(upstream),
	"message": sprintf(
		"this %s is not a declared input, and %s (%s; %d in all)",
		[upstream.kind, upstream.found, upstream.job, input.evidence.unknown_upstream.total],
	),
	"place": upstream.place,
} if {
	some upstream in input.evidence.unknown_upstream.listed
}

# METADATA
# title: The events are tied to the candidate
# description: The version of at least one output is the SHA-256 of one of the candidate's artefacts.
# custom:
#   rule: lineage.artifact_unbound
#   severity: warn
#   remedy: Emit `sha256:<digest of the file>` as datasetVersion of the output.
#   controls: ["nist-ai-rmf:MANAGE-3.2", "eu-ai-act:12(1)"]
warn contains {
	"rule": "lineage.artifact_unbound",
	"subject": "outputs",
	"message": "no output's version is the digest of an artefact, so only the name ties the events to the candidate",
} if {
	not _bound
}

# METADATA
# title: Every declared input is used
# description: The path ends at every declared input; one that nothing reads may be misspelt or out of date.
# custom:
#   rule: lineage.input_unused
#   severity: warn
#   remedy: Take the input out of the manifest, or export the events that read it.
#   controls: ["nist-ai-rmf:MAP-4.1", "iso-42001:A.7.5"]
warn contains {
	"rule": "lineage.input_unused",
	"subject": _label(unused),
	"message": sprintf("no run on the path read this input (%d in all)", [input.evidence.unused_inputs.total]),
} if {
	some unused in input.evidence.unused_inputs.listed
}

_whole if {
	input.evidence.outputs[0]
	is_number(input.evidence.runs.uncompleted)
	every output in input.evidence.outputs {
		_has_texts(output, ["namespace", "name", "found"])
		_judged(output)
	}
	every key, texts in _lists_with_texts {
		is_number(input.evidence[key].total)
		every item in input.evidence[key].listed {
			_has_texts(item, texts)
			_placed(key, item)
		}
	}
	every total in ["without_version", "without_owner"] {
		is_number(input.evidence.endpoints[total])
		is_number(input.evidence.intermediates[total])
	}
	every key in ["require_version", "require_owner", "require_intermediates", "require_code_commit"] {
		is_boolean(input.settings.thresholds[key])
	}
}

_lists_with_texts := {
	"unknown_upstream": ["namespace", "name", "kind", "found", "job"],
	"runs": ["run_id", "job", "state"],
	"contradictions": ["run_id", "job", "found"],
	"endpoints": ["namespace", "name", "role"],
	"intermediates": ["namespace", "name", "role"],
	"failed_assertions": ["namespace", "name", "assertion", "column", "job"],
}

_has_texts(item, keys) if {
	every key in keys {
		is_string(item[key])
	}
}

_placed(_, item) if is_object(item.place)

_placed(key, _) if not key in ["unknown_upstream", "runs", "contradictions"]

_judged(output) if is_boolean(output.is_artifact)

_judged(output) if output.is_artifact == null

_bound if {
	some output in input.evidence.outputs
	output.is_artifact == true
}

_label(dataset) := sprintf("%s/%s", [dataset.namespace, dataset.name])
