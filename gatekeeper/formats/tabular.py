"""
Rows of data in batches, streamed: CSV (RFC 4180) and JSON lines; Parquet is in `gatekeeper.formats.parquet`.

Rows are numbered from 1 without the header, malformed ones included. Nothing is held longer than a batch.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal, Protocol, cast

from gatekeeper.errors import EvidenceError, Location
from gatekeeper.formats.strict_json import check_depth, decode_utf8

Format = Literal["csv", "jsonl", "parquet"]
SUFFIXES: dict[str, Format] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}

BATCH_ROWS = 8192
BATCH_CHARS = 16 * 1024 * 1024
"""Text after which a batch ends although it has fewer rows."""
MAX_LINE_CHARS = 4 * 1024 * 1024
"""Length of one line; a field of a CSV file may have 131,072 characters (the csv module's own limit)."""
MAX_COLUMNS = 10_000
MAX_UNDECLARED = 200
"""Undeclared columns that are told apart."""
_FIRST = 5


@dataclass
class Occurrences:
    """How often something happened, and in which rows first."""

    count: int = 0
    rows: list[int] = field(default_factory=list)

    def add(self, row: int) -> None:
        """Count one row."""
        self.count += 1
        if len(self.rows) < _FIRST:
            self.rows.append(row)


@dataclass(frozen=True)
class Batch:
    """Some rows, column by column; `rows` holds their numbers."""

    rows: Sequence[int]
    columns: dict[str, Sequence[Any]]


class Table(Protocol):
    """
    One data file. `malformed`, `undeclared` and `row_count` are complete when the batches have been read.

    `columns` are those of the header or the file's schema; for JSON lines, the keys of the first batch.
    `types` are DuckDB's type names by column, for Parquet only.
    """

    name: str
    format: Format
    columns: tuple[str, ...]
    types: dict[str, str]
    malformed: Occurrences
    undeclared: dict[str, Occurrences]
    row_count: int

    def batches(self, wanted: Collection[str]) -> Iterator[Batch]:
        """Read all rows once, the wanted columns only; raises `EvidenceError` where the file breaks off."""
        ...


class _Borrowed(io.BufferedIOBase):
    """An open file without the right to close it, which text wrappers take on themselves."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        """It can be read."""
        return True

    def read1(self, size: int = -1, /) -> bytes:
        """Read some bytes."""
        return self._file.read(size)


class CsvTable:
    """
    A CSV file as RFC 4180 has it: comma, double quotes, a header, UTF-8; a row of another width is malformed.

    Raises `EvidenceError` (malformed) without a usable header, at a stray quote, or where it is not UTF-8.
    """

    format: Format = "csv"

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self.types: dict[str, str] = {}
        self.malformed, self.row_count = Occurrences(), 0
        self._chars = 0
        self._text = io.TextIOWrapper(cast("BinaryIO", _Borrowed(file)), encoding="utf-8-sig", newline="")
        self._reader = csv.reader(self._lines(), strict=True)
        header = next(self._records(), [])
        if not header or len(header) > MAX_COLUMNS:
            raise EvidenceError(
                "malformed", name, f"the header names {len(header)} columns, 1 to {MAX_COLUMNS} are wanted"
            )
        if "" in header or len(set(header)) != len(header):
            raise EvidenceError(
                "malformed", name, "the header has an empty or repeated column name", location=Location(name, 1, 1)
            )
        self.columns = tuple(header)
        self.undeclared: dict[str, Occurrences] = {}

    def _lines(self) -> Iterator[str]:
        while line := self._text.readline(MAX_LINE_CHARS):
            if len(line) == MAX_LINE_CHARS:
                raise EvidenceError("malformed", self.name, f"a line has more than {MAX_LINE_CHARS} characters")
            self._chars += len(line)
            yield line

    def _records(self) -> Iterator[list[str]]:
        """Rows as lists; blank lines at the end of the file are none, others are malformed rows."""
        blanks = 0
        try:
            for record in self._reader:
                if not record:
                    blanks += 1
                    continue
                yield from ([] for _ in range(blanks))
                blanks = 0
                yield record
        except (csv.Error, UnicodeDecodeError) as error:
            line = self._reader.line_num + 1
            problem = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else f"is not CSV: {error}"
            raise EvidenceError(
                "malformed",
                self.name,
                f"near line {line} the file {problem}",
                hint="write it as RFC 4180 in UTF-8; it may be truncated",
                location=Location(self.name, line, 1),
            ) from error

    def _chunks(self) -> Iterator[list[list[str]]]:
        chunk, limit = [], self._chars + BATCH_CHARS
        for record in self._records():
            chunk.append(record)
            if len(chunk) == BATCH_ROWS or self._chars > limit:
                yield chunk
                chunk, limit = [], self._chars + BATCH_CHARS
        if chunk:
            yield chunk

    def batches(self, wanted: Collection[str]) -> Iterator[Batch]:
        """See `Table.batches`."""
        width = len(self.columns)
        places = {name: index for index, name in enumerate(self.columns) if name in wanted}
        others = [name for name in self.columns if name not in places]
        for chunk in self._chunks():
            first = self.row_count + 1
            self.row_count += len(chunk)
            rows: Sequence[int] = range(first, first + len(chunk))
            if set(map(len, chunk)) != {width}:
                for row, record in zip(rows, chunk, strict=True):
                    if len(record) != width:
                        self.malformed.add(row)
                rows = [row for row, record in zip(rows, chunk, strict=True) if len(record) == width]
                chunk = [record for record in chunk if len(record) == width]
            by_column: list[Sequence[Any]] = list(zip(*chunk, strict=True)) if chunk else [()] * width
            yield Batch(rows, {name: by_column[index] for name, index in places.items()})
        for name in others[:MAX_UNDECLARED]:
            self.undeclared[name] = Occurrences(self.row_count)


class JsonLinesTable:
    """
    One JSON object a line; a line that is JSON but no object is a malformed row.

    Raises `EvidenceError` (malformed) where a line is not JSON: the file is then truncated or something else.
    """

    format: Format = "jsonl"

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.name = name
        self.types: dict[str, str] = {}
        self.malformed, self.row_count, self._line = Occurrences(), 0, 0
        self.undeclared: dict[str, Occurrences] = {}
        self._file = file
        self._decoder = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_no_constant)
        self._first = self._read_chunk()
        self.columns = tuple(dict.fromkeys(key for row in self._first if isinstance(row, dict) for key in row))

    def _read_chunk(self) -> list[Any]:
        chunk: list[Any] = []
        size = 0
        while len(chunk) < BATCH_ROWS and size < BATCH_CHARS and (line := self._file.readline(MAX_LINE_CHARS)):
            size += len(line)
            self._line += 1
            if len(line) == MAX_LINE_CHARS:
                raise self._refuse(f"has more than {MAX_LINE_CHARS} bytes")
            if line.strip():
                chunk.append(self._parse(line))
        return chunk

    def _parse(self, line: bytes) -> Any:
        try:
            text = decode_utf8(line, self.name) if self._line == 1 else line.decode()
            value = self._decoder.decode(text.strip())
            if line.count(b"[") + line.count(b"{") > 50:
                check_depth(value, self.name)
            if b"\\u" in line:
                json.dumps(value, ensure_ascii=False).encode()
        except UnicodeDecodeError as error:
            raise self._refuse("is not UTF-8") from error
        except UnicodeEncodeError as error:
            raise self._refuse("holds half of a surrogate pair, which is not text") from error
        except json.JSONDecodeError as error:
            raise self._refuse(f"is not JSON: {error.msg}") from error
        except (ValueError, RecursionError) as error:
            raise self._refuse(str(error) if isinstance(error, ValueError) else "is nested too deeply") from error
        return value

    def _refuse(self, problem: str) -> EvidenceError:
        return EvidenceError(
            "malformed",
            self.name,
            f"line {self._line} {problem}",
            hint="write one JSON object a line, in UTF-8; the file may be truncated",
            location=Location(self.name, self._line, 1),
        )

    def batches(self, wanted: Collection[str]) -> Iterator[Batch]:
        """See `Table.batches`."""
        known, chunk = set(wanted), self._first
        while chunk:
            rows = []
            for value in chunk:
                self.row_count += 1
                if isinstance(value, dict):
                    rows.append((self.row_count, value))
                    if not known.issuperset(value):
                        self._note(value.keys() - known)
                else:
                    self.malformed.add(self.row_count)
            yield Batch([row for row, _ in rows], {name: [value.get(name) for _, value in rows] for name in known})
            chunk = self._read_chunk()

    def _note(self, names: set[str]) -> None:
        for name in sorted(names):
            key = name if name in self.undeclared or len(self.undeclared) < MAX_UNDECLARED else "(further columns)"
            self.undeclared.setdefault(key, Occurrences()).add(self.row_count)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("has a duplicate key")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"holds {name}, which is not a number that JSON knows")
