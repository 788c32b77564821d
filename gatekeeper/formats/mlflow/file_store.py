"""
MLflow's file store: `<root>/<experiment>/<run>/{meta.yaml,metrics/<name>,params/<name>,inputs/<id>/meta.yaml}`.

Source: `mlflow/store/tracking/file_store.py`. Every file goes through the workspace, which keeps its digest
and does not leave the repository.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection

from gatekeeper.errors import EvidenceError
from gatekeeper.files import Workspace
from gatekeeper.formats.mlflow.meta import Scalars, parse_meta
from gatekeeper.formats.mlflow.run import (
    MAX_INPUTS,
    MAX_RUNS,
    MAX_VALUE,
    DatasetInput,
    Faults,
    Metric,
    Run,
    is_run_id,
)
from gatekeeper.formats.strict_json import decode_utf8

_STATUSES = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}
"""Source: enum RunStatus of `mlflow/protos/service.proto`."""

_EXPERIMENT = re.compile(r"[A-Za-z0-9][\w-]{0,63}")
_RESERVED = "models"
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,4})?")
_NO_NUMBER = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


class FileStore:
    """A file store; see `gatekeeper.formats.mlflow.Store`."""

    def __init__(self, workspace: Workspace, path: str) -> None:
        self.path = path
        self._workspace = workspace
        self._experiments = [
            name
            for name in self._list(path)
            if _EXPERIMENT.fullmatch(name) and name != _RESERVED and self._is_file(f"{path}/{name}/meta.yaml")
        ]
        if not self._experiments:
            raise EvidenceError(
                "malformed",
                path,
                "no experiment in this folder, an MLflow file store was wanted",
                hint="name the folder that holds <experiment>/<run>/meta.yaml, usually mlruns",
            )

    def list_run_ids(self) -> list[str]:
        """Name runs of the store, sorted."""
        found = {name for each in self._experiments for name in self._list(f"{self.path}/{each}") if is_run_id(name)}
        return sorted(found)[:MAX_RUNS]

    def read_run(self, run_id: str, names: Collection[str]) -> Run | None:
        """Read one run with the metrics and parameters that are named."""
        homes = [each for each in self._experiments if self._is_file(f"{self.path}/{each}/{run_id}/meta.yaml")]
        if not homes:
            return None
        if len(homes) > 1:
            raise Faults(self.path, f"run {run_id}").malformed(f"it lies in the experiments {', '.join(homes)}")
        folder = f"{self.path}/{homes[0]}/{run_id}"
        (meta, _), faults = self._meta(folder), Faults(f"{folder}/meta.yaml", f"run {run_id}")
        if (meta.get("run_id", meta.get("run_uuid")), meta.get("experiment_id")) != (run_id, homes[0]):
            raise faults.malformed("its meta.yaml is that of another run or experiment")
        ended = meta.get("end_time")
        metrics = {each: self._metric(folder, each) for each in sorted(names)}
        params = {each: self._param(folder, each) for each in sorted(names)}
        return Run(
            run_id=run_id,
            name=faults.text(meta.get("run_name")),
            status=_STATUSES.get(meta.get("status") or "", "of an unknown status"),
            lifecycle_stage=faults.text(meta.get("lifecycle_stage")),
            ended_at=None if ended is None else faults.moment(_integer(faults, ended)),
            metrics={key: each for key, each in metrics.items() if each is not None},
            params={key: each for key, each in params.items() if each is not None},
            datasets=self._datasets(folder, f"{self.path}/{homes[0]}/datasets"),
        )

    def _metric(self, folder: str, name: str) -> Metric | None:
        """Read the value with the greatest (step, timestamp, value), which is the last one to MLflow."""
        path = f"{folder}/metrics/{name}"
        if not self._is_file(path):
            return None
        text = decode_utf8(self._workspace.read(path), path)
        faults = Faults(path, f"metric {name!r}")
        lines = [_line(faults, line.strip()) for line in text.split("\n") if line.strip()]
        if not lines:
            raise faults.malformed("it holds no value")
        last = max((step, timestamp) for step, timestamp, _ in lines)
        values = [faults.number(value) for step, timestamp, value in lines if (step, timestamp) == last]
        return Metric(max(values), faults.moment(last[1]))

    def _param(self, folder: str, name: str) -> str | None:
        path = f"{folder}/params/{name}"
        if not self._is_file(path):
            return None
        text = decode_utf8(self._workspace.read(path), path)
        return Faults(path, f"parameter {name!r}").text(text, limit=MAX_VALUE)

    def _datasets(self, folder: str, datasets: str) -> tuple[DatasetInput, ...]:
        names = self._list(f"{folder}/inputs") if self._is_folder(f"{folder}/inputs") else []
        if len(names) > MAX_INPUTS:
            raise Faults(folder, "its inputs").malformed(f"more than {MAX_INPUTS} datasets")
        found = (self._dataset(f"{folder}/inputs/{name}", datasets) for name in names)
        return tuple(sorted({each for each in found if each is not None}))

    def _dataset(self, folder: str, datasets: str) -> DatasetInput | None:
        """Read one input; what is not a dataset (a model) is None."""
        (edge, mappings), faults = self._meta(folder), Faults(f"{folder}/meta.yaml", "input")
        source, tags = edge.get("source_id"), mappings.get("tags", {})
        if edge.get("source_type") != "DATASET":
            return None
        if not is_run_id(source) or not self._is_file(f"{datasets}/{source}/meta.yaml"):
            raise faults.malformed("it names a dataset that the store does not describe")
        meta, _ = self._meta(f"{datasets}/{source}")
        name, digest = faults.text(meta.get("name")), faults.text(meta.get("digest"))
        if not name or not digest:
            raise faults.malformed("its dataset has no name or no digest")
        return DatasetInput(faults.text(tags.get("mlflow.data.context")), name, digest)

    def _meta(self, folder: str) -> tuple[Scalars, dict[str, Scalars]]:
        path = f"{folder}/meta.yaml"
        return parse_meta(self._workspace.read(path), path)

    def _list(self, folder: str) -> list[str]:
        try:
            with os.scandir(self._workspace.locate(folder)) as entries:
                return sorted(entry.name for entry in entries)
        except OSError as error:
            raise EvidenceError("unverifiable", folder, f"cannot be listed: {error.strerror}") from error

    def _is_file(self, path: str) -> bool:
        return self._kind(path) == "file"

    def _is_folder(self, path: str) -> bool:
        return self._kind(path) == "folder"

    def _kind(self, path: str) -> str:
        """Say what lies at a path: a folder, something else (which only a regular file survives), or nothing."""
        try:
            return "folder" if self._workspace.locate(path).is_dir() else "file"
        except EvidenceError as error:
            if error.kind != "missing":
                raise
            return "nothing"


def _line(faults: Faults, line: str) -> tuple[int, int, float]:
    """Read `timestamp value [step]` as (step, timestamp, value)."""
    fields = line.split(" ")
    if len(fields) not in (2, 3):
        raise faults.malformed(f"{len(fields)} fields, `timestamp value step` was wanted")
    timestamp, value, step = fields if len(fields) == 3 else (*fields, "0")
    if value not in _NO_NUMBER and not _DECIMAL.fullmatch(value):
        raise faults.malformed(f"{value[:40]!r} is not a number")
    return _integer(faults, step), _integer(faults, timestamp), _NO_NUMBER.get(value) or float(value)


def _integer(faults: Faults, text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise faults.malformed(f"{text[:40]!r} is not a whole number")
    return int(text)
