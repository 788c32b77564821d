"""gatekeeper.yaml: trusted choices, refused whole when one word of them is wrong."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from pydantic import ValidationError

from gatekeeper.cli import describe
from gatekeeper.errors import ConfigurationError
from gatekeeper.settings import EngineSettings, EvidenceSettings, Settings, load_settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a working folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str) -> Settings:
    """Read settings from a file in the working folder."""
    Path("gatekeeper.yaml").write_text(text, "utf-8")
    return load_settings(None)


def refusal(path: Path | None = None) -> str:
    """What a user reads when the settings are refused."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path)
    return describe(caught.value)


def test_without_a_file_the_defaults_hold() -> None:
    """The strictest tier, no host, the embedded engine, the library's policies."""
    settings = load_settings(None)
    assert settings == Settings()
    assert settings.risk_tiers.default == "high"
    assert settings.evidence.allowed_hosts == ()
    assert settings.engine_settings == EngineSettings(name="embedded")
    assert settings.policies is None
    assert settings.required_gates is None


def test_reads_every_key() -> None:
    """Each key arrives where the run looks for it."""
    settings = load(
        "apiVersion: gatekeeper/v1\nkind: Settings\npolicies: rules\nengine: opa\n"
        "required_gates: {qa: {model: [slo]}}\nrisk_tiers: {default: medium, candidates: {a: low}}\n"
        "thresholds: {slo: {max_age_seconds: 60}}\nevidence: {base_ref: main, allowed_hosts: ['h:1']}\n"
        "log: {path: l.jsonl}\noutputs: [{format: json, path: '-'}]\n"
    )
    assert (settings.policies, settings.engine_settings.name) == ("rules", "opa")
    assert settings.required_gates == {"qa": {"model": ("slo",)}}
    assert settings.risk_tiers.candidates == {"a": "low"}
    assert settings.thresholds == {"slo": {"max_age_seconds": 60}}
    assert (settings.evidence.base_ref, settings.evidence.allowed_hosts) == ("main", ("h:1",))
    assert (settings.log.path, settings.outputs[0].format) == ("l.jsonl", "json")


def test_the_engine_is_a_name_or_its_settings() -> None:
    """Both ways of writing it mean the same."""
    assert load("engine: opa\n").engine_settings == load("engine: {name: opa}\n").engine_settings
    assert load("engine: {timeout_seconds: 5}\n").engine_settings == EngineSettings(timeout_seconds=5)


def test_policies_are_relative_to_the_settings(folder: Path) -> None:
    """Trusted settings beside trusted policies must not fall back on a folder of the candidate's checkout."""
    (folder / "trusted").mkdir()
    (folder / "trusted" / "settings.yaml").write_text("policies: rules\n")
    assert load_settings(folder / "trusted" / "settings.yaml").policies == str(folder / "trusted" / "rules")
    assert load_settings(Path("trusted/settings.yaml")).policies == "trusted/rules"
    absolute = folder / "elsewhere"
    (folder / "trusted" / "settings.yaml").write_text(f"policies: {absolute}\n")
    assert load_settings(Path("trusted/settings.yaml")).policies == str(absolute)


@pytest.mark.parametrize("path", ["none.yaml", "folder", "gatekeeper.yaml"])
def test_a_named_file_must_be_there(path: str) -> None:
    """A misspelt --settings does not fall back to weaker defaults."""
    Path("folder").mkdir()
    assert refusal(Path(path)) == f"{path}: error: no such settings file\nhint: mend the path after --settings"


@pytest.mark.parametrize("name", ["gatekeeper.yml", ".gatekeeper.yaml", ".gatekeeper.yml", "gatekeeper.json"])
def test_a_misnamed_file_is_not_passed_over(name: str) -> None:
    """Its author believes it to be in force."""
    Path(name).write_text("required_gates: {}\n")
    expected = f"{name}: error: settings are read from gatekeeper.yaml\nhint: rename it to gatekeeper.yaml"
    assert refusal() == expected
    assert load("engine: opa\n").engine == "opa"


@pytest.mark.parametrize("target", ["none.yaml", "gatekeeper.yaml"])
def test_a_link_to_nowhere_is_not_an_absent_file(target: str) -> None:
    """A link whose target is gone, or is itself, does not mean the defaults."""
    Path("gatekeeper.yaml").symlink_to(target)
    assert "cannot be read" in refusal()


