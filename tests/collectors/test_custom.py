"""An organisation's own gates whose evidence is a document: what they allow, and what they doubt."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import find_tool
from organisation_promotion import (
    GOOD,
    OWN,
    THRESHOLDS,
    OwnGate,
    gate_of,
    make_own_gate,
)
from pydantic import ValidationError
from support import make_context

from gatekeeper.bundles import load_bundle
from gatekeeper.cli import scaffolding
from gatekeeper.collectors import COLLECTORS, Collector
from gatekeeper.collectors.custom import (
    MAX_EVIDENCE_BYTES,
    DocumentCollector,
    DocumentRequest,
    load_schema,
    open_document_gate,
    steps_of,
)
from gatekeeper.collectors.registry import Collectors, open_collectors, read_file
from gatekeeper.errors import ConfigurationError, EvidenceError
from gatekeeper.evidence import bundle_digest
from gatekeeper.settings import CustomGate

Break = Callable[[OwnGate], None]
SCHEMA_TEXT = scaffolding._SCHEMA


@pytest.fixture(params=["embedded", "opa"])
def promotion(request: pytest.FixtureRequest, tmp_path: Path) -> OwnGate:
    """A promotion that its own gate allows, for each engine."""
    engine = "embedded" if request.param == "embedded" else f"{{name: opa, binary: {find_tool('opa')}}}"
    return make_own_gate(tmp_path, engine=engine, apart=True)


@pytest.fixture
def one(tmp_path: Path) -> OwnGate:
    """The same on the embedded engine."""
    return make_own_gate(tmp_path)


def evidence(content: Any, name: str = "evidence/fairness.json") -> Break:
    return lambda promotion: promotion.write(name, content)


def collector(schema: str = SCHEMA_TEXT, observed_at: str = "/measured_at") -> DocumentCollector:
    wanted = CustomGate(schema_path="s.json", max_age_seconds=60, observed_at=observed_at)
    return open_document_gate("fairness", wanted, lambda _path: schema.encode())


class TestVerdicts:
    """The real command on both engines."""

    def test_allows_and_asks_nobody_else(self, promotion: OwnGate) -> None:
        """Evidence that fits its schema and reaches every threshold passes, and what was read is named."""
        code, decision = promotion.check()
        gate = gate_of(decision)
        assert (code, gate["verdict"]) == (0, "pass")
        assert [each["path"] for each in gate["sources"]] == ["evidence/fairness.json"]
        assert decision["thresholds"]["fairness"] == {
            "max_age_seconds": 7200, "min_value_ratio": 0.9, "min_sample_count": 100,
        }  # fmt: skip

    def test_denies_with_the_rule(self, promotion: OwnGate) -> None:
        """Just below the floor is a denial by the organisation's rule."""
        promotion.write("evidence/fairness.json", GOOD | {"value_ratio": 0.899, "sample_count": 1})
        code, decision = promotion.check()
        assert (code, gate_of(decision)["verdict"]) == (1, "deny")
        found = {each["rule"]: each["effect"] for each in gate_of(decision)["findings"]}
        assert found == {"fairness.value_floor": "deny", "fairness.enough_samples": "warn"}

    @pytest.mark.parametrize(
        ("change", "kind", "says"),
        [
            (lambda each: (each.root / "evidence/fairness.json").unlink(), "missing", "no such file"),
            (evidence(GOOD | {"value_ratio": 1.2}), "malformed", "/value_ratio: 1.2 is greater than the maximum"),
            (evidence(GOOD | {"measured_at": "2026-11-23T09:59:59Z"}), "stale", "2.0 h ago"),
        ],
        ids=["missing", "malformed", "stale"],
    )
    def test_doubts(self, promotion: OwnGate, change: Break, kind: str, says: str) -> None:
        """Evidence that is not there, breaks its schema or is a second too old is a gap on either engine."""
        change(promotion)
        code, decision = promotion.check()
        gap = gate_of(decision)["gap"]
        assert (code, gate_of(decision)["verdict"], gap["kind"]) == (3, "inconclusive", kind)
        assert says in gap["message"]

    @pytest.mark.parametrize(
        ("change", "kind", "says"),
        [
            (evidence(b""), "malformed", "empty"),
            (evidence(b'{"measured_at": '), "malformed", "not JSON"),
            (evidence(b"\xff\xfe{}"), "malformed", "not UTF-8"),
            (evidence(json.dumps(GOOD).replace("0.97", "NaN")), "malformed", "NaN"),
            (evidence(json.dumps(GOOD).replace("0.97", "1e999")), "malformed", "too large"),
            (evidence(json.dumps(GOOD)[:-1] + ', "value_ratio": 1}'), "malformed", "duplicate key"),
            (evidence([GOOD]), "malformed", "the document: "),
            (evidence({key: GOOD[key] for key in ("value_ratio", "sample_count")}), "malformed", "measured_at"),
            (evidence(GOOD | {"valu_ratio": 1}), "malformed", "valu_ratio"),
            (evidence(GOOD | {"sample_count": "many", "value_ratio": -1}), "malformed", "(and 1 more)"),
            (evidence(GOOD | {"measured_at": "2026-11-23 11:00"}), "malformed", "/measured_at: '2026-11-23 11:00'"),
            (evidence(GOOD | {"measured_at": "2026-11-23T11:00:00"}), "malformed", "is not an RFC 3339 time with a zone"),
            (evidence(GOOD | {"measured_at": "2026-02-30T11:00:00Z"}), "malformed", "/measured_at: "),
            (evidence(GOOD | {"measured_at": "2026-11-23T13:00:00Z"}), "unverifiable", "in the future"),
            (evidence(b" " * MAX_EVIDENCE_BYTES + b"{}"), "unverifiable", "at most"),
        ],
        ids=[
            "empty", "truncated", "not-utf8", "nan", "infinite", "duplicate", "list", "no-time", "misspelt", "two",
            "no-zone-or-t", "no-zone", "no-such-day", "future", "large",
        ],
    )  # fmt: skip
    def test_doubts_what_no_reader_may_guess(self, one: OwnGate, change: Break, kind: str, says: str) -> None:
        """Whatever is wrong with the document is a gap that says so."""
        change(one)
        code, decision = one.check()
        gap = gate_of(decision)["gap"]
        assert (code, gap["kind"]) == (3, kind)
        assert says in gap["message"]

    def test_reads_yaml_as_strictly(self, one: OwnGate) -> None:
        """A YAML document is read too; NaN in it and a file of neither kind are not."""
        one.edit("promotion.yaml", "fairness.json", "fairness.yaml")
        text = "measured_at: 2026-11-23T11:00:00Z\nvalue_ratio: 0.97\nsample_count: 2000\n"
        one.write("evidence/fairness.yaml", text)
        assert one.check()[0] == 0
        one.write("evidence/fairness.yaml", text.replace("0.97", ".nan"))
        assert one.check()[0] == 3
        one.edit("promotion.yaml", "fairness.yaml", "fairness.txt")
        one.write("evidence/fairness.txt", text)
        code, decision = one.check()
        assert (code, gate_of(decision)["gap"]["message"]) == (3, "is neither .json nor .yaml")

    def test_is_inconclusive_when_the_manifest_names_no_evidence(self, one: OwnGate) -> None:
        """A manifest cannot leave out a gate that is required."""
        one.edit("promotion.yaml", "evidence:\n  fairness: {path: evidence/fairness.json}", "evidence: {}")
        code, decision = one.check()
        assert (code, gate_of(decision)["gap"]["kind"]) == (3, "missing")

    def test_adds_to_the_library_and_removes_nothing(self, one: OwnGate) -> None:
        """Required by the organisation's data, the gate comes after the four of the library, which stay."""
        one.edit("gatekeeper.yaml", "required_gates: {production: {model: [fairness]}}\n", "")
        one.write(OWN / "defaults/data.yaml", "required_gates: {production: {model: [fairness]}}\n")
        code, decision = one.check()
        verdicts = {each["gate"]: each["verdict"] for each in decision["gates"]}
        assert code == 3
        assert verdicts.pop("fairness") == "pass"
        assert verdicts == dict.fromkeys(COLLECTORS, "inconclusive")

    def test_a_scaffold_denies_until_its_threshold_is_set(self, one: OwnGate) -> None:
        """What `policy new` writes allows nothing that can be measured, the example included."""
        one.edit(THRESHOLDS, "min_value_ratio: 0.9", "min_value_ratio: 1")
        one.write("evidence/fairness.json", (one.root / "policies-custom/examples/fairness.json").read_text("utf-8"))
        assert one.check()[0] == 1


