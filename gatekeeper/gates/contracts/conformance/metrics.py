"""
The quality rules of a contract, computed over the data.

Metrics as in https://bitol-io.github.io/open-data-contract-standard/latest/data-quality: rowCount, nullValues,
missingValues, invalidValues, duplicateValues. Where the standard is silent: nulls are missing values;
duplicates are the rows beyond the first of each value; a null is no duplicate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from gatekeeper.formats.strict_yaml import Path
from gatekeeper.gates.contracts.conformance.grammar import Grammar
from gatekeeper.gates.contracts.conformance.readers import identity
from gatekeeper.gates.contracts.conformance.report import QualityResult, Report, Unchecked

OPERATORS: dict[str, Callable[[Fraction, Any], bool]] = {
    "mustBe": lambda measured, limit: measured == _exact(limit),
    "mustNotBe": lambda measured, limit: measured != _exact(limit),
    "mustBeGreaterThan": lambda measured, limit: measured > _exact(limit),
    "mustBeGreaterOrEqualTo": lambda measured, limit: measured >= _exact(limit),
    "mustBeLessThan": lambda measured, limit: measured < _exact(limit),
    "mustBeLessOrEqualTo": lambda measured, limit: measured <= _exact(limit),
    "mustBeBetween": lambda measured, limit: _exact(limit[0]) <= measured <= _exact(limit[1]),
    "mustNotBeBetween": lambda measured, limit: not _exact(limit[0]) <= measured <= _exact(limit[1]),
}
UNITS = {None: "rows", "rows": "rows", "row": "rows", "percent": "percent", "%": "percent"}


@dataclass(frozen=True)
class DeclaredRule:
    """A library rule, the element that it is about, and its place in the contract."""

    subject: str
    path: Path
    content: Mapping[str, Any]

    @property
    def metric(self) -> str:
        """What it measures."""
        return str(self.content.get("metric"))

    @property
    def arguments(self) -> Mapping[str, Any]:
        """How it measures; empty when nothing is said."""
        return self.content.get("arguments") or {}


class Counter:
    """Counts for one quality rule of one property what the rule's own arguments name."""

    def __init__(self, rule: DeclaredRule) -> None:
        self.rule, self.metric = rule, rule.metric
        arguments = rule.arguments
        self._missing = _identities(arguments.get("missingValues"))
        self._valid = _identities(arguments.get("validValues"))
        pattern = arguments.get("pattern")
        self._grammar = Grammar("pattern", pattern) if isinstance(pattern, str) else None
        known = {"missingValues": {"missingValues"}, "invalidValues": {"validValues", "pattern"}}
        self._is_clear = set(arguments) <= known.get(self.metric, set())
        self._count = 0

    def see_cells(self, cells: Sequence[Any]) -> None:
        """Count the cells that stand for a missing value, before they are read as the logical type."""
        if self.metric == "missingValues" and self._missing is not None:
            missing = self._missing
            self._count += sum(identity(each) in missing for each in cells)

    def see_values(self, values: Sequence[Any], wrong: int) -> None:
        """Count the values that are not valid; `wrong` ones could not even be read."""
        if self.metric != "invalidValues" or (self._valid is None and self._grammar is None):
            return
        texts = [identity(each) for each in values]
        invalid = set(self._grammar.mismatches(texts)) if self._grammar else set()
        if self._valid is not None:
            invalid |= {index for index, text in enumerate(texts) if text not in self._valid}
        self._count += wrong + len(invalid)

    def total(self, *, nulls: int, invalid: int, repeats: int, rows: int) -> int | None:
        """What the rule's metric comes to; None when its name or its arguments are not understood."""
        if not self._is_clear:
            return None
        match self.metric:
            case "nullValues":
                return nulls
            case "missingValues":
                return nulls + self._count
            case "invalidValues":
                return invalid if self._valid is None and self._grammar is None else self._count
            case "duplicateValues":
                return repeats
            case "rowCount":
                return rows
        return None


def _identities(listed: Any) -> set[str] | None:
    return {identity(each) for each in listed if each is not None} if isinstance(listed, list) else None


def split_rules(report: Report, element: Mapping[str, Any], *, subject: str, path: Path) -> list[DeclaredRule]:
    """
    List the rules of an element that can be computed.

    SQL and custom rules go to `report.unchecked`; text rules are counted and left to people.
    """
    computed = []
    for index, rule in enumerate(element.get("quality") or []):
        place: Path = (*path, "quality", index)
        kind = rule.get("type", "library")
        if kind == "text":
            report.ignored_text_rules += 1
        elif kind == "library":
            computed.append(DeclaredRule(subject, place, rule))
        else:
            engine = f" of engine {rule['engine']!r}" if rule.get("engine") else ""
            reason = f"{kind} rule {rule_name(rule)!r}{engine} cannot be run here"
            report.unchecked.append(Unchecked(subject, kind, reason[:300], _severity(rule), place))
    return computed


def judge(rule: Mapping[str, Any], *, count: int | None, total: int) -> tuple[bool, str, str]:
    """
    Compare what was counted with the rule: passed, what was measured, what was wanted.

    A rule that cannot be judged (no count, no rows to take a share of, an unknown unit, a limit that is no
    number) has not passed.
    """
    names = [name for name in OPERATORS if name in rule]
    unit = UNITS.get(rule.get("unit"))
    if count is None or unit is None or len(names) != 1:
        return False, "not measured", f"{_wanted(rule, names)} (unit {rule.get('unit', 'rows')!s})"
    if unit == "percent" and total == 0:
        return False, "no rows", f"{_wanted(rule, names)} percent"
    measured = Fraction(count * 100, total) if unit == "percent" else Fraction(count)
    shown = f"{_percent(measured)} percent ({count} of {total} rows)" if unit == "percent" else f"{count} rows"
    try:
        passed = OPERATORS[names[0]](measured, rule[names[0]])
    except (TypeError, ValueError, IndexError):
        passed = False
    return passed, shown, f"{_wanted(rule, names)} {unit}"


def add_result(report: Report, rule: DeclaredRule, count: int | None) -> None:
    """Judge one rule and keep the result."""
    content = rule.content
    passed, measured, wanted = judge(content, count=count, total=report.rows)
    report.quality.append(
        QualityResult(
            subject=rule.subject,
            name=rule_name(content),
            metric=rule.metric,
            passed=passed,
            measured=measured,
            wanted=wanted,
            severity=_severity(content),
            path=rule.path,
        )
    )


def rule_name(rule: Mapping[str, Any]) -> str:
    """What to call a rule in a message."""
    name = rule.get("name") or rule.get("id") or rule.get("metric") or rule.get("description") or rule.get("type")
    return str(name)[:100]


def _severity(rule: Mapping[str, Any]) -> str | None:
    severity = rule.get("severity")
    return severity.strip().lower() if isinstance(severity, str) else None


def _exact(limit: Any) -> Fraction:
    if isinstance(limit, bool) or not isinstance(limit, int | float):
        raise TypeError("a limit is a number")
    return Fraction(Decimal(str(limit)))


def _wanted(rule: Mapping[str, Any], names: list[str]) -> str:
    return " and ".join(f"{name} {rule[name]}"[:80] for name in names) or "no operator"


def _percent(share: Fraction) -> str:
    """Four decimal places, to be shown; the comparison is exact."""
    return f"{float(share):.4f}".rstrip("0").rstrip(".")
