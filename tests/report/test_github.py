"""Annotations are workflow commands that say what they mean and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report.decisions import (
    ALL,
    HOSTILE_TEXTS,
    allowed,
    denied,
    hostile,
    make_decision,
    make_finding,
    make_gap_gate,
    make_gate,
    unreadable,
)
from report.runner import Command, read_commands

from gatekeeper.decision import Place
from gatekeeper.report.github import MAX_PER_LEVEL, render


def annotations(decisions, level: str) -> list[Command]:
    """The commands of one level that the runner reads."""
    return [each for each in read_commands(render(decisions)) if each.name == level]


def denial(place: Place | None, subject: str) -> Command:
    """The annotation of one denial whose manifest lies at `subject`."""
    decision = make_decision(make_gate("contracts", make_finding(place=place)), subject=subject)
    (command,) = annotations([decision], "error")
    return command


@pytest.mark.parametrize("name", ALL)
def test_github_golden(golden, name):
    """The annotations of each kind of run are the ones that were reviewed."""
    golden(f"report/github-{name}.txt", render(ALL[name]))


def test_a_denial_is_an_error_at_its_place():
    """The runner reads file, line, column, title and a message that repeats the place and ends with the remedy."""
    first = annotations([denied()], "error")[0]
    assert first.properties == {
        "file": "contracts/features.odcs.yaml",
        "line": "41",
        "col": "9",
        "title": "contracts.breaking_change",
    }
    assert first.data.startswith("contracts/features.odcs.yaml:41:9: column tumour_size was removed")
    assert first.data.splitlines()[1].startswith("Fix: Keep the column")


def test_an_allow_is_a_notice():
    """An allow says so, once, and has no error."""
    (notice,) = annotations([allowed()], "notice")
    assert notice.properties["title"] == "gatekeeper: ALLOW tumour-classifier 2.3.0"
    assert annotations([allowed()], "error") == []
    assert [each.properties["title"] for each in annotations([allowed()], "warning")] == ["experiments.small_sample"]


def test_a_blocked_promotion_is_never_a_notice():
    """Denied and open promotions have errors and no notice."""
    for decisions in (ALL["deny"], ALL["inconclusive"], ALL["problem"], ALL["nothing"]):
        assert annotations(decisions, "notice") == []
        assert annotations(decisions, "error")


def test_a_relaxation_is_a_warning():
    """Every relaxing flag is annotated, also on an allow."""
    (_, relaxed) = annotations([allowed(notices=("--base-ref was given",))], "warning")
    assert relaxed.properties["title"] == "gatekeeper: relaxed for tumour-classifier 2.3.0"
    assert relaxed.data == "--base-ref was given"


@pytest.mark.parametrize(
    ("place", "subject", "file"),
    [
        (Place(path="a.yaml", line=1), "promotion.yaml", "a.yaml"),
        (Place(path="a.yaml", line=1), "models/m/promotion.yaml", "models/m/a.yaml"),
        (Place(path="../shared/a.yaml", line=1), "models/m/promotion.yaml", "models/shared/a.yaml"),
        (Place(path="../../a.yaml", line=1), "m/promotion.yaml", None),
        (Place(path="a.yaml", line=1), "/home/ci/promotion.yaml", None),
        (Place(path="a.yaml", line=1), "build/evidence.json", None),
        (Place(path="git:main:a.yaml", line=1), "promotion.yaml", None),
        (Place(path="https://a.example/b", line=1), "promotion.yaml", None),
        (None, "m/promotion.yaml", "m/promotion.yaml"),
        (None, "../promotion.yaml", None),
    ],
    ids=str,
)
def test_annotates_files_of_the_repository_only(place, subject, file):
    """Paths become relative to the repository; one that is not in it is left to the message. A line is always given."""
    command = denial(place, subject)
    assert command.properties.get("file") == file
    assert command.properties["line"] == "1"


def test_a_configuration_error_keeps_its_path():
    """The place of a configuration error is relative to the working folder already."""
    problem = unreadable().problems[0].model_copy(update={"place": Place(path="gatekeeper.yaml", line=3, column=2)})
    decision = make_decision(problems=(problem,), subject="models/promotion.yaml", promotion=None)
    (command,) = annotations([decision], "error")
    assert command.properties["file"] == "gatekeeper.yaml"


def test_a_gap_is_an_error_with_its_kind():
    """A reader sees which gate lacks what."""
    (command,) = annotations([make_decision(make_gap_gate(kind="missing", line=None, column=None))], "error")
    assert command.properties["title"] == "slo: evidence missing"
    assert command.data.startswith("slo/prometheus.json: expected an object")


@pytest.mark.parametrize(("count", "shown"), [(9, 9), (10, 10), (11, 10), (500, 10)])
def test_keeps_to_githubs_limit(count, shown):
    """Ten fit; of more, nine are shown and the tenth counts the rest, over all promotions of the run."""
    findings = tuple(make_finding(subject=str(number)) for number in range(count - 1))
    decisions = [make_decision(make_gate("contracts", *findings)), unreadable()]
    errors = annotations(decisions, "error")
    assert len(errors) == shown <= MAX_PER_LEVEL
    if count > shown:
        assert errors[-1].data == f"{count - 9} more in the summary"


def test_a_run_without_promotions_is_an_error():
    """Nothing decided is one error."""
    (command,) = read_commands(render([]))
    assert command.name == "error"
    assert command.data.startswith("no promotion was decided")


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_hostile_text_adds_no_command(text):
    """Every line is one of our commands, with our properties, and text never becomes another."""
    shown = render([hostile(text)])
    commands = read_commands(shown)
    assert len(commands) == len(shown.splitlines()) == len(read_commands(render([hostile("harmless")])))
    assert {each.name for each in commands} <= {"error", "warning", "notice"}
    assert all(set(each.properties) <= {"file", "line", "col", "title"} for each in commands)
    assert all(read_commands(each.data) == [] for each in commands)


@settings(max_examples=100)
@given(st.text(alphabet=st.sampled_from(list("::#[]error,=%\r\n \u2028x")), max_size=30))
def test_the_runner_reads_back_what_was_written(text):
    """Whatever is in a message and a path, line, title and level are read back as they were."""
    decision = make_decision(make_gate("contracts", make_finding(message=text, place=Place(path=text, line=7))))
    (command,) = read_commands(render([decision]))
    assert (command.name, command.properties["line"]) == ("error", "7")
    assert command.properties["title"] == "contracts.breaking_change"
