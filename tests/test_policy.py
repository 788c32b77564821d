"""Policies: everything that was written is loaded or refused, under one digest of the exact bytes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import PROJECT

from gatekeeper.engine.embedded import EmbeddedEngine
from gatekeeper.errors import ConfigurationError
from gatekeeper.policy import MAX_POLICY_BYTES, PolicySet, digest_files, load_policies
from gatekeeper.settings import EngineSettings

METADATA = """\
# METADATA
# title: A rule
# description: What it asks.
# custom:
#   rule: {rule}
#   severity: {severity}
#   remedy: What to do.
#   controls: ["iso:1"]
"""
REGO = f"""\
package gatekeeper.gates.slo

{METADATA.format(rule="slo.a", severity="deny")}deny contains {{"rule": "slo.a", "subject": "s", "message": "m"}} if {{
	not input.evidence.good
}}

{METADATA.format(rule="slo.w", severity="warn")}warn contains {{"rule": "slo.w", "subject": "s", "message": "m"}} if {{
	not input.evidence.fine
}}
"""
GATE = "gatekeeper/gates/slo/slo.rego"
DATA = "gatekeeper/defaults/data.yaml"
Write = Callable[[dict[str, str | bytes]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a policy folder: one gate with data, and more files over it."""

    def make(files: dict[str, str | bytes]) -> Path:
        for path, content in ({GATE: REGO, DATA: "max_bundle_age_seconds: 60\n"} | files).items():
            target = tmp_path / "policies" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / "policies"

    return make


def refusal(folder: Path, use: Callable[[PolicySet], object] = lambda policies: policies.rules) -> ConfigurationError:
    """The error with which a folder is refused, at the latest when its rules are read."""
    with pytest.raises(ConfigurationError) as caught:
        use(load_policies(folder))
    return caught.value


def test_loads_gates_rules_and_data(write: Write) -> None:
    """Packages become gates, METADATA becomes rules with their place, data is mounted by folder."""
    policies = load_policies(write({"gatekeeper/lib/times/times.rego": "package gatekeeper.lib.times\n"}))
    assert policies.packages == {"slo": "gatekeeper.gates.slo"}
    assert list(policies.rules) == ["slo.a", "slo.w"]
    assert policies.defaults == {"max_bundle_age_seconds": 60}
    first = policies.rules_of("slo")[0]
    assert (first.title, first.description, first.remedy) == ("A rule", "What it asks.", "What to do.")
    assert (first.severity, first.controls, first.path, first.line) == ("deny", ("iso:1",), GATE, 3)
    assert policies.rules_of("lineage") == ()


def test_an_organisations_gate_is_found(write: Write) -> None:
    """Below `custom.gatekeeper.gates`, without touching the library."""
    text = REGO.replace("gatekeeper.gates.slo", "custom.gatekeeper.gates.own").replace("slo.", "own.")
    policies = load_policies(write({"custom/own.rego": text}))
    assert policies.packages["own"] == "custom.gatekeeper.gates.own"
    assert [rule.rule for rule in policies.rules_of("own")] == ["own.a", "own.w"]


def test_an_organisations_gate_cannot_replace_a_library_gate(write: Write) -> None:
    """Two packages for one gate: nobody could say which one decided."""
    error = refusal(write({"custom/slo.rego": REGO.replace("gatekeeper.gates", "custom.gatekeeper.gates")}))
    assert "gate 'slo' exists already" in error.problem


def test_a_gate_may_have_several_files(write: Write) -> None:
    """All of them are its rules."""
    more = (
        f"package gatekeeper.gates.slo\n\n{METADATA.format(rule='slo.b', severity='deny')}deny contains {{}} if false\n"
    )
    assert list(load_policies(write({"gatekeeper/gates/slo/b.rego": more})).rules) == ["slo.b", "slo.a", "slo.w"]


def test_tests_are_not_policies(write: Write) -> None:
    """They are neither evaluated nor digested."""
    digest = load_policies(write({})).digest
    assert load_policies(write({"gatekeeper/gates/slo/slo_test.rego": "not even rego"})).digest == digest


@pytest.mark.parametrize("files", [[], ["README.md"], ["slo_test.rego"], ["data.yaml"]])
def test_a_folder_without_policies_is_refused(tmp_path: Path, files: list[str]) -> None:
    """No policy denies nothing; that is an error."""
    for name in files:
        (tmp_path / name).write_text("a: 1\n")
    assert refusal(tmp_path).problem == "no policies found"


