"""Makers of real MLflow stores: SQLite files with MLflow's tables, and file stores, from the same description."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CANDIDATE, BASELINE = "c" * 32, "b" * 32
ENDED_MS = 1_795_000_000_000
"""2026-11-18T11:06:40Z."""

SCHEMA = """
CREATE TABLE runs (
    run_uuid VARCHAR(32) NOT NULL PRIMARY KEY, name VARCHAR(250), status VARCHAR(9), start_time BIGINT,
    end_time BIGINT, lifecycle_stage VARCHAR(20), experiment_id INTEGER
);
CREATE TABLE latest_metrics (
    "key" VARCHAR(250) NOT NULL, value FLOAT NOT NULL, timestamp BIGINT, step BIGINT NOT NULL,
    is_nan BOOLEAN NOT NULL, run_uuid VARCHAR(32) NOT NULL, PRIMARY KEY ("key", run_uuid)
);
CREATE TABLE params (
    "key" VARCHAR(250) NOT NULL, value VARCHAR(8000) NOT NULL, run_uuid VARCHAR(32) NOT NULL,
    PRIMARY KEY ("key", run_uuid)
);
CREATE TABLE inputs (
    input_uuid VARCHAR(36) NOT NULL, source_type VARCHAR(36) NOT NULL, source_id VARCHAR(36) NOT NULL,
    destination_type VARCHAR(36) NOT NULL, destination_id VARCHAR(36) NOT NULL,
    PRIMARY KEY (source_type, source_id, destination_type, destination_id)
);
CREATE TABLE input_tags (
    input_uuid VARCHAR(36) NOT NULL, name VARCHAR(255) NOT NULL, value VARCHAR(500) NOT NULL,
    PRIMARY KEY (input_uuid, name)
);
CREATE TABLE datasets (
    dataset_uuid VARCHAR(36) NOT NULL, experiment_id INTEGER NOT NULL, name VARCHAR(500) NOT NULL,
    digest VARCHAR(36) NOT NULL, dataset_schema TEXT, PRIMARY KEY (experiment_id, name, digest)
);
CREATE TRIGGER guard BEFORE UPDATE ON params BEGIN SELECT RAISE(ABORT, 'MLflow ships a trigger too'); END;
"""
"""The columns of MLflow 3.17's tables that are read, and the keys that it declares."""


@dataclass(frozen=True)
class RunFacts:
    """One run as a test wants it."""

    run_id: str
    metrics: dict[str, Any] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    datasets: tuple[tuple[str, str, str | None], ...] = ()
    """Name, digest and context."""
    name: str | None = "trial"
    status: str = "FINISHED"
    stage: str = "active"
    ended_ms: int | None = ENDED_MS
    logged_ms: int = ENDED_MS


def write_sqlite(path: Path, *runs: RunFacts, schema: str = SCHEMA) -> Path:
    """Write a SQLite store; NaN is written as MLflow does it, as 0 with is_nan."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(schema)
        for run in runs:
            _insert(connection, run)
        connection.commit()
    return path


def _insert(connection: sqlite3.Connection, run: RunFacts) -> None:
    connection.execute(
        "INSERT INTO runs VALUES (?, ?, ?, 0, ?, ?, 1)", (run.run_id, run.name, run.status, run.ended_ms, run.stage)
    )
    for key, value in run.metrics.items():
        is_nan = value != value
        row = (key, 0.0 if is_nan else value, run.logged_ms, 0, int(is_nan), run.run_id)
        connection.execute("INSERT INTO latest_metrics VALUES (?, ?, ?, ?, ?, ?)", row)
    for key, text in run.params.items():
        connection.execute("INSERT INTO params VALUES (?, ?, ?)", (key, text, run.run_id))
    for name, digest, context in run.datasets:
        dataset, edge = _digest(name + digest), _digest(name + digest + run.run_id)
        connection.execute("INSERT OR IGNORE INTO datasets VALUES (?, 1, ?, ?, '{}')", (dataset, name, digest))
        connection.execute("INSERT INTO inputs VALUES (?, 'DATASET', ?, 'RUN', ?)", (edge, dataset, run.run_id))
        if context is not None:
            connection.execute("INSERT INTO input_tags VALUES (?, 'mlflow.data.context', ?)", (edge, context))


def write_file_store(root: Path, *runs: RunFacts, experiment: str = "636581562594815217") -> Path:
    """Write a file store with one experiment, beside it the empty default one and the model registry."""
    for folder in (root / "0", root / experiment, root / "models" / "wine-clf", root / ".trash"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "meta.yaml").write_text(f"experiment_id: '{folder.name}'\nlifecycle_stage: active\n")
    for run in runs:
        _write_run(root / experiment, run)
    return root


def _write_run(experiment: Path, run: RunFacts) -> None:
    folder = experiment / run.run_id
    statuses = {"RUNNING": 1, "SCHEDULED": 2, "FINISHED": 3, "FAILED": 4, "KILLED": 5}
    ended = "null" if run.ended_ms is None else run.ended_ms
    _write(
        folder / "meta.yaml",
        f"end_time: {ended}\nexperiment_id: '{experiment.name}'\nlifecycle_stage: {run.stage}\n"
        f"run_id: {run.run_id}\nrun_name: {'null' if run.name is None else run.name}\n"
        f"status: {statuses[run.status]}\ntags: []\n",
    )
    for key, value in run.metrics.items():
        _write(folder / "metrics" / key, f"{run.logged_ms} {value} 0\n")
    for key, text in run.params.items():
        _write(folder / "params" / key, text)
    for name, digest, context in run.datasets:
        dataset, edge = _digest(name + digest), _digest(name + digest + run.run_id)
        tags = "tags: {}\n" if context is None else f"tags:\n  mlflow.data.context: {context}\n"
        _write(
            folder / "inputs" / edge / "meta.yaml",
            f"destination_id: {dataset}\ndestination_type: RUN\nsource_id: {dataset}\nsource_type: DATASET\n{tags}",
        )
        _write(experiment / "datasets" / dataset / "meta.yaml", f"digest: {digest}\nname: {name}\nprofile: '{{}}'\n")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def _digest(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
