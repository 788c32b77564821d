"""
Gzipped tarballs as untrusted bytes: read in memory within limits, never extracted; written the same way every time.

The reader is our own because `tarfile` takes a damaged header for the end of the archive, and so drops what follows in
silence. It reads POSIX ustar with pax paths and GNU long names, as OPA, Python, GNU tar and bsdtar write them
(https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html), and refuses every other kind of entry.
"""

from __future__ import annotations

import re
import struct
import unicodedata
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gatekeeper.errors import ConfigurationError
from gatekeeper.trust import MAX_TRUSTED_BYTES, MAX_TRUSTED_FILES

MAX_ARCHIVE_BYTES = 16 * 1024 * 1024
"""Size of the compressed file."""

MAX_UNPACKED_BYTES = 64 * 1024 * 1024
"""Size of the whole archive when it is decompressed."""

MAX_RATIO = 200
"""How often larger the archive may become, beyond its first megabyte; policies reach 20."""

MAX_PATH_CHARACTERS = 512
"""Length of a path in the archive."""

DOT_FILES = (".manifest", ".signatures.json")
"""The only names that may begin with a dot: OPA drops leading dots where it mounts data."""

_BLOCK_BYTES = 512
_END = bytes(2 * _BLOCK_BYTES)
_MAGICS = (b"ustar\x0000", b"ustar  \x00")
_OCTAL = re.compile(rb" *([0-7]{1,11})[ \0]*")
_PAX_IGNORED = re.compile(r"mtime|atime|ctime|uid|gid|uname|gname|comment|(SCHILY|LIBARCHIVE)\..+")
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"  # no name, no time, no operating system


@dataclass(frozen=True)
class Member:
    """One regular file of an archive."""

    path: str
    """Relative to the bundle's root, without a leading `/` or `./`."""
    signed_name: str
    """As OPA looks it up in a signature: as it is written, less one leading `/`."""
    content: bytes


def unpack(data: bytes, archive: str) -> dict[str, Member]:
    """
    Read every regular file of a gzipped tarball by its path.

    `archive` names it in errors. Raises `ConfigurationError` for a limit that is passed, damage, anything after the
    end, a name that leaves the root or appears twice (also in another case or spelling), and every entry that is
    neither a regular file nor a folder.
    """
    found: dict[str, Member] = {}
    spellings: dict[str, str] = {}
    for name, content in _entries(_gunzip(data, archive), archive):
        path = _checked_path(name, archive)
        if content is None:
            continue
        if path in ("", ".") or path.endswith("/"):
            raise ConfigurationError(f"{archive}:{name!r}", "is a file with the name of a folder")
        first = spellings.setdefault(unicodedata.normalize("NFKC", path).casefold(), path)
        if path in found or first != path:
            raise ConfigurationError(f"{archive}:{path}", f"is there twice (also as {first!r})")
        found[path] = Member(path, name.removeprefix("/"), content)
    return found


def pack(files: Mapping[str, bytes]) -> bytes:
    """
    Write a gzipped tarball whose bytes depend only on its files: sorted, without times, owners and names.

    The same zlib gives the same bytes; another one may compress differently.
    """
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(files, key=str.encode):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode, entry.mtime = len(files[path]), 0o644, 0
            archive.addfile(entry, io.BytesIO(files[path]))
    raw = buffer.getvalue()
    engine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = engine.compress(raw) + engine.flush()
    return _GZIP_HEADER + body + struct.pack("<LL", zlib.crc32(raw), len(raw) & 0xFFFFFFFF)


def _gunzip(data: bytes, archive: str) -> bytes:
    """Decompress one gzip member (RFC 1952) and stop at the limit, before the memory is taken."""
    if len(data) > MAX_ARCHIVE_BYTES:
        raise ConfigurationError(archive, f"larger than {MAX_ARCHIVE_BYTES} bytes")
    limit_bytes = min(MAX_UNPACKED_BYTES, max(1024 * 1024, MAX_RATIO * len(data)))
    engine = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        raw = engine.decompress(data, limit_bytes + 1)
    except zlib.error as error:
        raise ConfigurationError(archive, f"is no sound gzip file: {error}", hint="a bundle is a .tar.gz") from error
    if len(raw) > limit_bytes:
        raise ConfigurationError(
            archive, f"decompresses to more than {limit_bytes} bytes", hint="a bundle holds policies and small data"
        )
    if not engine.eof:
        raise ConfigurationError(archive, "is truncated: the gzip stream does not end", hint="fetch it again")
    if engine.unused_data:
        raise ConfigurationError(archive, f"{len(engine.unused_data)} bytes follow the end of the gzip stream")
    return raw


