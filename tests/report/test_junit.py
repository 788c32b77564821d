"""The JUnit report is XML that dashboards read, and is green only for an allow."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report.decisions import (
    ALL,
    HOSTILE_TEXTS,
    allowed,
    denied,
    hostile,
    inconclusive,
    make_decision,
    make_finding,
    make_gate,
    make_rules,
    unreadable,
)
from report.runner import read_commands

from gatekeeper.report.junit import render

CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "properties": {"property"},
    "testcase": {"failure", "error", "skipped", "system-out"},
}
"""Which element may hold which, as Jenkins' schema has it."""

REQUIRED = {
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testcase": {"name", "classname", "time"},
    "property": {"name", "value"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message"},
}


def parse(text: str) -> ElementTree.Element:
    """Read a report and check its structure and its counts."""
    root = ElementTree.fromstring(text.encode())
    assert root.tag == "testsuites"
    for element in root.iter():
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
        assert REQUIRED.get(element.tag, set()) <= set(element.attrib)
    for suite in root:
        check_counts(suite, list(suite.iter("testcase")))
        assert sum(child.tag == "properties" for child in suite) <= 1
        assert float(suite.get("time", "-1")) >= 0
    check_counts(root, list(root.iter("testcase")))
    return root


def check_counts(element: ElementTree.Element, cases: list[ElementTree.Element]) -> None:
    """The counts of a suite are those of its cases, each of which has at most one result."""
    assert element.get("tests") == str(len(cases))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert element.get(attribute) == str(sum(case.find(tag) is not None for case in cases))
    assert all(len(case) <= 1 for case in cases)


def results(root: ElementTree.Element) -> dict[tuple[str, str], str]:
    """The result of each test case by class and name."""
    return {
        (case.get("classname", ""), case.get("name", "")): case[0].tag if len(case) else "pass"
        for case in root.iter("testcase")
    }


@pytest.mark.parametrize("name", ALL)
def test_junit_golden(golden, name):
    """The JUnit report of each kind of run is the one that was reviewed."""
    golden(f"report/junit-{name}.xml", render(ALL[name]))


@pytest.mark.parametrize("name", ALL)
def test_is_well_formed_and_counts_right(name):
    """Every run is valid XML of the known structure, with a suite for each promotion."""
    assert len(parse(render(ALL[name]))) == max(len(ALL[name]), 1)


@pytest.mark.parametrize("name", ALL)
def test_is_green_only_for_an_allow(name):
    """A dashboard that looks only at failures and errors never sees a blocked promotion as green."""
    root = parse(render(ALL[name]))
    red = root.get("failures") != "0" or root.get("errors") != "0"
    assert red is (name != "allow")


def test_a_denied_rule_fails_and_its_neighbours_pass():
    """Each rule is a test case of its gate."""
    found = results(parse(render([denied()])))
    assert found["contracts", "contracts.breaking_change"] == "failure"
    assert found["contracts", "contracts.valid"] == "pass"
    assert found["contracts", "contracts"] == "system-out"
    assert found["slo", "slo"] == "error"
    assert found["gatekeeper", "decision"] == "failure"


def test_a_gate_that_is_not_required_is_skipped():
    """not_applicable is one skipped case with its reason."""
    root = parse(render([allowed()]))
    assert results(root)["slo", "slo"] == "skipped"
    assert root.find(".//skipped").get("message") == "not required for a model entering production"


def test_a_warning_passes_and_is_written_out():
    """A warning is the output of a case that passed."""
    root = parse(render([allowed()]))
    case = root.find(".//testcase[@name='experiments.small_sample']")
    assert case.findtext("system-out").startswith("warning: experiments.small_sample: auroc: auroc was measured")


def test_several_findings_of_a_rule_are_one_failure():
    """A rule that denies five times fails once and lists all five."""
    findings = tuple(make_finding(subject=f"column_{number}") for number in range(5))
    root = parse(render([make_decision(make_gate("contracts", *findings, rules=("breaking_change",)))]))
    failure = root.find(".//testcase[@name='contracts.breaking_change']/failure")
    assert failure.get("message") == "5 findings"
    assert [f"column_{number}" in line for number, line in enumerate(failure.text.splitlines())] == [True] * 5


def test_a_waived_denial_passes_and_says_so():
    """A waiver keeps the case green and names what it waives."""
    gate = make_gate("contracts", make_finding(), verdict="waived", reason="waived", rules=("breaking_change",))
    root = parse(render([make_decision(gate)]))
    assert root.get("failures") == "0"
    assert root.findtext(".//testcase[@name='contracts.breaking_change']/system-out").startswith("waived: ")


@pytest.mark.parametrize(
    "gate",
    [
        make_gate("slo", verdict="deny", reason="denied without a finding"),
        make_gate("slo", verdict="inconclusive", reason="undecided without a gap", rules=()),
        make_gate("slo", rules=(), findings=(make_finding("slo.unlisted"),), verdict="deny"),
        make_gate("slo", rules=make_rules("slo", (make_finding("slo.a"),), ("a",)), verdict="deny", reason="x")
        .model_copy(update={"findings": ()}),
    ],
    ids=["deny without finding", "open without gap", "finding of an unlisted rule", "outcome without finding"],
)  # fmt: skip
def test_a_gate_that_contradicts_itself_is_red(gate):
    """Whatever a gate lacks, its own cases are not all green when it blocks."""
    found = results(parse(render([make_decision(gate)])))
    assert {"failure", "error"} & {result for (name, _), result in found.items() if name == "slo"}


def test_a_rule_that_denies_without_a_finding_fails():
    """The outcome of a rule counts even where its findings are lost."""
    rules = make_rules("slo", (make_finding("slo.budget"),), ("budget", "window"))
    gate = make_gate("slo", verdict="deny", reason="denied").model_copy(update={"rules": rules})
    found = results(parse(render([make_decision(gate)])))
    assert (found["slo", "slo.budget"], found["slo", "slo.window"]) == ("failure", "pass")


def test_gates_carry_their_time():
    """The case of a gate has its queue, collect and evaluate seconds; the suite has the decision's."""
    root = parse(render([denied()]))
    assert root.find(".//testcase[@name='contracts']").get("time") == "0.016000"
    assert root[0].get("time") == "0.041200"
    assert root[0].get("timestamp") == "2026-11-23T12:00:00"


def test_problems_are_an_error_with_place_and_hint():
    """A manifest that cannot be read is one error that says what to do."""
    error = parse(render([unreadable()])).find(".//testcase[@name='decision']/error")
    assert "unknown key 'artefacts' · At promotion.yaml:12:5 · Fix: did you mean 'artifacts'?" in error.text


def test_an_open_decision_is_an_error_not_a_failure():
    """A dashboard tells undecided from denied."""
    assert results(parse(render([inconclusive()])))["gatekeeper", "decision"] == "error"


def test_notices_are_properties():
    """Every relaxation stands in the suite's properties."""
    values = [each.get("value") for each in parse(render([denied()])).iter("property") if each.get("name") == "notice"]
    assert values == ["settings override thresholds of gate experiments: floor_ratio"]


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_hostile_text_stays_inside_its_element(text):
    """Evidence adds no element and no character that XML 1.0 refuses, and speaks no command."""
    shown = render([hostile(text)])
    assert results(parse(shown)).keys() == results(parse(render([hostile("harmless")]))).keys()
    assert read_commands(shown) == []
    assert not re.search("[^\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", shown)


@settings(max_examples=60)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=50))
def test_any_text_is_valid_xml(text):
    """No text of any kind breaks the document."""
    decision = make_decision(make_gate("contracts", make_finding(message=text, subject=text)), reason=text)
    parse(render([decision]))
