"""
Rego tests: what each engine said of them, what they covered, and whether that is good enough; pure.

A test is a rule `test_…` in a file `…_test.rego` and passes when it is true. One named `todo_test_…` is skipped,
and said to be. No test at all is a failure: nothing was shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from gatekeeper.engine.builtins import FORBIDDEN
from gatekeeper.engine.rego import Outline, read_outline
from gatekeeper.errors import Location
from gatekeeper.policy_tools.sources import RuleText, Sources, rules_in

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
_REACHING = ("print", "trace")
"""Builtins that a policy may not call and a test may: they only write."""


@dataclass(frozen=True)
class Test:
    """One test, with its place."""

    __test__ = False  # pytest would take the class for one of its own

    name: str
    """In full: `data.<package>.test_…`."""
    place: Location

    @property
    def skipped(self) -> bool:
        """Whether its author set it aside."""
        return self.name.rpartition(".")[2].startswith("todo_")


@dataclass(frozen=True)
class Lines:
    """Lines of one policy that count, by whether a test reached them."""

    covered: frozenset[int]
    uncovered: frozenset[int]


@dataclass(frozen=True)
class EngineRun:
    """What one engine said of all tests."""

    engine: str
    """Its name and version."""
    outcomes: Mapping[str, str]
    """passed, failed or skipped, by the test's full name."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why a test failed, where the engine says more than that it is not true."""
    lines: Mapping[str, Lines] | None = field(default_factory=dict)
    """Coverage by policy; None where the engine gives none, as OPA does when a test failed."""

    @property
    def coverage_percent(self) -> float | None:
        """Share of the lines that count and were reached; without any line nothing is covered."""
        if self.lines is None:
            return None
        covered = sum(len(each.covered) for each in self.lines.values())
        every = covered + sum(len(each.uncovered) for each in self.lines.values())
        return 100 * covered / every if every else 0.0


@dataclass(frozen=True)
class Report:
    """What a run of the tests says, and why it failed if it did."""

    text: str
    failures: tuple[str, ...]


def find_tests(sources: Sources) -> list[Test]:
    """
    Find every test, in the order of files and lines.

    Raises `ConfigurationError` for a test that the engines would not both run once, and for one that reaches
    the network, the clock, the environment or chance.
    """
    found: dict[str, Test] = {}
    for module in sources.tests:
        outline = read_outline(module)
        _refuse_reaching(outline)
        for rule in rules_in(outline):
            if rule.name.startswith(("test_", "todo_test_")):
                name = f"data.{module.package}.{rule.name}"
                _check_shape(rule, name in found)
                found[name] = Test(name, rule.place)
    return list(found.values())


def _check_shape(rule: RuleText, taken: bool) -> None:
    outline, index = rule.outline, rule.index
    if taken:
        raise outline.refuse(index, f"the test {rule.name} exists already", hint="give each test its own name")
    if outline.text(index - 1) == "default" or outline.text(index + 1) in ("(", "[", "contains"):
        raise outline.refuse(index, f"{rule.name} is no plain rule", hint="write `test_… if { … }`, once for each case")


def _refuse_reaching(outline: Outline) -> None:
    for call in outline.calls:
        if call.name.startswith(FORBIDDEN) and call.name not in _REACHING:
            raise outline.refuse(
                call.opening - 1, f"{call.name} is forbidden in tests too", hint="replace what it says with `with`"
            )


def report(tests: list[Test], runs: list[EngineRun], threshold: float) -> Report:
    """Judge the runs of all engines: every test, their agreement, and the coverage of each."""
    failures = [] if any(not test.skipped for test in tests) else ["no test was run, and no test is not a pass"]
    lines: list[str] = []
    for run in runs:
        lines += _describe(run, tests)
        failures += [f"{test.name} failed on {run.engine}" for test in _failed(run, tests)]
        percent = run.coverage_percent
        if percent is not None and percent < threshold:
            failures.append(f"{run.engine} covers {percent:.2f} % of the lines, {threshold:g} % is wanted")
        elif percent is None and not _failed(run, tests):
            failures.append(f"{run.engine} says nothing of coverage")
    failures += _disagreements(runs)
    lines += [f"FAILED: {each}" for each in failures] or ["all tests passed"]
    return Report("\n".join(lines), tuple(failures))


def _failed(run: EngineRun, tests: list[Test]) -> list[Test]:
    """Tests that did not pass; one of which the engine says nothing did not."""
    return [test for test in tests if run.outcomes.get(test.name) not in (PASSED, SKIPPED)]


def _describe(run: EngineRun, tests: list[Test]) -> Iterator[str]:
    counts = {word: sum(each == word for each in run.outcomes.values()) for word in (PASSED, FAILED, SKIPPED)}
    counted = ", ".join(f"{number} {word}" for word, number in counts.items())
    percent = run.coverage_percent
    covered = "coverage unknown" if percent is None else f"{percent:.2f} % of the lines covered"
    yield f"{run.engine}: {counted}; {covered}"
    for test in tests:
        if test in _failed(run, tests):
            yield f"  {test.place}: failed: {test.name}: {run.reasons.get(test.name, 'it is not true')}"
        elif test.skipped:
            yield f"  {test.place}: skipped: {test.name}"
    for path, each in sorted((run.lines or {}).items()):
        if each.uncovered:
            yield f"  {path}: not covered: {_ranges(each.uncovered)}"


def _disagreements(runs: list[EngineRun]) -> Iterator[str]:
    """Tests of which the engines say different things, those that only one of them knows included."""
    if len(runs) < 2:
        return
    for name in sorted({name for run in runs for name in run.outcomes}):
        said = {run.engine: run.outcomes.get(name, "unknown") for run in runs}
        if len(set(said.values())) > 1:
            yield f"the engines disagree on {name}: " + ", ".join(f"{engine}: {word}" for engine, word in said.items())


def _ranges(lines: Iterable[int]) -> str:
    """Write 1, 2, 3, 7 as `1-3, 7`."""
    spans: list[list[int]] = []
    for line in sorted(lines):
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
