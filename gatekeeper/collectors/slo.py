"""
The slo gate's evidence: how much error budget is left, and whether it is burning too fast.

Reads an OpenSLO file, and the error ratio of every window from a saved Prometheus answer or from a server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from gatekeeper.collectors import Context
from gatekeeper.decision import Place
from gatekeeper.document import Document
from gatekeeper.errors import EvidenceError
from gatekeeper.evidence import EvidenceBody, GateThresholds
from gatekeeper.gates.slo.error_budget import Budget, required_windows, spend, window_name

if TYPE_CHECKING:
    from gatekeeper.formats.openslo import Objective, Slo
    from gatekeeper.formats.openslo_indicator import Indicator
    from gatekeeper.formats.prometheus import Sample
    from gatekeeper.formats.prometheus_saved import SavedAnswers

FUTURE_TOLERANCE = timedelta(minutes=5)
"""Clocks differ; a measurement further ahead of the run's clock is not to be trusted."""

ROUNDING = Decimal("1e-9")
"""Sums of floats in Prometheus may leave a ratio this far outside [0, 1]; it is then 0 or 1."""

_SHOWN_WARNINGS = 20
_SHOWN_QUERY = 500


class PrometheusSource(Document):
    """Where the measurements are; exactly one of the two."""

    response: str | None = None
    """File with saved answers of the Prometheus HTTP API, relative to the manifest."""
    url: str | None = None
    """Base URL of a server whose host is in `evidence.allowed_hosts`."""

    @model_validator(mode="after")
    def _one(self) -> PrometheusSource:
        if (self.response is None) == (self.url is None):
            raise ValueError("give exactly one of response and url")
        return self


class Request(Document):
    """The gate's part of the manifest."""

    openslo: str
    """OpenSLO file, relative to the manifest."""
    name: Annotated[str, Field(min_length=1)] | None = None
    """metadata.name of the SLO, where the file holds several."""
    prometheus: PrometheusSource
    """The measurements."""


class ObjectiveStatus(Document):
    """One objective of the SLO as it stands."""

    name: Annotated[str, Field(min_length=1)]
    """displayName, or its number."""
    budget: Budget
    """Burn rates and what is left."""
    event_count: Annotated[int, Field(ge=0)] | None
    """Events in the period; None where nobody counted them."""
    covers_period: bool | None
    """The first hour of the period has samples; None for a saved answer, which cannot tell."""
    indicator: str
    """Kind of the indicator and its queries, shortened."""
    place: Place | None
    """Where the target is written; None where a file of several documents hides it."""


class Body(EvidenceBody):
    """What was found out about one SLO."""

    slo: Annotated[str, Field(min_length=1)]
    """metadata.name of the SLO."""
    service: Annotated[str, Field(min_length=1)]
    """The service that it is about."""
    period: str
    """The rolling period: `30d`."""
    objectives: Annotated[tuple[ObjectiveStatus, ...], Field(min_length=1)]
    """Every objective of the SLO; all of them count."""
    firing: tuple[str, ...]
    """Burn-rate alerts that fire, as `<objective>: page 5m/1h`; what holds or rolls back a canary."""
    warning_count: Annotated[int, Field(ge=0)]
    """Number of warnings that Prometheus gave."""
    warnings: Annotated[tuple[str, ...], Field(max_length=_SHOWN_WARNINGS)]
    """The first of them."""

    @model_validator(mode="after")
    def _consistent(self) -> Body:
        if self.firing != _firing(self.objectives):
            raise ValueError("the list of firing alerts contradicts the objectives")
        if any(each.budget.period != self.period for each in self.objectives):
            raise ValueError("an objective has another period than the SLO")
        if min(self.warning_count, _SHOWN_WARNINGS) != len(self.warnings):
            raise ValueError("the number of warnings contradicts the list")
        return self


class Thresholds(GateThresholds):
    """Limits of the slo gate."""

    min_target_ratio: Annotated[float, Field(gt=0, lt=1)]
    """Lowest target that an objective may have; a lax objective always has budget left."""
    min_budget_remaining_ratio: Annotated[float, Field(ge=0, le=1)]
    """Share of the error budget that must be left."""
    min_event_count: Annotated[int, Field(ge=1)]
    """Events that the period must have, where they were counted; fewer say nothing about a ratio."""


@dataclass(frozen=True)
class _Measurement:
    error_ratios: Mapping[int, Decimal]
    observed_at: datetime
    event_count: int | None
    covers_period: bool | None
    warnings: tuple[str, ...]


def collect(request: Request, context: Context) -> Body:
    """
    Compute the error budget and the burn rates of every objective of one SLO.

    Raises `EvidenceError` when a file, a window, traffic or a server is missing, when a measurement is
    ambiguous, no ratio or from the future, and when the SLO asks for what gatekeeper does not compute.
    """
    from gatekeeper.formats.openslo import read_slo

    slo = read_slo(context.workspace.read(request.openslo), request.openslo, name=request.name)
    if request.prometheus.response is not None:
        measurements = _read_saved(request.prometheus.response, slo, context)
    else:
        measurements = _ask(str(request.prometheus.url), slo, context)
    objectives = tuple(
        _status(objective, slo, measurement, path=request.openslo)
        for objective, measurement in zip(slo.objectives, measurements, strict=True)
    )
    warnings = tuple(dict.fromkeys(text for each in measurements for text in each.warnings))
    return Body(
        observed_at=min(each.observed_at for each in measurements),
        slo=slo.name,
        service=slo.service,
        period=window_name(slo.period_seconds),
        objectives=objectives,
        firing=_firing(objectives),
        warning_count=len(warnings),
        warnings=warnings[:_SHOWN_WARNINGS],
    )


