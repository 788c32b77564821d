"""The slo gate: real files and a real Prometheus in, exact figures and a verdict of the real policy out."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import NOW, PROJECT
from prometheus_server import running
from pydantic import ValidationError
from support import make_context

from gatekeeper.collectors.slo import Body, Request, Thresholds, collect
from gatekeeper.decision import Finding
from gatekeeper.engine.embedded import EmbeddedEngine
from gatekeeper.errors import EvidenceError
from gatekeeper.findings import read_findings
from gatekeeper.policy import PolicySet, load_policies
from gatekeeper.settings import EngineSettings, EvidenceSettings

WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d")
TIME = NOW.timestamp() - 60


def answer(value: str, labels: dict[str, str] | None = None, time: float = TIME) -> dict[str, Any]:
    return {
        "status": "success",
        "data": {"resultType": "vector", "result": [{"metric": labels or {}, "value": [time, value]}]},
    }


def saved(**changes: Any) -> dict[str, Any]:
    """An error ratio of 0.0001 in every window and 10000 events, with changes by window (`w5m`)."""
    windows = {name: answer("0.0001") for name in WINDOWS}
    for name, value in changes.items():
        windows[name[1:]] = answer(value) if isinstance(value, str) else value
    return {"time": TIME, "windows": windows, "events": 10_000}


def openslo(*targets: float, **spec: Any) -> dict[str, Any]:
    def metric(query: str) -> dict[str, Any]:
        return {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}

    ratio = {
        "good": metric('sum(rate(http_total{code!~"5.."}[{{.window}}]))'),
        "total": metric("sum(rate(http_total[{{.window}}]))"),
    }
    return {
        "apiVersion": "openslo/v1",
        "kind": "SLO",
        "metadata": {"name": "availability"},
        "spec": {
            "service": "api",
            "indicator": {"metadata": {"name": "answered"}, "spec": {"ratioMetric": ratio}},
            "timeWindow": [{"duration": "30d", "isRolling": True}],
            "budgetingMethod": "Occurrences",
            "objectives": [{"target": target} for target in targets or (0.999,)],
            **spec,
        },
    }


@pytest.fixture
def gather(tmp_path: Path) -> Any:
    """Write the two files and collect from them."""

    def write(measured: Any, slo: Any = None, **more: Any) -> Body:
        for name, content in (("slo.yaml", openslo() if slo is None else slo), ("saved.json", measured)):
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            (tmp_path / name).write_bytes(data)
        request = {"openslo": "slo.yaml", "prometheus": {"response": "saved.json"}, **more}
        context = make_context(tmp_path)
        body = collect(Request.model_validate_json(json.dumps(request)), context)
        assert [each.path for each in context.workspace.sources] == ["slo.yaml", "saved.json"]
        return Body.model_validate_json(body.model_dump_json())

    return write


def refused(gather: Any, *arguments: Any, **more: Any) -> EvidenceError:
    with pytest.raises(EvidenceError) as caught:
        gather(*arguments, **more)
    return caught.value


def test_computes_the_budget_from_a_saved_answer(gather: Any) -> None:
    """0.0001 of a budget of 0.001 is a burn of 0.1, so 90 % is left."""
    body = gather(saved())
    assert (body.slo, body.service, body.period, body.firing) == ("availability", "api", "30d", ())
    assert body.observed_at == NOW - timedelta(seconds=60)
    objective = body.objectives[0]
    assert (objective.event_count, objective.covers_period) == (10_000, None)
    assert objective.budget.remaining_text == "90 %"
    assert {each.burn for each in objective.budget.windows.values()} == {0.1}
    assert objective.place is not None
    assert (objective.place.path, objective.place.line) == ("slo.yaml", 1)


def test_judges_every_objective_of_the_slo(gather: Any) -> None:
    """Two targets over one indicator give two budgets, and the firing alerts name their objective."""
    body = gather(saved(w5m="0.02", w1h="0.02"), openslo(0.99, 0.999))
    assert [each.budget.target for each in body.objectives] == [0.99, 0.999]
    assert body.firing == ("objective 2: page 5m/1h",)


def test_the_oldest_answer_dates_the_evidence(gather: Any) -> None:
    """Staleness is judged by the oldest measurement that was used."""
    body = gather(saved(w3d=answer("0", time=TIME - 240)))
    assert body.observed_at == NOW - timedelta(seconds=300)


def test_accepts_clocks_that_differ_by_five_minutes_and_no_more(gather: Any) -> None:
    """A measurement from the future is not to be trusted."""
    for ahead in (300, 301):
        time = NOW.timestamp() + ahead
        document = {"time": time, "windows": {name: answer("0", time=time) for name in WINDOWS}}
        if ahead == 300:
            assert gather(document).observed_at == NOW + timedelta(seconds=300)
        else:
            assert "in the future" in refused(gather, document).problem


def test_refuses_windows_measured_at_different_times(gather: Any) -> None:
    """A short and a long window of two moments say nothing about either."""
    time = TIME - 200
    windows = {name: answer("0", time=TIME if name == "5m" else TIME - 400) for name in WINDOWS}
    error = refused(gather, {"time": time, "windows": windows})
    assert error.kind == "unverifiable"
    assert "different times" in error.problem


def test_reads_one_answer_with_sloths_recording_rules(gather: Any) -> None:
    """Series of Sloth carry the window, the service and the SLO; those of other SLOs are left alone."""

    def series(window: str, slo: str, value: str) -> dict[str, Any]:
        labels = {"__name__": f"slo:sli_error:ratio_rate{window}", "sloth_window": window, "sloth_service": "api"}
        return {"metric": labels | {"sloth_slo": slo}, "value": [TIME, value]}

    result = [series(window, "availability", "0.0001") for window in WINDOWS]
    result += [series(window, "latency", "0.9") for window in WINDOWS]
    body = gather({"status": "success", "data": {"resultType": "vector", "result": result}, "infos": ["note"]})
    assert body.objectives[0].budget.remaining_text == "90 %"
    assert body.objectives[0].event_count is None
    assert (body.warning_count, body.warnings) == (1, ("note",))


def _alpha(*queries: str) -> dict[str, Any]:
    def part(query: str) -> dict[str, str]:
        return {"source": "prometheus", "query": query}

    objectives = [{"ratioMetrics": {"good": part(query), "total": part("t")}, "target": 0.99} for query in queries]
    spec = {"service": "api", "budgetingMethod": "Occurrences", "objectives": objectives}
    spec["timeWindows"] = [{"count": 30, "unit": "Day"}]
    return {"apiVersion": "openslo/v1alpha", "kind": "SLO", "metadata": {"name": "lat"}, "spec": spec}


def test_tells_objectives_with_their_own_indicators_apart(gather: Any) -> None:
    """Sloth numbers the objectives of an OpenSLO file; without its labels nobody knows whose series it is."""
    result = [
        {
            "metric": {"sloth_window": window, "sloth_service": "api", "sloth_slo": f"lat-{index}"},
            "value": [TIME, value],
        }
        for window in WINDOWS
        for index, value in ((0, "0.001"), (1, "0.002"))
    ]
    document = {"status": "success", "data": {"resultType": "vector", "result": result}}
    body = gather(document, _alpha("a", "b"))
    assert [each.budget.remaining_text for each in body.objectives] == ["90 %", "80 %"]
    error = refused(gather, saved(), _alpha("a", "b"))
    assert error.kind == "missing"
    assert "own indicator" in error.hint


@pytest.mark.parametrize("period", ["7d", "1w"])
def test_a_week_has_its_own_factors_and_either_name(gather: Any, period: str) -> None:
    """The window of the period is found by its length, whatever it is called."""
    document = saved(w5m="0.02", w1h="0.0134")
    document["windows"][period] = document["windows"].pop("30d")
    slo = openslo(timeWindow=[{"duration": "7d", "isRolling": True}])
    assert gather(document, slo).firing == ()
    document["windows"]["1h"] = answer("0.01345")
    assert gather(document, slo).firing == ("objective 1: page 5m/1h",)


@pytest.mark.parametrize("name", WINDOWS)
def test_a_window_that_is_not_there_is_missing(gather: Any, name: str) -> None:
    """Every one of the eight windows is needed."""
    document = saved()
    del document["windows"][name]
    error = refused(gather, document)
    assert error.kind == "missing"
    assert f"window {name}" in error.problem
    assert "5m, 30m, 1h, 2h, 6h, 1d, 3d, 30d" in error.hint


EMPTY = {"status": "success", "data": {"resultType": "vector", "result": []}}
TWO = {"status": "success", "data": {"resultType": "vector", "result": answer("0")["data"]["result"] * 2}}


@pytest.mark.parametrize(
    ("value", "kind", "words"),
    [
        pytest.param(EMPTY, "missing", "0 series", id="empty result"),
        pytest.param(TWO, "malformed", "2 series", id="two series"),
        pytest.param("NaN", "missing", "no traffic", id="NaN"),
        pytest.param("+Inf", "malformed", "finite", id="infinity"),
        pytest.param("1.0001", "malformed", "not in [0, 1]", id="above 1"),
        pytest.param("-0.0001", "malformed", "not in [0, 1]", id="below 0"),
        pytest.param("99.9", "malformed", "not in [0, 1]", id="per cent"),
        pytest.param({"status": "error", "errorType": "timeout", "error": "slow"}, "unverifiable", "timeout: slow", id="error"),
        pytest.param({"status": "success", "data": {"resultType": "matrix", "result": []}}, "malformed", "matrix", id="range"),
        pytest.param(answer("0", {"sloth_slo": "other"}), "missing", "0 series", id="another SLO"),
        pytest.param(answer("0", {"sloth_service": "other"}), "missing", "0 series", id="another service"),
    ],
)  # fmt: skip
def test_a_doubtful_measurement_is_a_gap(gather: Any, value: Any, kind: str, words: str) -> None:
    """One doubtful window of eight is enough."""
    error = refused(gather, saved(w6h=value))
    assert error.kind == kind
    assert words in error.problem


def test_the_same_window_under_two_names_is_ambiguous(gather: Any) -> None:
    """60m and 1h are one window, so two answers for it contradict each other."""
    assert refused(gather, saved(w60m="0")).kind == "malformed"


@pytest.mark.parametrize("value", ["-2.220446049250313e-16", "1.0000000000000002"])
def test_rounding_of_floats_is_forgiven(gather: Any, value: str) -> None:
    """Sums of floats may leave a ratio a hair outside [0, 1]."""
    ratio = gather(saved(w6h=value)).objectives[0].budget.windows["6h"].error_ratio
    assert ratio in (0.0, 1.0)


@pytest.mark.parametrize(
    ("measured", "slo", "kind"),
    [
        pytest.param(b"", None, "malformed", id="empty answer"),
        pytest.param(json.dumps(saved()).encode()[:-20], None, "malformed", id="truncated answer"),
        pytest.param(b"\xff\xfe{", None, "malformed", id="not UTF-8"),
        pytest.param(saved(), b"", "malformed", id="empty SLO"),
        pytest.param(saved(), openslo(1.0), "unverifiable", id="target of 100 %"),
        pytest.param(saved(), openslo(budgetingMethod="Timeslices"), "unverifiable", id="time slices"),
        pytest.param(saved(), [openslo(), openslo()], "unverifiable", id="two SLOs"),
    ],
)
def test_unusable_files_are_gaps(gather: Any, measured: Any, slo: Any, kind: str) -> None:
    """What cannot be read or computed is never taken for a good service."""
    assert refused(gather, measured, slo).kind == kind


def test_absent_files_are_missing(tmp_path: Path) -> None:
    """Both files are looked for, and the absent one is named."""
    request = Request.model_validate_json('{"openslo": "slo.yaml", "prometheus": {"response": "saved.json"}}')
    for name in ("slo.yaml", "saved.json"):
        with pytest.raises(EvidenceError) as caught:
            collect(request, make_context(tmp_path))
        assert (caught.value.kind, caught.value.subject) == ("missing", name)
        (tmp_path / name).write_text(json.dumps(openslo()), "utf-8")


@pytest.mark.parametrize(
    "request_json",
    [
        '{"openslo": "a", "prometheus": {}}',
        '{"openslo": "a", "prometheus": {"response": "b", "url": "http://c"}}',
        '{"openslo": "a"}',
        '{"prometheus": {"response": "b"}}',
        '{"openslo": "a", "prometheus": {"reponse": "b"}}',
        '{"openslo": "a", "name": "", "prometheus": {"response": "b"}}',
    ],
)
def test_the_manifest_names_one_source(request_json: str) -> None:
    """Exactly one of response and url; nothing misspelt."""
    with pytest.raises(ValidationError):
        Request.model_validate_json(request_json)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("objectives", []), ("firing", ["made up"]), ("period", "7d"), ("warning_count", 3), ("warning_count", -1),
        ("objectives/0/event_count", -1), ("objectives/0/event_count", 1.5), ("objectives/0/name", ""),
        ("objectives/0/budget/remaining_ratio", 1.0), ("objectives/0/budget/windows/5m/error_ratio", 0.5),
        ("observed_at", "yesterday"), ("extra", 1),
    ],
)  # fmt: skip
def test_a_body_changed_by_hand_is_refused(gather: Any, path: str, value: Any) -> None:
    """`decide` validates the bundle again; figures that contradict each other are no evidence."""
    content = json.loads(gather(saved()).model_dump_json())
    node: Any = content
    *steps, last = path.split("/")
    for step in steps:
        node = node[int(step)] if isinstance(node, list) else node[step]
    node[last] = value
    with pytest.raises(ValidationError):
        Body.model_validate_json(json.dumps(content))


def test_a_url_needs_an_allowed_host(tmp_path: Path) -> None:
    """No host is asked by default."""
    (tmp_path / "slo.yaml").write_text(json.dumps(openslo()), "utf-8")
    request = Request.model_validate_json('{"openslo": "slo.yaml", "prometheus": {"url": "http://127.0.0.1:9090"}}')
    with pytest.raises(EvidenceError, match="not allowed") as caught:
        collect(request, make_context(tmp_path))
    assert caught.value.kind == "unverifiable"


POLICIES = load_policies(PROJECT / "policies")


@pytest.fixture(scope="module")
def engine() -> Iterator[EmbeddedEngine]:
    """The embedded engine with the policies of this gate only."""
    modules = tuple(each for each in POLICIES.modules if each.package == "gatekeeper.gates.slo")
    engine = EmbeddedEngine(EngineSettings())
    engine.load(PolicySet("slo", "0" * 64, modules, {}))
    yield engine
    engine.close()


def judge(engine: EmbeddedEngine, body: Body, **thresholds: Any) -> dict[str, Finding]:
    limits = Thresholds.model_validate(POLICIES.defaults["thresholds"]["slo"] | thresholds)
    document = {
        "promotion": {}, "gate": "slo", "evidence": body.model_dump(mode="json"), "now": NOW.isoformat(),
        "settings": {"environment": "production", "risk_tier": "high", "thresholds": limits.model_dump(mode="json")},
    }  # fmt: skip
    found = engine.evaluate("gatekeeper.gates.slo", json.dumps(document).encode()).result
    findings, outcomes = read_findings("slo", found, POLICIES.rules_of("slo"))
    assert len(outcomes) == 10
    return {each.rule: each for each in findings}


def test_the_policy_passes_a_healthy_service(gather: Any, engine: EmbeddedEngine) -> None:
    """Nothing denies and nothing warns."""
    assert judge(engine, gather(saved())) == {}


@pytest.mark.parametrize(
    ("changes", "slo", "rules"),
    [
        pytest.param({"w30d": "0.0009"}, None, set(), id="10 % left is enough"),
        pytest.param({"w30d": "0.00090001"}, None, {"slo.budget_left"}, id="just below 10 %"),
        pytest.param({"w5m": "0.0144", "w1h": "0.0144"}, None, set(), id="burn of exactly 14.4"),
        pytest.param({"w5m": "0.01441", "w1h": "0.01441"}, None, {"slo.burn_rate"}, id="burn above 14.4"),
        pytest.param({"w5m": "1"}, None, set(), id="short window alone"),
        pytest.param({"w30m": "0.0061", "w6h": "0.0061"}, None, {"slo.burn_rate"}, id="burn above 6"),
        pytest.param({"w2h": "0.0031", "w1d": "0.0031"}, None, {"slo.slow_burn"}, id="burn above 3"),
        pytest.param({"w6h": "0.0011", "w3d": "0.0011"}, None, {"slo.slow_burn"}, id="burn above 1"),
        pytest.param({}, openslo(0.95), set(), id="target at the floor"),
        pytest.param({}, openslo(0.9499), {"slo.target_floor"}, id="target below the floor"),
        pytest.param({}, openslo(0.9), {"slo.target_floor", "slo.alert_reachable"}, id="lax target"),
        pytest.param({}, openslo(0.999, 0.5), {"slo.target_floor", "slo.alert_reachable"}, id="second objective lax"),
    ],
)
def test_the_policy_denies_past_each_boundary(
    gather: Any, engine: EmbeddedEngine, changes: dict[str, str], slo: Any, rules: set[str]
) -> None:
    """At the limit it passes, just past it the rule for it speaks."""
    findings = judge(engine, gather(saved(**changes), slo))
    assert set(findings) == rules
    assert {rule for rule, each in findings.items() if each.effect == "warn"} == rules & {"slo.slow_burn"}


@pytest.mark.parametrize(("events", "rule"), [(100, None), (99, "slo.enough_traffic"), (None, "slo.traffic_known")])
def test_the_policy_wants_enough_traffic(gather: Any, engine: EmbeddedEngine, events: int | None, rule: str) -> None:
    """Too few events deny; events that nobody counted warn."""
    assert set(judge(engine, gather(saved() | {"events": events}))) == ({rule} if rule else set())


def test_findings_say_what_was_found_and_where(gather: Any, engine: EmbeddedEngine) -> None:
    """The message holds the figures, and the place is that of the target."""
    findings = judge(engine, gather(saved(w5m="0.016", w1h="0.0152", w30d="0.002")))
    assert findings["slo.burn_rate"].message == "burn 15.20x over 1h and 16.00x over 5m, factor 14.4x"
    left = findings["slo.budget_left"]
    assert (
        left.message == "-100 % of the error budget is left over 30d, at least min_budget_remaining_ratio 0.1 is wanted"
    )
    assert left.place is not None
    assert left.place.path == "slo.yaml"


def test_warnings_of_prometheus_reach_the_report(gather: Any, engine: EmbeddedEngine) -> None:
    """Each warning is one finding; more than twenty are counted."""
    document = saved()
    document["windows"]["5m"]["warnings"] = [f"warning {number}" for number in range(25)]
    body = gather(document)
    assert (body.warning_count, len(body.warnings)) == (25, 20)
    assert "slo.prometheus_warnings" in judge(engine, body)


@pytest.mark.parametrize(
    ("changes", "target"),
    [({}, 0.999), ({"w5m": "0.5", "w1h": "0.4", "w2h": "0.3", "w1d": "0.1"}, 0.99), ({"w30d": "1"}, 0.5), ({}, 0.0)],
)
def test_opa_and_the_embedded_engine_agree(
    gather: Any, engine: EmbeddedEngine, opa: str, changes: dict[str, str], target: float
) -> None:
    """The same evidence gives the same findings, word for word, on the reference engine."""
    limits = POLICIES.defaults["thresholds"]["slo"]
    evidence = gather(saved(**changes) | {"events": 99}, openslo(target)).model_dump(mode="json")
    document = json.dumps({"evidence": evidence, "settings": {"thresholds": limits}})
    rules = PROJECT / "policies/gatekeeper/gates/slo/slo.rego"
    arguments = [opa, "eval", "--strict-builtin-errors", "--stdin-input", "--data", rules, "data.gatekeeper.gates.slo"]
    done = subprocess.run(arguments, input=document, capture_output=True, text=True, check=True, timeout=30)
    reference = json.loads(done.stdout)["result"][0]["expressions"][0]["value"]
    found = engine.evaluate("gatekeeper.gates.slo", document.encode()).result
    assert found["deny"]

    def ordered(findings: list[dict[str, Any]]) -> list[str]:
        return sorted(json.dumps(each, sort_keys=True) for each in findings)

    assert {effect: ordered(found[effect]) for effect in ("deny", "warn")} == {
        effect: ordered(reference[effect]) for effect in ("deny", "warn")
    }


def test_every_threshold_is_in_the_defaults() -> None:
    """The defaults and their overrides have exactly the keys of the model."""
    defaults = POLICIES.defaults["thresholds"]["slo"]
    assert Thresholds.model_validate(defaults)
    for override in POLICIES.defaults.get("overrides", []):
        assert Thresholds.model_validate(defaults | override["thresholds"].get("slo", {}))
    for key, value in (("min_target_ratio", 1.0), ("min_budget_remaining_ratio", -0.1), ("min_event_count", 0)):
        with pytest.raises(ValidationError):
            Thresholds.model_validate(defaults | {key: value})


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a real Prometheus with 31 days of history and a live target."""
    binaries = [shutil.which(name) for name in ("prometheus", "promtool")]
    if None in binaries:
        pytest.skip("prometheus and promtool are not on PATH (Debian: apt-get install prometheus)")
    with running(str(binaries[0]), str(binaries[1]), tmp_path_factory.mktemp("prometheus")) as url:
        yield url


