"""
MLflow tracking stores, read without MLflow: a SQLite file or a file-store folder, recognised by content.

Read with MLflow 3.17's stores at hand; times are milliseconds in the store and UTC moments here.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Protocol

from gatekeeper.errors import EvidenceError
from gatekeeper.files import Workspace
from gatekeeper.formats.mlflow.run import DatasetInput, Metric, Run

__all__ = ["DatasetInput", "Metric", "Run", "Store", "find_run", "open_store"]


class Store(Protocol):
    """A tracking store that is open for reading."""

    path: str

    def list_run_ids(self) -> list[str]:
        """Name runs of the store, sorted, at most a few thousand."""
        ...

    def read_run(self, run_id: str, names: Collection[str]) -> Run | None:
        """
        Read one run with the metrics and parameters that are named; None when the store does not hold it.

        Raises `EvidenceError` when the run, or a metric that is named, cannot be read.
        """
        ...


@contextmanager
def open_store(workspace: Workspace, path: str) -> Iterator[Store]:
    """Open a store; its digest (each file's, for a folder) is kept by the workspace."""
    path = path.rstrip("/")
    if workspace.locate(path).is_dir():
        from gatekeeper.formats.mlflow.file_store import FileStore

        yield FileStore(workspace, path)
        return
    from gatekeeper.formats.mlflow.sqlite_store import open_sqlite

    with open_sqlite(workspace, path) as store:
        yield store


def find_run(store: Store, run_id: str, names: Collection[str]) -> Run:
    """
    Read a run that ended well.

    Raises `EvidenceError`: missing when the store does not hold it, with the ids nearest to it; unverifiable
    when it was deleted or did not finish, because its metrics may be half of what was meant.
    """
    run = store.read_run(run_id, names)
    if run is None:
        close = difflib.get_close_matches(run_id, store.list_run_ids(), n=3, cutoff=0.0)
        nearest = f"nearest run ids: {', '.join(close)}" if close else "the store holds no runs"
        raise EvidenceError("missing", store.path, f"no run {run_id}", hint=nearest)
    if run.lifecycle_stage != "active":
        raise EvidenceError(
            "unverifiable",
            store.path,
            f"run {run_id} is {run.lifecycle_stage!r}, active was wanted",
            hint="restore the run in MLflow, or name another",
        )
    if run.status != "FINISHED":
        raise EvidenceError(
            "unverifiable",
            store.path,
            f"run {run_id} is {run.status}, FINISHED was wanted",
            hint="let the run finish, or repeat it, and name the one that finished",
        )
    return run