class TestBundles:
    """`decide` trusts no bundle."""

    def _bundle(self, promotion: OwnGate, change: Callable[[dict[str, Any]], None]) -> tuple[int, dict[str, Any]]:
        assert promotion.run("collect", "promotion.yaml", "-o", "bundle.json").returncode == 0
        path = promotion.root / "bundle.json"
        content = json.loads(path.read_text("utf-8"))
        change(content["evidence"][0]["body"])
        content["digest"] = bundle_digest(content)
        promotion.write("bundle.json", content)
        assert load_bundle(path).for_gate("fairness") is not None
        done = promotion.run("decide", "bundle.json", "--format", "json")
        return done.returncode, gate_of(json.loads(done.stdout)["decisions"][0])

    def test_decides_on_an_honest_bundle(self, one: OwnGate) -> None:
        """A bundle that was only carried from one place to another is decided on as it was collected."""
        code, gate = self._bundle(one, lambda _body: None)
        assert (code, gate["verdict"]) == (0, "pass")

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            (lambda body: body["document"].update(value_ratio=7), "/value_ratio: 7 is greater"),
            (lambda body: body["document"].update(extra=1), "extra"),
            (lambda body: body.update(observed_at="2026-11-23T11:59:00Z"), "not the time at /measured_at"),
            (lambda body: body.update(observed_at=None), "not the time at /measured_at"),
            (lambda body: body.pop("document"), "document: Field required"),
        ],
        ids=["breaks-schema", "unknown-key", "fresher", "ageless", "no-document"],
    )
    def test_doubts_a_bundle_that_was_edited(
        self, one: OwnGate, change: Callable[[dict[str, Any]], None], says: str
    ) -> None:
        """The document is held to the schema again, and its age to the time that stands in it."""
        code, gate = self._bundle(one, change)
        assert (code, gate["gap"]["kind"]) == (3, "malformed")
        assert says in gate["gap"]["message"]