def _entries(raw: bytes, archive: str) -> Iterator[tuple[str, bytes | None]]:
    """Yield each file's name and content, and each folder's name with None, until the two blocks of zeros."""
    position, count, long_name = 0, 0, None
    while raw[position : position + _BLOCK_BYTES] != bytes(_BLOCK_BYTES):
        header = _read_header(raw[position : position + _BLOCK_BYTES], f"{archive}: entry {count + 1}")
        start = position + _BLOCK_BYTES
        content = raw[start : start + header.size_bytes]
        position = start + -(-header.size_bytes // _BLOCK_BYTES) * _BLOCK_BYTES
        count += 1
        if count > 2 * MAX_TRUSTED_FILES:
            raise ConfigurationError(archive, f"holds more than {2 * MAX_TRUSTED_FILES} entries")
        if position > len(raw):
            raise ConfigurationError(f"{archive}:{header.name}", "is truncated")
        if header.kind in "xL":
            if long_name is not None:
                raise ConfigurationError(archive, f"entry {count}: two names for one entry")
            long_name = _long_name(header.kind, content, f"{archive}: entry {count}")
            continue
        name, long_name = long_name or header.name, None
        yield name, _content_of(header.kind, content, f"{archive}:{name}")
    rest = raw[position:]
    if long_name is not None or len(rest) < len(_END) or rest.strip(b"\0"):
        raise ConfigurationError(archive, "the tar archive has no sound end", hint="fetch or build it again")


@dataclass(frozen=True)
class _Header:
    name: str
    size_bytes: int
    kind: str


def _read_header(block: bytes, subject: str) -> _Header:
    if len(block) < _BLOCK_BYTES:
        raise ConfigurationError(subject, "the tar archive is truncated", hint="fetch or build it again")
    checksum = sum(block) - sum(block[148:156]) + 8 * ord(" ")
    if block[257:265] not in _MAGICS or _octal(block[148:156]) != checksum:
        raise ConfigurationError(subject, "is no sound tar header (ustar)")
    size_bytes = _octal(block[124:136])
    if size_bytes is None or size_bytes > MAX_TRUSTED_BYTES:
        raise ConfigurationError(
            f"{subject} ({_text(block[:100], subject)})", f"larger than {MAX_TRUSTED_BYTES} bytes, or no size"
        )
    prefix = block[345:500] if block[257:265] == _MAGICS[0] else b""
    name = _text(block[:100], subject)
    folder = _text(prefix, subject)
    return _Header(f"{folder}/{name}" if folder else name, size_bytes, _text(block[156:157], subject) or "0")


def _octal(field: bytes) -> int | None:
    match = _OCTAL.fullmatch(field)
    return int(match.group(1), 8) if match else None


def _text(field: bytes, subject: str) -> str:
    try:
        return field.split(b"\0", 1)[0].decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(subject, f"name {field!r:.120} is not UTF-8") from error


def _long_name(kind: str, content: bytes, subject: str) -> str | None:
    """Read the name that a GNU `L` or a pax `x` entry gives to the next one."""
    if kind == "L":
        return _text(content, subject)
    name, rest = None, content
    while rest:
        digits, space, _ = rest[:12].partition(b" ")
        length = int(digits) if digits.isdigit() and space else 0
        key, equals, value = rest[len(digits) + 1 : length - 1].partition(b"=")
        if not equals or rest[length - 1 : length] != b"\n":
            raise ConfigurationError(subject, "its pax header is malformed")
        rest = rest[length:]
        if key == b"path" and name is None:
            name = _text(value, subject)
        elif not _PAX_IGNORED.fullmatch(_text(key, subject)):
            raise ConfigurationError(subject, f"pax key {key[:60]!r} is not read")
    return name


def _content_of(kind: str, content: bytes, subject: str) -> bytes | None:
    if kind == "0":
        return content
    if kind == "5" and not content:
        return None
    kinds = {"1": "a hard link", "2": "a symbolic link", "3": "a device", "4": "a device", "6": "a pipe"}
    raise ConfigurationError(
        subject, f"is {kinds.get(kind, f'an entry of kind {kind!r}')}, a regular file was wanted",
        hint="a bundle holds regular files and folders only",
    )  # fmt: skip


def _checked_path(name: str, archive: str) -> str:
    """Strip the one `/` or `./` that OPA and tar put before a path, and refuse every trick with the rest."""
    path = name.removeprefix("/") if name.startswith("/") else name.removeprefix("./")
    steps = path.removesuffix("/").split("/")
    sound = path.isprintable() and "\\" not in path and len(path) <= MAX_PATH_CHARACTERS
    hidden = [step for step in steps if step.startswith(".")] and path not in DOT_FILES
    if not sound or ("" in steps and path) or (hidden and path not in ("", ".")):
        raise ConfigurationError(
            f"{archive}:{name!r:.200}", "is no plain path inside the bundle",
            hint="no `..`, empty steps, backslashes or hidden files; a bundle's paths are relative",
        )  # fmt: skip
    return path
