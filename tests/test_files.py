"""The candidate's files are read through one door: inside the repository, regular, bounded, digested."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.errors import EvidenceError
from gatekeeper.files import MAX_DOCUMENT_BYTES, ReadSource, Workspace, find_root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository root with a manifest folder in it, and a secret beside it."""
    (tmp_path / "repo" / "team").mkdir(parents=True)
    (tmp_path / "repo" / "shared.txt").write_text("shared")
    (tmp_path / "repo" / "team" / "a.txt").write_text("abc")
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path / "repo"


@pytest.fixture
def workspace(root: Path) -> Workspace:
    """Paths are relative to the manifest's folder, which is not the root."""
    return Workspace(root=root, base=root / "team")


def refusal(workspace: Workspace, path: str) -> EvidenceError:
    """The error with which every way of reading refuses a path; no source is recorded."""
    errors = []
    for read in (workspace.read, workspace.record, workspace.open):
        with pytest.raises(EvidenceError) as caught:
            read(path)
        errors.append(caught.value)
    assert len({(each.kind, each.problem) for each in errors}) == 1
    assert workspace.sources == []
    return errors[0]


def test_reads_and_records_the_digest(workspace: Workspace) -> None:
    """Bytes come with their digest and size, in the order of reading."""
    assert workspace.read("a.txt") == b"abc"
    workspace.record("../shared.txt")
    workspace.record_bytes("git:main:x", b"")
    assert workspace.sources == [
        ReadSource("a.txt", hashlib.sha256(b"abc").hexdigest(), 3),
        ReadSource("../shared.txt", hashlib.sha256(b"shared").hexdigest(), 6),
        ReadSource("git:main:x", hashlib.sha256(b"").hexdigest(), 0),
    ]


def test_streams_without_recording(workspace: Workspace) -> None:
    """`open` leaves the digest to its caller."""
    with workspace.open("a.txt") as file:
        assert file.read() == b"abc"
    assert workspace.sources == []


def test_an_empty_file_is_read_as_empty(workspace: Workspace, root: Path) -> None:
    """Whether nothing is enough is for the format to say."""
    (root / "team" / "empty").touch()
    assert workspace.read("empty") == b""
    assert workspace.sources[0].size_bytes == 0


@pytest.mark.parametrize("path", ["none.txt", "none/a.txt", "a.txt/x", "../none", "./none"])
def test_what_is_not_there_is_missing(workspace: Workspace, path: str) -> None:
    """An absent file is a gap of its own kind, with its name and a hint."""
    error = refusal(workspace, path)
    assert (error.kind, error.subject, error.problem) == ("missing", path, "no such file")
    assert error.hint


@pytest.mark.parametrize("path", ["", "/etc/passwd", "\0", "a\0.txt", "..\\secret.txt", "\\\\host\\share", "C:\\x"])
def test_refuses_what_is_no_relative_path(workspace: Workspace, path: str) -> None:
    """Empty, absolute, NUL and backslashes are refused before the disk is asked."""
    error = refusal(workspace, path)
    assert (error.kind, error.problem) == ("unverifiable", "not a relative path with forward slashes")
    assert error.subject == (path or "(empty path)")


def test_refuses_an_absolute_path_into_the_repository(workspace: Workspace, root: Path) -> None:
    """It would only be right on this machine."""
    assert refusal(workspace, str(root / "team" / "a.txt")).kind == "unverifiable"


@pytest.mark.parametrize(
    "path", ["../../secret.txt", "../../none.txt", "../..", "../../../../../../etc/passwd", "x/../../../secret.txt"]
)
def test_refuses_a_path_that_leaves_the_repository(workspace: Workspace, path: str) -> None:
    """Above the root there is nothing, and whether a file is there is not told."""
    error = refusal(workspace, path)
    assert (error.kind, error.problem) == ("unverifiable", "the path leaves the repository")


def test_may_leave_the_manifest_folder(workspace: Workspace) -> None:
    """Inside the repository a manifest may point anywhere, also by a detour."""
    assert workspace.read("../team/../shared.txt") == b"shared"


@pytest.mark.parametrize("target", ["../../secret.txt", "{outside}/secret.txt", "/etc/passwd", "/dev/zero", "/proc/self/environ"])  # fmt: skip
def test_refuses_a_link_out_of_the_repository(workspace: Workspace, root: Path, target: str) -> None:
    """A pull request may bring symbolic links."""
    (root / "team" / "link").symlink_to(target.format(outside=root.parent))
    error = refusal(workspace, "link")
    assert (error.kind, error.problem) == ("unverifiable", "the path leaves the repository")


def test_refuses_a_folder_link_out_of_the_repository(workspace: Workspace, root: Path) -> None:
    """A link in the middle of the path counts too."""
    (root / "team" / "folder").symlink_to(root.parent, target_is_directory=True)
    assert refusal(workspace, "folder/secret.txt").problem == "the path leaves the repository"


def test_refuses_a_chain_of_links_out_of_the_repository(workspace: Workspace, root: Path) -> None:
    """Only the last target counts."""
    (root / "one").symlink_to("two")
    (root / "two").symlink_to(root.parent / "secret.txt")
    assert refusal(workspace, "../one").problem == "the path leaves the repository"


