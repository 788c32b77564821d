"""The weakening check on the real examples, collected by the real command and judged by the real engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import PROJECT
from examples_support import EXAMPLES, load

from gatekeeper.cli.policy_diff import diff_command
from gatekeeper.errors import ConfigurationError, EvidenceError
from gatekeeper.library import LIBRARY
from gatekeeper.policy import load_policies
from gatekeeper.policy_tools.recorded import read_recordings
from gatekeeper.policy_tools.weakening import Weakening, check_weakening
from gatekeeper.trusted import TrustedSide, Whereabouts, load_trusted

DATA = "gatekeeper/defaults/data.yaml"
SLO = "gatekeeper/gates/slo/slo.rego"
FLOOR = "slo.target_floor"


def gatekeeper(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in an example's repository by the example's own clock."""
    as_of = (root / "as_of.txt").read_text("utf-8").strip()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "GITHUB_"))}
    return subprocess.run(
        [sys.executable, "-m", "gatekeeper", *arguments, "--as-of", as_of, "--allow-past"],
        cwd=root, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A folder with bundles, and a log beside it: two examples as they are, one whose target is lax, one not measured.
    """
    folder = tmp_path_factory.mktemp("recorded")
    builder = load(EXAMPLES / "demo_repository.py")
    (folder / "bundles").mkdir()
    for example in ("tumour-classifier", "clinical-features"):
        builder.build(example, folder / example)
        shutil.copy(EXAMPLES / "gatekeeper.yaml", folder / example)
        shutil.copy(EXAMPLES / example / "as_of.txt", folder / example)
    shutil.copytree(folder / "tumour-classifier", folder / "lax", symlinks=True)
    serving = folder / "lax" / "slo" / "serving.yaml"
    serving.write_text(serving.read_text("utf-8").replace("target: 0.99\n", "target: 0.98\n"), "utf-8")
    shutil.copytree(folder / "tumour-classifier", folder / "unmeasured", symlinks=True)
    (folder / "unmeasured" / "slo" / "prometheus.json").unlink()
    codes = {}
    for name in ("tumour-classifier", "clinical-features", "lax", "unmeasured"):
        bundle = folder / "bundles" / f"{name}.json"
        gatekeeper(folder / name, "collect", "promotion.yaml", "-o", str(bundle))
        done = gatekeeper(folder / name, "decide", str(bundle), "--log", str(folder / "log.jsonl"))
        codes[name] = done.returncode
    assert codes == {"tumour-classifier": 0, "clinical-features": 1, "lax": 1, "unmeasured": 3}
    return folder


@pytest.fixture(scope="module")
def trusted() -> TrustedSide:
    """The examples' settings."""
    where = Whereabouts(EXAMPLES, {}, EXAMPLES / "gatekeeper.yaml")
    return load_trusted(where, datetime(2026, 11, 23, tzinfo=UTC))


@pytest.fixture
def head(tmp_path: Path) -> Path:
    """A copy of the library, to be edited."""
    return shutil.copytree(LIBRARY, tmp_path / "head")


def edit(head: Path, name: str, old: str, new: str) -> None:
    """Replace text that must be there."""
    text = (head / name).read_text("utf-8")
    assert old in text, f"{old!r} is not in {name}"
    (head / name).write_text(text.replace(old, new), "utf-8")


def rule_text(head: Path, rule: str) -> str:
    """One rule of the slo gate with its METADATA."""
    text = (head / SLO).read_text("utf-8")
    start = text.rindex("# METADATA\n", 0, text.index(f"rule: {rule}\n"))
    return text[start : text.index("# METADATA\n", start + 1)]


def check(head: Path, recorded: Path, trusted: TrustedSide, *, base: Path = LIBRARY) -> Weakening:
    """The check of head against the library on all bundles."""
    recordings = read_recordings([recorded / "bundles"], [])
    return check_weakening(load_policies(base), load_policies(head), recordings, trusted)


def lower_threshold(head: Path) -> None:
    edit(head, DATA, "min_target_ratio: 0.99", "min_target_ratio: 0.98")


def remove_rule(head: Path) -> None:
    edit(head, SLO, rule_text(head, FLOOR), "")


def hide_finding(head: Path) -> None:
    before = rule_text(head, FLOOR)
    after = before.replace("not _strict(objective)", "objective.name == 1234")
    assert len(after) == len(before)
    edit(head, SLO, before, after)


def soften_helper(head: Path) -> None:
    edit(head, SLO, "import rego.v1\n", "import rego.v1\n\n_strict(objective) if objective.name\n")


def lower_severity(head: Path) -> None:
    before = rule_text(head, FLOOR)
    edit(head, SLO, before, before.replace("severity: deny", "severity: warn").replace("\ndeny ", "\nwarn "))


def drop_gate(head: Path) -> None:
    edit(
        head, DATA, "    model: [contracts, lineage, experiments, slo]", "    model: [contracts, lineage, experiments]"
    )


ATTACKS = [lower_threshold, remove_rule, hide_finding, soften_helper, lower_severity, drop_gate]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_every_way_of_weakening_a_rule_is_caught(
    attack: object, head: Path, recorded: Path, trusted: TrustedSide
) -> None:
    """Each way lets the lax service through; the check names the promotion, the rule and both outcomes."""
    assert callable(attack)
    attack(head)
    found = check(head, recorded, trusted)
    (lax,) = [each for each in found.to_allow if each.origin.endswith("lax.json")]
    assert (lax.before, lax.after, lax.rules_gone) == ("deny", "allow", (FLOOR,))
    assert lax.promotion.startswith("tumour-classifier ")
    assert FLOOR in {each.rule for each in found.quiet_rules}
    assert found.documents == 4
    assert found.doubt_exit_code == 0


def test_a_gate_that_is_no_longer_required_lets_missing_evidence_through(
    head: Path, recorded: Path, trusted: TrustedSide
) -> None:
    """Inconclusive to allow is a flip as well, and names the gate."""
    drop_gate(head)
    flips = {Path(each.origin).stem: each for each in check(head, recorded, trusted).to_allow}
    assert set(flips) == {"lax", "unmeasured"}
    assert (flips["unmeasured"].before, flips["unmeasured"].gates_gone) == ("inconclusive", ("slo",))


def test_a_rule_that_goes_quiet_shows_although_another_still_denies(
    head: Path, recorded: Path, trusted: TrustedSide
) -> None:
    """The dataset is denied by several rules; one of them silenced flips nothing and is listed all the same."""
    texts = {path: path.read_text("utf-8") for path in (head / "gatekeeper/gates/contracts").glob("*.rego")}
    (path,) = [
        path for path, text in texts.items() if "rule: contracts.compatible\n" in text and "_test" not in path.name
    ]
    text = texts[path]
    start = text.rindex("# METADATA\n", 0, text.index("rule: contracts.compatible\n"))
    path.write_text(text[:start] + text[text.index("# METADATA\n", start + 1) :], "utf-8")
    found = check(head, recorded, trusted)
    assert found.flips == ()
    (quiet,) = found.quiet_rules
    assert quiet.rule == "contracts.compatible"
    assert quiet.documents == 1
    assert quiet.findings >= 1
    assert "clinical-features.json: " in quiet.examples[0]


def test_a_stricter_policy_is_no_weakening(head: Path, recorded: Path, trusted: TrustedSide) -> None:
    """A higher threshold denies what was allowed: a flip that is listed, none to allow, no rule quieter."""
    edit(head, DATA, "min_target_ratio: 0.99", "min_target_ratio: 0.999")
    found = check(head, recorded, trusted)
    assert found.to_allow == ()
    assert [(each.before, each.after) for each in found.flips] == [("allow", "deny")]
    assert found.quiet_rules == ()
    assert found.doubt_exit_code == 0


def test_the_same_policies_flip_nothing(recorded: Path, trusted: TrustedSide) -> None:
    """A set against itself is quiet, with all documents judged."""
    found = check(LIBRARY, recorded, trusted)
    assert (found.documents, found.flips, found.quiet_rules, found.undecided) == (4, (), (), ())


def test_a_log_gives_the_same_evidence_as_the_bundles(recorded: Path, trusted: TrustedSide, head: Path) -> None:
    """Every record's bundle is put together again, with its digest and clock, and judged alike."""
    lower_threshold(head)
    recordings = read_recordings([], [recorded / "log.jsonl"])
    bundles = read_recordings([recorded / "bundles"], [])
    digests = {each.bundle.digest for each in bundles.documents}
    assert {each.bundle.digest for each in recordings.documents} == digests
    assert recordings.unreadable == ()
    found = check_weakening(load_policies(LIBRARY), load_policies(head), recordings, trusted)
    assert [each.origin.rpartition(":")[2] for each in found.to_allow] == ["3"]


def test_evidence_that_was_recorded_twice_is_judged_once(recorded: Path) -> None:
    """The same bundle at the same time is one document, wherever it was found."""
    once = read_recordings([recorded / "bundles"], [])
    again = read_recordings([recorded / "bundles", recorded / "bundles" / "lax.json"], [recorded / "log.jsonl"])
    assert len(again.documents) == len(once.documents) == 4


def test_no_evidence_is_an_error_and_never_no_weakening(tmp_path: Path, trusted: TrustedSide) -> None:
    """An empty folder and an empty log leave nothing to judge, which is said and not passed."""
    (tmp_path / "log.jsonl").write_bytes(b"")
    recordings = read_recordings([tmp_path], [tmp_path / "log.jsonl"])
    with pytest.raises(EvidenceError, match="no document to judge"):
        check_weakening(load_policies(LIBRARY), load_policies(LIBRARY), recordings, trusted)


def test_a_log_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """A misspelt path of a log is not an empty log."""
    with pytest.raises(EvidenceError, match="cannot be read"):
        read_recordings([], [tmp_path / "log.jsonl"])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda line: line[: len(line) // 2], "JSON"),
        (lambda line: "[]", "no decision record"),
        (lambda line: line.replace('"row_count":', '"row_count":1'), "changed after"),
        (lambda line: line.replace('"now":"', '"now":"x', 1), "no time"),
        (lambda line: line.replace('"collect_seconds":', '"collect_seconds":1', 1), "changed after"),
        (lambda line: line.replace('"base_ref":', '"base_reference":', 1), "base_reference"),
        (lambda line: json.dumps({"input": json.loads(line)["input"] | {"evidence": []}}), "is no object"),
        (lambda line: json.dumps({"input": json.loads(line)["input"] | {"now": "2026-11-23"}}), "no time zone"),
        (lambda line: "\udcff", "UTF-8"),
    ],
    ids=["torn", "other", "edited-body", "clock", "edited-time", "unknown-key", "list", "zone", "not-utf-8"],
)
def test_a_damaged_record_is_a_doubt_beside_what_can_be_judged(
    recorded: Path, trusted: TrustedSide, tmp_path: Path, change: object, problem: str
) -> None:
    """One damaged line is listed and makes the answer incomplete; the other records are judged all the same."""
    assert callable(change)
    lines = (recorded / "log.jsonl").read_text("utf-8").splitlines()
    damaged = change(lines[1])
    assert damaged != lines[1]
    log = tmp_path / "log.jsonl"
    log.write_bytes("\n".join([lines[0], damaged, *lines[2:]]).encode("utf-8", "surrogateescape"))
    recordings = read_recordings([], [log])
    assert (len(recordings.documents), len(recordings.unreadable)) == (3, 1)
    assert f"{log}:2" in recordings.unreadable[0]
    assert problem in recordings.unreadable[0]
    found = check_weakening(load_policies(LIBRARY), load_policies(LIBRARY), recordings, trusted)
    assert found.doubt_exit_code == 3


