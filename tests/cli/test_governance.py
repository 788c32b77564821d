"""Enforcement, waivers, known candidates and the expected environment, as a pipeline uses them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Promotion

DENYING = ("compatible", "undecidable", "data_conforms", "major_version", "migration_path")


def waivers(*, expires_at: str = "2026-12-20T00:00:00+00:00", rules: tuple[str, ...] = DENYING, **changes: str) -> str:
    """A waivers file for the rules that deny the dataset example."""
    entries = [
        {
            "id": f"W-{rule}", "rule": f"contracts.{rule}",
            "candidate": {"name": "clinical-features", "environment": "production", "version": "1.5.0"},
            "reason": "The readers moved already.", "ticket": "GOV-12", "approver": "ada",
            "approved_at": "2026-11-20T00:00:00+00:00", "expires_at": expires_at,
        } | changes
        for rule in rules
    ]  # fmt: skip
    return json.dumps({"apiVersion": "gatekeeper/v1", "kind": "Waivers", "waivers": entries})


def decide(promotion: Promotion, settings: str = "", *options: str) -> tuple[int, dict[str, Any]]:
    """Run check with more settings; returns the exit code and the decision."""
    path = promotion.root / "gatekeeper.yaml"
    path.write_text(path.read_text("utf-8") + settings, "utf-8")
    done = promotion.run("promotion.yaml", "--format", "json", *options)
    assert "Traceback" not in done.stderr
    (decision,) = json.loads(done.stdout)["decisions"]
    return done.returncode, decision


def test_waivers_for_every_denial_allow_and_show(denied: Promotion) -> None:
    """Approved exceptions let the promotion through; gate, findings, ledger and log record say so."""
    (denied.root / "waivers.yaml").write_text(waivers(), "utf-8")
    code, decision = decide(denied, "\nwaivers: {path: waivers.yaml}\n")
    assert (code, decision["outcome"]) == (0, "allow")
    contracts = decision["gates"][0]
    assert contracts["verdict"] == "waived"
    assert {each["waiver"] for each in contracts["findings"]} == {f"W-{rule}" for rule in DENYING}
    assert {each["subject"] for each in decision["ledger"] if each["kind"] == "waiver"} >= {
        f"W-{rule}" for rule in DENYING
    }
    (record,) = (denied.root / "gatekeeper-decisions.jsonl").read_text("utf-8").splitlines()
    assert json.loads(record)["result"]["waivers"] == decision["waivers"]
    text = denied.run("promotion.yaml").stdout
    assert "RELAXED OR OVERRIDDEN" in text
    assert "W-compatible" in text


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (waivers(expires_at="2026-11-23T17:44:33+00:00"), "expired"),
        (waivers(expires_at="2026-11-24T01:00:00+14:00"), "expired"),
        (waivers(approver="team-clinical-data"), "self_approved"),
        (waivers(expires_at="2027-11-20T00:00:00+00:00"), "too_long"),
        (waivers(rules=DENYING[1:]), "applied"),
    ],
    ids=["expired now", "expired in another zone", "by the owner", "for a year", "one rule short"],
)
def test_a_waiver_that_does_not_hold_denies(denied: Promotion, content: str, state: str) -> None:
    """Expired by the pinned clock, approved by its beneficiary, too long, or not for every denial: still denied."""
    (denied.root / "waivers.yaml").write_text(content, "utf-8")
    code, decision = decide(denied, "\nwaivers: {path: waivers.yaml}\n")
    assert (code, decision["outcome"]) == (1, "deny")
    assert {each["state"] for each in decision["waivers"]} == {state}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such waivers file"),
        ("", "empty"),
        (waivers(rules=("compatibl",)), "did you mean 'contracts.compatible'"),
        (waivers().replace("+00:00", ""), "time"),
        (waivers().replace('"ticket"', '"tiket"'), "tiket"),
    ],
    ids=["absent", "empty", "unknown rule", "no time zone", "unknown key"],
)
def test_a_waivers_file_with_a_fault_decides_nothing(denied: Promotion, content: str | None, words: str) -> None:
    """A fault in the file is a configuration error, not a file without waivers."""
    if content is not None:
        (denied.root / "waivers.yaml").write_text(content, "utf-8")
    code, decision = decide(denied, "\nwaivers: {path: waivers.yaml}\n")
    assert (code, decision["outcome"]) == (2, "inconclusive")
    assert words in json.dumps(decision["problems"])


def test_a_rule_set_to_warn_allows_and_is_in_the_ledger(denied: Promotion) -> None:
    """The level is set outside the policy, and whoever reads the decision sees it."""
    code, decision = decide(
        denied,
        "\nenforcement: {profiles: {soft: {levels: [{match: contracts, level: warn, reason: trial}]}}, use: {'*': soft}}\n",
    )
    assert (code, decision["gates"][0]["verdict"]) == (0, "warn")
    assert {each["subject"] for each in decision["ledger"] if each["kind"] == "level"} >= {"contracts.compatible"}


def test_a_gate_whose_rules_are_all_off_is_no_pass(denied: Promotion) -> None:
    """Excluding a whole required gate is a configuration error."""
    code, decision = decide(
        denied, "\nenforcement: {profiles: {lax: {exclude: [contracts]}}, use: {production: lax}}\n"
    )
    assert (code, decision["outcome"]) == (2, "inconclusive")


def test_a_selector_that_matches_nothing_is_an_error(denied: Promotion) -> None:
    """A misspelt exclude is not one that excludes nothing."""
    code, decision = decide(
        denied, "\nenforcement: {profiles: {lax: {exclude: [contracts.compatibel]}}, use: {production: lax}}\n"
    )
    assert code == 2
    assert "did you mean 'contracts.compatible'" in json.dumps(decision["problems"])


def test_a_candidate_of_another_kind_than_the_settings_know_is_refused(allowed: Promotion) -> None:
    """A model that calls itself a dataset would have fewer gates."""
    allowed.edit("promotion.yaml", "kind: model", "kind: dataset")
    code, decision = decide(allowed, "\ncandidates: {tumour-classifier: {kind: model}}\n")
    assert code == 2
    assert "a dataset, the settings a model" in json.dumps(decision["problems"])


def test_a_gate_that_the_settings_leave_out_is_in_the_ledger(allowed: Promotion) -> None:
    """Leaving a required gate out shows, and so does the evidence that nobody judged."""
    code, decision = decide(allowed, "\nrequired_gates: {production: {model: [contracts, lineage]}}\n")
    assert code == 0
    found = {(each["kind"], each["subject"]) for each in decision["ledger"]}
    assert found >= {(kind, gate) for kind in ("skipped_gate", "extra_data") for gate in ("experiments", "slo")}


def test_another_environment_than_the_pipelines_is_refused(allowed: Promotion) -> None:
    """A manifest that asks for development does not open production."""
    assert decide(allowed, "", "--expect-to", "production")[0] == 0
    allowed.edit("promotion.yaml", "to: production", "to: development")
    code, decision = decide(allowed, "", "--expect-to", "production")
    assert code == 2
    assert "--expect-to" in json.dumps(decision["problems"])


def test_explain_shows_recent_findings_newest_first(denied: Promotion) -> None:
    """A rule's explanation ends with what it found last, from the log; a broken line is passed over."""
    denied.run("promotion.yaml")
    log = denied.root / "gatekeeper-decisions.jsonl"
    log.write_bytes(b"{half a record\n" + log.read_bytes())
    done = denied.run("contracts.major_version", command="explain", clock=False)
    assert done.returncode == 0, done.stderr
    title, *findings = done.stdout[done.stdout.index("Recent findings") :].splitlines()
    assert title == "Recent findings (gatekeeper-decisions.jsonl):"
    assert len(findings) == 1
    assert "promotion.yaml: deny: contracts/clinical-features.odcs.yaml: readers may break" in findings[0]
    assert "none in the records" in denied.run("slo.burn_rate", command="explain", clock=False).stdout
    done = denied.run("slo.burn_rate", "--log", "none.jsonl", command="explain", clock=False)
    assert "there is no decision log at none.jsonl" in done.stdout
