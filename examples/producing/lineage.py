"""Lineage events from the real openlineage-python client, written by its file transport."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal

import pandas
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState, set_producer
from openlineage.client.facet_v2 import (
    DatasetFacet,
    JobFacet,
    dataset_version_dataset,
    documentation_dataset,
    job_type_job,
    ownership_dataset,
    ownership_job,
    schema_dataset,
    source_code_location_job,
)
from openlineage.client.transport.file import FileConfig, FileTransport
from openlineage.client.uuid import generate_new_uuid

from producing.clock import now
from producing.digest import sha256_of

PRODUCER = "https://git.example.org/imaging/pipelines"
"""Who says so; example.org is reserved for documentation (RFC 2606)."""


@dataclass(frozen=True)
class Code:
    """Where the code of a job lies."""

    repository_url: str
    path: str
    commit: str


@dataclass(frozen=True)
class Node:
    """A dataset of the graph: its name, owner, version and columns."""

    namespace: str
    name: str
    owner: str
    version: str
    columns: tuple[tuple[str, str], ...] = ()
    documentation: str = ""

    def as_input(self) -> InputDataset:
        """The dataset as a run reads it."""
        return InputDataset(self.namespace, self.name, facets=self._facets())

    def as_output(self) -> OutputDataset:
        """The dataset as a run writes it."""
        return OutputDataset(self.namespace, self.name, facets=self._facets())

    def _facets(self) -> dict[str, DatasetFacet]:
        facets: dict[str, DatasetFacet] = {
            "version": dataset_version_dataset.DatasetVersionDatasetFacet(self.version),
            "ownership": ownership_dataset.OwnershipDatasetFacet([ownership_dataset.Owner(self.owner, "OWNER")]),
        }
        if self.columns:
            fields = [schema_dataset.SchemaDatasetFacetFields(name, type=kind) for name, kind in self.columns]
            facets["schema"] = schema_dataset.SchemaDatasetFacet(fields)
        if self.documentation:
            facets["documentation"] = documentation_dataset.DocumentationDatasetFacet(self.documentation)
        return facets


def describe_file(folder: Path, name: str, *, namespace: str, owner: str) -> Node:
    """Describe a file of the example: its version is its SHA-256, its columns are those of the CSV."""
    path = folder / name
    columns: tuple[tuple[str, str], ...] = ()
    if path.suffix == ".csv":
        types = pandas.read_csv(path).dtypes
        columns = tuple((str(column), str(kind)) for column, kind in types.items())
    return Node(namespace, name, owner, f"sha256:{sha256_of(path)}", columns)


def published_data() -> Node:
    """Describe the data set as scikit-learn ships it; its version is the digest of the installed file."""
    with as_file(files("sklearn.datasets.data") / "breast_cancer.csv") as path:
        digest = sha256_of(path)
    name = f"scikit-learn/{version('scikit-learn')}/datasets/data/breast_cancer.csv"
    documentation = "Breast Cancer Wisconsin (Diagnostic), as scikit-learn ships it."
    return Node("pypi", name, "scikit-learn", f"sha256:{digest}", documentation=documentation)


class Journal:
    """
    The events file, written by the client one delivered event at a time.

    Delivery is at least once and not in order, as it is from a queue: with `redelivered` the COMPLETE event of a
    run overtakes its RUNNING event and comes a second time.
    """

    def __init__(self, path: Path, namespace: str, owner: str) -> None:
        path.unlink(missing_ok=True)
        set_producer(PRODUCER)
        self._client = OpenLineageClient(transport=FileTransport(FileConfig(str(path), append=True)))
        self._namespace = namespace
        self._owner = owner

    def begin(self, name: str, code: Code) -> JobRun:
        """Begin a run of a job now."""
        job = Job(self._namespace, name, facets=_job_facets(self._owner, code))
        return JobRun(self._client, job, str(generate_new_uuid()), now())


class JobRun:
    """One run of one job, from its START to its COMPLETE."""

    def __init__(self, client: OpenLineageClient, job: Job, run_id: str, began: str) -> None:
        self._client, self._job, self._run_id, self._began = client, job, run_id, began
        self._running = began

    def report_progress(self) -> None:
        """Note that the run is at work now."""
        self._running = now()

    def complete(self, inputs: Sequence[Node], outputs: Sequence[Node], *, redelivered: bool = False) -> None:
        """Deliver the run's events; what it read and wrote is known when it has ended."""
        reads, writes = [node.as_input() for node in inputs], [node.as_output() for node in outputs]
        start = self._event("START", self._began, reads, [])
        running = self._event("RUNNING", self._running, reads, [])
        complete = self._event("COMPLETE", now(), reads, writes)
        for event in (start, complete, running, complete) if redelivered else (start, running, complete):
            self._client.emit(event)

    def _event(
        self,
        state: Literal["START", "RUNNING", "COMPLETE"],
        moment: str,
        inputs: list[InputDataset],
        outputs: list[OutputDataset],
    ) -> RunEvent:
        return RunEvent(
            eventType=RunState[state], eventTime=moment, run=Run(self._run_id), job=self._job,
            inputs=inputs, outputs=outputs,
        )  # fmt: skip


def _job_facets(owner: str, code: Code) -> dict[str, JobFacet]:
    return {
        "jobType": job_type_job.JobTypeJobFacet(processingType="BATCH", integration="PYTHON", jobType="JOB"),
        "ownership": ownership_job.OwnershipJobFacet([ownership_job.Owner(owner, "OWNER")]),
        "sourceCodeLocation": source_code_location_job.SourceCodeLocationJobFacet(
            type="git",
            url=f"{code.repository_url}/blob/{code.commit}/{code.path}",
            repoUrl=code.repository_url,
            path=code.path,
            version=code.commit,
            branch="main",
        ),
    }
