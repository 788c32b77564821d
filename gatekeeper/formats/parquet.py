"""Rows of a Parquet file in batches, read by DuckDB, which is an optional extra."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

from gatekeeper.errors import EvidenceError
from gatekeeper.formats.tabular import BATCH_ROWS, MAX_UNDECLARED, Batch, Format, Occurrences

_ZONED = "TIMESTAMP WITH TIME ZONE"
"""DuckDB hands such values over only with the package pytz, so they are taken as UTC and given their zone here."""


class ParquetTable:
    """
    A Parquet file, read by DuckDB, which is an optional extra.

    Raises `EvidenceError`: unverifiable without DuckDB, malformed where DuckDB cannot read the file.
    """

    format: Format = "parquet"

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self.malformed, self.row_count = Occurrences(), 0
        self.undeclared: dict[str, Occurrences] = {}
        if any(char in str(path) for char in "*?[]"):
            raise EvidenceError("unverifiable", name, "the path holds one of * ? [ ], which DuckDB takes for a pattern")
        self._path = str(path)
        self._connection = _connect(name)
        described = self._run("DESCRIBE SELECT * FROM read_parquet(?, hive_partitioning=false)").fetchall()
        self.types = {row[0]: row[1] for row in described}
        self.columns = tuple(self.types)

    def __enter__(self) -> ParquetTable:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _run(self, query: str) -> Any:
        import duckdb

        try:
            return self._connection.execute(query, [self._path])
        except duckdb.Error as error:
            raise self._refuse(error) from error

    def _refuse(self, error: Exception) -> EvidenceError:
        if "pytz" in str(error):
            return EvidenceError(
                "unverifiable", self.name, "holds nested timestamps with time zone", hint="pip install pytz"
            )
        return EvidenceError("malformed", self.name, f"not readable as Parquet: {str(error).splitlines()[0][:200]}")

    def batches(self, wanted: Collection[str]) -> Iterator[Batch]:
        """See `Table.batches`; timestamps with time zone come as their instant in UTC."""
        import duckdb

        names = [name for name in self.columns if name in wanted]
        zoned = [name for name in names if self.types[name] == _ZONED]
        chosen = ", ".join(self._select(name) for name in names) or "1"
        result = self._run(f"SELECT {chosen} FROM read_parquet(?, hive_partitioning=false)")  # noqa: S608  # quoted
        while True:
            try:
                records = result.fetchmany(BATCH_ROWS)
            except (duckdb.Error, ValueError, OverflowError) as error:
                raise self._refuse(error) from error
            if not records:
                break
            first = self.row_count + 1
            self.row_count += len(records)
            by_column = dict(zip(names, zip(*records, strict=True), strict=False))
            for column in zoned:
                by_column[column] = tuple(each and each.replace(tzinfo=UTC) for each in by_column[column])
            yield Batch(range(first, first + len(records)), dict(by_column))
        for name in [each for each in self.columns if each not in names][:MAX_UNDECLARED]:
            self.undeclared[name] = Occurrences(self.row_count)

    def _select(self, name: str) -> str:
        quoted = '"' + name.replace('"', '""') + '"'
        return f"timezone('UTC', {quoted})" if self.types[name] == _ZONED else quoted


def _connect(name: str) -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise EvidenceError(
            "unverifiable",
            name,
            "reading Parquet needs DuckDB, which is not installed",
            hint="pip install 'promotion-gatekeeper[parquet]'",
        ) from error
    return duckdb.connect(
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "memory_limit": "1GB",
            "threads": 1,
        }
    )
