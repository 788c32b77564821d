"""The JSON Schemas that editors and other programs use say the same as the models that gatekeeper uses."""

from __future__ import annotations

import copy
import http.server
import json
import runpy
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from support import SHA

from gatekeeper import contracts
from gatekeeper.contracts import CONTRACTS, load_schema, violations
from gatekeeper.errors import EvidenceError
from gatekeeper.formats.strict_yaml import parse_yaml
from gatekeeper.library import LIBRARY
from gatekeeper.schemas import SCHEMAS, generate

PROMOTION: dict[str, Any] = {
    "apiVersion": "gatekeeper/v1",
    "kind": "Promotion",
    "candidate": {
        "kind": "model", "name": "org/tumour", "version": "2.3.0", "artifacts": [{"path": "m.onnx", "sha256": SHA}],
    },
    "from": "staging",
    "to": "production",
    "owner": "team",
    "evidence": {
        "contracts": [{"contract": "c.odcs.yaml", "data": "d.csv"}],
        "lineage": {
            "openlineage": "e.ndjson",
            "outputs": [{"namespace": "n", "name": "o"}],
            "inputs": [{"namespace": "n", "name": "i"}],
        },
        "slo": {"openslo": "s.yaml", "prometheus": {"response": "p.json"}},
    },
    "timeline": {"planned_at": "2026-01-01T00:00:00Z"},
}  # fmt: skip
SETTINGS: dict[str, Any] = {
    "apiVersion": "gatekeeper/v1",
    "kind": "Settings",
    "engine": {"name": "opa", "timeout_seconds": 5},
    "required_gates": {"production": {"model": ["slo"]}},
    "risk_tiers": {"default": "low", "candidates": {"a": "high"}},
    "thresholds": {"slo": {"max_age_seconds": 60}},
    "outputs": [{"format": "json", "path": "-"}],
}
BUNDLE: dict[str, Any] = {
    "promotion": PROMOTION,
    "manifest_sha256": SHA,
    "collected_at": "2026-01-01T00:00:00Z",
    "collect_seconds": 1.5,
    "evidence": [
        {
            "gate": "slo", "collected_at": "2026-01-01T00:00:00Z", "queue_seconds": 0.0, "duration_seconds": 1.0,
            "sources": [{"path": "a", "sha256": SHA, "size_bytes": 1}], "body": {"observed_at": None},
        }
    ],
}  # fmt: skip
DEFAULTS: dict[str, Any] = parse_yaml((LIBRARY / "gatekeeper" / "defaults" / "data.yaml").read_bytes(), "data.yaml")
EXAMPLES = {"promotion": PROMOTION, "settings": SETTINGS, "evidence-bundle": BUNDLE, "defaults": DEFAULTS}
REMOVED: Any = object()


def changed(document: dict[str, Any], way: str, value: Any) -> dict[str, Any]:
    """Copy a document with the value at a dotted way replaced, added or removed."""
    result = copy.deepcopy(document)
    node: Any = result
    *steps, last = [int(step) if step.isdigit() else step for step in way.split(".")]
    for step in steps:
        node = node[step]
    if value is REMOVED:
        del node[last]
    else:
        node[last] = value
    return result


