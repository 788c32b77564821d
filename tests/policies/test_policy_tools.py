"""The policies pass the real tools: OPA's formatter, checker and tests with full coverage, and Regal."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import PROJECT, find_tool

POLICIES = PROJECT / "policies"
BUILD = PROJECT / "tools" / "build.sh"


def run(tool: str, *arguments: str, cwd: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [find_tool(tool), *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


def sources() -> list[Path]:
    return [path for path in POLICIES.rglob("*.rego") if not path.name.endswith("_test.rego")]


def test_every_policy_has_its_test_beside_it() -> None:
    """Coverage would not notice a policy that nothing loads."""
    lacking = [path.name for path in sources() if not path.with_name(f"{path.stem}_test.rego").is_file()]
    assert sources()
    assert lacking == []


def test_policies_are_formatted() -> None:
    """`opa fmt` would change no file."""
    done = run("opa", "fmt", "--list", "--fail", str(POLICIES))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_policies_pass_the_strict_check() -> None:
    """OPA compiles them in strict mode, data and tests included."""
    done = run("opa", "check", "--strict", str(POLICIES))
    assert done.returncode == 0, done.stderr


def test_policies_pass_their_tests_and_every_line_is_covered() -> None:
    """Every test passes, there are tests, and coverage is 100 %."""
    plain = run("opa", "test", "--format", "json", str(POLICIES))
    results = json.loads(plain.stdout)
    assert len(results) > 50
    assert [each["name"] for each in results if each.get("fail") or each.get("error") or each.get("skip")] == []
    assert plain.returncode == 0
    covered = run("opa", "test", "--coverage", "--threshold", "100", "--format", "json", str(POLICIES))
    assert covered.returncode == 0, covered.stderr
    assert json.loads(covered.stdout)["coverage"] == 100


def test_policies_pass_the_linter() -> None:
    """Regal finds nothing, with every rule on but those that .regal/config.yaml names with a reason."""
    done = run("regal", "lint", "--format", "json", str(POLICIES))
    report = json.loads(done.stdout)
    assert report["violations"] == []
    assert report["summary"]["files_scanned"] == len(list(POLICIES.rglob("*.rego")))
    assert done.returncode == 0, done.stderr


def test_the_linter_uses_the_configuration_of_the_project(tmp_path: Path) -> None:
    """A rule without METADATA is found, so the configuration is in force."""
    shutil.copytree(PROJECT / ".regal", tmp_path / ".regal")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        text = f"# METADATA\n# title: A gate\npackage {name}\n\ndeny contains 1\n\n_helper := 2\n"
        (tmp_path / name / f"{name}.rego").write_text(text, "utf-8")
    done = run("regal", "lint", "--format", "json", ".", cwd=tmp_path)
    found = {(each["title"], each["location"]["row"]) for each in json.loads(done.stdout)["violations"]}
    assert found == {("missing-metadata", 5)}
    assert done.returncode == 3


def test_every_exception_of_the_linter_has_a_reason() -> None:
    """A rule that is turned off or loosened says why, in a comment right under its name."""
    lines = (PROJECT / ".regal" / "config.yaml").read_text("utf-8").splitlines()
    configured = yaml.safe_load("\n".join(lines))["rules"]
    names = [name for category in configured.values() for name in category]
    assert names
    for name in names:
        index = next(number for number, line in enumerate(lines) if line.strip() == f"{name}:")
        assert lines[index + 1].strip().startswith("# ")


@pytest.mark.parametrize("tool", ["opa", "conftest", "actionlint", "regal"])
def test_the_tools_are_those_that_the_script_pins(tool: str) -> None:
    """What is in .tools/bin was built at the version that tools/build.sh names."""
    pinned = {
        words[1]: words[2] for line in BUILD.read_text("utf-8").splitlines() if (words := line.split())[:1] == ["build"]
    }
    find_tool(tool)
    assert (PROJECT / ".tools" / "versions" / tool).read_text("utf-8").strip() == pinned[tool]


def test_the_script_builds_nothing_without_go() -> None:
    """Without a Go toolchain it says so and ends well: the tests that need a tool are skipped then."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash to run tools/build.sh with")
    dirname = Path(shutil.which("dirname") or "dirname").parent
    environment = {"PATH": str(dirname)} if not (dirname / "go").exists() else {"PATH": os.devnull}
    done = subprocess.run([bash, str(BUILD)], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.startswith("no Go toolchain")) == (0, True), done.stderr


def test_the_script_builds_nothing_twice() -> None:
    """Tools that are here at the pinned version are left alone."""
    find_tool("opa")
    if shutil.which("go") is None:
        pytest.skip("there is no Go toolchain")
    done = subprocess.run(["bash", str(BUILD)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split(": ")[1] for line in done.stdout.splitlines()] == ["here already"] * 4


def test_opa_with_our_capabilities_alone_compiles_the_library_and_refuses_more(tmp_path: Path) -> None:
    """What our lint lets a policy call, as OPA's own capability file, is enough for every policy; the clock is not in it."""
    from gatekeeper.engine.builtins import PORTABLE

    known = json.loads(run("opa", "capabilities", "--current").stdout)
    known["builtins"] = [each for each in known["builtins"] if each["name"] in PORTABLE or "infix" in each]
    capabilities = tmp_path / "capabilities.json"
    capabilities.write_text(json.dumps(known | {"allow_net": []}), "utf-8")
    shipped = tmp_path / "policies"
    shutil.copytree(POLICIES, shipped, ignore=shutil.ignore_patterns("*_test.rego"))
    done = run("opa", "check", "--strict", "--capabilities", str(capabilities), str(shipped))
    assert done.returncode == 0, done.stderr
    for call in ("time.now_ns()", 'http.send({"url": "u", "method": "get"})', "opa.runtime()", 'rand.intn("a", 3)'):
        (shipped / "more.rego").write_text(f"package more\n\nx := {call}\n", "utf-8")
        done = run("opa", "check", "--capabilities", str(capabilities), str(shipped))
        assert done.returncode != 0, call
        assert "undefined function" in done.stderr