def test_a_folder_is_not_an_absent_file() -> None:
    """Neither is a folder of that name."""
    Path("gatekeeper.yaml").mkdir()
    assert "cannot be read" in refusal()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "thresholdz: {}\n",
            """\
            gatekeeper.yaml:1:1: error: unknown key 'thresholdz'
                thresholdz: {}
                ^
            hint: did you mean 'thresholds'?""",
            id="top",
        ),
        pytest.param(
            "gates: [slo]\n",
            """\
            gatekeeper.yaml:1:1: error: unknown key 'gates'
                gates: [slo]
                ^
            hint: known here: apiVersion, candidates, custom_gates, custom_policies, enforcement, engine, evidence, \
kind, log, outputs, policies, policies_digest, required_gates, risk_tiers, thresholds, waivers""",
            id="gates-are-required-gates",
        ),
        pytest.param(
            "evidence:\n  allowed_host: [a]\n",
            """\
            gatekeeper.yaml:2:3: error: unknown key 'allowed_host'
                  allowed_host: [a]
                  ^
            hint: did you mean 'allowed_hosts'?""",
            id="nested",
        ),
        pytest.param(
            "outputs:\n  - {format: json, path: a}\n  - {fromat: json, path: b}\n",
            """\
            gatekeeper.yaml:3:6: error: unknown key 'fromat' (and 1 more)
                  - {fromat: json, path: b}
                     ^
            hint: did you mean 'format'?""",
            id="in-a-list",
        ),
        pytest.param(
            "engine:\n  nam: opa\n",
            """\
            gatekeeper.yaml:2:3: error: unknown key 'nam'
                  nam: opa
                  ^
            hint: did you mean 'name'?""",
            id="in-a-union",
        ),
        pytest.param(
            "engine: {name: opa, timeout_seconds: -1}\n",
            """\
            gatekeeper.yaml:1:38: error: engine.timeout_seconds: Input should be greater than 0
                engine: {name: opa, timeout_seconds: -1}
                                                     ^""",
            id="bound-in-a-union",
        ),
        pytest.param(
            "engine: regorus\n",
            """\
            gatekeeper.yaml:1:9: error: engine: Input should be 'embedded' or 'opa'
                engine: regorus
                        ^""",
            id="unknown-engine",
        ),
        pytest.param(
            "evidence:\n  collect_timeout_seconds: '60'\n",
            """\
            gatekeeper.yaml:2:28: error: evidence.collect_timeout_seconds: Input should be a valid number
                  collect_timeout_seconds: '60'
                                           ^""",
            id="wrong-type",
        ),
        pytest.param(
            "required_gates:\n  production:\n    model: [slo, 7]\n",
            """\
            gatekeeper.yaml:3:18: error: required_gates.production.model.1: Input should be a valid string
                    model: [slo, 7]
                                 ^""",
            id="wrong-type-in-a-list",
        ),
        pytest.param(
            "engine: opa\nengine: embedded\n",
            """\
            gatekeeper.yaml:2:1: error: duplicate key 'engine'
                engine: embedded
                ^""",
            id="duplicate",
        ),
    ],
)
def test_says_exactly_what_is_wrong_and_where(text: str, expected: str) -> None:
    """The whole message, as the terminal shows it."""
    Path("gatekeeper.yaml").write_text(text, "utf-8")
    assert refusal() == textwrap.dedent(expected)


@pytest.mark.parametrize(
    "text",
    [
        "kind: Promotion\n", "apiVersion: gatekeeper/v2\n", "risk_tiers: {default: none}\n",
        "risk_tiers: {candidates: {a: hihg}}\n", "evidence: {collect_timeout_seconds: 0}\n",
        "evidence: {collect_timeout_seconds: .inf}\n", "evidence: {http_timeout_seconds: 121}\n",
        "evidence: {max_document_bytes: 1023}\n", "evidence: {max_document_bytes: 1.5}\n", "required_gates: []\n",
        "required_gates: {production: [slo]}\n", "required_gates: {production: {model: slo}}\n", "log: x\n", "log:\n",
        "outputs: {format: json, path: a}\n", "outputs: [{format: yaml, path: a}]\n", "engine: {url: 'http://x'}\n",
        "engine: {name: embedded, binary: opa}\n", "engine: {name: opa, url: a, binary: b}\n", "engine: [opa]\n",
        "engine:\n", "engine: {memory_bytes: 1}\n", "- a\n", "null\n", "", "# nothing\n", "a: 1\n---\nb: 2\n",
        "thresholds: {slo: 3}\n", "thresholds: {'': {}}\n", "api_version: gatekeeper/v1\n", "policies: 3\n",
    ],
)  # fmt: skip
def test_refuses_settings_that_are_not_exactly_right(text: str) -> None:
    """Out of bounds, of another type, empty or cut: nothing is guessed."""
    Path("gatekeeper.yaml").write_text(text, "utf-8")
    assert refusal().startswith("gatekeeper.yaml:")


def test_limits_are_exact() -> None:
    """At the bound it is a setting."""
    limits = load("evidence: {collect_timeout_seconds: 3600, http_timeout_seconds: 120, max_document_bytes: 1024}\n")
    assert limits.evidence.max_document_bytes == 1024
    assert load("engine: {timeout_seconds: 600, memory_bytes: 67108864}\n").engine_settings.timeout_seconds == 600
    with pytest.raises(ValidationError):
        EngineSettings(timeout_seconds=600.5)


def test_defaults_bound_what_collectors_may_do() -> None:
    """Every limit has a finite default."""
    limits = EvidenceSettings()
    assert (limits.http_timeout_seconds, limits.collect_timeout_seconds) == (10.0, 120.0)
    assert limits.max_document_bytes == 32 * 1024 * 1024


def test_reading_leaves_the_working_folder_alone() -> None:
    """Settings are read, nothing is written."""
    load("log: {path: sub/log.jsonl}\n")
    assert list(Path().iterdir()) == [Path("gatekeeper.yaml")]