def _status(objective: Objective, slo: Slo, measurement: _Measurement, *, path: str) -> ObjectiveStatus:
    indicator, place = objective.indicator, objective.location
    queries = f"{indicator.kind}: {indicator.query}" + (f" total: {indicator.total}" if indicator.total else "")
    return ObjectiveStatus(
        name=objective.name,
        budget=spend(objective.target, slo.period_seconds, measurement.error_ratios),
        event_count=measurement.event_count,
        covers_period=measurement.covers_period,
        indicator=queries[:_SHOWN_QUERY],
        place=Place(path=path, line=place.line, column=place.column) if place else None,
    )


def _firing(objectives: tuple[ObjectiveStatus, ...]) -> tuple[str, ...]:
    return tuple(f"{each.name}: {alert}" for each in objectives for alert in each.budget.firing)


def _ask(url: str, slo: Slo, context: Context) -> list[_Measurement]:
    """Ask a server for each indicator once, however many objectives share it."""
    from gatekeeper.gates.slo.prometheus import Server, ask
    from gatekeeper.http import Limits

    settings = context.settings
    limits = Limits(settings.allowed_hosts, settings.http_timeout_seconds, settings.max_document_bytes)
    server = Server(url, context.now, limits)
    found: dict[Indicator, _Measurement] = {}
    for indicator in (each.indicator for each in slo.objectives):
        if indicator in found:
            continue
        asked = ask(server, indicator, required_windows(slo.period_seconds))
        for name, data in asked.replies:
            context.workspace.record_bytes(name, data)
        ratios = {
            seconds: _ratio(value, f"{window_name(seconds)} of {slo.name}")
            for seconds, value in asked.error_ratios.items()
        }
        found[indicator] = _Measurement(ratios, context.now, asked.event_count, asked.covers_period, asked.warnings)
    return [found[each.indicator] for each in slo.objectives]


def _read_saved(path: str, slo: Slo, context: Context) -> list[_Measurement]:
    from gatekeeper.formats.prometheus_saved import parse_saved

    saved = parse_saved(context.workspace.read(path), path)
    return [_of_objective(saved, slo, index, context.now) for index in range(len(slo.objectives))]


def _of_objective(saved: SavedAnswers, slo: Slo, index: int, now: datetime) -> _Measurement:
    from gatekeeper.formats.prometheus import parse_number
    from gatekeeper.formats.prometheus_saved import MAX_SPREAD_SECONDS

    chosen = {seconds: _select(saved, slo, index, seconds) for seconds in required_windows(slo.period_seconds)}
    times = [sample.time for sample in chosen.values()]
    oldest, newest = (datetime.fromtimestamp(each, UTC) for each in (min(times), max(times)))
    if newest > now + FUTURE_TOLERANCE:
        raise EvidenceError(
            "unverifiable",
            saved.subject,
            f"measured at {newest.isoformat()}, which is in the future",
            hint="mend the clock of the machine that asked Prometheus",
        )
    if newest - oldest > timedelta(seconds=MAX_SPREAD_SECONDS):
        raise EvidenceError(
            "unverifiable",
            saved.subject,
            f"its windows were measured at different times, from {oldest.isoformat()} to {newest.isoformat()}",
            hint="ask for all windows with the same time=",
        )
    ratios = {}
    for seconds, sample in chosen.items():
        subject = f"{saved.subject}: {window_name(seconds)}"
        ratios[seconds] = _ratio(parse_number(sample.value, subject), subject)
    return _Measurement(ratios, oldest, saved.event_count, None, saved.warnings)


def _select(saved: SavedAnswers, slo: Slo, index: int, seconds: int) -> Sample:
    """Choose the one series of a window; Sloth calls an OpenSLO objective `<name>-<index>`."""
    distinct = len({each.indicator for each in slo.objectives}) > 1
    names = {f"{slo.name}-{index}"} | (set() if distinct else {slo.name})
    found = saved.select(seconds, service=slo.service, names=names, unlabelled=not distinct)
    if len(found) == 1:
        return found[0]
    needed = ", ".join(map(window_name, required_windows(slo.period_seconds)))
    raise EvidenceError(
        "malformed" if found else "missing",
        saved.subject,
        f"{len(found)} series for the window {window_name(seconds)} of {slo.name}, objective {index + 1}; "
        "exactly one was wanted",
        hint=f"save one error ratio for each of {needed}"
        + (", with Sloth's labels, because each objective has its own indicator" if distinct else ""),
    )


def _ratio(value: Decimal, subject: str) -> Decimal:
    if not -ROUNDING <= value <= 1 + ROUNDING:
        raise EvidenceError(
            "malformed",
            subject,
            f"the error ratio is {value:.6g}, which is not in [0, 1]",
            hint="good and bad events are part of the total; check the queries",
        )
    return min(max(value, Decimal(0)), Decimal(1))
