"""One property of a contract against its column of data, batch by batch, with everything below it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatekeeper.formats.strict_yaml import Path
from gatekeeper.formats.tabular import Format
from gatekeeper.gates.contracts.conformance.constraints import make_constraints
from gatekeeper.gates.contracts.conformance.metrics import Counter, add_result, split_rules
from gatekeeper.gates.contracts.conformance.readers import identity, make_reader
from gatekeeper.gates.contracts.conformance.report import Report, Unchecked
from gatekeeper.gates.contracts.conformance.uniqueness import Budget, Seen


@dataclass
class Scope:
    """What all columns of one data file share."""

    report: Report
    budget: Budget
    file_format: Format


class Column:
    """Checks the values of one property; `identities` holds those of the last batch by row, for keys."""

    def __init__(self, element: dict[str, Any], scope: Scope, *, name: str, path: Path) -> None:
        self.name, self.path = name, path
        self.identities: dict[int, str] = {}
        self.keep_identities = False
        self._report, self._format = scope.report, scope.file_format
        self._element = element = element | {"logicalType": _logical_type(element)}
        self._known_keys = {each["name"] for each in element.get("properties") or []}
        self._public = str(element.get("classification") or "").strip().casefold() == "public"
        self._reader, reason = make_reader(element, scope.file_format)
        self._constraints, open_options = make_constraints(element)
        reasons = [reason, *open_options, "" if self._reader else "no logicalType, so values have no type to break"]
        scope.report.unchecked.extend(Unchecked(name, "option", each, None, path) for each in reasons if each)
        self._nulls = self._invalid = 0
        self._rules = [Counter(rule) for rule in split_rules(scope.report, element, subject=name, path=path)]
        wants_repeats = any(each.metric == "duplicateValues" for each in self._rules)
        self._seen = Seen(scope.budget) if element.get("unique") or wants_repeats else None
        self._children = _children(element, scope, name=name, path=path)

    def check(self, cells: Sequence[Any], rows: Sequence[int]) -> None:
        """Check one batch; `rows` numbers the cells."""
        cells, rows = self._drop_nulls(cells, rows)
        for counter in self._rules:
            counter.see_cells(cells)
        values, rows, wrong = self._read(cells, rows)
        broken: set[int] = set()
        for constraint in self._constraints:
            indexes = constraint.broken(values)
            if indexes:
                self._violate(constraint.kind, ((rows[index], values[index]) for index in indexes))
                broken.update(indexes)
        self._invalid += wrong + len(broken)
        for counter in self._rules:
            counter.see_values(values, wrong)
        self._check_unique(values, rows)
        self._check_keys(values, rows)
        for select, child in self._children:
            child.check(*select(values, rows))

    def _drop_nulls(self, cells: Sequence[Any], rows: Sequence[int]) -> tuple[Sequence[Any], Sequence[int]]:
        null = "" if self._format == "csv" else None
        if null not in cells:
            return cells, rows
        empty = [row for cell, row in zip(cells, rows, strict=True) if cell == null]
        self._nulls += len(empty)
        if self._element.get("required") or self._element.get("primaryKey"):
            self._violate("required", ((row, "null") for row in empty))
        kept = [(cell, row) for cell, row in zip(cells, rows, strict=True) if cell != null]
        return [cell for cell, _ in kept], [row for _, row in kept]

    def _read(self, cells: Sequence[Any], rows: Sequence[int]) -> tuple[Sequence[Any], Sequence[int], int]:
        """Values with their rows, and how many cells break the logical type."""
        if self._reader is None:
            return cells, rows, 0
        values, wrong = self._reader.read(cells)
        if wrong:
            self._violate("logical_type", ((rows[index], cells[index]) for index in wrong))
            refused = set(wrong)
            rows = [row for index, row in enumerate(rows) if index not in refused]
        return values, rows, len(wrong)

    def _check_unique(self, values: Sequence[Any], rows: Sequence[int]) -> None:
        if self._seen is None and not self.keep_identities:
            return
        identities = [identity(value) for value in values]
        if self.keep_identities:
            self.identities = dict(zip(rows, identities, strict=True))
        if self._seen is not None:
            repeated = self._seen.repeated(identities)
            if repeated and self._element.get("unique"):
                self._violate("unique", ((rows[index], values[index]) for index in repeated))

    def _check_keys(self, values: Sequence[Any], rows: Sequence[int]) -> None:
        """Fields of an object that its contract does not declare, where it declares any."""
        if self._known_keys and self._element["logicalType"] == "object":
            strange = [row for value, row in zip(values, rows, strict=True) if not self._known_keys.issuperset(value)]
            if strange:
                self._violate("undeclared_column", ((row, "undeclared field") for row in strange))

    def _violate(self, kind: str, found: Any) -> None:
        self._report.add_all(self._report.violation(self.name, kind, path=self.path, public=self._public), found)

    def finish(self) -> None:
        """Judge the quality rules when all batches have been read."""
        repeats = self._seen.repeats if self._seen is not None else 0
        for counter in self._rules:
            count = counter.total(nulls=self._nulls, invalid=self._invalid, repeats=repeats, rows=self._report.rows)
            add_result(self._report, counter.rule, count)
        for _, child in self._children:
            child.finish()


Select = Callable[[Sequence[Any], Sequence[int]], tuple[Sequence[Any], Sequence[int]]]


def _children(element: Mapping[str, Any], scope: Scope, *, name: str, path: Path) -> list[tuple[Select, Column]]:
    """Columns of what lies inside a property: fields of an object, items of an array, keys and values of a map."""
    inner = Scope(scope.report, scope.budget, "jsonl" if scope.file_format == "csv" else scope.file_format)
    found: list[tuple[Select, Column]] = []
    match element["logicalType"]:
        case "object":
            for index, each in enumerate(element.get("properties") or []):
                place: Path = (*path, "properties", index)
                found.append((_field(each["name"]), Column(each, inner, name=f"{name}.{each['name']}", path=place)))
        case "array" if element.get("items") is not None:
            found.append((_items, Column(element["items"], inner, name=f"{name}[]", path=(*path, "items"))))
        case "vector":
            part = {"logicalType": "number", "required": True}
            found.append((_items, Column(part, inner, name=f"{name}[]", path=path)))
        case "map" if element.get("map") is not None:
            for key, select in (("key", _keys), ("value", _values)):
                part = element["map"][key]
                child = Column(part, inner, name=f"{name}{{{key}}}", path=(*path, "map", key))
                found.append((select, child))
    return found


def _logical_type(element: Mapping[str, Any]) -> str | None:
    """The declared type, or the one that the element's parts imply."""
    implied = {"properties": "object", "items": "array", "map": "map"}
    declared: str | None = element.get("logicalType")
    return declared or next((each for key, each in implied.items() if element.get(key) is not None), None)


def _field(name: str) -> Select:
    return lambda values, rows: ([value.get(name) for value in values], rows)


def _items(values: Sequence[Any], rows: Sequence[int]) -> tuple[Sequence[Any], Sequence[int]]:
    pairs = [(item, row) for value, row in zip(values, rows, strict=True) for item in value]
    return [item for item, _ in pairs], [row for _, row in pairs]


def _keys(values: Sequence[Any], rows: Sequence[int]) -> tuple[Sequence[Any], Sequence[int]]:
    return _items([list(value) for value in values], rows)


def _values(values: Sequence[Any], rows: Sequence[int]) -> tuple[Sequence[Any], Sequence[int]]:
    return _items([list(value.values()) for value in values], rows)
