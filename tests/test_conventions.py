"""Conventions that nobody has to remember, because a test names what is missing."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import PROJECT

from gatekeeper import library, schemas
from gatekeeper.cli import COMMANDS, main
from gatekeeper.collectors import COLLECTORS, load_collector
from gatekeeper.document import Document
from gatekeeper.evidence import EvidenceBody, GateThresholds
from gatekeeper.policy import load_policies
from gatekeeper.report import RENDERERS
from gatekeeper.settings import FORMATS

POLICIES = load_policies(library.LIBRARY)
README = (PROJECT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("gate", sorted({*COLLECTORS, *POLICIES.packages}))
def test_gate_is_complete(gate: str) -> None:
    """A gate has a collector, a policy, a test for each, a page, and thresholds."""
    expected = [
        f"gatekeeper/collectors/{gate}.py",
        f"policies/gatekeeper/gates/{gate}/{gate}.rego",
        f"policies/gatekeeper/gates/{gate}/{gate}_test.rego",
        f"tests/collectors/test_{gate}.py",
        f"docs/gates/{gate}.md",
    ]
    assert [path for path in expected if not (PROJECT / path).is_file()] == []
    assert gate in POLICIES.defaults["thresholds"]
    collector = load_collector(gate)
    assert issubclass(collector.Body, EvidenceBody)
    assert issubclass(collector.Thresholds, GateThresholds)
    assert issubclass(collector.Request, Document) or hasattr(collector.Request, "model_validate_json")


@pytest.mark.parametrize("rule", sorted(POLICIES.rules))
def test_rule_is_documented_literal_and_tested(rule: str) -> None:
    """Every rule id stands in its gate's page, as a literal in a finding, and in the policy's test."""
    known = POLICIES.rules[rule]
    source = next(module.text for module in POLICIES.modules if module.path == known.path)
    assert f'"rule": "{rule}"' in source
    assert rule in (PROJECT / "docs" / "gates" / f"{known.gate}.md").read_text("utf-8")
    assert known.controls
    folder = PROJECT / "policies" / Path(known.path).parent
    assert any(rule in path.read_text("utf-8") for path in folder.glob("*_test.rego"))


def test_every_rego_file_has_its_test() -> None:
    """A policy or library file without a test beside it is not shipped."""
    files = [path for path in (PROJECT / "policies").rglob("*.rego") if not path.stem.endswith("_test")]
    assert files
    assert [str(path) for path in files if not path.with_name(f"{path.stem}_test.rego").is_file()] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_in_the_readme_and_helps(command: str) -> None:
    """Every command is in the README, and its --help says what it does."""
    assert f"gatekeeper {command}" in README
    done = CliRunner().invoke(main, [command, "--help"])
    assert done.exit_code == 0
    assert len(done.output) > 100


def test_formats_are_the_same_everywhere() -> None:
    """Settings, command line and renderers know the same formats."""
    from gatekeeper.cli import options

    assert set(FORMATS) == set(RENDERERS) == set(options.FORMATS)


def test_wheel_ships_policies_and_contracts() -> None:
    """The package finds its policies and schemas, and the build puts both into the wheel."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included == {"policies": "gatekeeper/_policies", "contracts": "gatekeeper/_contracts"}
    assert {path.name for path in (PROJECT / "contracts").iterdir()} == {
        f"{name}.schema.json" for name in schemas.SCHEMAS
    }


def test_locks_hold_hashes_and_no_address() -> None:
    """Each pinned package carries a hash, and no lock names a server or a path."""
    for lock in (PROJECT / "requirements").glob("*.lock"):
        text = lock.read_text("utf-8")
        assert not re.search(r"https?://|file:|/root/|/tmp/", text), lock
        pins = re.findall(r"^[a-zA-Z0-9_.-]+(?:\[[a-z,]+\])?==", text, re.MULTILINE)
        blocks = re.split(r"^(?=[a-zA-Z0-9_.-]+(?:\[[a-z,]+\])?==)", text, flags=re.MULTILINE)[1:]
        assert len(pins) == len(blocks) > 0
        assert [block.split("\n")[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_no_tracked_file_names_this_machine() -> None:
    """No path of a developer's machine is in a tracked file outside the tests."""
    done = subprocess.run(
        ["git", "grep", "-nIE", r"(/tmp/|/work/|/root/)[a-z]", "--", ":!*.lock", ":!tests"],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == ""


def test_documents_are_closed_and_frozen() -> None:
    """Every model refuses unknown keys and is frozen; a silent extra key could disarm a rule."""
    pending, seen = [Document], []
    while pending:
        model = pending.pop()
        pending.extend(model.__subclasses__())
        seen.append(model)
    assert len(seen) > 20
    loose = [model.__name__ for model in seen if model.model_config.get("frozen") is not True]
    assert loose == []
