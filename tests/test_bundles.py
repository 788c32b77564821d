"""Bundles as files: written whole or not at all, read with suspicion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import NOW
from support import SHA, make_manifest

from gatekeeper.bundles import MAX_BUNDLE_BYTES, dump_bundle, evidence_json, load_bundle, write_text
from gatekeeper.errors import EvidenceError, UnavailableError
from gatekeeper.evidence import Evidence, EvidenceBundle, Source, bundle_digest, seal


@pytest.fixture
def bundle() -> EvidenceBundle:
    """A sealed bundle with one gate."""
    evidence = Evidence(
        gate="slo",
        collected_at=NOW,
        queue_seconds=0.0,
        duration_seconds=0.25,
        sources=(Source(path="slo.yaml", sha256=SHA, size_bytes=3),),
        body={"observed_at": "2026-11-23T00:00:00Z", "name": "é", "ratio": 0.1},
    )
    return seal(
        EvidenceBundle(
            promotion=make_manifest(),
            manifest_sha256=SHA,
            collected_at=NOW,
            collect_seconds=1.5,
            evidence=(evidence,),
        )
    )


@pytest.fixture
def write(tmp_path: Path, bundle: EvidenceBundle) -> Callable[..., Path]:
    """Write the bundle with its content changed; `reseal` gives it the digest of the changed content."""

    def make(change: Callable[[dict[str, Any]], object] = lambda content: None, *, reseal: bool = True) -> Path:
        content = json.loads(dump_bundle(bundle))
        change(content)
        if reseal:
            content["digest"] = bundle_digest(content)
        path = tmp_path / "bundle.json"
        path.write_text(json.dumps(content), "utf-8")
        return path

    return make


def refusal(path: Path) -> EvidenceError:
    """The error with which a bundle is refused; it names the file."""
    with pytest.raises(EvidenceError) as caught:
        load_bundle(path)
    assert caught.value.subject == str(path)
    return caught.value


def test_reads_what_it_wrote(tmp_path: Path, bundle: EvidenceBundle) -> None:
    """Nothing is lost on the way through a file."""
    path = tmp_path / "deep" / "bundle.json"
    write_text(path, dump_bundle(bundle))
    assert load_bundle(path) == bundle
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["promotion"].update(to="staging-2"),
        lambda content: content["evidence"][0]["body"].update(ratio=0.2),
        lambda content: content["evidence"][0]["sources"][0].update(size_bytes=4),
        lambda content: content.update(collected_at="2026-11-24T12:00:00Z"),
        lambda content: content["evidence"].clear(),
        lambda content: content.update(digest="0" * 64),
        lambda content: content.update(digest=""),
        lambda content: content.pop("digest"),
        lambda content: content.update(digest=content["digest"].upper()),
    ],
    ids=["promotion", "body", "source", "time", "gate-gone", "other", "empty", "none", "upper-case"],
)
def test_refuses_content_that_is_not_what_the_digest_names(write: Callable[..., Path], change: Any) -> None:
    """A bundle changed by hand is unverifiable, and both digests are shown."""
    error = refusal(write(change, reseal=False))
    assert (error.kind, error.hint) == ("unverifiable", "it was changed after it was collected; collect again")
    assert "its content has the digest" in error.problem


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content["evidence"].append(content["evidence"][0]), "twice"),
        (lambda content: content["evidence"][0].update(gap={"kind": "missing", "subject": "a", "message": "b"}), "one of"),
        (lambda content: content["evidence"][0].pop("body"), "exactly one"),
        (lambda content: content["evidence"][0].update(sources=[]), "proves nothing"),
        (lambda content: content["evidence"][0].update(duration_seconds=-1), "duration_seconds"),
        (lambda content: content.update(collect_seconds="1"), "collect_seconds"),
        (lambda content: content.update(gates=["slo"]), "gates"),
        (lambda content: content.update(kind="Bundle"), "kind"),
        (lambda content: content.update(apiVersion="gatekeeper/v2"), "apiVersion"),
        (lambda content: content.update(api_version=content.pop("apiVersion")), "api_version"),
        (lambda content: content["promotion"].update(target=content["promotion"].pop("to")), "promotion"),
        (lambda content: content["promotion"].update(gates=["slo"]), "promotion.gates"),
        (lambda content: content["promotion"]["candidate"].update(artifacts=[]), "artifacts"),
        (lambda content: content.pop("evidence"), "evidence"),
        (lambda content: content.update(collected_at="2026-11-23T12:00:00"), "timezone"),
        (lambda content: content.update(collected_at=1767225600), "collected_at"),
    ],
)  # fmt: skip
def test_refuses_a_bundle_of_another_shape(write: Callable[..., Path], change: Any, words: str) -> None:
    """A digest that fits does not make up for a shape that does not."""
    error = refusal(write(change))
    assert error.kind == "malformed"
    assert words in error.problem


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"), (b"{", "not JSON"), (b"[]", "Input should be an object"), (b"null", "Input should"),
        (b'{"a": NaN}', "NaN is not a number"), (b'{"a": 1e999}', "too large"), (b'{"a": 1, "a": 2}', "duplicate key"),
        (b"\xff", "not UTF-8"), (b"[" * 100_000, "nested too deeply"), (b'"\\ud800"', "surrogate"),
    ],
)  # fmt: skip
def test_refuses_a_file_that_is_no_bundle(tmp_path: Path, data: bytes, words: str) -> None:
    """Empty, cut, hostile: malformed, never another error."""
    path = tmp_path / "bundle.json"
    path.write_bytes(data)
    error = refusal(path)
    assert error.kind == "malformed"
    assert words in error.problem


def test_every_truncation_is_refused(tmp_path: Path, bundle: EvidenceBundle) -> None:
    """A bundle cut off anywhere is none."""
    text = dump_bundle(bundle)
    path = tmp_path / "bundle.json"
    for length in range(0, len(text) - 2, 7):
        path.write_text(text[:length], "utf-8")
        assert refusal(path).kind == "malformed"


def test_an_absent_bundle_is_missing(tmp_path: Path) -> None:
    """With what to run first."""
    error = refusal(tmp_path / "none.json")
    assert (error.kind, error.hint) == ("missing", "run `gatekeeper collect` first")


def test_a_folder_is_no_bundle(tmp_path: Path) -> None:
    """It cannot be read, and says so."""
    assert refusal(tmp_path).problem.startswith("cannot be read: ")
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file" / "x").problem.startswith("cannot be read: ")


def test_refuses_a_giant(tmp_path: Path) -> None:
    """Larger than the limit is not read to its end; at the limit it is read."""
    path = tmp_path / "bundle.json"
    with path.open("wb") as file:
        file.truncate(MAX_BUNDLE_BYTES + 1)
    assert refusal(path).problem == f"larger than {MAX_BUNDLE_BYTES} bytes"


def test_a_pipe_that_nobody_writes_to_is_empty(tmp_path: Path) -> None:
    """It ends at once instead of hanging the run."""
    os.mkfifo(tmp_path / "pipe")
    assert "empty" in refusal(tmp_path / "pipe").problem


def test_a_pipe_with_a_slow_writer_is_waited_for(bundle: EvidenceBundle) -> None:
    """`decide <(gatekeeper collect …)` reads the whole bundle, however late it comes."""
    reader, writer = os.pipe()
    data = dump_bundle(bundle).encode()

    def feed() -> None:
        for start in range(0, len(data), 500):
            threading.Event().wait(0.01)
            os.write(writer, data[start : start + 500])
        os.close(writer)

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        assert load_bundle(Path(f"/dev/fd/{reader}")) == bundle
    finally:
        thread.join()
        os.close(reader)


def test_a_dash_is_standard_input(bundle: EvidenceBundle) -> None:
    """A bundle may come through a pipe, under the same limit and the same suspicion."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom gatekeeper import bundles\n"
        "bundles.MAX_BUNDLE_BYTES = int(sys.argv[1])\nprint(bundles.load_bundle(Path('-')).digest)\n"
    )
    data = dump_bundle(bundle).encode()

    def run(limit: int, text: bytes) -> tuple[int, bytes, bytes]:
        done = subprocess.run([sys.executable, "-c", program, str(limit)], input=text, capture_output=True, timeout=60)
        return done.returncode, done.stdout.strip(), done.stderr

    assert run(len(data), data)[:2] == (0, bundle.digest.encode())
    code, _, message = run(len(data) - 1, data)
    assert code == 1
    assert f"larger than {len(data) - 1} bytes".encode() in message
    assert b"the file is empty" in run(MAX_BUNDLE_BYTES, b"")[2]


