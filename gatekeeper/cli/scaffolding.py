"""What `policy new` writes: a gate of an organisation that denies until somebody says what it should allow."""

from __future__ import annotations

import re
from pathlib import Path

from gatekeeper.bundles import write_text
from gatekeeper.collectors import COLLECTORS
from gatekeeper.errors import ConfigurationError

_GATE = re.compile(r"[a-z][a-z0-9_]{0,23}", re.ASCII)
_KEYWORDS = frozenset({
    "as", "contains", "data", "default", "else", "every", "false", "if", "import", "in", "input", "not", "null",
    "package", "rego", "set", "some", "true", "with",
})  # fmt: skip
"""Words that mean something else in Rego (https://www.openpolicyagent.org/docs/policy-reference#reserved-names)."""

_POLICY = """\
# METADATA
# title: The gate GATE
# description: FILL-IN what this gate asks of a candidate. Figures are measured elsewhere; these rules compare them.
package custom.gatekeeper.gates.GATE

import rego.v1

# METADATA
# title: The measurement reaches its floor
# description: value_ratio was measured and is at least min_value_ratio.
# custom:
#   rule: GATE.value_floor
#   severity: deny
#   remedy: FILL-IN what the candidate's owner has to do.
#   controls: ["nist-ai-rmf:MEASURE-2.3"]
deny contains {
	"rule": "GATE.value_floor",
	"subject": "value_ratio",
	"message": "is below min_value_ratio, or was not measured",
} if {
	not _reaches_floor
}

# METADATA
# title: There were enough samples
# description: The measurement rests on at least min_sample_count samples.
# custom:
#   rule: GATE.enough_samples
#   severity: warn
#   remedy: Measure again on more samples.
#   controls: ["nist-ai-rmf:MEASURE-2.1"]
warn contains {
	"rule": "GATE.enough_samples",
	"subject": "sample_count",
	"message": "is below min_sample_count, or was not counted",
} if {
	not _enough_samples
}

# Each rule negates one of these, so that a figure or a threshold that is not there denies. Give them no argument:
# `not f(input.absent)` is undefined, and undefined denies nothing.
_reaches_floor if input.evidence.document.value_ratio >= input.settings.thresholds.min_value_ratio

_enough_samples if input.evidence.document.sample_count >= input.settings.thresholds.min_sample_count
"""

_TEST = """\
package custom.gatekeeper.gates.GATE_test

import data.custom.gatekeeper.gates.GATE
import rego.v1

_document := {"measured_at": "2026-11-23T11:00:00Z", "value_ratio": 0.9, "sample_count": 100}

_thresholds := {"min_value_ratio": 0.9, "min_sample_count": 100}

_input(document) := {"evidence": {"document": document}, "settings": {"thresholds": _thresholds}}

_with(key, value) := _input(object.union(_document, {key: value}))

_denied := {"GATE.value_floor"}

_warned := {"GATE.enough_samples"}

_rules(findings) := {finding.rule | some finding in findings}

test_passes_at_every_boundary if {
	_rules(GATE.deny) == set() with input as _input(_document)
	_rules(GATE.warn) == set() with input as _input(_document)
}

test_denies_just_below_the_floor if {
	_rules(GATE.deny) == _denied with input as _with("value_ratio", 0.89)
}

test_denies_a_value_never_measured if {
	_rules(GATE.deny) == _denied with input as _input(object.remove(_document, ["value_ratio"]))
}

test_denies_without_a_threshold if {
	_rules(GATE.deny) == _denied with input as {"evidence": {"document": _document}}
}

test_denies_without_evidence if {
	_rules(GATE.deny) == _denied with input as {}
}

test_warns_of_too_few_samples if {
	_rules(GATE.warn) == _warned with input as _with("sample_count", 99)
}
"""

_SCHEMA = """\
{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Evidence of the gate GATE",
  "type": "object",
  "required": ["measured_at", "value_ratio", "sample_count"],
  "additionalProperties": false,
  "properties": {
    "measured_at": {"type": "string", "description": "When it was measured: RFC 3339 with a zone."},
    "value_ratio": {"type": "number", "minimum": 0, "maximum": 1, "description": "FILL-IN what was measured."},
    "sample_count": {"type": "integer", "minimum": 0, "description": "Samples that the measurement rests on."}
  }
}
"""

_THRESHOLDS_SCHEMA = """\
{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Thresholds of the gate GATE",
  "type": "object",
  "required": ["min_value_ratio", "min_sample_count"],
  "additionalProperties": false,
  "properties": {
    "min_value_ratio": {"type": "number", "minimum": 0, "maximum": 1},
    "min_sample_count": {"type": "integer", "minimum": 1}
  }
}
"""

_THRESHOLDS = """\
# Nothing measured reaches a ratio of 1; lower it to what a candidate must reach.
min_value_ratio: 1
min_sample_count: 100
"""

_EVIDENCE = '{"measured_at": "2026-11-23T11:00:00Z", "value_ratio": 0.97, "sample_count": 2000}\n'

_README = """\
# The gate GATE

FILL-IN: what it asks of a candidate, and who answers for it. It denies until `min_value_ratio` in
`custom/gatekeeper/defaults/thresholds/GATE/data.yaml` is lowered from 1.

`gatekeeper.yaml` (trusted):

```yaml
custom_policies: FOLDER
custom_gates:
  GATE:
    schema: FOLDER/schemas/GATE.schema.json
    thresholds_schema: FOLDER/schemas/GATE.thresholds.schema.json
    max_age_seconds: 604800
    observed_at: /measured_at
```

Require it in `FOLDER/custom/gatekeeper/defaults/data.yaml`; until then it decides nothing:

```yaml
required_gates:
  production:
    model: [GATE]
```

`promotion.yaml`, with a document like `FOLDER/examples/GATE.json`:

```yaml
evidence:
  GATE: {path: evidence/GATE.json}
```
"""

_FILES = {
    "custom/gatekeeper/gates/GATE/GATE.rego": _POLICY,
    "custom/gatekeeper/gates/GATE/GATE_test.rego": _TEST,
    "custom/gatekeeper/defaults/thresholds/GATE/data.yaml": _THRESHOLDS,
    "schemas/GATE.schema.json": _SCHEMA,
    "schemas/GATE.thresholds.schema.json": _THRESHOLDS_SCHEMA,
    "examples/GATE.json": _EVIDENCE,
    "custom/gatekeeper/gates/GATE/README.md": _README,
}


def write_gate(folder: Path, gate: str) -> list[Path]:
    """
    Write a gate's files below an organisation's policy folder.

    Raises `ConfigurationError` when the name cannot be a package, is that of a gate of the library, or one of the
    files is there already; then nothing is written.
    """
    if not _GATE.fullmatch(gate) or gate in _KEYWORDS or gate.endswith("_test"):
        raise ConfigurationError(
            f"gate {gate!r}", "cannot be the name of a package",
            hint="at most 24 small letters, digits and _, beginning with a letter; no word of Rego; not ending in _test",
        )  # fmt: skip
    if gate in COLLECTORS:
        raise ConfigurationError(f"gate {gate!r}", "is a gate of the library", hint="choose another name")
    files = {folder / path.replace("GATE", gate): text for path, text in _FILES.items()}
    for path in files:
        if path.exists() or path.is_symlink():
            raise ConfigurationError(str(path), "is there already", hint="policy new never overwrites")
    shown = folder.as_posix()
    for path, text in files.items():
        write_text(path, text.replace("GATE", gate).replace("FOLDER", shown))
    return list(files)
