"""Each rule of the policy lint finds a policy that is broken in its way, compiled by the real engine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import PROJECT
from policy_tools.a_library import DATA, POLICY, RULES, TESTS, Library, parse, run

from gatekeeper.cli.policy_lint import lint_command
from gatekeeper.errors import ConfigurationError
from gatekeeper.policy_tools.linting import lint
from gatekeeper.policy_tools.sources import read_sources
from gatekeeper.settings import EngineSettings

HEAD = '"rule": "probe.score",'
SECOND = POLICY[POLICY.index("# METADATA\n# title: The score is high") : POLICY.index("_reaches if")]

BROKEN: dict[str, tuple[Callable[[Library], object], str, str]] = {
    "forbidden builtin": (
        lambda each: each.edit(RULES, "if input.evidence.score >=", "if time.now_ns() >="),
        f"{RULES}:24:13: portable",
        "time.now_ns is forbidden",
    ),
    "builtin that differs": (
        lambda each: each.edit(RULES, "if input.evidence.score >=", "if sum(input.evidence.score) >="),
        f"{RULES}:24:13: portable",
        "sum is not the same on both engines",
    ),
    "text that is no Rego": (
        lambda each: each.append(RULES, "\n_a := [1\n"),
        f"{RULES}:40:7: portable",
        "this bracket is never closed",
    ),
    "variable that is not there": (
        lambda each: each.edit(RULES, "if input.evidence.score >=", "if nobody >="),
        f"{RULES}:24:13: compiles",
        "nobody",
    ),
    "METADATA without a remedy": (
        lambda each: each.edit(RULES, "#   remedy: Raise it.\n", ""),
        f"{RULES}:8:1: metadata",
        "lacks remedy",
    ),
    "METADATA that is not YAML": (
        lambda each: each.edit(RULES, "# title: The score is high enough", "# title: [The score"),
        f"{RULES}:8:1: metadata",
        "METADATA is not YAML",
    ),
    "METADATA without a control": (
        lambda each: each.edit(RULES, '["nist-ai-rmf:MEASURE-2.3"]\ndeny', "[]\ndeny"),
        f"{RULES}:8:1: metadata",
        "names no control",
    ),
    "rule id that is taken": (
        lambda each: each.append(RULES, f"\n{SECOND}"),
        f"{RULES}:40:1: rule-id",
        f"probe.score is taken by {RULES}:8",
    ),
    "rule id that is made": (
        lambda each: each.edit(RULES, HEAD, '"rule": concat(".", ["probe", "score"]),'),
        f"{RULES}:16:1: literal-id",
        "deny names no rule id as a literal",
    ),
    "severity of the other kind": (
        lambda each: each.edit(RULES, "#   severity: deny", "#   severity: warn"),
        f"{RULES}:17:10: severity",
        "found by deny, and its METADATA says warn",
    ),
    "finding without METADATA": (
        lambda each: each.append(RULES, '\nwarn contains {"rule": "probe.other", "subject": "a", "message": "b"}\n'),
        f"{RULES}:40:24: undocumented",
        "probe.other has no METADATA",
    ),
    "METADATA without finding": (
        lambda each: each.edit(RULES, "rule: probe.score", "rule: probe.scores"),
        f"{RULES}:8:1: never-emitted",
        "no finding carries the id probe.scores",
    ),
    "gate without warn": (
        lambda each: each.write(RULES, POLICY[: POLICY.index("# METADATA\n# title: The score was")]),
        f"{RULES}:1:1: entry-points",
        "the gate probe has no warn",
    ),
    "helper that nothing uses": (
        lambda each: each.append(RULES, "\n_alone if input.evidence.x\n"),
        f"{RULES}:40:1: unreachable",
        "_alone",
    ),
    "helper of a helper that nothing uses": (
        lambda each: each.append(RULES, "\n_alone if _second\n\n_second if input.evidence.x\n"),
        f"{RULES}:42:1: unreachable",
        "_second",
    ),
    "public rule of a gate that nothing uses": (
        lambda each: each.append(RULES, "\nviolation contains 1 if input.evidence.x\n"),
        f"{RULES}:40:1: unreachable",
        "violation",
    ),
    "policy without a test": (
        lambda each: each.remove(TESTS),
        f"{RULES}:1:1: no-test",
        "no test lies beside it",
    ),
    "rule that no test names": (
        lambda each: each.edit(TESTS, '{"probe.reviewed"}', '{"probe.review"}'),
        f"{RULES}:26:1: untested",
        "no test names probe.reviewed",
    ),
    "threshold that is misspelt": (
        lambda each: each.edit(
            RULES, ">= input.settings.thresholds.min_score", ">= input.settings.thresholds.min_scor"
        ),
        f"{RULES}:24:37: threshold",
        "probe has no threshold min_scor",
    ),
    "threshold that is misspelt in brackets": (
        lambda each: each.edit(
            RULES, ">= input.settings.thresholds.min_score", '>= input.settings.thresholds["min_scor"]'
        ),
        f"{RULES}:24:37: threshold",
        "probe has no threshold min_scor",
    ),
    "threshold that is only shown": (
        lambda each: each.edit(RULES, ">= input.settings.thresholds.min_score", ">= 3"),
        f"{DATA}:8:5: threshold-unused",
        "no rule of the gate compares probe.min_score",
    ),
    "threshold that limits nothing": (
        lambda each: each.edit(DATA, "    min_score: 3\n", "    min_score: 3\n    max_score: 4\n"),
        f"{DATA}:9:5: threshold-unused",
        "probe.max_score",
    ),
    "override of a key that is not there": (
        lambda each: each.edit(DATA, "{min_score: 5}", "{min_scores: 5}"),
        f"{DATA}:13:15: threshold",
        "probe.min_scores overrides no threshold",
    ),
    "override for an environment that is misspelt": (
        lambda each: each.edit(DATA, "environment: production", "environment: prodution"),
        f"{DATA}:10:5: threshold",
        "the override never applies",
    ),
    "thresholds of a gate that is misspelt": (
        lambda each: each.edit(DATA, "thresholds:\n  probe:\n", "thresholds:\n  prober:\n"),
        f"{DATA}:6:3: threshold",
        "no policy has the gate prober",
    ),
    "gate without thresholds": (
        lambda each: each.edit(DATA, "thresholds:\n  probe:\n", "thresholds:\n  prober:\n"),
        f"{DATA}:5:1: threshold",
        "the gate probe has no thresholds",
    ),
    "required gate that is not there": (
        lambda each: each.edit(DATA, "model: [probe]", "model: [probe, prob]"),
        f"{DATA}:4:5: required-gate",
        "no policy has the gate prob",
    ),
    "environment that requires nothing": (
        lambda each: each.edit(DATA, "    model: [probe]\n", "    model: [probe]\n  staging: {}\n"),
        f"{DATA}:5:3: required-gate",
        "staging requires no gate",
    ),
    "data without its shape": (
        lambda each: each.edit(DATA, "max_bundle_age_seconds: 60", "max_bundle_age_second: 60"),
        "policies/gatekeeper/defaults/data.yaml:1:1: data-schema",
        "max_bundle_age_second",
    ),
    "reference that leads nowhere": (
        lambda each: each.edit(RULES, "if input.evidence.score >=", "if data.gatekeeper.tables.floor >="),
        f"{RULES}:24:13: data-key",
        "data.gatekeeper.tables.floor is neither a rule nor data",
    ),
    "reference to a rule that is misspelt": (
        lambda each: each.edit(RULES, "not _reaches\n", "not data.gatekeeper.gates.probe._reach\n"),
        f"{RULES}:21:6: data-key",
        "data.gatekeeper.gates.probe._reach is neither a rule nor data",
    ),
}


def found_in(library: Library) -> list[str]:
    found = lint(library.sources(), EngineSettings())
    return [f"{each.path}:{each.line}:{each.column}: {each.id}: {each.message}" for each in found]


def test_finds_nothing_in_a_clean_folder(library: Library) -> None:
    """The folder that all other tests break is clean."""
    assert found_in(library) == []


@pytest.mark.parametrize("fault", BROKEN)
def test_finds_a_policy_that_is_broken(fault: str, library: Library) -> None:
    """Each fault is found at its place, under its id."""
    break_it, place, message = BROKEN[fault]
    break_it(library)
    found = found_in(library)
    assert [each for each in found if each.startswith(f"{place}: ") and message in each] != [], found


def test_says_nothing_of_what_follows_from_text_that_is_no_rego(library: Library) -> None:
    """A module that cannot be read is the only finding: what it defines is not known."""
    library.append(RULES, "\n_a := [1\n")
    assert len(found_in(library)) == 1


def test_finds_everything_and_not_only_the_first(library: Library) -> None:
    """Faults in two files and of three kinds are all named, in the order of files and lines."""
    library.append(RULES, "\n_alone if input.evidence.x\n").edit(DATA, "min_score: 3", "min_score: 3\n    spare: 1")
    library.edit(RULES, "#   severity: deny", "#   severity: warn")
    assert [each.split(": ")[1] for each in found_in(library)] == ["threshold-unused", "severity", "unreachable"]


def test_names_no_threshold_where_none_is_named(library: Library) -> None:
    """A reference to all thresholds at once is not a misspelt one."""
    library.append(RULES, "\n_keys := input.settings.thresholds\n\nwarn contains _keys\n")
    assert {each.split(": ")[1] for each in found_in(library)} == {"literal-id"}


def test_knows_thresholds_that_a_variable_picks(library: Library) -> None:
    """`every key in […]` and a function that is given the key use a threshold as a dotted name does."""
    library.edit(DATA, "    min_score: 3\n", "    min_score: 3\n    first: 1\n    second: 1\n")
    library.append(
        RULES,
        '\nwarn contains {"rule": "probe.reviewed", "subject": "a", "message": "b"} if {\n'
        '\tevery key in ["first"] {\n\t\tis_number(input.settings.thresholds[key])\n\t}\n'
        '\t_within("second")\n}\n\n_within(key) if input.evidence.x <= input.settings.thresholds[key]\n',
    )
    assert found_in(library) == []
    library.edit(RULES, '_within("second")', '_within("secnd")').edit(RULES, '["first"]', '["frist"]')
    assert [each.split(": ", 1)[1] for each in found_in(library)] == [
        "threshold-unused: no rule of the gate compares probe.first: it limits nothing",
        "threshold-unused: no rule of the gate compares probe.second: it limits nothing",
        "threshold: probe has no threshold frist: it is undefined",
        "threshold: probe has no threshold secnd: it is undefined",
    ]


def test_follows_imports_and_offers_of_a_library(library: Library) -> None:
    """A rule that another package uses by an import is reached; what a library offers need not be used."""
    path = "gatekeeper/lib/scores/scores.rego"
    text = "package gatekeeper.lib.scores\n\nimport rego.v1\n\nhigh(score) if _limit <= score\n\n_limit := 3\n\noffered := 1\n"
    library.write(path, text).write(path.replace(".rego", "_test.rego"), "package gatekeeper.lib.scores_test\n")
    library.edit(RULES, "import rego.v1\n", "import data.gatekeeper.lib.scores\nimport rego.v1\n")
    library.edit(RULES, "_reaches if ", "_reaches if scores.high(4)\n\n_reaches if ")
    assert found_in(library) == []
    library.edit(path, "_limit <= score", "3 <= score")
    assert [each.split(": ", 1)[1] for each in found_in(library)] == [
        "unreachable: nothing that decides refers to _limit"
    ]


def test_holds_thresholds_to_the_model_of_the_gate(tmp_path: Path) -> None:
    """The collector's own model refuses a threshold of the library that is out of bounds, overrides included."""
    shutil.copytree(PROJECT / "policies", tmp_path / "policies")
    data = tmp_path / "policies" / DATA
    text = data.read_text("utf-8")
    data.write_text(text.replace("min_target_ratio: 0.95", "min_target_ratio: 95"), "utf-8")
    sources = read_sources(tmp_path / "policies")
    found = [each for each in lint(sources, EngineSettings()) if each.id == "data-schema"]
    assert [each.message.split(":")[0] for each in found] == ["slo.min_target_ratio"]
    data.write_text(text.replace("min_target_ratio: 0.99", "min_target_ratio: 99"), "utf-8")
    found = [each for each in lint(read_sources(tmp_path / "policies"), EngineSettings()) if each.id == "data-schema"]
    assert [each.message.split(":")[0] for each in found] == ["slo.min_target_ratio"]
    assert "min_target_ratio: 99" in data.read_text("utf-8").split("\n")[found[0].line - 1]


