"""Errors: one exit code a family, and a run's exit code is the worst of its parts."""

from __future__ import annotations

import importlib
import pkgutil
from itertools import product

import pytest

import gatekeeper
from gatekeeper.decision import PROBLEM_CODES
from gatekeeper.errors import (
    EXIT_ALLOW,
    EXIT_DENY,
    EXIT_INCONCLUSIVE,
    EXIT_INTERNAL,
    WORST_FIRST,
    ConfigurationError,
    EvidenceError,
    GatekeeperError,
    Location,
    worst,
)

for _module in pkgutil.walk_packages(gatekeeper.__path__, "gatekeeper."):
    if not _module.name.endswith("__main__"):
        importlib.import_module(_module.name)  # so that no subclass stays unknown


def descendants(family: type[GatekeeperError]) -> list[type[GatekeeperError]]:
    """Every subclass, however deep."""
    return [each for child in family.__subclasses__() for each in (child, *descendants(child))]


def test_each_family_has_an_exit_code_of_its_own() -> None:
    """No two families directly below the base share an exit code, and none has that of allow or deny."""
    codes = [family.__dict__["exit_code"] for family in GatekeeperError.__subclasses__()]
    assert len(codes) >= 5
    assert len(set(codes)) == len(codes)
    assert not {EXIT_ALLOW, EXIT_DENY} & set(codes)
    assert set(codes) == set(PROBLEM_CODES)


def test_every_error_keeps_the_exit_code_of_its_family() -> None:
    """A subclass of a family exits as the family does, so that its code says what to do."""
    for family in GatekeeperError.__subclasses__():
        assert {each.exit_code for each in (family, *descendants(family))} == {family.exit_code}


def test_every_exit_code_has_a_rank() -> None:
    """The order of the worst holds every code once, and allow is the last of it."""
    known = {family.exit_code for family in GatekeeperError.__subclasses__()} | {EXIT_ALLOW, EXIT_DENY}
    assert sorted(WORST_FIRST) == sorted(known)
    assert WORST_FIRST == (130, 70, 4, 2, 1, 3, 0)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_worst_is_the_first_of_the_order_for_every_combination(length: int) -> None:
    """Whatever came together and in whatever order, the worst of it is the run's exit code."""
    for codes in product(WORST_FIRST, repeat=length):
        assert worst(list(codes)) == WORST_FIRST[min(map(WORST_FIRST.index, codes))]


def test_worst_allows_only_when_everything_is_allowed() -> None:
    """One promotion that was not allowed keeps the whole run from exiting 0."""
    assert worst([EXIT_ALLOW, EXIT_ALLOW]) == EXIT_ALLOW
    assert all(worst([EXIT_ALLOW, code]) != EXIT_ALLOW for code in WORST_FIRST if code != EXIT_ALLOW)


def test_worst_of_nothing_is_inconclusive() -> None:
    """A run that decided nothing allows nothing."""
    assert worst([]) == EXIT_INCONCLUSIVE


@pytest.mark.parametrize("code", [5, 42, 99, 255, -1, 256])
def test_worst_takes_an_unknown_code_for_an_internal_error(code: int) -> None:
    """A code that nobody defined does not vanish behind an allow."""
    assert worst([code, EXIT_ALLOW]) == EXIT_INTERNAL
    assert worst([code]) == EXIT_INTERNAL
    assert worst([code, 130]) == 130


def test_error_says_subject_problem_hint_and_place() -> None:
    """An error carries what a report shows: who, what, what next, where."""
    place = Location("a.yaml", 3, 5)
    error = ConfigurationError("gate", "is unknown", hint="mend it", location=place)
    assert str(error) == "gate: is unknown"
    assert (error.subject, error.problem, error.hint, error.location) == ("gate", "is unknown", "mend it", place)
    assert str(place) == "a.yaml:3:5"


def test_evidence_error_keeps_its_kind() -> None:
    """Missing and stale are different answers to a reader."""
    error = EvidenceError("stale", "slo", "is old")
    assert (error.kind, error.exit_code, str(error)) == ("stale", EXIT_INCONCLUSIVE, "slo: is old")


def test_caret_stands_under_the_column() -> None:
    """The caret points at the character that the column counts, tabs kept."""
    assert Location("f", 1, 5, "to: 7").caret() == "    to: 7\n        ^"
    assert Location("f", 1, 3, "\t\tx").caret() == "    \t\tx\n    \t\t^"


@pytest.mark.parametrize("excerpt", ["", "   ", "\t"])
def test_caret_is_empty_without_text(excerpt: str) -> None:
    """Nothing to point at shows nothing."""
    assert Location("f", 1, 1, excerpt).caret() == ""


def test_caret_cuts_a_long_line() -> None:
    """A megabyte in one line does not flood a report."""
    text = Location("f", 1, 100_000, "x" * 1_000_000).caret()
    assert len(text) < 500
