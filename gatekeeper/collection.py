"""From a manifest to an evidence bundle: verify the candidate's files and run the collectors side by side."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from gatekeeper.collectors import Collector, Context
from gatekeeper.collectors.registry import BUILT_IN, Collectors
from gatekeeper.document import Document, sha256_hex
from gatekeeper.errors import ConfigurationError, EvidenceError, InternalError
from gatekeeper.evidence import Evidence, EvidenceBundle, Gap, Source, seal
from gatekeeper.files import Workspace, find_root
from gatekeeper.formats.strict_yaml import LocatedDocument
from gatekeeper.manifest import PromotionManifest, load_manifest, nearest, validate
from gatekeeper.repository import Repository
from gatekeeper.settings import EvidenceSettings


@dataclass
class _Job:
    """One piece of collection, run in a thread of its own."""

    name: str
    workspace: Workspace
    work: Callable[[Workspace], dict[str, Any] | None]
    queued_at: float
    started_at: float = 0.0
    finished_at: float = 0.0
    body: dict[str, Any] | None = None
    gap: Gap | None = None
    crash: BaseException | None = None
    thread: threading.Thread = field(init=False)

    def start(self) -> None:
        self.thread = threading.Thread(target=self._run, name=f"collect-{self.name}", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.started_at = time.monotonic()
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001  # raised again in the main thread by `_settle`
            self.crash = error
        self.finished_at = time.monotonic()

    def _work(self) -> None:
        try:
            self.body = self.work(self.workspace)
        except EvidenceError as error:
            self.gap = Gap.of(error)


def collect(
    path: Path, settings: EvidenceSettings, now: datetime, *, collectors: Collectors = BUILT_IN
) -> EvidenceBundle:
    """
    Gather all evidence that a manifest names.

    A collector that fails, or does not finish within `collect_timeout_seconds`, leaves a gap; so does an
    artefact whose digest is not the one that the manifest names.
    Raises `ConfigurationError` when the manifest itself is wrong.
    """
    started = time.monotonic()
    manifest, located = load_manifest(path)
    requests = _read_requests(manifest, located, collectors)
    base = path.resolve().parent
    root = find_root(base)

    def job(name: str, work: Callable[[Workspace], dict[str, Any] | None]) -> _Job:
        workspace = Workspace(root=root, base=base, max_document_bytes=settings.max_document_bytes)
        return _Job(name, workspace, work, queued_at=time.monotonic())

    artifacts = job("artifacts", lambda workspace: _verify_artifacts(manifest, workspace))
    gates = {
        gate: job(gate, _work(collector, request, _Facts(manifest, settings, now)))
        for gate, (collector, request) in requests.items()
    }
    jobs = [artifacts, *gates.values()]
    for each in jobs:
        each.start()
    for each in jobs:
        each.thread.join(max(0.0, started + settings.collect_timeout_seconds - time.monotonic()))
        _settle(each, settings.collect_timeout_seconds)
    return seal(
        EvidenceBundle(
            promotion=manifest,
            manifest_sha256=sha256_hex(located.data),
            collected_at=now,
            collect_seconds=time.monotonic() - started,
            commit=_head_commit(root),
            base_ref=settings.base_ref,
            gap=artifacts.gap,
            evidence=tuple(_evidence(gate, each, now) for gate, each in gates.items()),
        )
    )


@dataclass(frozen=True)
class _Facts:
    """What every collector of a promotion is told."""

    manifest: PromotionManifest
    settings: EvidenceSettings
    now: datetime


def _work(collector: Collector, request: Document, facts: _Facts) -> Callable[[Workspace], dict[str, Any]]:
    def work(workspace: Workspace) -> dict[str, Any]:
        context = Context(workspace, facts.manifest, facts.settings, facts.now)
        return collector.collect(request, context).model_dump(mode="json")

    return work


def _read_requests(
    manifest: PromotionManifest, located: LocatedDocument, collectors: Collectors
) -> dict[str, tuple[Collector, Document]]:
    """Validate each gate's part of the manifest; an unknown gate or key is an error with its place."""
    requests = {}
    for gate in manifest.evidence:
        collector = collectors.find(gate)
        if collector is None:
            raise ConfigurationError(
                located.name,
                f"unknown gate {gate!r}",
                hint=nearest(gate, collectors.names()),
                location=located.location(("evidence", gate), key=True),
            )
        requests[gate] = (collector, validate(located, collector.Request, at=("evidence", gate)))
    return requests


def _verify_artifacts(manifest: PromotionManifest, workspace: Workspace) -> None:
    """Digest the candidate's files; one that differs from the manifest is not the candidate."""
    for artifact in manifest.candidate.artifacts:
        found = workspace.record(artifact.path).sha256
        if found != artifact.sha256:
            raise EvidenceError(
                "unverifiable",
                artifact.path,
                f"sha256 is {found}, the manifest names {artifact.sha256}",
                hint="promote the file that was tested, or name the digest of this one",
            )


def _settle(job: _Job, limit_seconds: float) -> None:
    """Turn a job that did not finish into a gap, and a crash into the error that it is."""
    if isinstance(job.crash, Exception):
        raise job.crash
    if job.crash is not None:  # SystemExit(0) would end the run as if it had allowed
        raise InternalError(f"collector {job.name}", f"tried to end the run: {job.crash!r}") from job.crash
    if job.body is None and job.gap is None and (job.finished_at == 0.0 or job.thread.is_alive()):
        job.gap = Gap(
            kind="unverifiable",
            subject=job.name,
            message=f"not collected within {limit_seconds:g} s",
            hint="make its source faster, or raise evidence.collect_timeout_seconds in the settings",
        )
        job.finished_at = time.monotonic()


def _evidence(gate: str, job: _Job, now: datetime) -> Evidence:
    started = job.started_at or job.finished_at
    return Evidence(
        gate=gate,
        collected_at=now,
        queue_seconds=max(0.0, started - job.queued_at),
        duration_seconds=max(0.0, job.finished_at - started),
        sources=tuple(
            Source(path=each.path, sha256=each.sha256, size_bytes=each.size_bytes)
            for each in list(job.workspace.sources)
        ),
        body=None if job.gap else job.body,
        gap=job.gap,
    )


def _head_commit(root: Path) -> str | None:
    """The commit that is checked out; None outside a repository or before its first commit."""
    if not (root / ".git").exists():
        return None
    try:
        return Repository(root).head()
    except EvidenceError:
        return None
