"""Tarballs: what good tools write is read, and every trick with names, links, sizes and ends is refused."""

from __future__ import annotations

import gzip
import io
import random
import subprocess
import tarfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trust.bundle_making import FILES, members, tar, tarball

from gatekeeper.errors import ConfigurationError
from gatekeeper.trust import MAX_TRUSTED_BYTES, MAX_TRUSTED_FILES
from gatekeeper.trust.tarball import MAX_ARCHIVE_BYTES, MAX_UNPACKED_BYTES, pack, unpack

LONG = f"{'folder/' * 30}été.rego"


def contents(data: bytes) -> dict[str, bytes]:
    """What is read of a tarball."""
    return {path: member.content for path, member in unpack(data, "b.tar.gz").items()}


def refusal(data: bytes) -> ConfigurationError:
    """The error with which a tarball is refused."""
    with pytest.raises(ConfigurationError) as caught:
        unpack(data, "b.tar.gz")
    assert str(caught.value).startswith("b.tar.gz")
    return caught.value


def entry(kind: bytes, name: str = "policy.rego", linkname: str = "") -> tarfile.TarInfo:
    """An entry without content."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, linkname
    return info


def sealed(header: bytes) -> bytes:
    """A header with its checksum made right again."""
    blank = header[:148] + b" " * 8 + header[156:]
    return header[:148] + f"{sum(blank):06o}\0 ".encode() + header[156:]


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_reads_what_python_writes(kind: int) -> None:
    """Ustar, GNU and pax archives are read, with names beyond 100 bytes and beyond ASCII where the format has them."""
    name = LONG if kind != tarfile.USTAR_FORMAT else f"{'folder/' * 20}été.rego"
    assert contents(tarball([(name, b"text"), ("empty.rego", b"")], format=kind)) == {
        name: b"text",
        "empty.rego": b"",
    }


@pytest.mark.parametrize("kind", ["ustar", "gnu", "pax"])
def test_reads_what_gnu_tar_writes(kind: str, tmp_path: Path) -> None:
    """`tar czf b.tar.gz .` is read: folders are passed over, `./` is dropped, times and owners do not matter."""
    name = "folder/policy.rego" if kind == "ustar" else LONG
    (tmp_path / "in" / name).parent.mkdir(parents=True)
    (tmp_path / "in" / name).write_bytes(b"x" * 600)
    target = tmp_path / "b.tar.gz"
    subprocess.run(["tar", f"--format={kind}", "-C", tmp_path / "in", "-czf", target, "."], check=True, timeout=60)
    found = unpack(target.read_bytes(), "b.tar.gz")
    assert {path: member.content for path, member in found.items()} == {name: b"x" * 600}
    assert found[name].signed_name == f"./{name}"


def test_a_leading_slash_is_the_root_of_the_bundle() -> None:
    """OPA writes `/data.json`; it is `data.json` here and nothing of the machine's root."""
    member = unpack(tarball([("/data.json", b"{}")]), "b.tar.gz")["data.json"]
    assert (member.path, member.signed_name) == ("data.json", "data.json")


@pytest.mark.parametrize(
    "name",
    [
        "../policy.rego", "a/../../policy.rego", "a/..", "..", "/../policy.rego", "/..", "./../policy.rego",
        "//policy.rego", "a//policy.rego", "a/./policy.rego", "././policy.rego", "/./policy.rego",
        "a\\..\\policy.rego", "C:\\policy.rego", ".hidden/data.json", "a/.manifest", "a/.signatures.json", ".data.json",
        "a\npolicy.rego", "a\x1b[2J.rego", "a\u202eoger.ycilop", "a\u200b.rego", "x" * 513, ".manifest/data.json", " /./",
    ],
)  # fmt: skip
def test_refuses_path_tricks(name: str) -> None:
    """A name that leaves the bundle, hides, or reads otherwise than it looks is refused, for files and folders."""
    assert "is no plain path" in refusal(tarball([(name, b"x")], format=tarfile.PAX_FORMAT)).problem
    assert "is no plain path" in refusal(tarball([entry(tarfile.DIRTYPE, name)], format=tarfile.PAX_FORMAT)).problem


