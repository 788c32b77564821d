"""
The weakening check: recorded evidence judged under base and head, so that a policy that denies less is seen to.

Text can hide what a change of a rule does; what it decides cannot. The same engine, settings, waivers and clock judge
each document twice, and only the policies differ.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import zip_longest
from typing import Annotated

from pydantic import Field

from gatekeeper.decision import Decision, Outcome
from gatekeeper.document import Document
from gatekeeper.engine import open_engine
from gatekeeper.errors import EXIT_ALLOW, EXIT_DENY, EXIT_INCONCLUSIVE, EvidenceError, worst
from gatekeeper.policy import PolicySet
from gatekeeper.policy_tools.recorded import Recorded, Recordings
from gatekeeper.promotion import Run, decide
from gatekeeper.trusted import TrustedSide

MAX_EXAMPLES = 5
"""Places that are named for each rule that went quiet."""

_STRENGTH = {"warn": 1, "waived": 2, "deny": 3}


class Flip(Document):
    """One recorded promotion that head decides otherwise than base."""

    origin: str
    """Bundle, or log and line."""
    promotion: str
    """Candidate, version and environments."""
    before: Outcome
    """Outcome under base."""
    after: Outcome
    """Outcome under head."""
    reason_before: str
    """Why, under base."""
    reason_after: str
    """Why, under head."""
    rules_gone: tuple[str, ...]
    """Rules that denied under base and deny less, or not at all, under head."""
    gates_gone: tuple[str, ...]
    """Gates that were required under base and are not under head."""

    @property
    def to_allow(self) -> bool:
        """Whether head promotes what base did not."""
        return self.after == "allow"


class QuietRule(Document):
    """A rule that objected under base and objects less, or not at all, under head."""

    rule: str
    """Rule id."""
    findings: Annotated[int, Field(ge=1)]
    """Findings that are gone or became milder."""
    documents: Annotated[int, Field(ge=1)]
    """Documents in which that happened."""
    examples: tuple[str, ...]
    """The first of them: origin and subject."""


class Weakening(Document):
    """What the recorded evidence says about a change of policies."""

    documents: Annotated[int, Field(ge=1)]
    """Evidence documents that were judged under both."""
    flips: tuple[Flip, ...]
    """Promotions whose outcome differs, those that head allows first."""
    quiet_rules: tuple[QuietRule, ...]
    """Rules that object less than before."""
    unreadable: tuple[str, ...]
    """Recorded evidence that could not be read."""
    without_evidence: Annotated[int, Field(ge=0)]
    """Records that hold no evidence and could not be judged again."""
    undecided: tuple[str, ...]
    """Documents that head could not judge because of an error, with the reason."""
    doubt_exit_code: Annotated[int, Field(ge=0, le=255)]
    """Exit code of what stands in the way of an answer; 0 when nothing does."""

    @property
    def to_allow(self) -> tuple[Flip, ...]:
        """The promotions that head allows and base did not."""
        return tuple(each for each in self.flips if each.to_allow)


def check_weakening(base: PolicySet, head: PolicySet, recordings: Recordings, trusted: TrustedSide) -> Weakening:
    """
    Judge every document under both sets of policies and compare.

    Raises `EvidenceError` when there is no document: no evidence is no proof that nothing was weakened.
    Raises `ConfigurationError` when policies do not compile, `UnavailableError` when the engine cannot run.
    """
    documents = recordings.documents
    if not documents:
        found = "; ".join(recordings.unreadable[:3]) or "none was found"
        raise EvidenceError(
            "missing", "recorded evidence", f"there is no document to judge ({found})",
            hint="give bundles with --evidence or a decision log with --log; without evidence nothing is shown",
        )  # fmt: skip
    pairs = list(zip(_judge(base, documents, trusted), _judge(head, documents, trusted), strict=True))
    flips = [_flip(each, old, new) for each, (old, new) in zip(documents, pairs, strict=True) if _differ(old, new)]
    flips.sort(key=lambda each: (not each.to_allow, each.after == "deny", each.origin))
    return Weakening(
        documents=len(documents),
        flips=tuple(flips),
        quiet_rules=_quiet_rules(documents, pairs),
        unreadable=recordings.unreadable,
        without_evidence=len(recordings.without_evidence),
        undecided=tuple(
            f"{each.origin}: {new.reason}" for each, (_, new) in zip(documents, pairs, strict=True) if _failed(new)
        ),
        doubt_exit_code=_doubt(pairs, recordings),
    )


def _judge(policies: PolicySet, documents: Sequence[Recorded], trusted: TrustedSide) -> list[Decision]:
    """Decide every document by its own clock."""
    engine = open_engine(trusted.settings.engine_settings)
    try:
        engine.load(policies)
        run = Run(
            trusted.settings, policies, engine, documents[0].now,
            waivers=trusted.waivers, collectors=trusted.collectors,
        )  # fmt: skip
        return [decide(each.bundle, each.origin, dataclasses.replace(run, now=each.now)) for each in documents]
    finally:
        engine.close()


def _differ(old: Decision, new: Decision) -> bool:
    return old.outcome != new.outcome


def _failed(decision: Decision) -> bool:
    """Whether an error, and not evidence, kept it from a decision."""
    return decision.exit_code not in (EXIT_ALLOW, EXIT_DENY, EXIT_INCONCLUSIVE)


def _doubt(pairs: Sequence[tuple[Decision, Decision]], recordings: Recordings) -> int:
    codes = [new.exit_code for _, new in pairs if _failed(new)]
    compared = any(old.outcome != "inconclusive" or new.outcome != "inconclusive" for old, new in pairs)
    if recordings.unreadable or not compared:
        codes.append(EXIT_INCONCLUSIVE)
    return worst(codes) if codes else 0


def _flip(document: Recorded, old: Decision, new: Decision) -> Flip:
    promotion, after = document.bundle.promotion, _findings(new)
    gone = [
        place[0]
        for place, strengths in _findings(old).items()
        if strengths[0] == _STRENGTH["deny"] and _lost(strengths, after.get(place, []))
    ]
    candidate = promotion.candidate
    return Flip(
        origin=document.origin,
        promotion=f"{candidate.name} {candidate.version}, {promotion.source} to {promotion.target}",
        before=old.outcome,
        after=new.outcome,
        reason_before=old.reason,
        reason_after=new.reason,
        rules_gone=tuple(dict.fromkeys(gone)),
        gates_gone=tuple(sorted(_required(old) - _required(new))) if new.gates else (),
    )


def _required(decision: Decision) -> set[str]:
    return {each.gate for each in decision.gates if each.verdict != "not_applicable"}


def _findings(decision: Decision) -> dict[tuple[str, str], list[int]]:
    """Strengths by rule and subject, strictest first; a message may show a threshold, and is no other finding."""
    found: dict[tuple[str, str], list[int]] = {}
    for each in (finding for gate in decision.gates for finding in gate.findings):
        found.setdefault((each.rule, each.subject), []).append(_STRENGTH[each.effect])
    return {place: sorted(strengths, reverse=True) for place, strengths in found.items()}


def _lost(before: list[int], after: list[int]) -> int:
    """Count the findings that are gone or milder."""
    return sum(old > new for old, new in zip_longest(before, after, fillvalue=0))


def _quiet_rules(documents: Sequence[Recorded], pairs: Sequence[tuple[Decision, Decision]]) -> tuple[QuietRule, ...]:
    """Find what became milder; a gate that head could not judge is no silence, its promotion stays blocked."""
    places: dict[str, list[tuple[str, str]]] = {}
    for document, (old, new) in zip(documents, pairs, strict=True):
        silent = {each.gate for each in new.gates if each.verdict == "inconclusive"}
        after = _findings(new)
        for place, strengths in _findings(old).items():
            if new.gates and place[0].partition(".")[0] not in silent:
                lost = _lost(strengths, after.get(place, []))
                places.setdefault(place[0], []).extend([(document.origin, place[1])] * lost)
    return tuple(
        QuietRule(
            rule=rule,
            findings=len(found),
            documents=len({origin for origin, _ in found}),
            examples=tuple(f"{origin}: {subject}" for origin, subject in list(dict.fromkeys(found))[:MAX_EXAMPLES]),
        )
        for rule, found in sorted(places.items())
        if found
    )