@pytest.mark.parametrize("path", ["none", "file"])
def test_a_folder_that_is_none_is_refused(tmp_path: Path, path: str) -> None:
    """A misspelt folder does not fall back to another."""
    (tmp_path / "file").touch()
    assert refusal(tmp_path / path).problem == "no such policy folder"


def test_the_same_bytes_have_the_same_digest(write: Write, tmp_path: Path) -> None:
    """Wherever the folder lies, and whenever the files were written."""
    folder = write({})
    shutil.copytree(folder, tmp_path / "elsewhere" / "policies")
    os.utime(tmp_path / "elsewhere" / "policies" / GATE, (1, 1))
    assert load_policies(tmp_path / "elsewhere" / "policies").digest == load_policies(folder).digest


@pytest.mark.parametrize(
    "change",
    [
        {GATE: REGO + " "},
        {GATE: REGO.replace("good", "Good")},
        {GATE: "\ufeff" + REGO},
        {GATE: REGO.replace("\n", "\r\n")},
        {DATA: "max_bundle_age_seconds: 61\n"},
        {"more.rego": "package more\n"},
        {"data.json": "{}"},
    ],
    ids=["one-space", "one-letter", "mark", "line-ends", "data", "one-more-file", "empty-data"],
)
def test_any_changed_byte_changes_the_digest(write: Write, change: dict[str, str | bytes]) -> None:
    """Also bytes that mean nothing to Rego."""
    digest = load_policies(write({})).digest
    assert load_policies(write(change)).digest != digest


def test_a_renamed_file_changes_the_digest(write: Write) -> None:
    """The place of data is its meaning."""
    folder = write({})
    digest = load_policies(folder).digest
    (folder / GATE).rename(folder / "gatekeeper/gates/slo/renamed.rego")
    assert load_policies(folder).digest != digest


def test_digest_depends_on_names_and_contents_only() -> None:
    """Swapped contents, moved boundaries and another order of reading."""
    assert digest_files({"a": b"1", "b": b"2"}) == digest_files({"b": b"2", "a": b"1"})
    assert digest_files({"a": b"1", "b": b"2"}) != digest_files({"a": b"2", "b": b"1"})
    assert digest_files({"a": b"12", "b": b""}) != digest_files({"a": b"1", "b": b"2"})
    assert digest_files({"a/b": b""}) != digest_files({"a": b"", "b": b""})


@pytest.mark.parametrize(
    ("files", "subject"),
    [
        ({"gatekeeper/gates/slo/data.yaml": "deny: []\n"}, GATE),
        ({"gatekeeper/gates/data.yaml": "slo: {deny: []}\n"}, GATE),
        ({"gatekeeper/gates/data.yaml": "slo: null\n"}, GATE),
        ({"gatekeeper/gates/data.json": '{"slo": []}'}, GATE),
        ({"gatekeeper/data.yaml": "gates: 5\n"}, GATE),
        ({"gatekeeper/data.yaml": "gates: []\n"}, GATE),
        ({"data.yaml": "gatekeeper: {gates: {slo: {deny: []}}}\n"}, GATE),
        ({"custom/data.yaml": "x: 1\n", "custom/x.rego": "package custom.x\n"}, "custom/x.rego"),
    ],
)
def test_data_on_the_path_of_a_package_is_refused(write: Write, files: dict[str, str | bytes], subject: str) -> None:
    """Data there would answer instead of the rules: an empty `deny` from a data file."""
    error = refusal(write(files))
    assert error.subject == subject
    assert "data lies on the path of the package" in error.problem


@pytest.mark.parametrize(
    "files",
    [
        {"a/data.yaml": "b: 1\n", "a/b/data.yaml": "c: 1\n"},
        {"a/data.yaml": "e: [1]\n", "a/e/data.yaml": "c: 1\n"},
        {"a/data.yaml": "z: text\n", "a/z/deep/data.yaml": "c: 1\n"},
        {"a/data.yaml": "x: 1\n", "a/data.json": '{"x": 1}'},
        {"a/data.yaml": "[1]\n"},
        {"a/data.yaml": "null\n"},
        {"a/data.yaml": "text\n"},
    ],
)
def test_data_that_does_not_fit_together_is_refused(write: Write, files: dict[str, str | bytes]) -> None:
    """Neither file wins silently, and data that is no mapping has no place."""
    assert refusal(write(files)).problem == "data is a mapping whose keys are not used elsewhere"


