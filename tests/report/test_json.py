"""The JSON report is complete, versioned and safe to print."""

from __future__ import annotations

import json

import pytest
from report.decisions import ALL, HOSTILE_TEXTS, denied, hostile
from report.runner import read_commands

from gatekeeper.report.json import Report, render


@pytest.mark.parametrize("name", ALL)
def test_json_golden(golden, name):
    """The JSON report of each kind of run is the one that was reviewed."""
    golden(f"report/json-{name}.json", render(ALL[name]))


@pytest.mark.parametrize("name", ALL)
def test_reads_back_to_the_same_decisions(name):
    """A program that reads the report has the decisions themselves."""
    report = Report.model_validate_json(render(ALL[name]))
    assert list(report.decisions) == ALL[name]


def test_names_its_version_first():
    """A reader knows the format from the first key; keys keep the models' order."""
    content = json.loads(render([denied()]))
    assert list(content) == ["schema", "outcome", "exit_code", "decisions"]
    assert content["schema"] == "gatekeeper/report/v1"
    assert list(content["decisions"][0])[:4] == ["schema_version", "decision_id", "decided_at", "outcome"]
    assert content["decisions"][0]["promotion"]["to"] == "production"


def test_a_run_without_promotions_is_inconclusive():
    """A reader that asks whether all decisions are allow finds an outcome that is not."""
    content = json.loads(render([]))
    assert content == {"schema": "gatekeeper/report/v1", "outcome": "inconclusive", "exit_code": 3, "decisions": []}


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_hostile_text_is_kept_and_says_nothing(text):
    """The values are whole; the text is printable ASCII without a command."""
    shown = render([hostile(text)])
    assert read_commands(shown) == []
    assert all(line.isascii() and line.isprintable() for line in shown.split("\n"))
    (decision,) = json.loads(shown)["decisions"]
    assert decision["gates"][0]["findings"][0]["message"] == text
    assert decision["reason"] == text


def test_ends_with_a_line_end():
    """Files end as text files do."""
    assert render([]).endswith("}\n")
