"""
MLflow's SQLite store, opened read-only and immutable.

Source: `mlflow/store/tracking/dbmodels/models.py`. The file is untrusted: views and generated columns in the
place of tables are refused, sizes and time are bounded, and nothing of the schema is trusted. Triggers (MLflow
has one itself) never fire, because nothing is written.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from gatekeeper.errors import EvidenceError
from gatekeeper.files import Workspace
from gatekeeper.formats.mlflow.run import (
    MAX_INPUTS,
    MAX_NAME,
    MAX_RUNS,
    DatasetInput,
    Faults,
    Metric,
    Run,
    is_run_id,
)

MAX_SECONDS = 20.0
"""Wall time for all queries; a store whose tables were built to be slow ends here."""

_MAX_ROW_BYTES, _MAX_DATASET_ROW_BYTES = 256 * 1024, 32 * 1024 * 1024
_STEPS_BETWEEN_CHECKS = 10_000
_MAGIC = b"SQLite format 3\0"
_TABLES = ("datasets", "input_tags", "inputs", "latest_metrics", "params", "runs")
_ORDINARY_COLUMN = 0

_TABLE_KINDS = "SELECT t.name, t.type, t.sql FROM sqlite_master AS t WHERE t.type IN ('table', 'view')"
_RUN_IDS = "SELECT r.run_uuid FROM runs AS r WHERE length(r.run_uuid) = 32 ORDER BY r.run_uuid LIMIT ?"
_RUN = "SELECT r.name, r.status, r.lifecycle_stage, r.end_time FROM runs AS r WHERE r.run_uuid = ? LIMIT 2"
_METRIC = """
SELECT m.value, m.timestamp, m.is_nan FROM latest_metrics AS m WHERE m.run_uuid = ? AND m.key = ? LIMIT 2
"""
_PARAM = "SELECT p.value FROM params AS p WHERE p.run_uuid = ? AND p.key = ? LIMIT 2"
_INPUTS = """
SELECT i.input_uuid, i.source_id FROM inputs AS i
WHERE i.source_type = 'DATASET' AND i.destination_type = 'RUN' AND i.destination_id = ? LIMIT ?
"""
_CONTEXT = """
SELECT t.value FROM input_tags AS t WHERE t.input_uuid = ? AND t.name = 'mlflow.data.context' LIMIT 2
"""
_DATASET = """
SELECT substr(d.name, 1, ?), substr(d.digest, 1, ?) FROM datasets AS d WHERE d.dataset_uuid = ? LIMIT 2
"""


class SqliteStore:
    """A SQLite tracking store that is open; see `gatekeeper.formats.mlflow.Store`."""

    def __init__(self, path: str, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    def list_run_ids(self) -> list[str]:
        """Name runs of the store, sorted."""
        return [row[0] for row in self._rows(_RUN_IDS, MAX_RUNS) if is_run_id(row[0])]

    def read_run(self, run_id: str, names: Collection[str]) -> Run | None:
        """Read one run with the metrics and parameters that are named."""
        faults = Faults(self.path, f"run {run_id}")
        row = self._one(faults, _RUN, run_id)
        if row is None:
            return None
        name, status, stage, ended = row
        metrics = {each: self._metric(run_id, each) for each in sorted(names)}
        params = {each: self._param(run_id, each) for each in sorted(names)}
        return Run(
            run_id=run_id,
            name=faults.text(name),
            status=faults.text(status),
            lifecycle_stage=faults.text(stage),
            ended_at=None if ended is None else faults.moment(ended),
            metrics={key: each for key, each in metrics.items() if each is not None},
            params={key: each for key, each in params.items() if each is not None},
            datasets=self._datasets(faults, run_id),
        )

    def _metric(self, run_id: str, name: str) -> Metric | None:
        faults = Faults(self.path, f"metric {name!r} of run {run_id}")
        row = self._one(faults, _METRIC, run_id, name)
        if row is None:
            return None
        value, timestamp, is_nan = row
        if is_nan not in (0, 1):
            raise faults.malformed("its is_nan is neither 0 nor 1")
        return Metric(faults.number(float("nan") if is_nan else value), faults.moment(timestamp))

    def _param(self, run_id: str, name: str) -> str | None:
        faults = Faults(self.path, f"parameter {name!r} of run {run_id}")
        row = self._one(faults, _PARAM, run_id, name)
        if row is not None and not isinstance(row[0], str):
            raise faults.malformed("its value is not text")
        return row[0] if row is not None else None

    def _datasets(self, faults: Faults, run_id: str) -> tuple[DatasetInput, ...]:
        rows = self._rows(_INPUTS, run_id, MAX_INPUTS + 1)
        if len(rows) > MAX_INPUTS:
            raise faults.malformed(f"more than {MAX_INPUTS} datasets")
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_DATASET_ROW_BYTES)
        found = {self._dataset(faults, *row) for row in rows}
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_ROW_BYTES)
        return tuple(sorted(found))

    def _dataset(self, faults: Faults, input_id: Any, dataset_id: Any) -> DatasetInput:
        context = self._one(faults, _CONTEXT, input_id)
        dataset = self._one(faults, _DATASET, MAX_NAME + 1, MAX_NAME + 1, dataset_id)
        name, digest = map(faults.text, dataset or ("", ""))
        if not name or not digest:
            raise faults.malformed("it reads a dataset that the store does not describe")
        return DatasetInput(faults.text(context[0]) if context else "", name, digest)

    def _one(self, faults: Faults, query: str, *values: Any) -> Any:
        """Read at most one row; a second one means that the tables lack their keys, and the value is doubtful."""
        rows = self._rows(query, *values)
        if len(rows) > 1:
            raise faults.malformed("the store holds it twice")
        return rows[0] if rows else None

    def _rows(self, query: str, *values: Any) -> list[Any]:
        return self._connection.execute(query, values).fetchall()


@contextmanager
def open_sqlite(workspace: Workspace, path: str) -> Iterator[SqliteStore]:
    """
    Open a SQLite store after keeping its digest.

    Raises `EvidenceError`: malformed when it is no MLflow store or is damaged; unverifiable when a journal
    lies beside it (the file alone is not the data), when it changes while it is read, or takes too long.
    """
    _check_magic(workspace, path)
    file = workspace.locate(path)
    _refuse_journal(file, path)
    before = _identity(file)
    workspace.record(path)
    try:
        with closing(_connect(file)) as connection:
            _check_tables(connection, path)
            yield SqliteStore(path, connection)
    except sqlite3.Error as error:
        raise _explain(path, error) from error
    if _identity(file) != before:
        raise EvidenceError("unverifiable", path, "the store changed while it was read", hint="stop the MLflow server")


def _check_magic(workspace: Workspace, path: str) -> None:
    with workspace.open(path) as stream:
        head = stream.read(len(_MAGIC))
    if head == _MAGIC:
        return
    hint = "name MLflow's SQLite file (mlflow.db) or its folder (mlruns)"
    if head.startswith(b"version https://"):
        hint = "this is a Git LFS pointer: fetch the file itself with `git lfs pull`"
    problem = "is empty" if not head else "is not a SQLite file"
    raise EvidenceError("malformed", path, f"{problem}, an MLflow tracking store was wanted", hint=hint)


def _refuse_journal(file: Path, path: str) -> None:
    for suffix in ("-wal", "-journal"):
        if Path(f"{file}{suffix}").exists():
            raise EvidenceError(
                "unverifiable",
                path,
                f"{path}{suffix} lies beside it, so the file alone is not the data",
                hint="stop the MLflow server, run `PRAGMA wal_checkpoint(TRUNCATE)` and commit the file alone",
            )


def _identity(file: Path) -> tuple[int, int, int]:
    status = file.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _connect(file: Path) -> sqlite3.Connection:
    """Open read-only with nothing of the schema trusted (https://www.sqlite.org/security.html)."""
    connection = sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
    deadline = time.monotonic() + MAX_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_CHECKS)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_ROW_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    for pragma in ("trusted_schema = OFF", "query_only = ON", "cell_size_check = ON", "mmap_size = 0"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _check_tables(connection: sqlite3.Connection, path: str) -> None:
    """Refuse a store in which something that is read is not an ordinary table with ordinary columns."""
    kinds = {str(name).lower(): (kind, sql) for name, kind, sql in connection.execute(_TABLE_KINDS)}
    for table in _TABLES:
        kind, sql = kinds.get(table, ("", ""))
        if not kind:
            raise EvidenceError(
                "malformed", path, f"no table {table!r}, so it is no MLflow store", hint="name the tracking store"
            )
        columns = connection.execute("SELECT c.hidden FROM pragma_table_xinfo(?) AS c", (table,)).fetchall()
        virtual = "virtual" in str(sql).lower().split("(")[0].split()
        if kind != "table" or virtual or any(hidden != _ORDINARY_COLUMN for (hidden,) in columns):
            raise EvidenceError("malformed", path, f"{table!r} is not an ordinary table, as it is in MLflow's stores")


def _explain(path: str, error: sqlite3.Error) -> EvidenceError:
    if getattr(error, "sqlite_errorname", "") == "SQLITE_INTERRUPT":
        return EvidenceError("unverifiable", path, f"its queries take longer than {MAX_SECONDS:g} s")
    return EvidenceError(
        "malformed",
        path,
        f"cannot be read as an MLflow store: {str(error)[:200]}",
        hint="copy it again, or upgrade it with MLflow",
    )