def test_data_of_several_files_is_one_tree(write: Write) -> None:
    """YAML and JSON beside and below each other."""
    policies = load_policies(
        write({"a/data.yaml": "x: 1\nb: {y: 2}\n", "a/data.json": '{"j": "\\ud83d\\ude00"}', "a/b/data.yaml": "z: 3\n"})
    )
    assert policies.data["a"] == {"x": 1, "b": {"y": 2, "z": 3}, "j": "😀"}


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("a/data.yaml", "x: 1\nx: 2\n"), ("a/data.yaml", "x: [\n"), ("a/data.yaml", ""), ("a/data.yaml", b"\xff"),
        ("a/data.yaml", "x: .nan\n"), ("a/data.yaml", "x: !!python/name:os.system\n"), ("a/data.json", "{'x': 1}"),
        ("a/data.json", '{"x": NaN}'), ("a/data.json", '{"x": 1, "x": 2}'), ("a/b.rego", b"package a.b\n# \xff"),
        ("a/b.rego", ""), ("a/b.rego", "# package a.b\n"), ("a/b.rego", " package a.b\n"),
        ("a/b.rego", 'package a["b"]\n'), ("a/b.rego", "x" * (MAX_POLICY_BYTES + 1)),
        ("a/data.yaml", "#" * (MAX_POLICY_BYTES + 1)),
    ],
)  # fmt: skip
def test_a_broken_file_is_refused_by_name(write: Write, path: str, content: str | bytes) -> None:
    """Not skipped: a rule that was not read denies nothing."""
    assert path in refusal(write({path: content})).subject


@pytest.mark.parametrize("path", ["gatekeeper/gates/slo/data.yml", "a/B.REGO", "a/b.Rego"])
def test_a_misnamed_file_is_refused(write: Write, path: str) -> None:
    """Its author believes it to be in force."""
    error = refusal(write({path: "package a.b\n"}))
    assert (error.problem, error.hint) == ("is not read", "name it data.yaml or <name>.rego")


def test_a_name_with_a_line_end_is_refused(write: Write) -> None:
    """It could make one file digest as two."""
    assert "is no name" in refusal(write({"a/b\nc.rego": "package a\n"})).problem


@pytest.mark.parametrize("kind", ["file", "folder", "dangling", "loop", "pipe"])
def test_what_is_no_file_of_the_folder_is_refused(write: Write, tmp_path: Path, kind: str) -> None:
    """A link may point at what is changed after the digest; a pipe never ends."""
    folder = write({})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.rego").write_text("package x\n")
    match kind:
        case "file":
            (folder / "x.rego").symlink_to(outside / "x.rego")
        case "folder":
            (folder / "linked").symlink_to(outside, target_is_directory=True)
        case "dangling":
            (folder / "x.rego").symlink_to("none.rego")
        case "loop":
            (folder / "x.rego").symlink_to("x.rego")
        case _:
            os.mkfifo(folder / "x.rego")
    error = refusal(folder)
    assert str(folder) in error.subject


def test_a_link_inside_the_folder_is_a_file_of_it(write: Write) -> None:
    """Its bytes are digested like any other's."""
    folder = write({"lib/a.rego": "package lib.a\n"})
    (folder / "gatekeeper" / "data.json").write_text('{"lib": {}}')
    (folder / "gatekeeper" / "lib").symlink_to("../lib", target_is_directory=True)
    assert "symbolic link to a folder" in refusal(folder).problem
    (folder / "gatekeeper" / "lib").unlink()
    (folder / "copy.rego").symlink_to("lib/a.rego")
    assert len(load_policies(folder).modules) == 3


def test_a_policy_is_read_up_to_its_limit(write: Write) -> None:
    """The largest file is read."""
    text = REGO + "#" * (MAX_POLICY_BYTES - len(REGO))
    assert load_policies(write({GATE: text})).packages == {"slo": "gatekeeper.gates.slo"}


