"""From a cell of a file to a value of the contract's logical type; what cannot be read breaks the type."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from gatekeeper.formats.tabular import Format
from gatekeeper.gates.contracts.conformance.grammar import Grammar
from gatekeeper.gates.contracts.conformance.temporal import ISO, UnreadableFormat, converter

_FAULTS = (ValueError, TypeError, KeyError, ArithmeticError, RecursionError)
_TEXT_GRAMMARS = {
    "integer": r"^[-+]?[0-9]+$",
    "number": r"^[-+]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][-+]?[0-9]{1,6})?$",
}
_BOOLEANS = {word: truth for truth in (True, False) for word in (str(truth), str(truth).lower(), str(truth).upper())}
_MOMENTS: dict[str, type] = {"date": date, "time": time, "timestamp": datetime}
_BINARY_FORMATS = ("binary", "byte")


@dataclass(frozen=True)
class Reader:
    """Reads the cells of one column; `grammar` checks text in bulk before `convert` is called."""

    convert: Callable[[Any], Any]
    grammar: Grammar | None = None

    def read(self, cells: Sequence[Any]) -> tuple[list[Any], list[int]]:
        """Values of the cells that can be read, and the indexes of those that cannot."""
        refused = set(self.grammar.mismatches(cells)) if self.grammar else set()
        if not refused:
            try:
                return list(map(self.convert, cells)), []
            except _FAULTS:
                pass
        values, wrong = [], []
        for index, cell in enumerate(cells):
            try:
                if index in refused:
                    raise ValueError
                values.append(self.convert(cell))
            except _FAULTS:
                wrong.append(index)
        return values, wrong


def make_reader(element: Mapping[str, Any], file_format: Format) -> tuple[Reader | None, str]:
    """
    Make the reader for a property in a kind of file.

    Returns None when the contract declares no logical type, and the reason why a declared format is not
    checked, or "".
    """
    logical_type = element.get("logicalType")
    options = element.get("logicalTypeOptions") or {}
    if logical_type is None:
        return None, ""
    if logical_type in _MOMENTS:
        return _moment_reader(logical_type, options.get("format"), file_format)
    if file_format == "csv":
        pattern = _TEXT_GRAMMARS.get(logical_type)
        return Reader(_FROM_TEXT[logical_type], Grammar("pattern", pattern) if pattern else None), ""
    if logical_type == "string":
        return Reader(_binary_text if options.get("format") in _BINARY_FORMATS else _plain_text), ""
    return Reader(_FROM_VALUE[logical_type]), ""


def _moment_reader(logical_type: str, pattern: str | None, file_format: Format) -> tuple[Reader, str]:
    if file_format == "parquet":
        wanted = _MOMENTS[logical_type]
        return Reader(lambda cell: _exactly(cell, wanted)), ""
    convert: Callable[[Any], Any] = ISO[logical_type]
    reason = ""
    if pattern is not None:
        try:
            convert = converter(logical_type, pattern)
        except UnreadableFormat as error:
            convert, reason = _plain_text, f"format {pattern!r}: the letters {str(error)!r} are not read"
    return Reader(convert if file_format == "csv" else lambda cell: convert(_plain_text(cell))), reason


def _exactly(cell: Any, wanted: type) -> Any:
    # A datetime is a date to Python, and is none to a contract.
    if type(cell) is not wanted:
        raise TypeError
    return cell


def _same(cell: Any) -> Any:
    return cell


def _plain_text(cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, UUID):
        return str(cell)
    raise TypeError


def _binary_text(cell: Any) -> str:
    return cell.hex() if isinstance(cell, bytes) else _plain_text(cell)


def _integer(cell: Any) -> int:
    if isinstance(cell, bool) or not isinstance(cell, int | float | Decimal) or cell != int(cell):
        raise TypeError
    return int(cell)


def _number(cell: Any) -> Decimal:
    if isinstance(cell, bool) or not isinstance(cell, int | float | Decimal):
        raise TypeError
    if not math.isfinite(cell):
        raise ValueError
    return Decimal(repr(cell)) if isinstance(cell, float) else Decimal(cell)


def _list(cell: Any) -> list[Any]:
    if not isinstance(cell, list):
        raise TypeError
    return cell


def _mapping(cell: Any) -> dict[Any, Any]:
    if not isinstance(cell, dict):
        raise TypeError
    return cell


def _boolean(cell: Any) -> bool:
    if not isinstance(cell, bool):
        raise TypeError
    return cell


def _json_list(cell: str) -> list[Any]:
    return _list(json.loads(cell))


def _json_mapping(cell: str) -> dict[Any, Any]:
    return _mapping(json.loads(cell))


_FROM_TEXT: dict[str, Callable[[Any], Any]] = {
    "string": _same,
    "integer": int,
    "number": Decimal,
    "boolean": _BOOLEANS.__getitem__,
    "array": _json_list,
    "vector": _json_list,
    "object": _json_mapping,
    "map": _json_mapping,
}
_FROM_VALUE: dict[str, Callable[[Any], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "array": _list,
    "vector": _list,
    "object": _mapping,
    "map": _mapping,
}


def identity(value: Any) -> str:
    """Text that is equal exactly when two values of one logical type are: 1, 1.0 and 1e0 are one number."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, Decimal):
        return _number_identity(value)
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
    if isinstance(value, list | dict):
        return _nested_identity(value)
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _nested_identity(value: Any) -> str:
    try:
        return json.dumps(value, sort_keys=True, default=str)
    except TypeError:  # keys of a Parquet map need not be text
        return repr(value)


def _number_identity(value: Decimal) -> str:
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    bare = text.rstrip("0")
    if not bare or not isinstance(exponent, int):
        return "0" if isinstance(exponent, int) else str(value)
    power = exponent + len(text) - len(bare)
    shown = bare + "0" * power if 0 <= power <= 40 else f"{bare}e{power}"
    return f"-{shown}" if sign else shown
