"""Policies, settings and data of an organisation: what is an error, and what of the library they cannot touch."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import git
from organisation_promotion import (
    DECLARED,
    GOOD,
    OWN,
    POLICY,
    SCHEMA,
    SETTINGS,
    THRESHOLDS,
    OwnGate,
    gate_of,
    make_own_gate,
)

from gatekeeper.cli import main, scaffolding
from gatekeeper.defaults import read_defaults, read_own_defaults
from gatekeeper.errors import ConfigurationError
from gatekeeper.library import LIBRARY
from gatekeeper.organisation import merge_policies
from gatekeeper.policy import PolicySet, build_policies, load_policies
from gatekeeper.requirements import require
from gatekeeper.settings import Settings, parse_settings

Break = Callable[[OwnGate], None]
ANOTHER = f"{{schema: {SCHEMA}, max_age_seconds: 1, observed_at: /measured_at}}"
EVIDENCE = "evidence/fairness.json"
OVER = GOOD | {"value_ratio": 2}
OLD = GOOD | {"measured_at": "2026-11-20T11:00:00Z"}


@pytest.fixture
def one(tmp_path: Path) -> OwnGate:
    """The same on the embedded engine."""
    return make_own_gate(tmp_path)


def declared(old: str, new: str) -> Break:
    return lambda promotion: promotion.edit("gatekeeper.yaml", old, new)


def undeclared(promotion: OwnGate) -> None:
    """Neither settings nor manifest say anything about the gate, which is required all the same."""
    promotion.edit("gatekeeper.yaml", DECLARED, "")
    promotion.edit("promotion.yaml", "evidence:\n  fairness: {path: evidence/fairness.json}", "evidence: {}")


def library_policies() -> PolicySet:
    return load_policies(LIBRARY)


def own(files: dict[str, str]) -> PolicySet:
    """Policies of an organisation, from texts."""
    return build_policies("policies-custom", {path: text.encode() for path, text in files.items()})


class TestConfiguration:
    """A gate that is set up wrongly decides nothing."""

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            (lambda each: (each.root / SCHEMA).unlink(), "no such schema"),
            (lambda each: each.write(SCHEMA, {}), "does not say `type: object`"),
            (lambda each: each.write(SCHEMA, "true"), "is no object"),
            (declared(DECLARED, ""), "unknown gate 'fairness'"),
            (undeclared, "nothing says what its evidence looks like"),
            (declared("  fairness:\n    schema", "  farness:\n    schema"), "did you mean 'farness'"),
            (declared("custom_gates:\n", f"custom_gates:\n  bias: {ANOTHER}\n"), "no policy is the package"),
            (lambda each: each.write(POLICY, "package custom.other\n"), "write the package custom.gatekeeper.gates."),
            (declared("  fairness:\n    schema", "  slo:\n    schema"), "gate of the library"),
            (declared("/measured_at", "measured_at"), "observed_at"),
            (declared("/measured_at", "/tested_at"), "does not require 'tested_at'"),
            (declared("    max_age_seconds: 7200\n", ""), "max_age_seconds is missing"),
            (declared("max_age_seconds: 7200", "max_age_secs: 7200"), "unknown key 'max_age_secs'"),
            (declared("thresholds_schema: p", "thresholds_schema: ../../p"), "leaves the place"),
            (declared("custom_policies: policies-custom", "custom_policies: polices-custom"), "no such policy folder"),
            (lambda each: each.write(POLICY, "package custom.gatekeeper.gates.fairness\n"), "no rules"),
            (lambda each: each.edit(THRESHOLDS, "min_value_ratio", "min_valu_ratio"), "min_valu"),
            (lambda each: each.write(THRESHOLDS, "max_age_seconds: 9999999\n"), "is set by custom_gates and by"),
            (lambda each: each.write(OWN / "defaults/data.yaml", "treshold: {}\n"), "treshold"),
            (lambda each: each.write(OWN / "default/data.yaml", "required_gates: {}\n"), "is not read"),
            (lambda each: each.write("policies-custom/custom/gatekeeper/data.yml", ""), "is not read"),
            (
                lambda each: each.write(
                    OWN / "defaults/data.yaml", "required_gates: {prodution: {model: [fairness]}}\n"
                ),
                "did you mean 'production'",
            ),
            (
                lambda each: each.write(OWN / "defaults/data.yaml", "required_gates: {production: {modle: []}}\n"),
                "modle",
            ),
            (
                lambda each: each.write(OWN / "defaults/data.yaml", "required_gates: {production: {model: [slo]}}\n"),
                "'slo' is no gate below custom",
            ),
        ],
    )
    def test_is_an_error(self, one: OwnGate, change: Break, says: str) -> None:
        """Each fault of the trusted side exits 2 with what is wrong, never with a verdict."""
        change(one)
        code, decision = one.check()
        (problem,) = decision["problems"] or [gate_of(decision)["problem"]]
        assert code == 2, problem
        assert says in f"{problem['subject']}: {problem['message']} {problem['hint']}"

    @pytest.mark.parametrize("layer", ["thresholds: {fairness: {min_valu_ratio: 0}}\n", "thresholds: {fairnes: {}}\n"])
    def test_refuses_a_misspelt_threshold_of_the_settings(self, one: OwnGate, layer: str) -> None:
        """A threshold that no rule reads would not be the one that its author meant."""
        one.write("gatekeeper.yaml", (one.root / "gatekeeper.yaml").read_text("utf-8") + layer)
        code, decision = one.check()
        assert code == 2
        assert "did you mean" in decision["problems"][0]["hint"]


class TestShadowing:
    """Nothing of an organisation can take the place of the library."""

    SLO = "package gatekeeper.gates.slo\n\nimport rego.v1\n\ndeny := set()\n\nwarn := set()\n"

    @pytest.mark.parametrize(
        ("name", "content", "says"),
        [
            ("gatekeeper/gates/slo/slo.rego", SLO, "is not below custom"),
            ("custom/x.rego", SLO, "is not below custom"),
            ("x.rego", "package customs.gatekeeper.gates.slo\n", "is not below custom"),
            ("x.rego", "package custom\n", "on the path of the package"),
            ("gatekeeper/defaults/data.yaml", "max_bundle_age_seconds: 1\n", "is not below data.custom"),
            ("data.json", '{"gatekeeper": {}}', "is not below data.custom"),
            ("custom/x/x.rego", "package custom.gatekeeper.gates.slo\n", "exists already"),
            ("custom/gatekeeper/gates/fairness/data.yaml", "deny: []\n", "on the path of the package"),
        ],
        ids=[
            "library-package", "package-in-disguise", "almost-custom", "root", "defaults", "json", "same-name", "data",
        ],
    )  # fmt: skip
    def test_refuses(self, one: OwnGate, name: str, content: str, says: str) -> None:
        """The whole run is refused, whatever the file is called."""
        one.write(f"policies-custom/{name}", content)
        code, decision = one.check()
        (problem,) = decision["problems"]
        assert code == 2
        assert says in f"{problem['subject']}: {problem['message']}"

    @pytest.mark.parametrize(
        "data",
        ["thresholds: {slo: {min_target_ratio: 0}}\n", "overrides: [{thresholds: {slo: {min_target_ratio: 0}}}]\n"],
    )
    def test_refuses_thresholds_of_the_library(self, one: OwnGate, data: str) -> None:
        """Data under `custom` sets thresholds of the organisation's gates only."""
        one.write(OWN / "defaults/data.yaml", data)
        code, decision = one.check()
        assert code == 2
        assert "'slo' is no gate below custom.gatekeeper.gates" in decision["problems"][0]["message"]

    def test_refuses_a_gate_named_as_one_whose_policy_is_elsewhere(self, one: OwnGate) -> None:
        """A library without slo does not hand the name, and the collector behind it, to an organisation."""
        (one.root / "lib").mkdir()
        one.write("lib/x.rego", "package gatekeeper.gates.other\n")
        one.write("lib/gatekeeper/defaults/data.yaml", (LIBRARY / "gatekeeper/defaults/data.yaml").read_text("utf-8"))
        one.write(
            "policies-custom/custom/slo.rego",
            (one.root / POLICY).read_text("utf-8").replace("fairness", "slo"),
        )
        one.edit("gatekeeper.yaml", "model: [fairness]", "model: [slo]")
        one.write("gatekeeper.yaml", (one.root / "gatekeeper.yaml").read_text("utf-8") + "policies: lib\n")
        code, decision = one.check()
        assert code == 2
        assert decision["problems"][0]["message"] == "has the name of a gate of the library"

    def test_refuses_two_homes_of_own_policies(self) -> None:
        """A library that holds policies of an organisation already cannot be joined by others."""
        mixed = build_policies("lib", {"a.rego": b"package custom.gatekeeper.gates.a\n"})
        with pytest.raises(ConfigurationError, match="lies below custom"):
            merge_policies(mixed, own({"b.rego": "package custom.gatekeeper.gates.b\n"}))

    def test_the_digest_is_over_both(self) -> None:
        """A changed byte on either side is another digest; the library's rules stay as they are."""
        library = library_policies()
        first = merge_policies(library, own({"a.rego": "package custom.gatekeeper.gates.a\n"}))
        second = merge_policies(library, own({"a.rego": "package custom.gatekeeper.gates.a\n\n"}))
        assert len({library.digest, first.digest, second.digest}) == 3
        assert first.modules[: len(library.modules)] == library.modules
        assert first.modules[-1].path == "policies-custom/a.rego"
        assert read_own_defaults(first).required_gates == {}
        assert read_defaults(first) == read_defaults(library)

    def test_modules_of_the_same_path_stay_two(self) -> None:
        """An engine that keeps modules by path does not lose one of the library's."""
        library = build_policies("lib", {"own/a.rego": b"package gatekeeper.gates.a\n"})
        with pytest.raises(ConfigurationError, match="path of the library"):
            merge_policies(library, build_policies("git main:x/own", {"a.rego": b"package custom.b\n"}))


