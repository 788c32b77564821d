"""
One bounded HTTP GET: allowed hosts only, no redirects, no proxies, no credentials, one deadline for everything.

Collectors ask servers through this door only. The manifest that names a URL is untrusted, so the trusted side
lists the hosts (`evidence.allowed_hosts`), and a slow or endless answer is a gap, not a hang.
"""

from __future__ import annotations

import io
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gatekeeper.errors import EvidenceError

if TYPE_CHECKING:
    import socket

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252})|[0-9a-fA-F:.]{2,45}", re.ASCII)
_VISIBLE = re.compile(r"[!-\[\]-~]+", re.ASCII)
_BLOCK_BYTES = 65536


@dataclass(frozen=True)
class Limits:
    """What a request may do."""

    allowed_hosts: tuple[str, ...]
    """`host` (the scheme's own port) or `host:port`."""
    timeout_seconds: float
    """Wall time from name resolution to the last byte."""
    max_bytes: int
    """Size of the answer's body."""


@dataclass(frozen=True)
class Reply:
    """What a server answered."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Target:
    """A URL that was checked: where to connect and what to ask for."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> str:
        """Scheme, host and port; nothing secret is in it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def check_url(url: str, allowed_hosts: tuple[str, ...]) -> Target:
    """
    Take a URL apart and refuse what is not an allowed http or https URL without credentials.

    Raises `EvidenceError` (unverifiable), which never repeats credentials.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refuse("(the URL)", "is not a URL") from error
    if "@" in parts.netloc or parts.username is not None:
        raise _refuse("(the URL)", "holds credentials", hint="leave user and password out; they would be recorded")
    if not _VISIBLE.fullmatch(url) or parts.scheme not in _DEFAULT_PORTS or parts.fragment:
        raise _refuse(repr(url[:200]), "is not a plain http or https URL")
    host = (parts.hostname or "").rstrip(".")
    if not _HOST.fullmatch(host) or port == 0:
        raise _refuse(repr(url[:200]), "has no valid host and port")
    own_port = _DEFAULT_PORTS[parts.scheme]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = Target(parts.scheme, host, port or own_port, path)
    bare = f"[{host}]" if ":" in host else host
    names = {f"{bare}:{target.port}"} | ({bare} if target.port == own_port else set[str]())
    if not names & {each.lower() for each in allowed_hosts}:
        raise _refuse(
            target.origin,
            "the host is not allowed",
            hint=f"add '{bare}:{target.port}' to evidence.allowed_hosts in gatekeeper.yaml, if it is to be trusted",
        )
    return target


def fetch(url: str, limits: Limits) -> Reply:
    """
    GET a URL within the limits; a reply of any status but a redirect is returned.

    Raises `EvidenceError` (unverifiable) when the URL is not allowed, or the server cannot be reached, is too
    slow, redirects, or answers too much or not in HTTP.
    """
    import http.client
    import ssl

    target = check_url(url, limits.allowed_hosts)
    deadline = time.monotonic() + limits.timeout_seconds
    try:
        with _connect(target, deadline) as connection:
            connection.settimeout(_left(deadline))
            connection.sendall(_request(target))
            return _receive(_Wire(connection, deadline), target, limits.max_bytes)
    except TimeoutError as error:
        raise _refuse(
            target.origin,
            f"did not answer within {limits.timeout_seconds:g} s",
            hint="mend the server, or raise evidence.http_timeout_seconds in the settings",
        ) from error
    except ssl.SSLError as error:
        raise _refuse(target.origin, f"TLS failed: {error.reason or error}") from error
    except OSError as error:
        raise _refuse(target.origin, f"cannot be reached: {error.strerror or error}") from error
    except http.client.HTTPException as error:
        problem = f"{type(error).__name__} {error}".strip()
        raise _refuse(target.origin, f"broke HTTP or ended too soon: {problem[:200]}") from error


class _Wire(io.RawIOBase):
    """A socket as a stream whose every read ends at the deadline; what `http.client` calls a socket."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self, _BLOCK_BYTES)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(_left(self._deadline))
        return self._connection.recv_into(buffer)


def _receive(wire: _Wire, target: Target, max_bytes: int) -> Reply:
    import http.client

    response = http.client.HTTPResponse(wire, method="GET")  # type: ignore[arg-type]  # it only calls makefile
    with response:
        response.begin()
        if 300 <= response.status < 400:
            raise _refuse(
                target.origin,
                f"redirects (HTTP {response.status}), which is not followed",
                hint="write the URL to which it redirects",
            )
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise _refuse(target.origin, "compressed its answer although that was not asked for")
        blocks, size = [], 0
        while block := response.read(_BLOCK_BYTES):
            blocks.append(block)
            size += len(block)
            if size > max_bytes:
                raise _refuse(target.origin, f"answered more than {max_bytes} bytes")
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        return Reply(response.status, b"".join(blocks))


def _request(target: Target) -> bytes:
    host = target.origin.partition("://")[2]
    lines = (
        f"GET {target.path} HTTP/1.1",
        f"Host: {host}",
        "Accept: application/json",
        "Accept-Encoding: identity",
        "Connection: close",
        "User-Agent: gatekeeper",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _connect(target: Target, deadline: float) -> socket.socket:
    import socket

    problem: OSError | None = None
    for family, kind, protocol, _, address in _resolve(target, deadline):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(_left(deadline))
            connection.connect(address)
            return connection if target.scheme == "http" else _encrypt(connection, target)
        except OSError as error:
            connection.close()
            problem = error
    raise problem or OSError(f"no address for {target.host}")


def _encrypt(connection: socket.socket, target: Target) -> socket.socket:
    import ssl

    return ssl.create_default_context().wrap_socket(connection, server_hostname=target.host)


def _resolve(target: Target, deadline: float) -> list[Any]:
    """Resolve a name in a thread of its own, because the resolver knows no time-out."""
    import socket

    found: list[Any] = []
    problem: list[OSError] = []

    def look_up() -> None:
        try:
            found.extend(socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            problem.append(error if isinstance(error, OSError) else OSError(str(error)))

    thread = threading.Thread(target=look_up, name="resolve", daemon=True)
    thread.start()
    thread.join(_left(deadline))
    if problem:
        raise problem[0]
    if thread.is_alive():
        raise TimeoutError
    return found


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _refuse(subject: str, problem: str, *, hint: str = "") -> EvidenceError:
    return EvidenceError("unverifiable", subject, problem, hint=hint)