def test_a_record_without_evidence_is_counted(recorded: Path, trusted: TrustedSide, tmp_path: Path) -> None:
    """A decision that was made without evidence cannot be made again, and is said to be left out."""
    lines = (recorded / "log.jsonl").read_text("utf-8").splitlines()
    empty = json.loads(lines[0])
    empty["input"] |= {"evidence": None, "promotion": None}
    (tmp_path / "log.jsonl").write_text(f"{json.dumps(empty)}\n\n{lines[2]}\n", "utf-8")
    recordings = read_recordings([], [tmp_path / "log.jsonl"])
    found = check_weakening(load_policies(LIBRARY), load_policies(LIBRARY), recordings, trusted)
    assert (found.documents, found.without_evidence, found.doubt_exit_code) == (1, 1, 0)


def test_policies_that_can_no_longer_judge_are_a_doubt(head: Path, recorded: Path, trusted: TrustedSide) -> None:
    """A threshold that is gone blocks every promotion by a configuration error: no weakening, and no pass."""
    edit(head, DATA, "    max_alpha: 0.05\n", "")
    found = check(head, recorded, trusted)
    assert found.doubt_exit_code == 2
    assert found.to_allow == ()
    assert any("max_alpha" in each for each in found.undecided)


def test_evidence_that_nobody_could_decide_proves_nothing(recorded: Path, trusted: TrustedSide, head: Path) -> None:
    """When every document is inconclusive under both, nothing was compared."""
    lower_threshold(head)
    recordings = read_recordings([recorded / "bundles" / "unmeasured.json"], [])
    found = check_weakening(load_policies(LIBRARY), load_policies(head), recordings, trusted)
    assert (found.flips, found.doubt_exit_code) == ((), 3)


