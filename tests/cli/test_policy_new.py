"""`gatekeeper policy new`: what it writes is clean by every tool, loads, and denies until it is filled in."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import PROJECT, find_tool
from organisation_promotion import GOOD

from gatekeeper.cli.policy_new import new_command
from gatekeeper.cli.scaffolding import write_gate
from gatekeeper.collectors import COLLECTORS
from gatekeeper.collectors.custom import open_document_gate
from gatekeeper.collectors.registry import read_file
from gatekeeper.defaults import read_defaults
from gatekeeper.engine import open_engine
from gatekeeper.errors import ConfigurationError
from gatekeeper.formats.strict_yaml import parse_yaml
from gatekeeper.library import LIBRARY
from gatekeeper.organisation import merge_policies
from gatekeeper.policy import PolicySet, load_policies
from gatekeeper.settings import CustomGate, EngineSettings, parse_settings

GATES = ["fairness", "a23456789_123456789_1234"]
"""A usual name, and one as long as they may be."""


def new(*arguments: str) -> Result:
    return CliRunner().invoke(new_command, list(arguments))


def tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([find_tool(name), *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(params=GATES)
def gate(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path, gate: str) -> Path:
    """A scaffold."""
    write_gate(tmp_path / "own", gate)
    return tmp_path / "own"


def loaded(folder: Path) -> PolicySet:
    return merge_policies(load_policies(LIBRARY), load_policies(folder))


def test_writes_every_file_and_says_so(tmp_path: Path) -> None:
    """Policy, test, schemas, thresholds, example and a page with what to add where."""
    done = new("fairness", "--folder", str(tmp_path / "own"))
    assert done.exit_code == 0, done.output
    written = {path.relative_to(tmp_path / "own").as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {
        "custom/gatekeeper/gates/fairness/fairness.rego",
        "custom/gatekeeper/gates/fairness/fairness_test.rego",
        "custom/gatekeeper/gates/fairness/README.md",
        "custom/gatekeeper/defaults/thresholds/fairness/data.yaml",
        "schemas/fairness.schema.json",
        "schemas/fairness.thresholds.schema.json",
        "examples/fairness.json",
    }
    assert [name for name in written if name not in done.output] == []
    assert [path for path in tmp_path.rglob("*.*") if path.is_file() and "GATE" in path.read_text("utf-8")] == []


@pytest.mark.parametrize(
    "command",
    [
        ("opa", "fmt", "--list", "--fail"),
        ("opa", "check", "--strict"),
        ("opa", "test", "--coverage", "--threshold", "100"),
        ("opa", "test", "--fail-on-empty"),
        ("regal", "lint", "--config-file", str(PROJECT / ".regal" / "config.yaml")),
    ],
    ids=["fmt", "check", "coverage", "test", "regal"],
)
def test_is_clean_by_every_tool(folder: Path, command: tuple[str, ...]) -> None:
    """Nobody begins with warnings that are not their own."""
    target = folder if command[0] == "regal" else folder / "custom"
    done = tool(*command, str(target))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("engine", ["embedded", "opa"])
def test_denies_until_it_is_filled_in(folder: Path, gate: str, engine: str) -> None:
    """With its own thresholds and example, without evidence and without thresholds, it denies on either engine."""
    policies = loaded(folder)
    thresholds = read_defaults(policies).thresholds[gate]
    document = json.loads((folder / "examples" / f"{gate}.json").read_text("utf-8"))
    settings = EngineSettings(name="opa", binary=find_tool("opa")) if engine == "opa" else EngineSettings()
    running = open_engine(settings)
    try:
        running.load(policies)

        def denied(**given: object) -> set[str]:
            answer = running.evaluate(policies.packages[gate], json.dumps(given).encode())
            return {each["rule"] for each in answer.result["deny"]}

        evidence, lowered = {"document": document}, {"thresholds": thresholds | {"min_value_ratio": 0.9}}
        assert denied(evidence=evidence, settings={"thresholds": thresholds}) == {f"{gate}.value_floor"}
        assert denied(evidence=evidence) == {f"{gate}.value_floor"}
        assert denied(settings=lowered) == {f"{gate}.value_floor"}
        assert denied(evidence=evidence, settings=lowered) == set()
    finally:
        running.close()


def test_loads_with_complete_rules(folder: Path, gate: str) -> None:
    """One rule denies and one warns, each with a remedy and controls."""
    rules = loaded(folder).rules_of(gate)
    assert [(rule.rule, rule.severity) for rule in rules] == [
        (f"{gate}.value_floor", "deny"),
        (f"{gate}.enough_samples", "warn"),
    ]
    assert all(rule.remedy and rule.controls for rule in rules)


def test_schemas_are_strict_and_fit_what_is_written(folder: Path, gate: str) -> None:
    """gatekeeper takes the schemas, the example fits one and the thresholds the other."""
    wanted = CustomGate(
        schema_path=str(folder / "schemas" / f"{gate}.schema.json"),
        thresholds_schema=str(folder / "schemas" / f"{gate}.thresholds.schema.json"),
        max_age_seconds=60,
        observed_at="/measured_at",
    )
    collector = open_document_gate(gate, wanted, read_file)
    assert collector.problem_of(json.loads((folder / "examples" / f"{gate}.json").read_text("utf-8"))) == ""
    assert collector.problem_of(GOOD | {"value_ratio": 1.01}).startswith("/value_ratio")
    thresholds = read_defaults(loaded(folder)).thresholds[gate]
    collector.Thresholds.model_validate_json(json.dumps(thresholds | {"max_age_seconds": 60}))
    with pytest.raises(ValueError, match="min_valu"):
        collector.Thresholds.model_validate_json('{"max_age_seconds": 60, "min_valu_ratio": 0}')


def test_readme_can_be_pasted(folder: Path, gate: str) -> None:
    """The snippets for the settings, the data and the manifest are read as they stand."""
    text = (folder / f"custom/gatekeeper/gates/{gate}/README.md").read_text("utf-8")
    settings, data, manifest = (part.split("```")[0] for part in text.split("```yaml\n")[1:])
    head = "apiVersion: gatekeeper/v1\nkind: Settings\n"
    parsed = parse_settings((head + settings).encode(), "gatekeeper.yaml")
    assert Path(parsed.custom_gates[gate].schema_path).is_file()
    assert (parsed.custom_policies, list(parsed.custom_gates)) == (folder.as_posix(), [gate])
    (folder / "custom/gatekeeper/defaults/data.yaml").write_text(data, "utf-8")
    assert gate in read_defaults(loaded(folder)).thresholds
    assert parse_yaml(manifest.encode(), "README")["evidence"][gate]["path"].endswith(f"{gate}.json")


def test_a_second_gate_joins_the_first(tmp_path: Path) -> None:
    """Two scaffolds in one folder do not share a file."""
    for gate in GATES:
        assert new(gate, "--folder", str(tmp_path)).exit_code == 0
    assert set(loaded(tmp_path).packages) == {*COLLECTORS, *GATES}
    assert set(GATES) < set(read_defaults(loaded(tmp_path)).thresholds)


@pytest.mark.parametrize("name", ["fairness_test.rego", "fairness.rego", "README.md"])
def test_never_overwrites(tmp_path: Path, name: str) -> None:
    """One file that is there, or a broken link in its place, and nothing at all is written."""
    target = tmp_path / "custom/gatekeeper/gates/fairness" / name
    target.parent.mkdir(parents=True)
    target.symlink_to("nowhere")
    with pytest.raises(ConfigurationError, match="is there already"):
        write_gate(tmp_path, "fairness")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "gate",
    ["", "Fairness", "fair-ness", "fair.ness", "../x", "1st", "with", "default", "x_test", "x" * 25, "fäir", "a\n"],
)
def test_refuses_what_is_no_package(tmp_path: Path, gate: str) -> None:
    """A name that Rego would not take writes nothing."""
    with pytest.raises(ConfigurationError, match="cannot be the name"):
        write_gate(tmp_path, gate)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("gate", COLLECTORS)
def test_refuses_a_gate_of_the_library(tmp_path: Path, gate: str) -> None:
    """An organisation's gate has a name of its own."""
    with pytest.raises(ConfigurationError, match="gate of the library"):
        write_gate(tmp_path, gate)


def test_help_says_what_it_does() -> None:
    """`--help` tells that it denies at first."""
    output = new("--help").output
    assert "denies until you say otherwise" in " ".join(output.split())
