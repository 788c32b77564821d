"""
OpenSLO documents, as far as an error budget can be computed from them.

Source: https://github.com/OpenSLO/OpenSLO (v1; v1alpha as Sloth reads it). Read: ratio metrics over a rolling
window, budgeted by occurrences. Everything else is refused with its reason; nothing is guessed.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from decimal import Decimal

from gatekeeper.errors import EvidenceError, Location
from gatekeeper.formats.node import Node
from gatekeeper.formats.openslo_indicator import Indicator, read_indicator, read_indicator_v1alpha
from gatekeeper.formats.strict_yaml import parse_located, parse_yaml_documents

MIN_PERIOD_SECONDS, MAX_PERIOD_SECONDS = 7 * 86400, 366 * 86400
"""Below seven days the windows of three days and of one day no longer tell slow burning from fast."""

MAX_OBJECTIVES = 20
"""Objectives of one SLO."""

_SHORTHAND = re.compile(r"([1-9][0-9]{0,5})([mhdwMQY])", re.ASCII)
_SHORTHAND_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
_UNIT_SECONDS = {"Minute": 60, "Hour": 3600, "Day": 86400, "Week": 604800}


@dataclass(frozen=True)
class Objective:
    """A target for an indicator; `target` is the exact share of events that must be good, in [0, 1)."""

    name: str
    target: Decimal
    indicator: Indicator
    location: Location | None


@dataclass(frozen=True)
class Slo:
    """One service level objective with its rolling period in seconds."""

    name: str
    service: str
    period_seconds: int
    objectives: tuple[Objective, ...]


def read_slo(data: bytes, subject: str, *, name: str | None = None) -> Slo:
    """
    Read the SLO called `name` (metadata.name) from a file of OpenSLO objects; without a name, the only one.

    Raises `EvidenceError`: missing when it is not there, malformed when it breaks OpenSLO, unverifiable when
    it asks for something that gatekeeper does not compute.
    """
    objects = _objects(data, subject)
    slos = [node for node in objects if node.value.get("kind") == "SLO"]
    names = [node.mapping("metadata").text("name") for node in slos]
    chosen = [node for node, each in zip(slos, names, strict=True) if name in (None, each)]
    if len(chosen) == 1:
        return _slo(chosen[0], objects)
    listed = ", ".join(sorted(set(names))[:10]) or "none"
    if not chosen:
        raise EvidenceError(
            "missing", subject, f"no SLO {name!r} in it; found: {listed}" if name else "it holds no object of kind SLO"
        )
    if name is None:
        raise EvidenceError("unverifiable", subject, f"holds {len(chosen)} SLOs ({listed})", hint="set slo.name")
    raise chosen[1].refuse(f"the name {name!r} is used by {len(chosen)} SLOs")


def _objects(data: bytes, subject: str) -> list[Node]:
    documents = parse_yaml_documents(data, subject)
    located = None
    if len(documents) == 1:
        # A closing `---` makes an empty second document; places are then not known.
        with contextlib.suppress(EvidenceError):
            located = parse_located(data, subject)
    found = []
    for document in documents:
        root = Node(document, (), subject, located)
        nodes = [root.child(index) for index in range(len(document))] if isinstance(document, list) else [root]
        for node in nodes:
            if not isinstance(node.value, dict) or not isinstance(node.value.get("kind"), str):
                raise node.refuse("is not an OpenSLO object with apiVersion and kind")
            found.append(node)
    if not found:
        raise EvidenceError("malformed", subject, "the file is empty, OpenSLO objects were wanted")
    return found


def _slo(node: Node, objects: list[Node]) -> Slo:
    version, spec = node.text("apiVersion"), node.mapping("spec")
    if version not in ("openslo/v1", "openslo/v1alpha"):
        raise node.child("apiVersion").refuse(
            f"{version!r} is not read", kind="unverifiable", hint="write the SLO as openslo/v1"
        )
    if spec.child("budgetingMethod").value != "Occurrences":
        raise spec.child("budgetingMethod").refuse(
            f"{spec.child('budgetingMethod').value!r} is not computed, only Occurrences",
            kind="unverifiable",
            hint="time slices need every slice of the period; budget by occurrences",
        )
    if version == "openslo/v1":
        shared = read_indicator(spec, objects)
        objectives = [_objective(each, index, shared) for index, each in enumerate(spec.items("objectives"))]
    else:
        objectives = [
            _objective(each, index, read_indicator_v1alpha(each, spec))
            for index, each in enumerate(spec.items("objectives"))
        ]
    if len(objectives) > MAX_OBJECTIVES:
        raise spec.child("objectives").refuse(f"more than {MAX_OBJECTIVES} objectives")
    period = _period_v1(spec) if version == "openslo/v1" else _period_v1alpha(spec)
    return Slo(node.mapping("metadata").text("name"), spec.text("service"), period, tuple(objectives))


def _objective(node: Node, index: int, indicator: Indicator) -> Objective:
    for key in ("indicator", "indicatorRef", "compositeWeight"):
        if node.has(key):
            raise node.child(key).refuse("composite SLOs are not computed", kind="unverifiable")
    if node.has("target") == node.has("targetPercent"):
        raise node.refuse("wants exactly one of target and targetPercent")
    target = node.child("target" if node.has("target") else "targetPercent")
    if not isinstance(target.value, int | float) or isinstance(target.value, bool):
        raise target.refuse("is not a number")
    # repr gives the shortest decimal that is this float, hence what was written: 0.999, not 0.99899999….
    share = Decimal(repr(target.value)) / (1 if node.has("target") else 100)
    if share == 1:
        raise target.refuse(
            "a target of 100 % leaves no error budget, so nothing can be measured against it",
            kind="unverifiable",
            hint="choose a target below 100 %",
        )
    if not 0 <= share < 1:
        raise target.refuse(f"{target.value} is not in [0, {1 if node.has('target') else 100})")
    name = node.text("displayName") if node.has("displayName") else f"objective {index + 1}"
    return Objective(name, share, indicator, target.location())


def _period_v1(spec: Node) -> int:
    """`timeWindow`: exactly one item; the duration is a number with m, h, d, w, M, Q or Y."""
    window = _single(spec, "timeWindow")
    _refuse_calendar(window, rolling=window.child("isRolling").value is True)
    duration = window.child("duration")
    match = _SHORTHAND.fullmatch(window.text("duration"))
    if match is None:
        raise duration.refuse(f"{duration.value!r} is not a duration such as 30d or 4w")
    count, unit = match.groups()
    if unit not in _SHORTHAND_SECONDS:
        raise duration.refuse(
            f"{duration.value!r} has no fixed length", kind="unverifiable", hint="write it in days or weeks, as 30d"
        )
    return _bounded(duration, int(count) * _SHORTHAND_SECONDS[unit])


def _period_v1alpha(spec: Node) -> int:
    """`timeWindows`: exactly one item of unit and count; without isRolling and calendar it rolls, as in Sloth."""
    window = _single(spec, "timeWindows")
    rolling = window.child("isRolling").value
    _refuse_calendar(window, rolling=rolling is True or (rolling is None and not window.has("calendar")))
    count, unit = window.child("count"), window.text("unit")
    if not isinstance(count.value, int) or isinstance(count.value, bool) or not 0 < count.value < 10**6:
        raise count.refuse("is not a positive whole number")
    if unit not in _UNIT_SECONDS:
        raise window.child("unit").refuse(f"{unit!r} has no fixed length", kind="unverifiable", hint="write Day")
    return _bounded(window, count.value * _UNIT_SECONDS[unit])


def _single(spec: Node, key: str) -> Node:
    if not spec.has(key):
        raise spec.refuse(
            f"has no {key}, so the budget has no period", kind="unverifiable", hint="add a rolling window of 30d"
        )
    windows = spec.items(key)
    if len(windows) != 1 or not isinstance(windows[0].value, dict):
        raise spec.child(key).refuse("wants exactly one window")
    return windows[0]


def _refuse_calendar(window: Node, *, rolling: bool) -> None:
    if not rolling or window.has("calendar"):
        raise window.refuse(
            "calendar-aligned windows are not computed, only rolling ones",
            kind="unverifiable",
            hint="write isRolling: true without a calendar",
        )


def _bounded(node: Node, seconds: int) -> int:
    if not MIN_PERIOD_SECONDS <= seconds <= MAX_PERIOD_SECONDS:
        raise node.refuse(
            f"a period of {seconds} seconds is not computed, only 7 to 366 days",
            kind="unverifiable",
            hint="`m` is minutes; a month is 30d",
        )
    return seconds