def ask(root: Path, url: str, metric: str) -> Body:
    def part(selector: str) -> dict[str, Any]:
        query = f"sum(rate({metric}_requests_total{selector}[{{{{.window}}}}]))"
        return {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}

    ratio = {"bad": part('{code="500"}'), "total": part("")}
    indicator = {"metadata": {"name": "x"}, "spec": {"ratioMetric": ratio}}
    (root / "slo.yaml").write_text(json.dumps(openslo(0.99, 0.98, indicator=indicator)), "utf-8")
    context = make_context(
        root, now=datetime.now(UTC), settings=EvidenceSettings(allowed_hosts=(url.removeprefix("http://"),))
    )
    request = Request.model_validate_json(json.dumps({"openslo": "slo.yaml", "prometheus": {"url": url}}))
    body = collect(request, context)
    assert body.observed_at == context.now
    # Eight windows of two queries, the beginning of the period, and the file; the second objective asks nothing more.
    assert len(context.workspace.sources) == 18
    assert all(each.path.startswith(f"prometheus:{url}/api/v1/query?") for each in context.workspace.sources[1:])
    return Body.model_validate_json(body.model_dump_json())


def test_a_real_prometheus_shows_a_live_service(prometheus: str, tmp_path: Path, engine: EmbeddedEngine) -> None:
    """One request in fifty fails: the budget of 1 % burns at 2, and seconds are no period of 30 days."""
    body = ask(tmp_path, prometheus, "live")
    status = body.objectives[0]
    assert {name: each.error_ratio for name, each in status.budget.windows.items()} == pytest.approx(
        dict.fromkeys(WINDOWS, 0.02), rel=0.25
    )
    assert status.covers_period is False
    assert {"slo.budget_left", "slo.full_period"} <= set(judge(engine, body))


