"""The commands as their users run them, on the real examples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import PROJECT

from gatekeeper import cli
from gatekeeper.contracts import load_schema, violations

from .conftest import Promotion


def test_check_allows_the_model_and_says_why(allowed: Promotion) -> None:
    """The model example passes all four gates; the report names them with their times."""
    done = allowed.run("promotion.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("ALLOW", "tumour-classifier", "contracts", "lineage", "experiments", "slo"):
        assert word in done.stdout
    assert done.stderr == ""


def test_check_denies_the_dataset_for_its_contract_and_its_rows(denied: Promotion) -> None:
    """The dataset example is denied by the contracts gate: an incompatible change, and rows that break it."""
    done = denied.run("promotion.yaml", "--output", "json=report.json")
    assert done.returncode == 1, done.stdout + done.stderr
    (decision,) = json.loads((denied.root / "report.json").read_text("utf-8"))["decisions"]
    verdicts = {gate["gate"]: gate["verdict"] for gate in decision["gates"]}
    assert verdicts == {
        "contracts": "deny", "lineage": verdicts["lineage"], "experiments": "not_applicable", "slo": "not_applicable",
    }  # fmt: skip
    assert verdicts["lineage"] in ("pass", "warn")
    rules = {
        finding["rule"] for gate in decision["gates"] for finding in gate["findings"] if finding["effect"] == "deny"
    }
    assert {"contracts.compatible", "contracts.data_conforms"} <= rules


def test_decide_needs_only_the_bundle(allowed: Promotion, tmp_path: Path) -> None:
    """A bundle that was collected in one place decides in another, the same way, without the repository."""
    done = allowed.run("promotion.yaml", "-o", "bundle.json", command="collect")
    assert done.returncode == 0, done.stderr
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (allowed.root / "bundle.json").rename(elsewhere / "bundle.json")
    (allowed.root / "gatekeeper.yaml").rename(elsewhere / "gatekeeper.yaml")
    done = Promotion(elsewhere, allowed.as_of).run("bundle.json", command="decide")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"status": "FINISHED"', '"status": "RUNNING"', "digest"),
        ('"digest": "', '"digest": "0', "digest"),
        ('"kind": "EvidenceBundle"', '"kind": "Evidence"', "EvidenceBundle"),
    ],
)
def test_decide_refuses_a_bundle_that_was_changed(allowed: Promotion, old: str, new: str, words: str) -> None:
    """A changed bundle is inconclusive, whatever was changed."""
    allowed.run("promotion.yaml", "-o", "bundle.json", command="collect")
    text = (allowed.root / "bundle.json").read_text("utf-8")
    changed = text.replace(old, new) if old in text else text.replace('"queue_seconds": 0', '"queue_seconds": 9')
    assert changed != text
    (allowed.root / "bundle.json").write_text(changed, "utf-8")
    done = allowed.run("bundle.json", command="decide")
    assert done.returncode == 3
    assert words in done.stdout


def test_collect_writes_the_bundle_and_names_the_gaps(allowed: Promotion) -> None:
    """A gap exits 3 with its hint on stderr; the bundle is written all the same, and is valid."""
    (allowed.root / "slo" / "serving.yaml").unlink()
    done = allowed.run("promotion.yaml", "-o", "bundle.json", command="collect")
    assert done.returncode == 3
    assert "slo: missing: slo/serving.yaml" in done.stderr
    bundle = json.loads((allowed.root / "bundle.json").read_text("utf-8"))
    assert violations(bundle, load_schema("evidence-bundle")) == []
    (slo,) = (each for each in bundle["evidence"] if each["gate"] == "slo")
    assert slo["body"] is None
    assert slo["gap"]["kind"] == "missing"


def test_collect_and_decide_join_by_a_pipe(allowed: Promotion) -> None:
    """`collect` writes to stdout and `decide -` reads from stdin."""
    bundle = allowed.run("promotion.yaml", command="collect").stdout
    assert json.loads(bundle)["kind"] == "EvidenceBundle"
    done = CliRunner().invoke(
        cli.main,
        ["decide", "-", "--as-of", allowed.as_of, "--allow-past", "--log", str(allowed.root / "l"), "--settings",
         str(allowed.root / "gatekeeper.yaml")],
        input=bundle, standalone_mode=False,
    )  # fmt: skip
    assert done.return_value == 0, done.output


def test_every_output_is_written_at_once(allowed: Promotion) -> None:
    """--output is repeatable; stdout carries the --format, and all tell the same decision."""
    formats = ("text", "json", "markdown", "junit", "github", "openmetrics")
    options = [part for name in formats for part in ("--output", f"{name}=out/{name}")]
    done = allowed.run("promotion.yaml", "--format", "json", *options)
    assert done.returncode == 0, done.stderr
    decision = json.loads(done.stdout)["decisions"][0]
    assert violations(decision, load_schema("decision")) == []
    assert json.loads((allowed.root / "out/json").read_text("utf-8"))["decisions"][0] == decision
    assert all((allowed.root / "out" / name).stat().st_size > 0 for name in formats)
    assert not list((allowed.root / "out").glob("*.partial"))


def test_both_engines_give_the_same_decision(allowed: Promotion, denied: Promotion, opa: str) -> None:
    """embedded and opa agree byte for byte, apart from ids, timings and the engine's own name."""
    for promotion in (allowed, denied):
        reports = []
        for engine in ("{name: embedded}", f"{{name: opa, binary: {opa}}}"):
            path = promotion.root / "gatekeeper.yaml"
            text = "".join(line for line in path.read_text("utf-8").splitlines(True) if not line.startswith("engine:"))
            path.write_text(f"{text}engine: {engine}\n", "utf-8")
            done = promotion.run("promotion.yaml", "--format", "json")
            (decision,) = json.loads(done.stdout)["decisions"]
            decision |= {"decision_id": "", "engine": {}, "total_seconds": 0, "evidence_digest": ""}
            for gate in decision["gates"]:
                gate["timing"] = {}
            reports.append(json.dumps(decision, sort_keys=True))
        assert reports[0] == reports[1]