class TestTrust:
    """Policy, thresholds, schema and settings of an own gate come from the same place as the library's."""

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            (lambda each: each.edit(THRESHOLDS, "0.9", "0"), 1),
            (lambda each: each.edit(POLICY, ">= input.settings.thresholds.min_value_ratio", ">= 0"), 1),
            (lambda each: each.edit("gatekeeper.yaml", "[fairness]", "[]"), 1),
            (lambda each: each.edit("gatekeeper.yaml", DECLARED, ""), 1),
            (lambda each: (each.root / POLICY).unlink(), 1),
            (lambda each: (each.edit(SCHEMA, '"maximum": 1', '"maximum": 9'), each.write(EVIDENCE, OVER)), 3),
            (lambda each: (each.edit("gatekeeper.yaml", "7200", "999999"), each.write(EVIDENCE, OLD)), 3),
        ],
        ids=["threshold", "policy", "required", "undeclared", "removed", "schema", "age"],
    )
    def test_a_change_cannot_edit_what_judges_it(self, one: OwnGate, change: Break, code: int) -> None:
        """Read at the base ref, the gate denies or doubts as if the work tree had not been touched."""
        one.write(EVIDENCE, GOOD | {"value_ratio": 0.5})
        git(one.root, "init", "-q", "-b", "main")
        git(one.root, "add", "-A")
        git(one.root, "commit", "-q", "-m", "base")
        change(one)
        found, decision = one.check("--policy-ref", "main")
        assert found == code, decision["reason"]
        assert gate_of(decision)["verdict"] == ("deny" if code == 1 else "inconclusive")

    def test_lists_and_explains_own_rules(self, one: OwnGate, monkeypatch: pytest.MonkeyPatch) -> None:
        """`policy list` and `explain` know the gate, its source and its thresholds."""
        monkeypatch.chdir(one.root)
        monkeypatch.delenv("CI", raising=False)
        listed = CliRunner().invoke(main, ["policy", "list"], catch_exceptions=False).output
        assert "fairness (data.custom.gatekeeper.gates.fairness)" in listed
        explained = CliRunner().invoke(main, ["explain", "fairness.value_floor"], catch_exceptions=False).output
        assert f"Source: {POLICY.as_posix()}:8" in explained
        assert "min_value_ratio: 0.9" in explained