def test_windows_line_ends_are_read(write: Write) -> None:
    """A checkout with CRLF has the same gates and rules."""
    policies = load_policies(write({GATE: REGO.replace("\n", "\r\n")}))
    assert list(policies.rules) == ["slo.a", "slo.w"]


@pytest.mark.parametrize("data", ["other: 1\n", "gatekeeper: 3\n", "gatekeeper: {defaults: []}\n"])
def test_a_folder_without_defaults_is_refused(tmp_path: Path, data: str) -> None:
    """No table of required gates is not an empty one."""
    (tmp_path / "own.rego").write_text("package custom.gatekeeper.gates.own\n")
    (tmp_path / "data.yaml").write_text(data)
    assert refusal(tmp_path, lambda policies: policies.defaults).problem == "no gatekeeper/defaults/data.yaml"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("#   remedy: What to do.\n", "", "METADATA lacks remedy"),
        ("#   severity: deny\n", "", "METADATA lacks severity"),
        ("#   rule: slo.a\n", "", "METADATA lacks rule"),
        ("#   rule: slo.a\n", "#   rul: slo.a\n", "METADATA lacks rule"),
        ("# title: A rule\n", "", "METADATA lacks title"),
        ("# description: What it asks.\n", "# description: ''\n", "METADATA lacks description"),
        ("# title: A rule\n", "# title: 7\n", "METADATA lacks title"),
        ('#   controls: ["iso:1"]\n', "#   controls: iso:1\n", "METADATA lacks a list of controls"),
        ('#   controls: ["iso:1"]\n', "#   controls: [1]\n", "METADATA lacks a list of controls"),
        ("rule: slo.a", "rule: lineage.a", "must begin with 'slo.'"),
        ("rule: slo.a", "rule: a", "must begin with 'slo.'"),
        ("severity: deny", "severity: error", "severity deny or warn"),
        ("severity: deny", "severity: Deny", "severity deny or warn"),
        ("# title: A rule\n", "# title: [\n", "METADATA is not YAML"),
        ("# title: A rule\n", "# title: a\n# title: b\n", "METADATA is duplicate key"),
        ("rule: slo.w", "rule: slo.a", "rule id 'slo.a' is taken"),
    ],
)
def test_incomplete_metadata_is_refused_at_its_line(write: Write, old: str, new: str, words: str) -> None:
    """A rule that reports could not explain, or of which there are two, is an error."""
    error = refusal(write({GATE: REGO.replace(old, new, 1)}))
    assert words in error.problem
    assert error.subject.startswith(f"{GATE}:")
    assert int(error.subject.rpartition(":")[2]) in (3, 15)


def test_metadata_of_the_package_is_no_rule(write: Write) -> None:
    """Title, description and related custom keys of the package stay what they are."""
    text = "# METADATA\n# scope: package\n# title: The gate\n# custom:\n#   owner: team\n" + REGO
    assert list(load_policies(write({GATE: text})).rules) == ["slo.a", "slo.w"]


def test_what_was_loaded_is_what_is_evaluated(write: Write) -> None:
    """A file changed after loading changes neither digest nor answer."""
    folder = write({})
    policies = load_policies(folder)
    engine = EmbeddedEngine(EngineSettings())
    try:
        (folder / GATE).write_text("package gatekeeper.gates.slo\n")
        engine.load(policies)
        answer = engine.evaluate("gatekeeper.gates.slo", b'{"evidence": {"fine": true}}')
    finally:
        engine.close()
    assert answer.result == {"deny": [{"rule": "slo.a", "subject": "s", "message": "m"}], "warn": []}


def test_the_library_loads() -> None:
    """The policies that ship have gates, rules and defaults."""
    policies = load_policies(PROJECT / "policies")
    assert policies.packages
    assert all(policies.rules_of(gate) for gate in policies.packages)
    assert policies.defaults["required_gates"]


@pytest.mark.parametrize("path", [".hidden/data.yaml", "gatekeeper/.x/y.rego", ".data/data.json"])
def test_a_hidden_policy_or_data_file_is_refused(write: Write, path: str) -> None:
    """OPA mounts data of a hidden folder elsewhere than we would; neither guess is taken."""
    with pytest.raises(ConfigurationError, match="is hidden"):
        load_policies(write({path: "{}" if path.endswith(("yaml", "json")) else "package x\n"}))
