"""The metrics are OpenMetrics that Prometheus' tools read, and count what the decisions say."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from report.decisions import (
    ALL,
    HOSTILE_TEXTS,
    allowed,
    denied,
    hostile,
    inconclusive,
    make_decision,
    make_finding,
    make_gap_gate,
    make_gate,
    unreadable,
)

from gatekeeper import __version__
from gatekeeper.decision import EngineReference, GateTiming
from gatekeeper.metrics.openmetrics import render

COUNTERS = ("gatekeeper_decisions_total", "gatekeeper_gate_verdicts_total", "gatekeeper_rule_findings_total")


def samples(decisions, name: str) -> dict[tuple[str, ...], float]:
    """Values of one sample name by label values, as prometheus_client's strict parser reads them."""
    families = text_string_to_metric_families(render(decisions))
    found = [each for family in families for each in family.samples if each.name == name]
    assert all(each.timestamp is None for each in found)
    return {tuple(each.labels.values()): each.value for each in found}


@pytest.mark.parametrize("name", ALL)
def test_openmetrics_golden(golden, name):
    """The metrics of each kind of run are the ones that were reviewed; the version is left open."""
    text = render(ALL[name])
    assert f'version="{__version__}"' in text
    golden(f"report/openmetrics-{name}.txt", text.replace(f'version="{__version__}"', 'version="VERSION"'))


@pytest.mark.parametrize("name", ALL)
def test_declares_every_family(name):
    """Type, unit and help are there for every metric, whatever was decided, and the end is marked."""
    text = render(ALL[name])
    families = {each.name: (each.type, each.unit) for each in text_string_to_metric_families(text)}
    assert families == {
        "gatekeeper_gate_duration_seconds": ("summary", "seconds"),
        "gatekeeper_decision_duration_seconds": ("summary", "seconds"),
        "gatekeeper_decisions": ("counter", ""),
        "gatekeeper_gate_verdicts": ("counter", ""),
        "gatekeeper_rule_findings": ("counter", ""),
        "gatekeeper_waivers_active": ("gauge", ""),
        "gatekeeper_last_decision_timestamp_seconds": ("gauge", "seconds"),
        "gatekeeper_build_info": ("gauge", ""),
    }
    assert all(each.documentation for each in text_string_to_metric_families(text))
    assert text.endswith("\n# EOF\n")


@pytest.mark.parametrize("name", ALL)
def test_promtool_reads_it(promtool, name):
    """
    Prometheus' linter has no objection but one.

    It reads the older text format, in which a counter's metadata names `…_total`; OpenMetrics forbids that.
    """
    done = subprocess.run(
        [promtool, "check", "metrics"], input=render(ALL[name]), capture_output=True, text=True, timeout=60
    )
    present = [each for each in COUNTERS if f"\n{each}{{" in render(ALL[name])]
    assert done.stderr.splitlines() == [f"{each} no help text" for each in present]


def test_counts_decisions_by_kind_target_and_outcome():
    """Each decision of the run is counted once; a manifest that could not be read has unknown labels."""
    assert samples([allowed(), allowed(), denied(), unreadable()], "gatekeeper_decisions_total") == {
        ("model", "production", "allow"): 2,
        ("model", "production", "deny"): 1,
        ("unknown", "unknown", "inconclusive"): 1,
    }


def test_a_run_without_promotions_counts_as_inconclusive():
    """An alert on any decision but allow sees a run that decided nothing; its clock is unknown."""
    assert samples([], "gatekeeper_decisions_total") == {("unknown", "unknown", "inconclusive"): 1}
    assert samples([], "gatekeeper_last_decision_timestamp_seconds") == {}