def run(recorded: Path, head: Path, *options: str) -> Result:
    """Run the command."""
    settings = ["--settings", str(EXAMPLES / "gatekeeper.yaml")]
    return CliRunner().invoke(diff_command, [str(LIBRARY), str(head), *settings, *options])


@pytest.fixture(autouse=True)
def _outside_ci(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """These tests run in CI too, where settings would be read at a ref."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_the_command_fails_when_a_promotion_flips_to_allow(recorded: Path, head: Path, form: str) -> None:
    """Exit 1, with the promotion, the rule and the threshold's old and new value in every format."""
    lower_threshold(head)
    done = run(recorded, head, "--evidence", str(recorded / "bundles"), "--format", form)
    assert done.exit_code == 1, done.output
    for word in ("lax.json", "target", "0.99", "0.98", "tumour"):
        assert word in done.output
    if form == "json":
        content = json.loads(done.output)
        assert (content["exit_code"], content["needs_approval"]) == (1, True)
        assert content["weakening"]["flips"][0]["rules_gone"] == [FLOOR]


def test_a_weakening_is_accepted_with_a_reason_that_is_shown(recorded: Path, head: Path) -> None:
    """--allow-weakening exits 0 and prints who accepted it and why; an empty reason is refused."""
    lower_threshold(head)
    evidence = ("--evidence", str(recorded / "bundles"))
    done = run(recorded, head, *evidence, "--allow-weakening", "board, 2026-11-20")
    assert (done.exit_code, "weakening accepted: board, 2026-11-20" in done.output) == (0, True)
    assert isinstance(run(recorded, head, *evidence, "--allow-weakening", " ").exception, ConfigurationError)


def test_a_reason_does_not_cover_what_could_not_be_read(recorded: Path, head: Path, tmp_path: Path) -> None:
    """An accepted weakening leaves the doubt about damaged evidence: exit 3."""
    lower_threshold(head)
    (tmp_path / "torn.json").write_text("{", "utf-8")
    options = ("--evidence", str(recorded / "bundles"), "--evidence", str(tmp_path / "torn.json"))
    assert run(recorded, head, *options, "--allow-weakening", "board").exit_code == 3
    assert run(recorded, head, *options).exit_code == 1


def test_approval_can_be_required_for_what_no_evidence_shows(recorded: Path, head: Path) -> None:
    """A threshold that no recorded promotion depends on passes the check, but not --require-approval."""
    edit(head, DATA, "max_alpha: 0.05", "max_alpha: 0.06")
    evidence = ("--evidence", str(recorded / "bundles"))
    assert run(recorded, head, *evidence).exit_code == 0
    assert run(recorded, head, *evidence, "--require-approval").exit_code == 1
    assert run(recorded, head, "--require-approval").exit_code == 1
    assert "not run, because no evidence was given" in run(recorded, head).output


def test_what_could_not_be_judged_is_shown(recorded: Path, head: Path, tmp_path: Path) -> None:
    """Policies that cannot judge, damaged lines and records without evidence are named in the report; exit 2."""
    edit(head, DATA, "    max_alpha: 0.05\n", "")
    lines = (recorded / "log.jsonl").read_text("utf-8").splitlines()
    empty = json.dumps({"input": json.loads(lines[0])["input"] | {"evidence": None}})
    (tmp_path / "log.jsonl").write_text("\n".join([*lines, empty, "{"]), "utf-8")
    done = run(recorded, head, "--log", str(tmp_path / "log.jsonl"))
    assert done.exit_code == 2
    for words in ("head could not judge", "could not be read", "1 records hold no evidence", "is not complete"):
        assert words in done.output
    soft = run(recorded, drop_gate_of(head), "--log", str(recorded / "log.jsonl"))
    assert "no longer required: slo" in soft.output


def drop_gate_of(head: Path) -> Path:
    """The folder with its thresholds mended and a gate of models no longer required."""
    shutil.copy(LIBRARY / DATA, head / DATA)
    drop_gate(head)
    return head


def test_the_command_without_any_document_is_inconclusive(recorded: Path, head: Path, tmp_path: Path) -> None:
    """A folder without bundles ends as an evidence error, which exits 3."""
    (tmp_path / "empty").mkdir()
    done = run(recorded, head, "--evidence", str(tmp_path / "empty"))
    assert isinstance(done.exception, EvidenceError)
    assert done.exception.exit_code == 3


def test_the_page_names_every_option() -> None:
    """docs/policy-diff.md is complete."""
    page = (PROJECT / "docs" / "policy-diff.md").read_text("utf-8")
    for parameter in diff_command.params:
        for option in parameter.opts:
            assert option.upper() in page.upper(), option