def test_writing_replaces_the_whole_file(tmp_path: Path) -> None:
    """Nothing of the old text is left."""
    path = tmp_path / "report.md"
    write_text(path, "a" * 1000)
    write_text(path, "é")
    assert path.read_text("utf-8") == "é"


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """A pull request that brings a link named as the report does not choose what is overwritten."""
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "report.md").symlink_to("precious")
    write_text(tmp_path / "report.md", "report")
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "report.md").is_symlink()


@pytest.mark.parametrize("path", ["file/report.md", "folder", "file/deeper/report.md", "x" * 300])
def test_a_path_that_cannot_be_written_is_unavailable(tmp_path: Path, path: str) -> None:
    """Exit code 4 with the path; no partial file is left."""
    (tmp_path / "file").write_text("file")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UnavailableError) as caught:
        write_text(tmp_path / path, "text")
    assert caught.value.subject == str(tmp_path / path)
    assert caught.value.problem.startswith("cannot be written: ")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "file"


def test_a_full_device_is_unavailable() -> None:
    """No space left is not a written report."""
    with pytest.raises(UnavailableError, match="No space left"):
        write_text(Path("/dev/full"), "text" * 10_000)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """A disk that fills up halfway costs the new report, not the old one."""
    path = tmp_path / "report.md"
    path.write_text("old")
    program = (
        "import resource, sys\nfrom pathlib import Path\nfrom gatekeeper.bundles import write_text\n"
        "from gatekeeper.errors import UnavailableError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n    write_text(Path(sys.argv[1]), 'x' * 100_000)\n"
        "except UnavailableError as error:\n    print(error.exit_code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "4\n")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"


def test_a_record_carries_enough_to_make_the_digest_again(bundle: EvidenceBundle) -> None:
    """What the log keeps and the promotion beside it are the whole bundle."""
    kept = evidence_json(bundle)
    whole = kept | {
        "promotion": bundle.promotion.model_dump(mode="json"),
        "apiVersion": "gatekeeper/v1",
        "kind": "EvidenceBundle",
    }
    assert bundle_digest(whole) == bundle.digest == kept["digest"]
