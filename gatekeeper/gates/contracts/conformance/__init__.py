"""
Do rows of data conform to a contract?

Streamed: a batch of columns at a time, each checked as a whole, so that a million rows take seconds. What is
remembered between batches are counts, first examples and the digests of keys. Every declared column must be
there (in JSON lines an absent key is a null), and no other: what a contract does not declare it does not
promise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gatekeeper.formats.strict_yaml import Path
from gatekeeper.formats.tabular import Batch, Occurrences, Table
from gatekeeper.gates.contracts.conformance.columns import Column, Scope
from gatekeeper.gates.contracts.conformance.metrics import add_result, split_rules
from gatekeeper.gates.contracts.conformance.report import QualityResult, Report, Unchecked, Violation
from gatekeeper.gates.contracts.conformance.uniqueness import MAX_DIGESTS, Budget, Seen, joined

__all__ = ["QualityResult", "Report", "Unchecked", "Violation", "check"]

_INTEGERS = r"U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)"
_PARQUET_TYPES = {
    "integer": rf"{_INTEGERS}|DECIMAL\([0-9]+,0\)",
    "number": rf"{_INTEGERS}|FLOAT|DOUBLE|DECIMAL\(.*\)",
    "string": r"VARCHAR|UUID|ENUM\(.*\)",
    "boolean": r"BOOLEAN",
    "date": r"DATE",
    "timestamp": r"TIMESTAMP( WITH TIME ZONE|_NS|_MS|_S)?",
    "time": r"TIME( WITH TIME ZONE)?",
    "array": r".*\[[0-9]*\]",
    "vector": r".*\[[0-9]*\]",
    "object": r"STRUCT\(.*\)|MAP\(.*\)",
    "map": r"MAP\(.*\)|STRUCT\(.*\)",
}
"""DuckDB's names of the Parquet types that hold a logical type; a column of nulls has a type too."""


class _Key:
    """Columns whose values together must not repeat."""

    def __init__(self, columns: list[Column], budget: Budget) -> None:
        self._columns = columns
        self.seen = Seen(budget)
        for column in columns:
            column.keep_identities = True

    def repeated(self, *, whole: bool) -> list[int]:
        """Rows of the last batch whose key was seen before; `whole` keys have no null in them."""
        parts = [column.identities for column in self._columns]
        rows = sorted(set.intersection(*map(set, parts)) if whole else set().union(*parts))
        found = self.seen.repeated([joined([part.get(row) for part in parts]) for row in rows])
        return [rows[index] for index in found]


class _Check:
    """The check of one schema object against one data file."""

    def __init__(self, contract: Mapping[str, Any], table: Table, *, path: Path, max_digests: int) -> None:
        self.contract, self.path, self.table = contract, path, table
        self.report = Report(str(contract["name"]), columns=len(table.columns))
        self.budget = Budget(table.name, max_digests)
        scope = Scope(self.report, self.budget, table.format)
        self.columns: dict[str, Column] = {}
        self.absent: dict[str, tuple[Mapping[str, Any], Path, str]] = {}
        for index, element in enumerate(contract.get("properties") or []):
            name, place = str(element["name"]), (*path, "properties", index)
            source = self._source(element)
            problem = self._column_problem(element, source)
            if problem:
                self.absent[source] = (element, place, problem)
            else:
                self.columns[source] = Column(element, scope, name=name, path=place)
        self.by_name = {column.name: column for column in self.columns.values()}
        self.primary = self._key(_primary_key(contract))
        self.rules = [
            (rule, self._key(rule.arguments.get("properties")))
            for rule in split_rules(self.report, contract, subject=self.report.table, path=path)
        ]

    def _source(self, element: Mapping[str, Any]) -> str:
        """The column of the file: by its physical name where the file has it, by its name otherwise."""
        physical = element.get("physicalName")
        return str(physical) if physical in self.table.columns else str(element["name"])

    def _column_problem(self, element: Mapping[str, Any], source: str) -> str:
        """`missing_column`, `logical_type` or `measure` where there is no column to check; "" otherwise."""
        if element.get("semanticType") == "measure" and source not in self.table.columns:
            return "measure"
        if self.table.format != "jsonl" and source not in self.table.columns:
            return "missing_column"
        wanted = _PARQUET_TYPES.get(str(element.get("logicalType")))
        found = self.table.types.get(source)
        if found is None or wanted is None or re.fullmatch(wanted, found):
            return ""
        binary = (element.get("logicalTypeOptions") or {}).get("format") in ("binary", "byte")
        return "" if found == "BLOB" and binary and element.get("logicalType") == "string" else "logical_type"

    def _key(self, names: Any) -> _Key | None:
        if not isinstance(names, list) or not names or any(name not in self.by_name for name in names):
            return None
        return _Key([self.by_name[name] for name in names], self.budget)

    def run(self) -> Report:
        """Read all batches, then judge what needs all of them."""
        for batch in self.table.batches({*self.columns, *self.absent}):
            self._check_batch(batch)
        self.report.rows = self.table.row_count
        self._finish_columns()
        for rule, key in self.rules:
            counts = {"rowCount": self.report.rows, "duplicateValues": key.seen.repeats if key else None}
            add_result(self.report, rule, counts.get(rule.metric))
        return self.report

    def _check_batch(self, batch: Batch) -> None:
        for source, column in self.columns.items():
            column.identities = {}
            column.check(batch.columns[source], batch.rows)
        for _, key in self.rules:
            if key is not None:
                key.repeated(whole=False)
        repeated = self.primary.repeated(whole=True) if self.primary is not None else []
        if repeated:
            names = ", ".join(_primary_key(self.contract))
            violation = self.report.violation(names, "primary_key", path=(*self.path, "properties"))
            for row in repeated:
                violation.add(row, None)

    def _finish_columns(self) -> None:
        report, table = self.report, self.table
        for element, place, problem in self.absent.values():
            name = str(element["name"])
            if problem == "measure":
                reason = "a measure is computed, not stored"
                report.unchecked.append(Unchecked(name, "option", reason, None, place))
            else:
                report.add_rows(name, problem, path=place, found=Occurrences(report.rows))
            for rule in split_rules(report, element, subject=name, path=place):
                add_result(report, rule, None)
        for column in self.columns.values():
            column.finish()
        for name, found in table.undeclared.items():
            report.add_rows(name, "undeclared_column", path=(*self.path, "properties"), found=found)
        if table.malformed.count:
            report.add_rows("(row)", "malformed_row", path=self.path, found=table.malformed)


def check(contract: Mapping[str, Any], path: Path, table: Table, *, max_digests: int = MAX_DIGESTS) -> Report:
    """
    Check all rows of a data file against one schema object of a valid contract.

    `path` leads to the schema object in its document. Raises `EvidenceError` when the file breaks off, or when
    its keys are too many to be remembered.
    """
    return _Check(contract, table, path=path, max_digests=max_digests).run()


def _primary_key(contract: Mapping[str, Any]) -> list[str]:
    parts = [each for each in contract.get("properties") or [] if each.get("primaryKey")]
    return [str(each["name"]) for each in sorted(parts, key=lambda each: each.get("primaryKeyPosition") or 0)]