@pytest.mark.parametrize("name", ["folder/", ".", "/", "./"])
def test_refuses_a_file_with_the_name_of_a_folder(name: str) -> None:
    """Readers differ on whether such an entry is a file; none is needed."""
    data = tar([("folder", b"x")])
    header = sealed(name.encode().ljust(100, b"\0") + data[100:512])
    assert "name of a folder" in refusal(gzip.compress(header + data[512:])).problem


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a/data.json", "a/data.json"), ("a/data.json", "./a/data.json"), ("a/data.json", "/a/data.json"),
        ("a/data.json", "a/Data.JSON"), ("caf\u00e9.rego", "cafe\u0301.rego"), ("a.rego", "\uff41.rego"),
    ],
)  # fmt: skip
def test_refuses_a_name_that_is_there_twice(first: str, second: str) -> None:
    """Which of the two would win differs between readers; other case and other spelling count as the same name."""
    assert "twice" in refusal(tarball([(first, b"1"), (second, b"2")], format=tarfile.PAX_FORMAT)).problem


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "a symbolic link"), (tarfile.LNKTYPE, "a hard link"), (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"), (tarfile.FIFOTYPE, "a pipe"), (tarfile.CONTTYPE, "kind '7'"),
        (tarfile.GNUTYPE_SPARSE, "kind 'S'"), (tarfile.XGLTYPE, "kind 'g'"), (b"V", "kind 'V'"), (b"K", "kind 'K'"),
    ],
)  # fmt: skip
def test_refuses_what_is_no_regular_file(kind: bytes, words: str) -> None:
    """Links, devices, pipes, sparse files and global headers are refused by name; OPA passes over them."""
    error = refusal(tarball([entry(kind, "a/policy.rego", "/etc/passwd")]))
    assert words in error.problem
    assert error.subject == "b.tar.gz:a/policy.rego"


def test_refuses_a_bomb_without_unpacking_it() -> None:
    """What grows 1,000 times stops at the ratio, what grows less at the limit; neither is unpacked further."""
    assert "decompresses to more than" in refusal(gzip.compress(bytes(8 * 1024 * 1024))).problem
    noise, engine = random.Random(1), zlib.compressobj(1, zlib.DEFLATED, 31)
    bomb = b"".join(engine.compress(noise.randbytes(8192) + bytes(508 * 1024)) for _ in range(200)) + engine.flush()
    assert len(bomb) < 3 * 1024 * 1024
    assert f"more than {MAX_UNPACKED_BYTES} bytes" in refusal(bomb).problem


def test_refuses_what_is_too_large() -> None:
    """Archive, file and number of entries have a limit; at the limit a file is still read."""
    assert "larger than" in refusal(bytes(MAX_ARCHIVE_BYTES + 1)).problem
    at_limit = random.Random(1).randbytes(MAX_TRUSTED_BYTES)
    assert contents(tarball([("a.rego", at_limit)])) == {"a.rego": at_limit}
    assert f"larger than {MAX_TRUSTED_BYTES} bytes" in refusal(tarball([("a.rego", at_limit + b"x")])).problem
    header = tar([entry(tarfile.DIRTYPE, "a")])[:512]
    stored = zlib.compressobj(0, zlib.DEFLATED, 31)
    assert "entries" in refusal(stored.compress(header * (2 * MAX_TRUSTED_FILES + 1)) + stored.flush()).problem


GOOD = tarball(list(FILES.items()))


@pytest.mark.parametrize("kept", [0, 1, 9, 10, 50, len(GOOD) // 2, len(GOOD) - 9, len(GOOD) - 1])
def test_refuses_a_truncated_download(kept: int) -> None:
    """Wherever the file is cut, it is refused."""
    assert refusal(GOOD[:kept])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (GOOD + b"\0", "follow the end"), (GOOD + b"garbage", "follow the end"), (GOOD + GOOD, "follow the end"),
        (b"PK\x03\x04" + bytes(100), "no sound gzip"), (tar(list(FILES.items())), "no sound gzip"),
        (GOOD[:-8] + bytes(4) + GOOD[-4:], "incorrect data check"), (GOOD[:-4] + bytes(4), "incorrect length check"),
        (gzip.compress(b""), "truncated"), (gzip.compress(b"x" * 2048), "no sound tar header"),
    ],
    ids=["zero", "garbage", "two members", "zip", "plain tar", "crc", "length", "empty", "no tar"],
)  # fmt: skip
def test_refuses_what_is_not_one_sound_gzip_file(data: bytes, words: str) -> None:
    """Garbage after the end, a second member, a wrong checksum or another format is refused."""
    assert words in refusal(data).problem


def test_refuses_a_damaged_header_where_tarfile_would_stop_in_silence() -> None:
    """Python's reader takes a damaged header for the end and loses the files after it; this one says so."""
    raw = bytearray(tar([("a.rego", b"1"), ("b.rego", b"2"), ("c.rego", b"3")]))
    raw[1024 + 10] ^= 1
    with tarfile.open(fileobj=io.BytesIO(bytes(raw))) as lenient:
        assert lenient.getnames() == ["a.rego"]
    assert "entry 2" in refusal(gzip.compress(bytes(raw))).subject


