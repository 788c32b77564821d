"""
What one run decided and how long it took, as OpenMetrics text for a scrape, a push or a textfile collector.

Every value is that of this run alone; counters that outlive a run are derived from the decision log. Only
types that Prometheus' older text format knows as well are used (counter, gauge, summary), because
node_exporter's textfile collector reads that one and refuses a whole file for an `info`. Labels are names
from policies and manifests, never digests or ids, so that the number of series stays small.

Source: https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from gatekeeper import __version__
from gatekeeper.decision import Decision, GateTiming

Labels = tuple[tuple[str, str], ...]
"""Label name and value, in the order in which they are written."""

UNKNOWN = "unknown"
"""Label value of a promotion whose manifest could not be read."""

_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})


def render(decisions: Sequence[Decision]) -> str:
    """
    Render the metrics of one run.

    A run that decided nothing counts as one inconclusive decision, so that an alert on anything but allow
    sees it.
    """
    families = (
        _durations(decisions),
        _decision_durations(decisions),
        _counter("decisions", "Decisions of this run.", _decided(decisions)),
        _counter("gate_verdicts", "Verdicts of gates in this run.", _verdicts(decisions)),
        _counter("rule_findings", "Findings of rules in this run.", _findings(decisions)),
        _gauge("waivers_active", "Gates that only a waiver let through in this run.", {(): _waived(decisions)}),
        _gauge("last_decision_timestamp_seconds", "Clock of the run's latest decision, Unix time.", _clock(decisions)),
        _gauge(
            "build_info",
            "Version of gatekeeper and of the engine that evaluated.",
            dict.fromkeys(_builds(decisions), 1),
        ),
    )
    return "".join(f"{line}\n" for family in families for line in family) + "# EOF\n"


def _durations(decisions: Sequence[Decision]) -> Iterator[str]:
    """A summary without quantiles: its sum is the duration when the run decided once, and runs can be added up."""
    observed: dict[Labels, list[float]] = {}
    for decision in decisions:
        for gate in decision.gates:
            for phase, seconds in _phases(gate.timing):
                observed.setdefault((("gate", gate.gate), ("phase", phase)), []).append(seconds)
    return _summary("gate_duration_seconds", "Time that a gate took in one phase, in this run.", observed)


def _phases(timing: GateTiming) -> Iterator[tuple[str, float]]:
    """The phases that took place: no time at all means that one was never entered, and it is no measurement."""
    if timing.collect_seconds > 0:
        yield "queue", timing.queue_seconds
        yield "collect", timing.collect_seconds
    if timing.evaluate_seconds > 0:
        yield "evaluate", timing.evaluate_seconds


def _decision_durations(decisions: Sequence[Decision]) -> Iterator[str]:
    observed: dict[Labels, list[float]] = {}
    for decision in decisions:
        if decision.total_seconds > 0:
            observed.setdefault(_promotion(decision), []).append(decision.total_seconds)
    return _summary("decision_duration_seconds", "Time from the start of collection to the decision.", observed)


def _promotion(decision: Decision) -> Labels:
    promotion = decision.promotion
    kind, target = (promotion.candidate.kind, promotion.target) if promotion else (UNKNOWN, UNKNOWN)
    return (("candidate_kind", kind), ("to", target))


def _decided(decisions: Sequence[Decision]) -> Counter[Labels]:
    nothing: Labels = (("candidate_kind", UNKNOWN), ("to", UNKNOWN), ("decision", "inconclusive"))
    return Counter((*_promotion(each), ("decision", each.outcome)) for each in decisions) or Counter([nothing])


def _verdicts(decisions: Sequence[Decision]) -> Counter[Labels]:
    gates = (gate for decision in decisions for gate in decision.gates)
    return Counter((("gate", gate.gate), ("verdict", gate.verdict)) for gate in gates)


def _findings(decisions: Sequence[Decision]) -> Counter[Labels]:
    findings = (each for decision in decisions for gate in decision.gates for each in gate.findings)
    return Counter((("rule", each.rule), ("effect", each.effect)) for each in findings)


def _waived(decisions: Sequence[Decision]) -> int:
    return sum(gate.verdict == "waived" for decision in decisions for gate in decision.gates)


def _clock(decisions: Sequence[Decision]) -> dict[Labels, float]:
    return {(): max(each.decided_at.timestamp() for each in decisions)} if decisions else {}


def _builds(decisions: Sequence[Decision]) -> list[Labels]:
    engines = dict.fromkeys((each.engine.name, each.engine.version) for each in decisions) or {("none", ""): None}
    return [
        (("version", __version__), ("engine", name), ("engine_version", engine_version))
        for name, engine_version in engines
    ]


def _summary(name: str, text: str, observed: Mapping[Labels, list[float]]) -> Iterator[str]:
    yield from _metadata(name, "summary", text)
    for labels, seconds in sorted(observed.items()):
        yield f"gatekeeper_{name}_count{_labels(labels)} {len(seconds)}"
        yield f"gatekeeper_{name}_sum{_labels(labels)} {_number(sum(seconds))}"


def _counter(name: str, text: str, counts: Counter[Labels]) -> Iterator[str]:
    yield from _metadata(name, "counter", text)
    for labels, count in sorted(counts.items()):
        yield f"gatekeeper_{name}_total{_labels(labels)} {count}"


def _gauge(name: str, text: str, values: Mapping[Labels, float]) -> Iterator[str]:
    yield from _metadata(name, "gauge", text)
    for labels, value in sorted(values.items()):
        yield f"gatekeeper_{name}{_labels(labels)} {_number(value)}"


def _metadata(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# TYPE gatekeeper_{name} {kind}"
    if name.endswith("_seconds"):
        yield f"# UNIT gatekeeper_{name} seconds"
    yield f"# HELP gatekeeper_{name} {text}"


def _labels(labels: Iterable[tuple[str, str]]) -> str:
    listed = ",".join(f'{name}="{_value(value)}"' for name, value in labels)
    return f"{{{listed}}}" if listed else ""


def _value(text: str) -> str:
    """Escape a label's value; a lone surrogate has no UTF-8 form and becomes `?`."""
    return text.translate(_ESCAPES).encode(errors="replace").decode()


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(round(value, 9))