def test_lints_an_organisation_s_own_folder(tmp_path: Path) -> None:
    """A folder with nothing but packages below `custom` has its own data, without the library's."""
    from policy_tools.a_library import DEFAULTS, TEST

    own = Library(tmp_path / "own")
    own.write(f"custom/{RULES}", POLICY.replace("package ", "package custom."))
    own.write(f"custom/{TESTS}", TEST.replace("package ", "package custom.").replace("data.", "data.custom."))
    own.write(f"custom/{DATA}", DEFAULTS.partition("\n")[2])
    assert found_in(own) == []
    own.edit(f"custom/{DATA}", "min_score: 3", "min_scores: 3")
    assert {each.split(": ")[1] for each in found_in(own)} == {"threshold", "threshold-unused"}


def test_refuses_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    """No policy is not a clean one."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="no policies found"):
        read_sources(tmp_path / "empty")
    Library(tmp_path / "bad").write(RULES, POLICY).write(TESTS, "# nothing\n")
    with pytest.raises(ConfigurationError, match="no package line"):
        read_sources(tmp_path / "bad")


def test_refuses_a_test_that_is_a_link_out(library: Library, tmp_path: Path) -> None:
    """A test is read from the folder and from nowhere else."""
    library.remove(TESTS)
    (tmp_path / "outside.rego").write_text("package a\n", "utf-8")
    (library.root / TESTS).symlink_to(tmp_path / "outside.rego")
    with pytest.raises(ConfigurationError, match="not a regular file"):
        library.sources()


def test_command_says_where_and_what_to_do(library: Library) -> None:
    """Exit 0 and a count when clean; exit 1, place, id, message and hint when not; the same as JSON."""
    assert run(lint_command, str(library.root)) == (0, "0 findings in 1 policies\n")
    library.append(RULES, "\n_alone if input.evidence.x\n")
    code, text = run(lint_command, str(library.root))
    assert (code, text.split("\n")[0]) == (1, f"{RULES}:40:1: unreachable: nothing that decides refers to _alone")
    assert "\n  hint: remove it" in text
    code, text = run(lint_command, str(library.root), "--format", "json")
    assert code == 1
    assert parse(text) == {
        "findings": [
            {
                "path": RULES,
                "line": 40,
                "column": 1,
                "id": "unreachable",
                "message": "nothing that decides refers to _alone",
                "hint": "remove it, or use it where it was meant to be",
            }
        ],
        "policies": 1,
    }


def test_command_takes_the_policies_in_force(library: Library, tmp_path: Path) -> None:
    """Without a folder the settings say which; policies without a folder are refused."""
    settings = tmp_path / "gatekeeper.yaml"
    settings.write_text("apiVersion: gatekeeper/v1\nkind: Settings\npolicies: policies\n", "utf-8")
    assert run(lint_command, "--settings", str(settings)) == (0, "0 findings in 1 policies\n")
    settings.write_text(
        "apiVersion: gatekeeper/v1\nkind: Settings\npolicies: {git: {ref: main, path: policies}}\n", "utf-8"
    )
    with pytest.raises(ConfigurationError, match="from git or a bundle"):
        run(lint_command, "--settings", str(settings))


def test_knows_names_of_data_and_of_whole_packages(library: Library) -> None:
    """A key of the data, all of the data of a folder and a package as a whole are names that exist."""
    library.write("tables/data.json", '{"limits": {"low": 4, "list": [1]}}')
    path = "gatekeeper/lib/scores/scores.rego"
    library.write(path, "package gatekeeper.lib.scores\n\nimport rego.v1\n\nhigh(score) if score >= 3\n")
    library.write(path.replace(".rego", "_test.rego"), "package gatekeeper.lib.scores_test\n")
    body = "is_number(data.tables.limits.low)\n\tis_object(data.tables)\n\tis_object(data.gatekeeper.lib)\n"
    library.edit(RULES, "\tnot input.evidence.reviewed\n", f"\tnot input.evidence.reviewed\n\t{body}")
    assert found_in(library) == []
    library.edit(RULES, "data.tables.limits.low", "data.tables.limits.low.lower")
    assert [each.split(": ", 1)[1] for each in found_in(library)] == [
        "data-key: data.tables.limits.low.lower is neither a rule nor data"
    ]


def test_names_the_file_where_data_has_no_places(library: Library) -> None:
    """Data in another form than data.yaml is linted too; the place is then the beginning of the usual file."""
    import yaml

    library.write(DATA.replace(".yaml", ".json"), json.dumps(yaml.safe_load((library.root / DATA).read_text("utf-8"))))
    library.remove(DATA)
    assert found_in(library) == []
    library.edit(DATA.replace(".yaml", ".json"), '"min_score": 3', '"min_score": 3, "spare": 1')
    assert found_in(library) == [
        f"{DATA}:1:1: threshold-unused: no rule of the gate compares probe.spare: it limits nothing"
    ]