class TestRequirements:
    """What settings and data say together."""

    def _require(self, extra: str = "", data: str = "{}") -> Any:
        from support import make_manifest

        policy = scaffolding._POLICY.replace("GATE", "fairness")
        files = {
            "custom/f.rego": policy,
            "custom/gatekeeper/defaults/data.yaml": data,
            "custom/gatekeeper/defaults/thresholds/fairness/data.yaml": "min_value_ratio: 0.9\n",
        }
        text = SETTINGS.replace("ENGINE", "embedded") + DECLARED + extra
        settings: Settings = parse_settings(text.encode(), "gatekeeper.yaml")
        return require(make_manifest(), merge_policies(library_policies(), own(files)), settings)

    def test_the_age_comes_from_the_settings(self) -> None:
        """Staleness of a document gate is declared beside its schema."""
        found = self._require()
        assert found.thresholds["fairness"] == {"max_age_seconds": 7200, "min_value_ratio": 0.9}
        assert found.max_age_seconds("fairness") == 7200

    def test_overrides_of_the_organisation_apply(self) -> None:
        """An override for an environment counts there; for one that nobody names it is an error."""
        override = "overrides: [{environment: ENV, thresholds: {fairness: {min_value_ratio: 0.95}}}]\n"
        found = self._require(data=override.replace("ENV", "production"))
        assert found.thresholds["fairness"]["min_value_ratio"] == 0.95
        with pytest.raises(ConfigurationError, match="prod"):
            self._require(data=override.replace("ENV", "prod"))

    def test_a_gate_required_twice_is_asked_once(self) -> None:
        """Named by the settings and by the data, it is one gate."""
        assert self._require(data="required_gates: {production: {model: [fairness]}}\n").gates == ("fairness",)

    @pytest.mark.parametrize("data", ["[]\n", "required_gates: 1\n", "overrides: [{environment: production}]\n"])
    def test_refuses_data_of_another_shape(self, data: str) -> None:
        """What cannot be read as requirements is not taken for none."""
        with pytest.raises(ConfigurationError):
            self._require(data=data)

    @pytest.mark.parametrize("name", ["gatekeper", "gate_keeper"])
    def test_refuses_a_misspelt_folder(self, name: str) -> None:
        """Requirements in a folder that nobody reads would be none."""
        files = {"a.rego": "package custom.gatekeeper.gates.a\n", f"custom/{name}/defaults/data.yaml": "x: 1\n"}
        with pytest.raises(ConfigurationError, match="is not read"):
            read_own_defaults(merge_policies(library_policies(), own(files)))

    @pytest.mark.parametrize("data", [1, {"gatekeeper": []}, {"gatekeeper": {"defaults": None}}])
    def test_refuses_data_that_is_no_mapping(self, data: Any) -> None:
        """A value where requirements should be is not taken for no requirements."""
        library = library_policies()
        with pytest.raises(ConfigurationError, match="is no mapping"):
            read_own_defaults(dataclasses.replace(library, data=library.data | {"custom": data}))

    def test_refuses_thresholds_set_by_the_library_too(self) -> None:
        """Which of two values counts must not be a question."""
        library = library_policies()
        data = copy.deepcopy(library.data)
        data["gatekeeper"]["defaults"]["thresholds"]["fairness"] = {}
        policy = scaffolding._POLICY.replace("GATE", "fairness")
        files = {"f.rego": policy, "custom/gatekeeper/defaults/data.yaml": "thresholds: {fairness: {a: 1}}\n"}
        merged = merge_policies(dataclasses.replace(library, data=data), own(files))
        with pytest.raises(ConfigurationError, match="by the library and under custom"):
            read_defaults(merged)

    def test_leaves_tables_of_the_organisation_alone(self) -> None:
        """Its rules may look things up in data of its own."""
        files = {"a.rego": "package custom.gatekeeper.gates.a\n", "custom/sites/data.yaml": "names: [north]\n"}
        merged = merge_policies(library_policies(), own(files))
        assert read_own_defaults(merged).thresholds == {}
        assert merged.data["custom"] == {"sites": {"names": ["north"]}}
