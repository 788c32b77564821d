package gatekeeper.gates.experiments

import rego.v1

# METADATA
# title: Both runs were evaluated on the same data
# description: Where both runs logged their evaluation datasets, the digests are the same.
# custom:
#   rule: experiments.same_dataset
#   severity: deny
#   remedy: Evaluate candidate and baseline on one dataset, and log it with mlflow.log_input(…, context="evaluation").
#   controls: ["nist-ai-rmf:MEASURE-2.1", "eu-ai-act:10(2)", "iso-42001:A.7.4"]
deny contains {
	"rule": "experiments.same_dataset",
	"subject": "evaluation dataset",
	"message": _datasets,
} if {
	not _unknown
	not _same
}

_unknown if input.evidence.datasets.same == null

_same if input.evidence.datasets.same == true

default _datasets := "the evidence lacks the comparison of datasets"

_datasets := sprintf("the candidate was measured on %s, the baseline on %s", [
	concat(", ", input.evidence.datasets.candidate),
	concat(", ", input.evidence.datasets.baseline),
])

# METADATA
# title: The evaluation dataset is known
# description: Both runs logged the dataset that they were evaluated on, so that a difference is not one of data.
# custom:
#   rule: experiments.dataset_logged
#   severity: warn
#   remedy: Log the dataset in both runs with mlflow.log_input(…, context="evaluation").
#   controls: ["nist-ai-rmf:MEASURE-2.1", "iso-42001:A.7.4"]
warn contains {
	"rule": "experiments.dataset_logged",
	"subject": "evaluation dataset",
	"message": "a run did not log the dataset that it was evaluated on, so that they cannot be compared",
} if {
	_unknown
}