def test_a_real_prometheus_shows_an_outage(prometheus: str, tmp_path: Path, engine: EmbeddedEngine) -> None:
    """One request in five fails for 90 minutes: the fast alert fires while 95.8 % of the month's budget is left."""
    body = ask(tmp_path, prometheus, "history")
    status = body.objectives[0]
    ratios = {name: each.error_ratio for name, each in status.budget.windows.items()}
    minutes = {"5m": 5, "30m": 30, "1h": 60, "2h": 120, "6h": 360, "1d": 1440, "3d": 4320, "30d": 43200}
    assert ratios == pytest.approx({name: 0.2 * min(90, each) / each for name, each in minutes.items()}, rel=0.05)
    assert status.covers_period is True
    assert status.event_count == pytest.approx(432_000, rel=0.01)
    assert set(judge(engine, body)) == {"slo.burn_rate"}
    assert body.firing == ("objective 1: page 5m/1h",)


def test_a_real_prometheus_explains_what_is_wrong(prometheus: str, tmp_path: Path) -> None:
    """A metric that does not exist is missing; a query that does not parse is refused with Prometheus' own words."""
    with pytest.raises(EvidenceError, match="no series") as caught:
        ask(tmp_path, prometheus, "absent")
    assert caught.value.kind == "missing"
    with pytest.raises(EvidenceError, match=r"bad_data: .*parse error") as caught:
        ask(tmp_path, prometheus, "a b")
    assert caught.value.kind == "unverifiable"