def test_explain_shows_rule_remedy_and_thresholds(capsys: pytest.CaptureFixture[str]) -> None:
    """A rule's explanation has its title, remedy, controls, source and the thresholds in force."""
    assert cli.run(["explain", "slo.budget_left"]) == 0
    out = capsys.readouterr().out
    for word in ("slo.budget_left (deny)", "To do:", "Controls:", "slo.rego:", "max_age_seconds:"):
        assert word in out


def test_explain_suggests_the_nearest_rule(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt rule exits 2 with the nearest one."""
    assert cli.run(["explain", "slo.budget_lef"]) == 2
    assert "did you mean 'slo.budget_left'?" in capsys.readouterr().err


def test_policy_list_names_every_rule_and_the_digest(capsys: pytest.CaptureFixture[str]) -> None:
    """The list shows what decisions will record."""
    from gatekeeper.library import LIBRARY
    from gatekeeper.policy import load_policies

    policies = load_policies(LIBRARY)
    assert cli.run(["policy", "list"]) == 0
    out = capsys.readouterr().out
    assert policies.digest in out
    assert all(rule in out for rule in policies.rules)


@pytest.mark.parametrize("name", ["promotion", "settings", "evidence-bundle", "decision", "defaults"])
def test_schema_prints_what_is_in_contracts(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The printed schema is the shipped one."""
    assert cli.run(["schema", name]) == 0
    shipped = json.loads((PROJECT / "contracts" / f"{name}.schema.json").read_text("utf-8"))
    assert json.loads(capsys.readouterr().out) == shipped


@pytest.mark.parametrize("kind", ["model", "dataset", "feature_view", "agent"])
def test_init_writes_files_that_fail_closed(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What init writes is read, lacks its evidence, and is therefore not allowed."""
    monkeypatch.chdir(tmp_path)
    assert cli.run(["init", ".", "--kind", kind]) == 0
    assert (tmp_path / "promotion.yaml").read_text("utf-8").startswith("# yaml-language-server: $schema=")
    assert cli.run(["check", "promotion.yaml"]) in (2, 3)
    assert cli.run(["init", "."]) == 2


def test_unknown_command_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """`chek` exits 2 and suggests check."""
    assert cli.run(["chek"]) == 2
    assert "Did you mean 'check'?" in capsys.readouterr().err


def test_bug_exits_70_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A bug is named as one, blocks, and shows its traceback with --verbose only."""

    def broken(*_arguments: object, **_options: object) -> object:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("gatekeeper.collection.collect", broken)
    arguments = ["check", "promotion.yaml", "--log", str(tmp_path / "log.jsonl")]
    assert cli.run(arguments) == 70
    said = capsys.readouterr()
    assert "ZeroDivisionError" in said.out + said.err
    assert "Traceback" not in said.out + said.err
    assert json.loads((tmp_path / "log.jsonl").read_text("utf-8"))["result"]["outcome"] == "inconclusive"
    assert cli.run([*arguments, "--verbose"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_colour_is_for_terminals_only(allowed: Promotion) -> None:
    """Without a terminal there is no escape sequence in the report."""
    assert "\x1b" not in allowed.run("promotion.yaml").stdout
