"""The real tools agree with what `policy test` and `policy lint` say: on the library, and on what is broken."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from conftest import PROJECT, find_tool
from policy_tools.a_library import RULES, TESTS, Library, run

from gatekeeper.cli.policy_lint import lint_command
from gatekeeper.cli.policy_test import test_command as policy_test
from gatekeeper.engine.rego import read_outline
from gatekeeper.library import LIBRARY
from gatekeeper.policy_tools.embedded_tests import run_embedded
from gatekeeper.policy_tools.opa_tests import run_opa
from gatekeeper.policy_tools.sources import read_sources, rules_in
from gatekeeper.policy_tools.testing import find_tests
from gatekeeper.settings import EngineSettings


def tool(name: str, *arguments: str, cwd: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [find_tool(name), *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


def test_opa_and_the_embedded_engine_agree_on_every_test_of_the_library(opa: str) -> None:
    """The same tests, each passed on both, every line covered on both, and as many as `opa test` counts itself."""
    sources = read_sources(LIBRARY)
    tests = find_tests(sources)
    embedded, real = run_embedded(sources, tests, EngineSettings()), run_opa(opa, sources)
    assert dict(embedded.outcomes) == dict(real.outcomes)
    assert set(real.outcomes.values()) == {"passed"}
    assert embedded.coverage_percent == real.coverage_percent == 100
    own = json.loads(tool("opa", "test", "--format", "json", "policies").stdout)
    assert {f"{each['package']}.{each['name']}" for each in own} == {test.name for test in tests}
    assert len(own) > 100


def test_the_tools_and_the_lint_find_nothing_in_the_library() -> None:
    """`policy lint`, `opa check --strict` and `regal lint` are all silent on the library."""
    code, text = run(lint_command, "policies" if Path.cwd() == PROJECT else str(LIBRARY))
    assert (code, text.split(" ")[:2]) == (0, ["0", "findings"])
    assert tool("opa", "check", "--strict", "policies").returncode == 0
    done = tool("regal", "lint", "--format", "json", "policies")
    assert json.loads(done.stdout)["violations"] == []


def test_the_lint_sees_the_rules_that_opa_parses(opa: str) -> None:
    """Every definition that OPA's own parser finds in the library is one that the lint sees, by name and line."""
    sources = read_sources(LIBRARY)
    for module in (*sources.policies.modules, *sources.tests):
        done = tool("opa", "parse", "--format", "json", "--json-include", "locations", str(LIBRARY / module.path))
        rules = json.loads(done.stdout)["rules"]
        theirs = {(each["location"]["row"], each["head"]["ref"][0]["value"]) for each in rules}
        assert theirs == {(rule.place.line, rule.name) for rule in rules_in(read_outline(module))}, module.path


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("if input.evidence.score >=", "if nobody >="),
        ("not _reaches\n", "not _reach\n"),
        ("\tnot input.evidence.reviewed\n", "\tnot input.evidence.reviewed; count(1, 2)\n"),
        ("\tnot input.evidence.reviewed\n", "\tnot input.evidence.reviewed )\n"),
    ],
    ids=["unknown variable", "misspelt helper", "wrong number of arguments", "syntax"],
)
def test_what_opa_check_refuses_the_lint_refuses(old: str, new: str, library: Library) -> None:
    """A policy that does not compile for OPA is a finding of ours."""
    assert tool("opa", "check", "--strict", str(library.root)).returncode == 0
    library.edit(RULES, old, new)
    assert tool("opa", "check", "--strict", str(library.root)).returncode != 0
    assert run(lint_command, str(library.root))[0] == 1


def test_what_opa_test_fails_policy_test_fails(library: Library, opa: str) -> None:
    """A rule that is broken fails on OPA's own run and on ours, and so does a coverage that is too low."""
    folder = str(library.root)
    assert tool("opa", "test", folder).returncode == 0
    assert run(policy_test, folder, "--opa", opa, "--threshold", "100")[0] == 0
    library.edit(
        TESTS,
        'some finding in probe.warn} == {"probe.reviewed"} with input as _input(3)',
        "some finding in []} == set()",
    )
    assert tool("opa", "test", "--coverage", "--threshold", "100", folder).returncode != 0
    assert run(policy_test, folder, "--opa", opa, "--threshold", "100")[0] == 1
    library.edit(RULES, "score >=", "score >")
    assert tool("opa", "test", folder).returncode != 0
    assert run(policy_test, folder, "--opa", opa)[0] == 1