def test_adds_up_durations_of_the_run():
    """Sum and count by gate and phase; a run with one decision has the duration itself."""
    one = [make_decision(make_gate("contracts"))]
    assert samples(one, "gatekeeper_gate_duration_seconds_sum") == {
        ("contracts", "queue"): 0.0005,
        ("contracts", "collect"): 0.0124,
        ("contracts", "evaluate"): 0.0031,
    }
    both = [*one, *one]
    assert samples(both, "gatekeeper_gate_duration_seconds_sum")["contracts", "collect"] == 0.0248
    assert samples(both, "gatekeeper_gate_duration_seconds_count")["contracts", "collect"] == 2
    assert samples(both, "gatekeeper_decision_duration_seconds_sum") == {("model", "production"): 0.0824}


def test_a_phase_that_never_ran_is_no_measurement():
    """A gap has no evaluation time, an unused gate has none at all; neither counts as zero seconds."""
    counted = samples([make_decision(make_gap_gate())], "gatekeeper_gate_duration_seconds_count")
    assert counted == {("slo", "queue"): 1, ("slo", "collect"): 1}
    assert samples([make_decision(make_gate("slo", timing=GateTiming()))], "gatekeeper_gate_duration_seconds_sum") == {}


def test_an_undecided_promotion_without_a_duration_is_no_measurement():
    """A decision that nobody timed does not count as one that took no time."""
    assert samples([unreadable(total_seconds=0.0)], "gatekeeper_decision_duration_seconds_count") == {}


def test_no_waiting_is_a_measurement():
    """A collector that began at once waited zero seconds, and that counts."""
    gate = make_gate("slo", timing=GateTiming(collect_seconds=0.5))
    assert samples([make_decision(gate)], "gatekeeper_gate_duration_seconds_sum") == {
        ("slo", "queue"): 0,
        ("slo", "collect"): 0.5,
    }


def test_counts_verdicts_and_findings():
    """Every gate's verdict and every finding is counted."""
    verdicts = samples([denied(), allowed()], "gatekeeper_gate_verdicts_total")
    assert verdicts["contracts", "deny"] == 1
    assert verdicts["lineage", "pass"] == 2
    assert verdicts["slo", "not_applicable"] == 1
    assert samples([denied(), allowed()], "gatekeeper_rule_findings_total") == {
        ("contracts.breaking_change", "deny"): 1,
        ("contracts.data_conforms", "deny"): 1,
        ("experiments.floor_reached", "deny"): 1,
        ("experiments.small_sample", "warn"): 1,
    }


def test_counts_waived_gates():
    """A gate that only a waiver let through is counted."""
    waived = make_gate("contracts", make_finding(), verdict="waived", reason="waived")
    assert samples([make_decision(waived), allowed()], "gatekeeper_waivers_active") == {(): 1}


def test_names_clock_and_versions():
    """The clock is Unix time in seconds; every engine of the run is named."""
    decisions = [allowed(), inconclusive(engine=EngineReference(name="opa", version="1.22.2"))]
    assert samples(decisions, "gatekeeper_last_decision_timestamp_seconds") == {(): 1795435200}
    assert samples(decisions, "gatekeeper_build_info") == {
        (__version__, "embedded", "0.13.0"): 1,
        (__version__, "opa", "1.22.2"): 1,
    }


def test_labels_hold_no_digest_and_no_id():
    """What differs with every run is no label."""
    text = render([denied()])
    for value in ("0b7c2f6e", "12" * 6, "cd" * 6, "ef" * 6, "promotion.yaml", "tumour"):
        assert value not in text


@pytest.mark.parametrize("text", [each for each in HOSTILE_TEXTS.values() if len(each) < 1000])
def test_evidence_is_in_no_label(text):
    """What evidence writes does not reach the metrics."""
    names = [line.split("{")[0] for line in render([hostile(text)]).splitlines()]
    assert names == [line.split("{")[0] for line in render([hostile("harmless")]).splitlines()]


@given(st.text(max_size=40))
def test_any_label_reads_back(text):
    """Whatever a policy calls its rule, the parser reads the name back."""
    decision = make_decision(make_gate("contracts", make_finding(text)))
    assert samples([decision], "gatekeeper_rule_findings_total") == {(text, "deny"): 1}
