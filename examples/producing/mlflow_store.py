"""Runs in a real MLflow tracking store (SQLite), free of the machine that made them."""

from __future__ import annotations

import os
import sqlite3
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas

# Telemetry is off before MLflow is imported: the example is made without a word to anyone.
os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}

from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking import MlflowClient

ARTIFACT_ROOT = "mlflow-artifacts:/"
"""Neutral artifact location (a server proxies it); the default would be a path of this machine."""


@dataclass(frozen=True)
class Trial:
    """What is said about a run when it begins."""

    name: str
    parameters: dict[str, Any]
    tags: dict[str, str]


class Store:
    """One experiment of a new store."""

    def __init__(self, path: Path, experiment: str) -> None:
        self._path = path
        path.unlink(missing_ok=True)
        uri = f"sqlite:///{path}"
        # The store's own class makes the tables and the Default experiment with the neutral location.
        SqlAlchemyStore(uri, ARTIFACT_ROOT).engine.dispose()
        self._client = MlflowClient(uri)
        self._experiment = self._client.create_experiment(experiment, artifact_location=f"{ARTIFACT_ROOT}{experiment}")

    @contextmanager
    def run(self, trial: Trial) -> Iterator[OpenRun]:
        """Open a run; it ends FINISHED when the block does, FAILED when the block raises."""
        run = self._client.create_run(self._experiment, run_name=trial.name, tags=trial.tags)
        run_id = run.info.run_id
        parameters = [Param(name, str(value)) for name, value in trial.parameters.items()]
        self._client.log_batch(run_id, params=parameters)
        try:
            yield OpenRun(self._client, run_id)
        except BaseException:
            self._client.set_terminated(run_id, "FAILED")
            raise
        self._client.set_terminated(run_id, "FINISHED")

    def compact(self) -> None:
        """Rewrite the store in pages of 1 KiB: most of its sixty tables are empty and hold a page each."""
        with closing(sqlite3.connect(self._path)) as connection:
            connection.execute("PRAGMA page_size = 1024")
            connection.execute("VACUUM")


class OpenRun:
    """A run that is not over."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client = client
        self.run_id = run_id

    def log_dataset(self, samples: pandas.DataFrame, name: str, context: str) -> None:
        """Record which data the run read; MLflow digests it."""
        with warnings.catch_warnings():
            # MLflow finds its class for local files twice and says so.
            warnings.simplefilter("ignore", UserWarning)
            dataset = from_pandas(samples, source=name, name=name)._to_mlflow_entity()
        inputs = [DatasetInput(dataset, [InputTag("mlflow.data.context", context)])]
        self._client.log_inputs(self.run_id, inputs)

    def log_metrics(self, metrics: dict[str, float]) -> None:
        """Record the metrics, all at one time."""
        moment = int(time.time() * 1000)
        self._client.log_batch(self.run_id, metrics=[Metric(key, value, moment, 0) for key, value in metrics.items()])

    def tag(self, key: str, value: str) -> None:
        """Record a tag."""
        self._client.log_batch(self.run_id, tags=[RunTag(key, value)])
