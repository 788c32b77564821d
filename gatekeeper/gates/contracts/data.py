"""From a data file and a contract to the evidence of how the one conforms to the other."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from gatekeeper.collectors.contracts import (
    MAX_LISTED,
    DataEvidence,
    DataViolation,
    Example,
    Item,
    QualityRule,
    UncheckedRule,
)
from gatekeeper.decision import Place
from gatekeeper.errors import EvidenceError
from gatekeeper.files import Workspace
from gatekeeper.formats.odcs import Contract
from gatekeeper.formats.strict_yaml import Path
from gatekeeper.formats.tabular import SUFFIXES, CsvTable, JsonLinesTable, Table
from gatekeeper.gates.contracts.conformance import QualityResult, Report, Unchecked, Violation, check

_MAX_SEVERITY_CHARS = 40


def check_data(item: Item, contract: Contract, workspace: Workspace) -> DataEvidence | None:
    """
    Check the data that the manifest names for a valid contract; None when it names none.

    Raises `EvidenceError` when the file is missing or breaks off, when its format is not read, or when it is
    not clear which schema object it is for.
    """
    if item.data is None:
        return None
    index = _table_index(item, contract)
    workspace.record(item.data)
    with _open_table(item.data, workspace) as table:
        report = check(contract.tables[index], ("schema", index), table)
        return _evidence(report, table, contract)


def _table_index(item: Item, contract: Contract) -> int:
    names = [each["name"] for each in contract.tables]
    if item.table is None and len(names) == 1:
        return 0
    if item.table in names:
        return names.index(item.table)
    problem = "which schema object it is for is not said" if item.table is None else f"no schema object {item.table!r}"
    raise EvidenceError(
        "unverifiable",
        str(item.data),
        f"{problem} in {item.contract}",
        hint=f"set `table` to one of: {', '.join(names)}"[:300],
    )


@contextlib.contextmanager
def _open_table(path: str, workspace: Workspace) -> Iterator[Table]:
    suffix = PurePosixPath(path).suffix.lower()
    match SUFFIXES.get(suffix):
        case "csv":
            with workspace.open(path) as file:
                yield CsvTable(file, path)
        case "jsonl":
            with workspace.open(path) as file:
                yield JsonLinesTable(file, path)
        case "parquet":
            from gatekeeper.formats.parquet import ParquetTable

            with ParquetTable(workspace.locate(path), path) as table:
                yield table
        case _:
            raise EvidenceError(
                "unverifiable",
                path,
                f"data in files of suffix {suffix!r} is not read",
                hint=f"write it as one of: {', '.join(SUFFIXES)}",
            )


def _evidence(report: Report, table: Table, contract: Contract) -> DataEvidence:
    violations = sorted(report.violations.values(), key=lambda each: (-each.count, each.column, each.kind))
    failed = [each for each in report.quality if not each.passed]
    severities = {str(_severity(each.severity)) for each in report.unchecked if each.severity}
    return DataEvidence(
        path=table.name,
        format=table.format,
        table=report.table[:500],
        row_count=report.rows,
        column_count=report.columns,
        violation_count=len(violations),
        violations=tuple(_violation(each, report, contract) for each in violations[:MAX_LISTED]),
        quality_passed_count=len(report.quality) - len(failed),
        quality_failed_count=len(failed),
        quality_failed=tuple(_failed_rule(each, contract) for each in failed[:MAX_LISTED]),
        unchecked_count=len(report.unchecked),
        unchecked_severities=tuple(sorted(severities)),
        unchecked=tuple(_unchecked_rule(each, contract) for each in report.unchecked[:MAX_LISTED]),
        text_rule_count=report.ignored_text_rules,
    )


def _failed_rule(result: QualityResult, contract: Contract) -> QualityRule:
    return QualityRule(
        subject=_cut(result.subject),
        name=_cut(result.name),
        metric=_cut(result.metric),
        measured=_cut(result.measured),
        wanted=_cut(result.wanted),
        severity=_severity(result.severity),
        place=_place(contract, result.path),
    )


def _unchecked_rule(unchecked: Unchecked, contract: Contract) -> UncheckedRule:
    return UncheckedRule(
        subject=_cut(unchecked.subject),
        kind=unchecked.kind,
        reason=_cut(unchecked.reason),
        severity=_severity(unchecked.severity),
        place=_place(contract, unchecked.path),
    )


def _violation(violation: Violation, report: Report, contract: Contract) -> DataViolation:
    return DataViolation(
        column=_cut(violation.column),
        kind=violation.kind,
        count=violation.count,
        row_count=report.rows,
        classified=not violation.public,
        examples=tuple(Example(row=row, value=value) for row, value in violation.examples),
        place=_place(contract, violation.path),
    )


def _place(contract: Contract, path: Path) -> Place:
    location = contract.location(path)
    return Place(path=location.path, line=location.line, column=location.column)


def _severity(text: str | None) -> str | None:
    return text[:_MAX_SEVERITY_CHARS] if text else None


def _cut(text: Any) -> str:
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in str(text)[:500])
    return shown or "(no name)"