def test_follows_a_link_inside_the_repository(workspace: Workspace, root: Path) -> None:
    """That is what data version control leaves behind."""
    (root / "team" / "link").symlink_to("../shared.txt")
    assert workspace.read("link") == b"shared"


def test_refuses_a_link_to_itself(workspace: Workspace, root: Path) -> None:
    """A loop has no end."""
    (root / "team" / "loop").symlink_to("loop")
    assert refusal(workspace, "loop").kind == "unverifiable"


def test_refuses_a_dangling_link(workspace: Workspace, root: Path) -> None:
    """What it points at inside the repository is missing."""
    (root / "team" / "link").symlink_to("none")
    assert refusal(workspace, "link").kind == "missing"


@pytest.mark.parametrize("path", ["x" * 300, "/".join(["x"] * 3000), "\ud800"])
def test_refuses_a_path_that_no_file_can_have(workspace: Workspace, path: str) -> None:
    """Names too long for the system and text without an encoding are gaps, not crashes."""
    assert refusal(workspace, path).kind in ("unverifiable", "missing")


@given(path=st.text(max_size=40))
def test_any_text_is_a_file_inside_or_a_gap(tmp_path_factory: pytest.TempPathFactory, path: str) -> None:
    """No text makes another error, or reaches what lies outside."""
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    try:
        found = Workspace(root=folder, base=folder).locate(path)
    except EvidenceError:
        return
    assert found.is_relative_to(folder)


def test_refuses_a_pipe_without_waiting(workspace: Workspace, root: Path) -> None:
    """A FIFO would hang the gate until somebody writes."""
    os.mkfifo(root / "team" / "pipe")
    error = refusal(workspace, "pipe")
    assert (error.kind, error.problem) == ("unverifiable", "not a regular file")


def test_refuses_a_device(tmp_path: Path) -> None:
    """A device inside the root has no size and no end."""
    device = Workspace(root=Path("/dev"), base=Path("/dev"))
    assert refusal(device, "zero").problem == "not a regular file"


def test_refuses_a_folder_and_leaves_nothing_open(workspace: Workspace) -> None:
    """A refused file is closed again: a manifest with thousands of them must not run the process dry."""
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(20):
        assert refusal(workspace, "../team").problem == "not a regular file"
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_refuses_a_socket(workspace: Workspace, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket cannot be opened at all."""
    monkeypatch.chdir(root / "team")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        assert refusal(workspace, "sock").problem.startswith("cannot be read: ")


def test_a_disk_that_fails_is_a_gap() -> None:
    """An input/output error while reading is not a crash; Linux has a regular file that always gives one."""
    process = Path("/proc/self")
    workspace = Workspace(root=process, base=process)
    for read in (workspace.read, workspace.record):
        with pytest.raises(EvidenceError) as caught:
            read("mem")
        assert (caught.value.kind, caught.value.subject) == ("unverifiable", "mem")
        assert caught.value.problem == "cannot be read: Input/output error"
    assert workspace.sources == []


def test_a_document_is_bounded_exactly(root: Path) -> None:
    """The limit is read, one byte more is refused with both numbers."""
    workspace = Workspace(root=root, base=root, max_document_bytes=6)
    assert workspace.read("shared.txt") == b"shared"
    (root / "shared.txt").write_text("shared!")
    with pytest.raises(EvidenceError) as caught:
        workspace.read("shared.txt")
    assert (caught.value.kind, caught.value.problem) == ("unverifiable", "7 bytes, at most 6 are read")
    assert len(workspace.sources) == 1


def test_refuses_a_sparse_giant_without_reading_it(workspace: Workspace, root: Path) -> None:
    """A terabyte of nothing takes no disk, and no memory here."""
    with (root / "team" / "giant").open("wb") as file:
        file.truncate(2**40)
    for read in (workspace.read, workspace.record, workspace.open):
        with pytest.raises(EvidenceError, match="bytes, at most"):
            read("giant")


def test_streams_more_than_a_document(workspace: Workspace, root: Path) -> None:
    """Data is digested in blocks, whatever the limit of documents."""
    with (root / "team" / "data").open("wb") as file:
        file.truncate(MAX_DOCUMENT_BYTES + 1)
    source = workspace.record("data")
    assert source.size_bytes == MAX_DOCUMENT_BYTES + 1
    with pytest.raises(EvidenceError, match="bytes, at most"):
        workspace.read("data")


def test_the_root_is_the_nearest_git_work_tree(tmp_path: Path) -> None:
    """Of nested repositories the inner one is the candidate's; a worktree's `.git` is a file."""
    inner = tmp_path / "outer" / "inner"
    (inner / "deep").mkdir(parents=True)
    (tmp_path / "outer" / ".git").mkdir()
    assert find_root(inner / "deep") == tmp_path / "outer"
    (inner / ".git").write_text("gitdir: elsewhere")
    assert find_root(inner / "deep") == inner


def test_without_git_the_folder_is_the_root(tmp_path: Path) -> None:
    """Then nothing beside the manifest can be reached."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").write_text("b")
    assert find_root(tmp_path / "a") == tmp_path / "a"
    workspace = Workspace(root=find_root(tmp_path / "a"), base=tmp_path / "a")
    assert refusal(workspace, "../b").problem == "the path leaves the repository"