def test_refuses_an_archive_without_a_sound_end() -> None:
    """No end, half an end, or files behind the end: a reader could stop before the last file."""
    raw = tar([("a.rego", b"1")])
    assert contents(gzip.compress(raw[: 1024 + 1024])) == {"a.rego": b"1"}
    for broken in (raw[:1024], raw[: 1024 + 512], raw[: 1024 + 1000], raw[:1024] + bytes(512) + raw, raw + b"x"):
        assert refusal(gzip.compress(broken))
    cut = refusal(gzip.compress(tar([("a.rego", b"1" * 2000)])[:1024]))
    assert (cut.subject, cut.problem) == ("b.tar.gz:a.rego", "is truncated")


def test_refuses_a_size_that_is_no_octal_number() -> None:
    """A negative or binary size, which sends other readers backwards or into a loop, is refused."""
    raw = tar([("a.rego", b"1")])
    for size in (
        b"\xff" * 12,
        b"\x80" + bytes(11),
        b"-0000000001\0",
        b"0_1        \0",
        b"            ",
        b"9" * 11 + b"\0",
    ):
        broken = sealed(raw[:124] + size + raw[136:512]) + raw[512:]
        assert "no size" in refusal(gzip.compress(broken)).problem


@pytest.mark.parametrize(
    "records",
    [
        b"20 GNU.sparse.major=1", b"8 size=1", b"21 hdrcharset=BINARY\n", b"17 linkpath=/etc\n", b"0 path=a\n", b"999 path=a\n",
        b"9 path=a", b"path=a\n", b"7 path\n", b"10 path=ab", b"-9 path=a\n", b"9 pathaa\n", b"10 path=a\n10 path=b\n", b"\xff\xfe", b"8 path=\xff\n",
        b"9  path=a", b"99999999999999999999 path=a\n",
    ],
)  # fmt: skip
def test_refuses_pax_headers_that_are_malformed_or_not_read(records: bytes) -> None:
    """An extended header that could change what a file is called, or how large it is, is read exactly or refused."""
    info = tarfile.TarInfo("PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, len(records)
    raw = tar([("a.rego", b"1")])
    body = info.tobuf(tarfile.USTAR_FORMAT) + records.ljust(512, b"\0")
    assert refusal(gzip.compress(body + raw))


def test_refuses_headers_of_other_formats() -> None:
    """The oldest format, without a magic, has no room for a folder, and readers differ on what follows."""
    raw = tar([("a.rego", b"1")])
    old = sealed(raw[:257] + bytes(8) + raw[265:512]) + raw[512:]
    assert "no sound tar header" in refusal(gzip.compress(old)).problem


def test_refuses_names_that_lead_to_nothing() -> None:
    """A long name without an entry, or two for one entry, is refused."""
    long = tar([(LONG, b"")], format=tarfile.GNU_FORMAT)[:1024]
    assert "no sound end" in refusal(gzip.compress(long + bytes(1024))).problem
    assert "two names" in refusal(gzip.compress(long + long + bytes(1024))).problem


def test_refuses_a_name_that_is_not_utf8() -> None:
    """Bytes that are no text cannot be compared with a signature's names."""
    raw = tar([("a.rego", b"1")])
    assert (
        "not UTF-8" in refusal(gzip.compress(sealed(b"\xff.rego".ljust(100, b"\0") + raw[100:512]) + raw[512:])).problem
    )


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_never_fails_otherwise_than_by_refusing(data: st.DataObject) -> None:
    """Whatever bytes of an archive are changed, the answer is its files or a refusal, never another error."""
    raw = bytearray(tar([("a.rego", b"1"), (LONG, b"2" * 600)], format=tarfile.PAX_FORMAT))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, 4096))
        raw[place : place + 1] = data.draw(st.binary(max_size=3))
    if data.draw(st.booleans()):
        raw[:512] = sealed(bytes(raw[:512]))
    try:
        found = unpack(gzip.compress(bytes(raw)), "b.tar.gz")
    except ConfigurationError:
        return
    assert len(found) <= 2


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}(/[a-z]{1,60}){0,4}\.rego", fullmatch=True), st.binary(max_size=2000)))
@settings(max_examples=50, deadline=None)
def test_what_is_packed_is_read_again_by_everyone(files: dict[str, bytes]) -> None:
    """Writing and reading give the same files; Python's own reader agrees."""
    packed = pack(files)
    assert contents(packed) == files == members(packed)


def test_packing_depends_on_the_files_only() -> None:
    """The order of the files and the time do not matter; no time, owner, name or system is in the bytes."""
    packed = pack(FILES)
    assert packed == pack(dict(reversed(FILES.items())))
    assert packed[:10] == b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        entries = archive.getmembers()
    assert [each.name for each in entries] == sorted(FILES)
    assert {(each.mtime, each.uid, each.gid, each.uname, each.gname, each.mode) for each in entries} == {
        (0, 0, 0, "", "", 0o644)
    }
