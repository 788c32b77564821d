"""Evidence is a body with sources or a gap with a reason, one for each gate, under a digest."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from conftest import NOW
from pydantic import AwareDatetime, ValidationError
from support import SHA, make_manifest

from gatekeeper.errors import EvidenceError, Location
from gatekeeper.evidence import (
    MAX_AGE_SECONDS,
    Evidence,
    EvidenceBody,
    EvidenceBundle,
    Gap,
    GateThresholds,
    Source,
    bundle_digest,
    seal,
)

SOURCE = Source(path="a.json", sha256=SHA, size_bytes=1)
GAP = Gap(kind="missing", subject="a.json", message="no such file")


def make_evidence(**changes: Any) -> Evidence:
    """Evidence of one gate."""
    fields: dict[str, Any] = {
        "gate": "slo",
        "collected_at": NOW,
        "queue_seconds": 0.0,
        "duration_seconds": 0.5,
        "sources": (SOURCE,),
        "body": {"observed_at": None},
    }
    return Evidence(**(fields | changes))


def make_bundle(*evidence: Evidence, **changes: Any) -> EvidenceBundle:
    """A bundle, not sealed."""
    fields: dict[str, Any] = {
        "promotion": make_manifest(),
        "manifest_sha256": SHA,
        "collected_at": NOW,
        "collect_seconds": 1.0,
        "evidence": evidence,
    }
    return EvidenceBundle(**(fields | changes))


def test_evidence_is_a_body_or_a_gap() -> None:
    """Each alone is evidence."""
    assert make_evidence().gap is None
    assert make_evidence(body=None, gap=GAP, sources=()).gap == GAP
    assert make_evidence(body={}).body == {}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gap": GAP}, "exactly one"),
        ({"body": None}, "exactly one"),
        ({"sources": ()}, "proves nothing"),
        ({"duration_seconds": -0.1}, "greater than or equal to 0"),
        ({"queue_seconds": float("nan")}, "finite"),
        ({"duration_seconds": float("inf")}, "finite"),
        ({"collected_at": datetime(2026, 1, 1)}, "timezone"),
        ({"body": [1]}, "dictionary"),
        ({"note": "x"}, "not permitted"),
    ],
    ids=["both", "neither", "no-source", "negative", "nan", "infinite", "no-zone", "list", "unknown-key"],
)
def test_refuses_evidence_that_proves_nothing(changes: dict[str, Any], words: str) -> None:
    """A body beside a gap, neither of them, a body from nowhere, times that are none."""
    with pytest.raises(ValidationError, match=words):
        make_evidence(**changes)


@pytest.mark.parametrize("digest", ["", "0" * 63, "0" * 65, "G" * 64, "A" * 64, f"{SHA}\n", f"sha256:{SHA}"])
def test_a_source_has_a_whole_digest(digest: str) -> None:
    """64 lower-case hex digits, nothing before or after."""
    with pytest.raises(ValidationError):
        Source(path="a", sha256=digest, size_bytes=1)


def test_a_source_has_a_size() -> None:
    """Zero bytes may be read, fewer may not."""
    assert Source(path="a", sha256=SHA, size_bytes=0).size_bytes == 0
    with pytest.raises(ValidationError):
        Source(path="a", sha256=SHA, size_bytes=-1)


@pytest.mark.parametrize("kind", ["missing", "stale", "malformed", "unverifiable"])
def test_a_gap_is_the_error_as_a_value(kind: str) -> None:
    """Nothing of the error is lost but the text of the line."""
    place = Location("a.json", 3, 7, "secret")
    gap = Gap.of(EvidenceError(kind, "a.json", "is cut", hint="write it again", location=place))
    assert (gap.kind, gap.subject, gap.message, gap.hint) == (kind, "a.json", "is cut", "write it again")
    assert (gap.line, gap.column) == (3, 7)
    assert "secret" not in gap.model_dump_json()
    assert Gap.of(EvidenceError(kind, "a", "b")).line is None


@pytest.mark.parametrize("kind", ["", "Missing", "ok", "pass"])
def test_refuses_an_unknown_kind_of_gap(kind: str) -> None:
    """There are four ways of not knowing."""
    with pytest.raises(ValidationError):
        Gap.of(EvidenceError(kind, "a", "b"))


class Body(EvidenceBody):
    """The smallest body."""


@pytest.mark.parametrize("text", ['{"observed_at": "2026-01-01T00:00:00Z"}', '{"observed_at": null}'])
def test_a_body_says_when_it_was_observed(text: str) -> None:
    """A time with a zone, or that nothing ages."""
    assert isinstance(Body.model_validate_json(text).observed_at, datetime | None)


@pytest.mark.parametrize("value", ["", '"2026-01-01T00:00:00"', '"2026-01-01"', "0", "1767225600", '"now"', "true"])
def test_refuses_a_body_that_does_not_say_when(value: str) -> None:
    """An absent time, one without a zone and a bare number are not taken for now."""
    with pytest.raises(ValidationError):
        Body.model_validate_json(f'{{"observed_at": {value}}}' if value else "{}")


@pytest.mark.parametrize("seconds", [1, MAX_AGE_SECONDS])
def test_an_age_lies_within_its_bounds(seconds: int) -> None:
    """From one second to ten years, and a time span can be made of it."""
    assert timedelta(seconds=GateThresholds(max_age_seconds=seconds).max_age_seconds)


@pytest.mark.parametrize("value", ["0", "-1", str(MAX_AGE_SECONDS + 1), "1e3", "1.0", '"60"', "true", "null", "1" * 30])
def test_refuses_an_age_that_is_no_limit(value: str) -> None:
    """Zero, endless and text are no ages."""
    with pytest.raises(ValidationError):
        GateThresholds.model_validate_json(f'{{"max_age_seconds": {value}}}')


def test_a_gate_has_one_entry() -> None:
    """Of two entries nobody could say which was judged."""
    with pytest.raises(ValidationError, match="twice"):
        make_bundle(make_evidence(), make_evidence(body=None, gap=GAP))


def test_finds_a_gates_evidence_or_none() -> None:
    """An absent gate is absent, not empty."""
    bundle = make_bundle(make_evidence(), make_evidence(gate="lineage"))
    found = bundle.for_gate("lineage")
    assert found is not None
    assert found.gate == "lineage"
    assert bundle.for_gate("contracts") is None


def test_the_seal_is_the_digest_of_everything_else() -> None:
    """Any change of any field changes it; sealing again does not."""
    bundle = seal(make_bundle(make_evidence()))
    assert len(bundle.digest) == 64
    assert seal(bundle) == bundle
    content = json.loads(bundle.model_dump_json())
    assert bundle_digest(content) == bundle.digest
    changed = [
        content | {"collect_seconds": 1.1},
        content | {"commit": "a"},
        content | {"evidence": []},
        content | {"promotion": content["promotion"] | {"to": "staging"}},
        content | {"gap": GAP.model_dump(mode="json")},
    ]
    assert bundle.digest not in {bundle_digest(each) for each in changed}


def test_the_seal_survives_a_round_trip_through_json() -> None:
    """Times in any zone, floats and characters of any script keep the digest."""
    zone = timezone(timedelta(hours=5, minutes=30))
    body = {"observed_at": "2026-01-01T00:00:00+05:30", "x": 0.1, "y": 1e22, "z": 10**20, "é": "\u2028😀"}
    bundle = seal(make_bundle(make_evidence(body=body, collected_at=datetime(2026, 1, 1, 5, 30, tzinfo=zone))))
    again = EvidenceBundle.model_validate_json(bundle.model_dump_json())
    assert bundle_digest(json.loads(bundle.model_dump_json())) == bundle.digest == again.digest
    assert seal(again).digest == bundle.digest
    assert again.evidence[0].collected_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_bundle_needs_its_times_with_a_zone() -> None:
    """A local time means another instant on another machine."""

    class Probe(EvidenceBody):
        at: AwareDatetime

    with pytest.raises(ValidationError, match="timezone"):
        Probe.model_validate_json('{"observed_at": null, "at": "2026-01-01T00:00:00"}')
    with pytest.raises(ValidationError, match="timezone"):
        make_bundle(collected_at=datetime(2026, 1, 1))
