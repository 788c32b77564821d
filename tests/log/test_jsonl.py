"""The decision log keeps every record whole, whatever happens to the process, the disk or another writer."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.errors import UnavailableError
from gatekeeper.log import jsonl
from gatekeeper.log.jsonl import append


def read(path: Path) -> list[Any]:
    """Every line of a log as JSON."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def refusal(path: Path) -> UnavailableError:
    """The error with which a log cannot be written; always exit code 4, with the path."""
    with pytest.raises(UnavailableError) as caught:
        append(path, [{"a": 1}])
    assert caught.value.subject == f"decision log {path}"
    assert "does not count" in caught.value.hint
    return caught.value


def run(program: str, *arguments: str, timeout_seconds: int = 60) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own."""
    head = "import sys\nfrom pathlib import Path\nfrom gatekeeper.log.jsonl import append\n"
    return subprocess.run(
        [sys.executable, "-c", head + program, *arguments], capture_output=True, text=True, timeout=timeout_seconds
    )


def test_appends_one_line_for_each_record(tmp_path: Path) -> None:
    """In order, after what was there, in folders that are made on the way."""
    path = tmp_path / "a" / "b" / "log.jsonl"
    append(path, [{"n": 1}, {"n": 2, "text": "é\n\u2028\x85"}])
    append(path, [{"n": 3}])
    data = path.read_bytes()
    assert data.count(b"\n") == 3
    assert data.endswith(b"\n")
    assert [json.loads(line) for line in data.split(b"\n")[:-1]] == [
        {"n": 1},
        {"n": 2, "text": "é\n\u2028\x85"},
        {"n": 3},
    ]


def test_nothing_to_record_changes_nothing(tmp_path: Path) -> None:
    """No record, no line."""
    path = tmp_path / "log.jsonl"
    append(path, [{"n": 1}])
    append(path, [])
    assert read(path) == [{"n": 1}]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", object()])
def test_a_record_that_is_no_json_is_not_written(tmp_path: Path, value: Any) -> None:
    """Not even the good ones before it: a run's records are one write."""
    path = tmp_path / "log.jsonl"
    with pytest.raises((ValueError, TypeError)):
        append(path, [{"n": 1}, {"n": value}])
    assert not path.exists()


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    """Both append two hundred records at once; every line parses and none is missing."""
    path = tmp_path / "log.jsonl"
    program = (
        "import sys, json\nfrom pathlib import Path\nfrom gatekeeper.log.jsonl import append\n"
        "print('ready', flush=True)\nsys.stdin.readline()\n"
        "for number in range(200):\n"
        "    append(Path(sys.argv[1]), [{'writer': sys.argv[2], 'number': number, 'pad': 'x' * (number * 50)}])\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for name in ("a", "b")
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
    for writer in writers:
        writer.communicate(b"go\n", timeout=60)
    assert [writer.returncode for writer in writers] == [0, 0]
    records = read(path)
    for name in ("a", "b"):
        assert [each["number"] for each in records if each["writer"] == name] == list(range(200))
    assert len(records) == 400
    assert all(len(each["pad"]) == each["number"] * 50 for each in records)


def test_a_full_disk_is_unavailable() -> None:
    """ENOSPC from the kernel: the decision does not count."""
    assert "No space left" in refusal(Path("/dev/full")).problem


def test_a_log_that_keeps_nothing_is_unavailable() -> None:
    """/dev/null takes every record and cannot be synced."""
    assert "cannot be written" in refusal(Path("/dev/null")).problem


def test_a_write_that_fails_halfway_is_taken_back(tmp_path: Path) -> None:
    """The file is as it was, to the byte, and takes the next record."""
    path = tmp_path / "log.jsonl"
    append(path, [{"n": 1}])
    before = path.read_bytes()
    done = run(
        "import resource\nfrom gatekeeper.errors import UnavailableError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"
        "try:\n    append(Path(sys.argv[1]), [{'n': 2}, {'pad': 'x' * 100_000}])\n"
        "except UnavailableError as error:\n    print(error.exit_code, error.problem)\n",
        str(path),
    )
    assert done.stdout == "4 cannot be written: File too large\n"
    assert path.read_bytes() == before
    append(path, [{"n": 3}])
    assert read(path) == [{"n": 1}, {"n": 3}]


def test_a_torn_line_is_taken_back_where_it_had_to_be_ended(tmp_path: Path) -> None:
    """Also the line end that was put after an older fragment."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"n": 1}\n{"n": ')
    run(
        "import resource\nfrom gatekeeper.errors import UnavailableError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))\n"
        "try:\n    append(Path(sys.argv[1]), [{'pad': 'x' * 100_000}])\nexcept UnavailableError:\n    pass\n",
        str(path),
    )
    assert path.read_bytes() == b'{"n": 1}\n{"n": '


@pytest.mark.parametrize("fragment", [b'{"n": 2, "te', b"\xff", b"{", b'{"n": 2}'])
def test_a_torn_last_line_does_not_spoil_the_next_record(tmp_path: Path, fragment: bytes) -> None:
    """An earlier writer was killed in the middle: its fragment keeps a line of its own."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"n": 1}\n' + fragment)
    append(path, [{"n": 3}])
    append(path, [{"n": 4}])
    assert path.read_bytes() == b'{"n": 1}\n' + fragment + b'\n{"n":3}\n{"n":4}\n'


def test_a_killed_writer_leaves_whole_lines_or_one_fragment(tmp_path: Path) -> None:
    """SIGKILL in the middle of appending: what others recorded stays, and appending goes on."""
    path = tmp_path / "log.jsonl"
    append(path, [{"n": "first"}])
    program = (
        "import sys\nfrom pathlib import Path\nfrom gatekeeper.log.jsonl import append\nprint('ready', flush=True)\n"
        "while True:\n    append(Path(sys.argv[1]), [{'pad': 'x' * 200_000}] * 5)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(0.1)
        writer.send_signal(signal.SIGKILL)
    append(path, [{"n": "last"}])
    lines = path.read_text("utf-8").splitlines()
    assert json.loads(lines[0]) == {"n": "first"}
    assert json.loads(lines[-1]) == {"n": "last"}
    broken = [line for line in lines if not line.endswith("}")]
    assert len(broken) <= 1


@pytest.mark.parametrize("path", ["file/log.jsonl", "file/deeper/log.jsonl", "folder", "x" * 300])
def test_a_path_that_cannot_be_written_is_unavailable(tmp_path: Path, path: str) -> None:
    """A path through a file, a folder, a name that is too long."""
    (tmp_path / "file").write_text("file")
    (tmp_path / "folder").mkdir()
    assert refusal(tmp_path / path).problem.startswith("cannot be written: ")
    assert (tmp_path / "file").read_text() == "file"


def test_a_log_that_another_process_holds_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting ends: a run that hangs for ever says nothing to anybody."""
    monkeypatch.setattr(jsonl, "LOCK_SECONDS", 0.1)
    path = tmp_path / "log.jsonl"
    with path.open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        started = time.monotonic()
        assert refusal(path).problem.startswith("cannot be written: ")
        assert 0.1 <= time.monotonic() - started < 5
    assert path.read_bytes() == b""
    append(path, [{"n": 1}])
    assert read(path) == [{"n": 1}]


def test_a_log_that_is_released_is_waited_for(tmp_path: Path) -> None:
    """Another run that is just recording is no failure."""
    path = tmp_path / "log.jsonl"
    with path.open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        program = "append(Path(sys.argv[1]), [{'n': 1}])\n"
        head = "import sys\nfrom pathlib import Path\nfrom gatekeeper.log.jsonl import append\nprint(flush=True)\n"
        with subprocess.Popen([sys.executable, "-c", head + program, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.1)
            assert writer.poll() is None
            fcntl.flock(holder, fcntl.LOCK_UN)
            assert writer.wait(timeout=30) == 0
    assert read(path) == [{"n": 1}]


def test_the_file_stays_open_for_nobody(tmp_path: Path) -> None:
    """A long run does not collect descriptors, and children do not inherit them."""
    before = list(Path("/dev/fd").iterdir())
    for _ in range(5):
        append(tmp_path / "log.jsonl", [{}])
    refusal(Path("/dev/full"))
    assert list(Path("/dev/fd").iterdir()) == before
