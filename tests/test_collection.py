"""Collection: every collector beside the others, and whatever goes wrong in one is a gap or an error, not a silence."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import NOW, git
from fake_gates import Request, TextBody, read_file
from pydantic import ValidationError

from gatekeeper.cli import describe
from gatekeeper.collection import collect
from gatekeeper.collectors import COLLECTORS, Context
from gatekeeper.errors import ConfigurationError, EvidenceError, InternalError
from gatekeeper.evidence import EvidenceBundle, Gap, GateThresholds, seal
from gatekeeper.settings import EvidenceSettings

Collect = Callable[[Request, Context], Any]


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Collect], None]:
    """Make a gate with a collector, as a module of its own, for one test."""

    def make(gate: str, function: Collect) -> None:
        module: Any = ModuleType(f"fake_collector_{gate}")
        module.Request, module.Body, module.Thresholds, module.collect = Request, TextBody, GateThresholds, function
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setitem(COLLECTORS, gate, module.__name__)

    return make


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """An event that hanging collectors wait for, so that no test leaves a thread behind."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., Path]:
    """Write a manifest with one artefact, its data, and the evidence part given."""

    def make(evidence: str = "{}", folder: Path = tmp_path, **changes: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.bin").write_bytes(b"model")
        (folder / "data.txt").write_text("data")
        fields = {"path": "model.bin", "sha256": hashlib.sha256(b"model").hexdigest()} | changes
        path = folder / "promotion.yaml"
        path.write_text(
            "apiVersion: gatekeeper/v1\nkind: Promotion\ncandidate:\n  kind: model\n  name: m\n  version: '1'\n"
            f"  artifacts: [{{path: '{fields['path']}', sha256: '{fields['sha256']}'}}]\n"
            f"from: staging\nto: production\nowner: o\nevidence: {evidence}\n"
        )
        return path

    return make


def run(path: Path, timeout_seconds: float = 30.0) -> EvidenceBundle:
    """Collect with a limit."""
    return collect(path, EvidenceSettings(collect_timeout_seconds=timeout_seconds), NOW)


def gap_of(bundle: EvidenceBundle, gate: str) -> Gap:
    """The gap of a gate, which then has no body."""
    evidence = bundle.for_gate(gate)
    assert evidence is not None
    assert evidence.body is None
    assert evidence.gap is not None
    return evidence.gap


def body_of(bundle: EvidenceBundle, gate: str) -> dict[str, Any]:
    """The body of a gate, which then has no gap."""
    evidence = bundle.for_gate(gate)
    assert evidence is not None
    assert evidence.gap is None
    assert evidence.body is not None
    return evidence.body


def test_collects_what_the_manifest_names(register: Any, manifest: Any) -> None:
    """Body, sources with digests, clock, and a seal over all of it."""
    register("alpha", read_file)
    path = manifest("{alpha: {}}")
    bundle = run(path)
    assert body_of(bundle, "alpha") == {"observed_at": None, "text": "data"}
    (source,) = bundle.evidence[0].sources
    assert (source.path, source.sha256, source.size_bytes) == ("data.txt", hashlib.sha256(b"data").hexdigest(), 4)
    assert bundle.manifest_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (bundle.gap, bundle.commit) == (None, None)
    assert bundle.collected_at == bundle.evidence[0].collected_at == NOW
    assert seal(bundle).digest == bundle.digest
    assert 0 <= bundle.evidence[0].duration_seconds <= bundle.collect_seconds
    assert bundle.evidence[0].queue_seconds >= 0


def test_without_evidence_there_is_none(manifest: Any) -> None:
    """A manifest that names nothing gives a bundle with nothing; whether that is enough is not decided here."""
    assert run(manifest()).evidence == ()


def test_a_collector_is_told_the_facts(register: Any, manifest: Any, tmp_path: Path) -> None:
    """The run's clock, the trusted limits, the promotion, and a door to files below the root."""
    seen: list[Context] = []

    def look(request: Request, context: Context) -> TextBody:
        seen.append(context)
        return read_file(request, context)

    register("alpha", look)
    run(manifest("{alpha: {}}"), 7.0)
    (context,) = seen
    assert context.now == NOW
    assert context.settings.collect_timeout_seconds == 7.0
    assert context.promotion.target == "production"
    assert (context.workspace.root, context.workspace.base) == (tmp_path, tmp_path)
    assert context.workspace.max_document_bytes == context.settings.max_document_bytes


def test_collectors_run_side_by_side(register: Any, manifest: Any) -> None:
    """Three that wait for each other all finish."""
    barrier = threading.Barrier(3, timeout=20)

    def meet(request: Request, context: Context) -> TextBody:
        barrier.wait()
        return read_file(request, context)

    for gate in ("alpha", "beta", "gamma"):
        register(gate, meet)
    bundle = run(manifest("{alpha: {}, beta: {}, gamma: {}}"))
    assert [each.gap for each in bundle.evidence] == [None, None, None]
    assert [each.gate for each in bundle.evidence] == ["alpha", "beta", "gamma"]


def test_each_collector_has_sources_of_its_own(register: Any, manifest: Any) -> None:
    """What one read is not another one's source."""
    register("alpha", read_file)
    register("beta", read_file)
    bundle = run(manifest("{alpha: {}, beta: {path: model.bin}}"))
    assert [[source.path for source in each.sources] for each in bundle.evidence] == [["data.txt"], ["model.bin"]]


def test_a_collector_that_hangs_leaves_a_gap(register: Any, manifest: Any, released: threading.Event) -> None:
    """The run goes on without it, in time, and the others keep their evidence."""

    def hang(request: Request, context: Context) -> TextBody:
        body = read_file(request, context)
        released.wait(60)
        return body

    register("alpha", hang)
    register("beta", read_file)
    started = time.monotonic()
    bundle = run(manifest("{alpha: {}, beta: {}}"), 0.3)
    assert time.monotonic() - started < 10
    gap = gap_of(bundle, "alpha")
    assert (gap.kind, gap.subject, gap.message) == ("unverifiable", "alpha", "not collected within 0.3 s")
    assert "collect_timeout_seconds" in gap.hint
    assert body_of(bundle, "beta")["text"] == "data"
    assert bundle.gap is None


def test_a_collector_that_comes_too_late_changes_nothing(
    register: Any, manifest: Any, released: threading.Event
) -> None:
    """What was sealed stays as it was."""
    done = threading.Event()

    def late(request: Request, context: Context) -> TextBody:
        released.wait(60)
        body = read_file(request, context)
        done.set()
        return body

    register("alpha", late)
    bundle = run(manifest("{alpha: {}}"), 0.2)
    released.set()
    assert done.wait(20)
    assert gap_of(bundle, "alpha").kind == "unverifiable"
    assert bundle.evidence[0].sources == ()
    assert seal(bundle).digest == bundle.digest


def test_all_collectors_share_one_limit(register: Any, manifest: Any, released: threading.Event) -> None:
    """Ten that hang take as long as one."""

    def hang(request: Request, context: Context) -> TextBody:
        released.wait(60)
        return read_file(request, context)

    gates = [f"g{number}" for number in range(10)]
    for gate in gates:
        register(gate, hang)
    started = time.monotonic()
    bundle = run(manifest("{" + ", ".join(f"{gate}: {{}}" for gate in gates) + "}"), 0.3)
    assert time.monotonic() - started < 3
    assert {gap_of(bundle, gate).kind for gate in gates} == {"unverifiable"}


@pytest.mark.parametrize("kind", ["missing", "stale", "malformed", "unverifiable"])
def test_a_collector_that_refuses_leaves_its_gap(register: Any, manifest: Any, kind: str) -> None:
    """With its own kind and hint, and with what it had read until then."""

    def refuse(request: Request, context: Context) -> TextBody:
        read_file(request, context)
        raise EvidenceError(kind, "data.txt", "is not good", hint="mend it")

    register("alpha", refuse)
    bundle = run(manifest("{alpha: {}}"))
    assert gap_of(bundle, "alpha") == Gap(kind=kind, subject="data.txt", message="is not good", hint="mend it")  # type: ignore[arg-type]  # one of the four
    assert len(bundle.evidence[0].sources) == 1


@pytest.mark.parametrize(
    ("path", "kind"), [("none.txt", "missing"), ("../out.txt", "unverifiable"), ("''", "unverifiable"), (".", "unverifiable")]
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_a_gap(register: Any, manifest: Any, path: str, kind: str) -> None:
    """Absent, outside the repository, no path, a folder."""
    register("alpha", read_file)
    assert gap_of(run(manifest(f"{{alpha: {{path: {path}}}}}")), "alpha").kind == kind


@pytest.mark.parametrize("error", [ValueError("v"), KeyError("k"), RecursionError(), MemoryError(), OSError("o")])
def test_a_bug_in_a_collector_is_an_error(register: Any, manifest: Any, error: Exception) -> None:
    """It is not mistaken for missing evidence: it ends the run, which allows nothing."""

    def fail(request: Request, context: Context) -> TextBody:
        raise error

    register("alpha", fail)
    with pytest.raises(type(error)):
        run(manifest("{alpha: {}}"))


@pytest.mark.parametrize("error", [SystemExit(0), SystemExit(), KeyboardInterrupt(), GeneratorExit()])
def test_a_collector_cannot_end_the_run(register: Any, manifest: Any, error: BaseException) -> None:
    """`sys.exit(0)` in a library that a collector calls would look like an allow."""

    def leave(request: Request, context: Context) -> TextBody:
        raise error

    register("alpha", leave)
    with pytest.raises(InternalError) as caught:
        run(manifest("{alpha: {}}"))
    assert caught.value.subject == "collector alpha"
    assert "tried to end the run" in caught.value.problem


def test_a_gap_of_an_unknown_kind_is_a_bug(register: Any, manifest: Any) -> None:
    """A collector that misspells the kind is not taken for a slow one."""

    def misspell(request: Request, context: Context) -> TextBody:
        raise EvidenceError("mising", "data.txt", "is not there")

    register("alpha", misspell)
    with pytest.raises(ValidationError, match="kind"):
        run(manifest("{alpha: {}}"))


def test_a_body_that_comes_from_nowhere_is_a_bug(register: Any, manifest: Any) -> None:
    """A collector that read nothing has proved nothing."""
    register("alpha", lambda request, context: TextBody(observed_at=None, text="invented"))
    with pytest.raises(ValidationError, match="proves nothing"):
        run(manifest("{alpha: {}}"))


def test_a_collector_without_an_answer_is_a_bug(register: Any, manifest: Any) -> None:
    """None is not an empty body."""
    register("alpha", lambda request, context: None)
    with pytest.raises(AttributeError):
        run(manifest("{alpha: {}}"))


def test_an_artefact_with_another_digest_is_a_gap_of_the_promotion(manifest: Any) -> None:
    """The file that would move is not the one that the manifest names; both digests are shown."""
    bundle = run(manifest(sha256="0" * 64))
    assert bundle.gap is not None
    assert (bundle.gap.kind, bundle.gap.subject) == ("unverifiable", "model.bin")
    assert hashlib.sha256(b"model").hexdigest() in bundle.gap.message
    assert "0" * 64 in bundle.gap.message


@pytest.mark.parametrize(
    ("path", "kind"), [("none.bin", "missing"), ("../model.bin", "unverifiable"), (".", "unverifiable"), ("link", "unverifiable"), ("pipe", "unverifiable")]
)  # fmt: skip
def test_an_artefact_that_cannot_be_read_is_a_gap(manifest: Any, tmp_path: Path, path: str, kind: str) -> None:
    """Absent, outside, a folder, a link out, a pipe."""
    folder = tmp_path / "repo"
    folder.mkdir()
    (tmp_path / "model.bin").write_bytes(b"model")
    (folder / "link").symlink_to("../model.bin")
    os.mkfifo(folder / "pipe")
    bundle = run(manifest(folder=folder, path=path))
    assert bundle.gap is not None
    assert (bundle.gap.kind, bundle.gap.subject) == (kind, path)


def test_an_artefact_that_takes_too_long_is_a_gap(manifest: Any, tmp_path: Path) -> None:
    """A digest that was not finished is not a match."""
    path = manifest(path="giant.bin")
    with (tmp_path / "giant.bin").open("wb") as file:
        file.truncate(512 * 1024 * 1024)
    bundle = run(path, 0.01)
    assert bundle.gap is not None
    assert (bundle.gap.kind, bundle.gap.subject) == ("unverifiable", "artifacts")
    assert "not collected within" in bundle.gap.message


def test_a_gate_keeps_its_evidence_beside_a_wrong_artefact(register: Any, manifest: Any) -> None:
    """Both are in the bundle; deciding is another step."""
    register("alpha", read_file)
    bundle = run(manifest("{alpha: {}}", sha256="0" * 64))
    assert bundle.gap is not None
    assert body_of(bundle, "alpha")["text"] == "data"


def refusal(path: Path) -> str:
    """What a user reads when a manifest is refused."""
    with pytest.raises(ConfigurationError) as caught:
        run(path)
    return describe(caught.value).replace(str(path), "promotion.yaml")


def test_an_unknown_gate_is_refused_at_its_place(manifest: Any) -> None:
    """Misspelt, it would be a gate without evidence; the one that was meant is named."""
    assert refusal(manifest("{linage: {}}")) == (
        "promotion.yaml:11:12: error: unknown gate 'linage'\n    evidence: {linage: {}}\n               ^\n"
        "hint: did you mean 'lineage'?"
    )


def test_an_unknown_key_of_a_gate_is_refused_at_its_place(register: Any, manifest: Any) -> None:
    """In the gate's own part of the manifest."""
    register("alpha", read_file)
    assert refusal(manifest("{alpha: {pth: x}}")) == (
        "promotion.yaml:11:20: error: unknown key 'pth'\n    evidence: {alpha: {pth: x}}\n                       ^\n"
        "hint: did you mean 'path'?"
    )


@pytest.mark.parametrize("value", ["", "null", "[]", "7", "text", "{path: 7}", "{path: null}"])
def test_a_gates_part_of_another_shape_is_refused(register: Any, manifest: Any, value: str) -> None:
    """Before anything is collected."""
    asked: list[str] = []
    register("alpha", lambda request, context: asked.append("alpha"))
    assert refusal(manifest(f"{{alpha: {value}}}")).startswith("promotion.yaml:11:")
    assert asked == []


def test_the_shipped_gates_refuse_a_key_with_a_hint(manifest: Any) -> None:
    """Also where the gate's part is a list."""
    message = refusal(manifest("{contracts: [{contract: a, dta: b}]}"))
    assert message.endswith("hint: did you mean 'data'?")
    assert ":11:38: error: unknown key 'dta'" in message


def test_names_the_commit_that_is_checked_out(register: Any, manifest: Any, git_repository: Any) -> None:
    """From a folder below the root, whose files may lie anywhere in the repository."""
    root = git_repository({"data.txt": "of the root"})
    register("alpha", read_file)
    bundle = run(manifest("{alpha: {path: ../data.txt}}", folder=root / "team"))
    assert bundle.commit == git(root, "rev-parse", "HEAD")
    assert body_of(bundle, "alpha")["text"] == "of the root"


def test_a_repository_without_a_commit_has_none(manifest: Any, tmp_path: Path) -> None:
    """Nothing is invented."""
    git(tmp_path, "init", "-q")
    assert run(manifest()).commit is None


def test_collects_as_of_the_runs_clock(register: Any, manifest: Any) -> None:
    """The bundle is dated by the clock that the run was given."""
    register("alpha", read_file)
    moment = datetime.fromisoformat("2030-01-01T00:00:00+05:30")
    bundle = collect(manifest("{alpha: {}}"), EvidenceSettings(), moment)
    assert bundle.collected_at == bundle.evidence[0].collected_at == moment