class TestSchemas:
    """A gate is only as strict as the schema of its evidence."""

    BASE = json.loads(SCHEMA_TEXT)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"type": None}, "type: object"),
            ({"type": ["object", "null"]}, "type: object"),
            ({"additionalProperties": None}, "additionalProperties: false"),
            ({"additionalProperties": True}, "additionalProperties: false"),
            ({"required": []}, "requires none"),
            ({"required": None}, "requires none"),
            ({"properties": None}, "names no `properties`"),
            ({"required": ["measured_at", "other"]}, "'other', which is not among"),
            ({"properties": {"measured_at": {}, "value_ratio": True, "sample_count": {}}}, "about the property"),
            ({"type": "objekt"}, "cannot be used"),
            ({"$ref": "https://example.org/other.json"}, "cannot be used"),
            ({"$schema": "https://example.org/draft"}, "cannot be used"),
            (
                {"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/x", "definitions": {"x": {}}},
                "accepts null",
            ),
        ],
    )  # fmt: skip
    def test_refuses(self, change: dict[str, Any], says: str) -> None:
        """What accepts anything, or is no schema, is no schema for a gate."""
        schema = {key: value for key, value in (self.BASE | change).items() if value is not None}
        with pytest.raises(ConfigurationError, match=re.escape(says)):
            load_schema("s.json", lambda _path: json.dumps(schema).encode())

    @pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b'{"type": NaN}', b'{"type": "a", "type": "object"}'])
    def test_refuses_what_is_no_json_object(self, data: bytes) -> None:
        """A schema is read as strictly as evidence."""
        with pytest.raises(ConfigurationError):
            load_schema("s.json", lambda _path: data)

    def test_takes_unevaluated_properties_for_closed(self) -> None:
        """A schema made of parts closes itself with `unevaluatedProperties`."""
        schema = copy.deepcopy(self.BASE)
        del schema["additionalProperties"]
        schema["unevaluatedProperties"] = False
        assert load_schema("s.json", lambda _path: json.dumps(schema).encode()) == schema

    def test_reads_beside_the_settings_only_what_is_there(self, tmp_path: Path) -> None:
        """Without the trusted reader a file is read from disk, or it is an error."""
        (tmp_path / "s.json").write_text(SCHEMA_TEXT, "utf-8")
        wanted = CustomGate(schema_path=str(tmp_path / "s.json"), max_age_seconds=1, observed_at="/measured_at")
        assert open_collectors({"fairness": wanted}).documents["fairness"].schema == self.BASE
        with pytest.raises(ConfigurationError, match="cannot be read"):
            read_file(str(tmp_path / "t.json"))
        (tmp_path / "t.json").write_bytes(b" " * 2_000_000)
        with pytest.raises(ConfigurationError, match="larger than"):
            read_file(str(tmp_path / "t.json"))