def model_accepts(name: str, document: Any) -> bool:
    """Say whether the model takes the document as gatekeeper reads it."""
    try:
        SCHEMAS[name]().model_validate_json(json.dumps(document), by_alias=True, by_name=False)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_file_is_what_is_generated(name: str) -> None:
    """Regenerate a stale one with `python -m gatekeeper.schemas`."""
    text = json.dumps(generate(name), indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    assert (CONTRACTS / f"{name}.schema.json").read_text("utf-8") == text
    assert load_schema(name) == json.loads(text)


def test_the_program_writes_what_is_generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m gatekeeper.schemas` gives the same files, although the module then has another name."""
    monkeypatch.setattr(contracts, "CONTRACTS", tmp_path)
    monkeypatch.delitem(sys.modules, "gatekeeper.schemas")
    runpy.run_module("gatekeeper.schemas", run_name="__main__")
    written = {path.name: json.loads(path.read_text("utf-8")) for path in tmp_path.iterdir()}
    assert written == {f"{name}.schema.json": generate(name) for name in SCHEMAS}


def test_every_file_has_its_model() -> None:
    """A schema that nothing generates any more is not shipped."""
    assert sorted(path.name.removesuffix(".schema.json") for path in CONTRACTS.iterdir()) == sorted(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one_and_describes_everything(name: str) -> None:
    """It is valid under its own meta-schema, closed, and every property has a description."""
    schema = generate(name)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    violations({}, schema)
    objects = [part for part in (schema, *schema.get("$defs", {}).values()) if "properties" in part]
    assert objects
    for part in objects:
        assert part["additionalProperties"] is False
        assert part.get("description") or part["title"] in ("EvidenceRequests", "Thresholds")
        assert [key for key, value in part["properties"].items() if not value.get("description")] == []


def test_generating_twice_gives_the_same() -> None:
    """Nothing of an earlier run is left in it."""
    assert json.dumps(generate("promotion")) == json.dumps(generate("promotion"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_is_valid_for_both(name: str) -> None:
    """So that the refusals below are about their change."""
    assert violations(EXAMPLES[name], generate(name)) == []
    assert model_accepts(name, EXAMPLES[name])


ACCEPTED: list[tuple[str, str, Any]] = [
    ("promotion", "timeline", REMOVED), ("promotion", "evidence.slo", REMOVED), ("promotion", "evidence", {}),
    ("promotion", "candidate.kind", "agent"), ("promotion", "candidate.name", "a" * 200),
    ("promotion", "timeline.planned_at", None), ("settings", "engine", "embedded"), ("settings", "engine", {}),
    ("settings", "required_gates", None), ("settings", "policies", "rules"), ("settings", "apiVersion", REMOVED),
    ("evidence-bundle", "evidence", []), ("evidence-bundle", "collect_seconds", 0),
    ("evidence-bundle", "commit", None), ("evidence-bundle", "evidence.0.sources.0.size_bytes", 0),
    ("defaults", "overrides", REMOVED), ("defaults", "max_bundle_age_seconds", 1),
    ("defaults", "overrides.0.risk_tier", REMOVED),
]  # fmt: skip
REFUSED: list[tuple[str, str, Any]] = [
    ("promotion", "apiVersion", "gatekeeper/v2"), ("promotion", "kind", REMOVED), ("promotion", "gates", ["slo"]),
    ("promotion", "candidate.kind", "modle"), ("promotion", "candidate.artifacts", []),
    ("promotion", "candidate.artifacts.0.sha256", SHA[:-1]), ("promotion", "candidate.artifacts.0.sha256", "A" * 64),
    ("promotion", "candidate.artifacts.0.sha256", f"{SHA}\n"), ("promotion", "candidate.name", "a\n"),
    ("promotion", "candidate.name", "a/../b"), ("promotion", "candidate.name", "a" * 201),
    ("promotion", "candidate.name", "é"), ("promotion", "candidate.version", ""), ("promotion", "candidate.version", 2),
    ("promotion", "to", REMOVED), ("promotion", "target", "production"), ("promotion", "owner", None),
    ("promotion", "evidence", REMOVED), ("promotion", "evidence", None), ("promotion", "evidence", []),
    ("promotion", "evidence.slo.openslo", REMOVED), ("promotion", "evidence.slo.opensol", "s.yaml"),
    ("promotion", "evidence.contracts", []), ("promotion", "evidence.contracts.0.dta", "d.csv"),
    ("promotion", "evidence.lineage.inputs", []), ("promotion", "evidence.drift", {}),
    ("promotion", "timeline.planed_at", "2026-01-01T00:00:00Z"), ("promotion", "timeline.planned_at", 5),
    ("settings", "engine", "regorus"), ("settings", "engine", None), ("settings", "engine.nam", "opa"),
    ("settings", "engine.timeout_seconds", 0), ("settings", "engine.timeout_seconds", 601),
    ("settings", "engine.timeout_seconds", "5"), ("settings", "api_version", "gatekeeper/v1"),
    ("settings", "required_gates.production.model", "slo"), ("settings", "required_gates.production.model", ["s o"]),
    ("settings", "required_gates", {"pro duction": {}}), ("settings", "risk_tiers.default", "none"),
    ("settings", "risk_tiers.candidates.a", 1), ("settings", "thresholds.slo", 3), ("settings", "outputs.0.format", "yaml"),
    ("settings", "outputs.0.path", REMOVED), ("settings", "thresholdz", {}),
    ("evidence-bundle", "evidence.0.duration_seconds", -1), ("evidence-bundle", "evidence.0.gate", REMOVED),
    ("evidence-bundle", "evidence.0.sources.0.size_bytes", -1), ("evidence-bundle", "evidence.0.sources.0.size_bytes", 1.5),
    ("evidence-bundle", "evidence.0.gap", {"kind": "none", "subject": "s", "message": "m"}),
    ("evidence-bundle", "evidence.0.body", []), ("evidence-bundle", "manifest_sha256", ""),
    ("evidence-bundle", "promotion.candidate", REMOVED), ("evidence-bundle", "decision", "allow"),
    ("defaults", "max_bundle_age_seconds", 0), ("defaults", "max_bundle_age_seconds", 10**9),
    ("defaults", "max_bundle_age_seconds", REMOVED), ("defaults", "required_gates", REMOVED),
    ("defaults", "thresholds.slo.max_age_seconds", REMOVED), ("defaults", "thresholds.slo.max_age_second", 1),
    ("defaults", "thresholds.slo.max_age_seconds", "60"), ("defaults", "thresholds.slo.max_age_seconds", 0),
    ("defaults", "thresholds.slo.max_age_seconds", 10**9), ("defaults", "thresholds.slo", REMOVED),
    ("defaults", "overrides.0.enviroment", "production"), ("defaults", "overrides.0.thresholds", REMOVED),
]  # fmt: skip


@pytest.mark.parametrize(("name", "way", "value"), ACCEPTED)
def test_both_accept(name: str, way: str, value: Any) -> None:
    """The schema is not stricter than the model: an editor does not underline what works."""
    document = changed(EXAMPLES[name], way, value)
    assert violations(document, generate(name)) == []
    assert model_accepts(name, document)


@pytest.mark.parametrize(("name", "way", "value"), REFUSED)
def test_both_refuse(name: str, way: str, value: Any) -> None:
    """The schema is not weaker than the model either: what an editor accepts is read."""
    document = changed(EXAMPLES[name], way, value)
    assert violations(document, generate(name)) != []
    assert not model_accepts(name, document)


def test_violations_say_where_and_what() -> None:
    """RFC 6901 pointers, in order, with the escapes that they need."""
    schema = {"properties": {"a/b": {"items": {"type": "string"}}, "~": {"type": "null"}}, "required": ["c"]}
    found = violations({"a/b": ["x", 1], "~": 1}, schema)
    assert [(each.pointer, each.message) for each in found] == [
        ("", "'c' is a required property"),
        ("/a~1b/1", "1 is not of type 'string'"),
        ("/~0", "1 is not of type 'null'"),
    ]
    assert violations({"a/b": [], "~": None, "c": 1}, schema) == []


def test_violations_are_limited() -> None:
    """A thousand wrong rows are not a thousand lines, and a long value is cut."""
    schema = {"items": {"type": "string"}}
    assert len(violations([1] * 1000, schema)) == 20
    assert len(violations([1] * 1000, schema, limit=3)) == 3
    assert len(violations("x" * 10_000, {"type": "integer"})[0].message) <= 300


def test_a_refusal_that_only_the_strict_engine_sees_is_one() -> None:
    """The explaining library takes `$` for the place before a last line end; the document is refused all the same."""
    assert [each.message for each in violations("a\n", {"pattern": "^a$"})] == ["breaks its schema"]


@pytest.mark.parametrize("number", [10**30, 10**400, -(10**30)])
def test_large_integers_are_compared(number: int) -> None:
    """Numbers past 64 bits neither crash nor pass."""
    assert violations(number, {"type": "integer", "minimum": 0, "maximum": 5})
    assert violations(number, {"type": "integer"}) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strin"},
        {"pattern": "["},
        {"$ref": "#/none"},
        {"$schema": "https://example.org/none"},
        {"minimum": "1"},
    ],
)
def test_a_schema_that_is_none_is_malformed(schema: dict[str, Any]) -> None:
    """Nothing is valid under a schema that cannot be read."""
    with pytest.raises(EvidenceError) as caught:
        violations({}, schema)
    assert (caught.value.kind, caught.value.subject) == ("malformed", "schema")
    assert caught.value.problem.startswith("cannot be used: ")


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """A real HTTP server with a schema that accepts everything, and the list of what it was asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *arguments: object) -> None:
            """Keep quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}/schema.json", asked
        listening.shutdown()


@pytest.mark.parametrize("form", ["top", "property", "unreached", "base"])
def test_a_reference_is_never_fetched_from_the_network(server: tuple[str, list[str]], form: str) -> None:
    """A schema from a pull request must not make gatekeeper ask the metadata service of its machine."""
    url, asked = server
    schemas: dict[str, dict[str, Any]] = {
        "top": {"$ref": url},
        "property": {"type": "object", "properties": {"a": {"$ref": url}}},
        "unreached": {"if": {"type": "string"}, "then": {"$ref": url}},
        "base": {"$id": url, "properties": {"a": {"$ref": "other.json"}}},
    }
    with pytest.raises(EvidenceError, match="cannot be used"):
        violations({"a": 1}, schemas[form])
    assert asked == []


def test_a_reference_is_never_read_from_the_disk(tmp_path: Path) -> None:
    """Nor any file outside the repository."""
    (tmp_path / "schema.json").write_text("{}")
    with pytest.raises(EvidenceError, match="cannot be used"):
        violations(1, {"$ref": (tmp_path / "schema.json").as_uri()})


def test_references_within_the_document_are_followed() -> None:
    """By pointer, by anchor, by embedded id, and to the meta-schema that both libraries carry."""
    assert violations(1, {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}})
    assert violations(1, {"$ref": "#a", "$defs": {"x": {"$anchor": "a", "type": "string"}}})
    embedded = {"$id": "http://example.org/a", "$ref": "b", "$defs": {"b": {"$id": "b", "type": "string"}}}
    assert violations(1, embedded)
    assert violations("x", embedded) == []
    assert violations({"type": "strin"}, {"$ref": "https://json-schema.org/draft/2020-12/schema"})