class TestCollector:
    """The parts on their own."""

    def test_finds_the_time_deep_in_the_document(self) -> None:
        """A pointer leads through objects, with ~0 and ~1 as RFC 6901 has them."""
        schema = {"type": "object", "required": ["a/b"], "additionalProperties": False,
                  "properties": {"a/b": {"type": "object"}}}  # fmt: skip
        gate = collector(json.dumps(schema), "/a~1b/c~0d")
        assert steps_of("/a~1b/c~0d") == ("a/b", "c~d")
        found = gate.moment_of({"a/b": {"c~d": "2026-11-23t12:00:00+01:00"}})
        assert found == datetime(2026, 11, 23, 11, tzinfo=UTC)
        assert "is not there" in gate.problem_of({"a/b": {}})

    def test_body_is_document_and_time(self, tmp_path: Path) -> None:
        """The evidence is the document as it stands, with the time that stands in it."""
        (tmp_path / "e.json").write_text(json.dumps(GOOD), "utf-8")
        context = make_context(tmp_path)
        body = collector().collect(DocumentRequest(path="e.json"), context)
        assert (body.document, body.observed_at) == (GOOD, datetime(2026, 11, 23, 11, tzinfo=UTC))
        assert [each.path for each in context.workspace.sources] == ["e.json"]
        again = collector().Body.model_validate_json(body.model_dump_json())
        assert again.model_dump() == body.model_dump()
        with pytest.raises(EvidenceError, match="no such file"):
            collector().collect(DocumentRequest(path="f.json"), context)

    def test_models_hold_to_their_own_schema(self) -> None:
        """Two gates with different schemas do not share a model."""
        other = copy.deepcopy(TestSchemas.BASE)
        other["properties"]["value_ratio"]["maximum"] = 0.5
        strict = collector(json.dumps(other))
        text = json.dumps({"observed_at": GOOD["measured_at"], "document": GOOD})
        assert collector().Body.model_validate_json(text)
        with pytest.raises(ValidationError, match="greater than the maximum"):
            strict.Body.model_validate_json(text)
        assert strict.Body is strict.Body

    def test_thresholds_need_an_age_and_fit_their_schema(self) -> None:
        """Without a schema any name goes, but never without `max_age_seconds`."""
        assert collector().Thresholds.model_validate_json('{"max_age_seconds": 1, "any": 2}').model_extra == {"any": 2}
        limited = dataclasses.replace(collector(), thresholds_schema={"type": "object", "required": ["any"]})
        assert limited.Thresholds.model_validate_json('{"max_age_seconds": 1, "any": 2}').max_age_seconds == 1
        with pytest.raises(ValidationError, match="'any' is a required property"):
            limited.Thresholds.model_validate_json('{"max_age_seconds": 1}')
        with pytest.raises(ValidationError, match="max_age_seconds"):
            collector().Thresholds.model_validate_json('{"any": 2}')

    def test_goes_to_another_process(self) -> None:
        """Many promotions are judged in several processes, each with the same gates."""
        gate = collector()
        assert gate.Body is not None
        copied = pickle.loads(pickle.dumps(Collectors({"fairness": gate}))).documents["fairness"]
        assert (copied.schema, copied.observed_at) == (gate.schema, gate.observed_at)

    def test_satisfies_the_protocol(self) -> None:
        """A document gate has everything that a collector's module has."""
        gate = collector()
        assert [name for name in Collector.__annotations__ if not hasattr(gate, name)] == []
        assert callable(gate.collect)
