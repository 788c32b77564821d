"""One GET stays within its limits whatever the URL says and whatever the server does; all servers here are real."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gatekeeper.errors import EvidenceError
from gatekeeper.http import Limits, check_url, fetch

Answer = Callable[[socket.socket], None]


@contextmanager
def serving(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """Answer every connection with raw bytes; yields the port and the requests received."""
    requests: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    done = threading.Event()

    def talk(connection: socket.socket) -> None:
        try:
            with context.wrap_socket(connection, server_side=True) if context else connection as wire:
                requests.append(wire.recv(65536))
                answer(wire)
        except OSError:
            requests.append(b"(broken off)")

    def accept() -> None:
        talkers = []
        while not done.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(5)
            talkers.append(threading.Thread(target=talk, args=(connection,)))
            talkers[-1].start()
        for each in talkers:
            each.join()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1], requests
    finally:
        done.set()
        thread.join()
        listener.close()


def saying(text: str, body: bytes = b"") -> Answer:
    return lambda wire: wire.sendall(text.replace("\n", "\r\n").encode() + body)


def limits(port: int, *, timeout_seconds: float = 5.0, max_bytes: int = 1000) -> Limits:
    return Limits((f"127.0.0.1:{port}",), timeout_seconds, max_bytes)


def refused(answer: Answer, **options: float) -> EvidenceError:
    with serving(answer) as (port, _):
        with pytest.raises(EvidenceError) as caught:
            fetch(f"http://127.0.0.1:{port}/", limits(port, **options))  # type: ignore[arg-type]
        assert caught.value.kind == "unverifiable"
        assert caught.value.subject == f"http://127.0.0.1:{port}"
    return caught.value


def test_gets_a_body_and_says_little_about_itself() -> None:
    """The reply comes out as it was sent; the request carries no credentials and asks for no compression."""
    with serving(saying("HTTP/1.1 200 OK\nContent-Length: 5\n\n", b"hello")) as (port, requests):
        reply = fetch(f"http://127.0.0.1:{port}/a/b?c=d%20e", limits(port))
    assert (reply.status, reply.body) == (200, b"hello")
    lines = requests[0].decode().split("\r\n")
    assert lines[0] == "GET /a/b?c=d%20e HTTP/1.1"
    assert f"Host: 127.0.0.1:{port}" in lines
    assert not [line for line in lines if line.lower().startswith(("authorization", "cookie"))]


def test_reads_a_chunked_reply_and_one_that_ends_with_the_connection() -> None:
    """All three ways in which HTTP ends a body are read."""
    with serving(saying("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\n2\nde\n0\n\n")) as (port, _):
        assert fetch(f"http://127.0.0.1:{port}", limits(port)).body == b"abcde"
    with serving(saying("HTTP/1.0 200 OK\n\n", b"until the end")) as (port, _):
        assert fetch(f"http://127.0.0.1:{port}", limits(port)).body == b"until the end"


def test_reads_a_body_of_exactly_the_limit() -> None:
    """The limit is what is read, one byte more is refused."""
    with serving(saying("HTTP/1.1 200 OK\nContent-Length: 1000\n\n", b"x" * 1000)) as (port, _):
        assert len(fetch(f"http://127.0.0.1:{port}", limits(port)).body) == 1000


def test_returns_an_error_reply_with_its_body() -> None:
    """Prometheus explains an error in the body, so the caller gets it."""
    with serving(saying("HTTP/1.1 422 Unprocessable\nContent-Length: 2\n\n{}")) as (port, _):
        assert fetch(f"http://127.0.0.1:{port}", limits(port)).status == 422


def test_ignores_proxies_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that a pull request could set would see and forge the answer."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with serving(saying("HTTP/1.1 200 OK\nContent-Length: 0\n\n")) as (port, _):
        assert fetch(f"http://127.0.0.1:{port}", limits(port)).status == 200


def test_follows_no_redirect() -> None:
    """A redirect could lead to a host that is not allowed; it is refused and never asked."""
    with serving(saying("HTTP/1.1 200 OK\nContent-Length: 0\n\n")) as (other, asked):
        error = refused(saying(f"HTTP/1.1 302 Found\nLocation: http://127.0.0.1:{other}/\nContent-Length: 0\n\n"))
    assert "redirects (HTTP 302)" in error.problem
    assert asked == []


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(
            saying("HTTP/1.1 200 OK\nContent-Length: 1001\n\n", b"x" * 1001), "more than 1000", id="too large"
        ),
        pytest.param(saying("HTTP/1.0 200 OK\n\n", b"x" * 300_000), "more than 1000", id="endless"),
        pytest.param(saying("HTTP/1.1 200 OK\nContent-Length: 10\n\n", b"x"), "IncompleteRead", id="truncated"),
        pytest.param(
            saying("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nab"), "IncompleteRead", id="truncated chunk"
        ),
        pytest.param(saying("SSH-2.0-x\n\n"), "BadStatusLine", id="not HTTP"),
        pytest.param(saying(""), "without response", id="nothing"),
        pytest.param(saying("HTTP/1.1 200 OK\n" + "A: b\n" * 200 + "\n"), "HTTPException", id="many headers"),
        pytest.param(saying("HTTP/1.1 200 OK\nA: " + "b" * 70_000 + "\n\n"), "LineTooLong", id="long header"),
        pytest.param(
            saying("HTTP/1.1 200 OK\nContent-Encoding: gzip\nContent-Length: 0\n\n"), "compressed", id="compressed"
        ),
    ],
)
def test_refuses_replies_that_are_too_much_or_not_http(answer: Answer, words: str) -> None:
    """A reply is whole, bounded and plain, or it is a gap."""
    assert words in refused(answer).problem


def _drip(part: str) -> Answer:
    def answer(wire: socket.socket) -> None:
        if part == "body":
            wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        for _ in range(100):
            wire.sendall(b"x")
            time.sleep(0.02)

    return answer


@pytest.mark.parametrize(
    "answer", [_drip("header"), _drip("body"), lambda _wire: time.sleep(1)], ids=["header", "body", "silence"]
)
def test_ends_at_its_deadline_however_slowly_the_server_talks(answer: Answer) -> None:
    """A byte now and then does not extend the time: the deadline is for the whole request."""
    started = time.monotonic()
    error = refused(answer, timeout_seconds=0.3)
    assert "did not answer within 0.3 s" in error.problem
    assert "http_timeout_seconds" in error.hint
    assert time.monotonic() - started < 3


def test_says_that_nobody_listens() -> None:
    """A refused connection is a gap that names the server."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(EvidenceError, match="cannot be reached") as caught:
        fetch(f"http://127.0.0.1:{port}", limits(port))
    assert caught.value.subject == f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".invalid"], ids=["unknown", "no name at all"])
def test_says_that_a_name_is_unknown(host: str) -> None:
    """A name that does not resolve is a gap, within the deadline."""
    with pytest.raises(EvidenceError, match="cannot be reached") as caught:
        fetch(f"http://{host}", Limits((host,), 5, 1000))
    assert (caught.value.kind, caught.value.subject) == ("unverifiable", f"http://{host}:80")


def test_waits_no_longer_for_a_name_than_for_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's resolver knows no time-out, so it is left behind at the deadline."""
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(5) and [])
    for timeout_seconds in (0.1, 1e-9):
        with pytest.raises(EvidenceError, match="did not answer"):
            fetch("http://slow.example", Limits(("slow.example",), timeout_seconds, 1000))
    release.set()


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://prometheus:9090", ()),
        ("http://prometheus:9090", ("prometheus",)),
        ("http://prometheus:9090", ("prometheus:9091", "prom", "*", "etheus:9090")),
        ("http://prometheus", ("prometheus:443",)),
        ("https://prometheus", ("prometheus:80",)),
        ("http://[::1]:9090", ("::1:9090",)),
        ("http://prometheus.evil.example:9090", ("prometheus:9090",)),
    ],
)
def test_asks_no_host_that_the_settings_do_not_allow(url: str, allowed: tuple[str, ...]) -> None:
    """The manifest names the URL, so the trusted side names the hosts; a port counts."""
    with pytest.raises(EvidenceError, match="not allowed") as caught:
        check_url(url, allowed)
    assert "evidence.allowed_hosts" in caught.value.hint


@pytest.mark.parametrize(
    ("url", "allowed", "origin"),
    [
        ("http://prometheus:9090", "prometheus:9090", "http://prometheus:9090"),
        ("http://PROMETHEUS/x", "Prometheus", "http://prometheus:80"),
        ("https://prometheus./x", "prometheus", "https://prometheus:443"),
        ("https://prometheus", "prometheus:443", "https://prometheus:443"),
        ("http://[::1]:9090/", "[::1]:9090", "http://[::1]:9090"),
    ],
)
def test_allows_a_host_with_its_port_in_any_case(url: str, allowed: str, origin: str) -> None:
    """A host without a port means the port of the scheme."""
    assert check_url(url, (allowed,)).origin == origin


@pytest.mark.parametrize(
    "url",
    [
        "", "prometheus:9090", "//prometheus", "ftp://prometheus", "file:///etc/passwd", "http://", "http://:9090",
        "http://prometheus:0", "http://prometheus:99999", "http://prometheus:port", "http://prometheus/#part",
        "http://prometheus/a b", "http://prometheus/\r\nX: y", "http://prometheus\\@evil", "http://prom\tetheus",
        "http://прометей", "http://[::1", "http://-x", "http://a/\x00",
    ],
)  # fmt: skip
def test_refuses_what_is_no_plain_url(url: str) -> None:
    """Other schemes, odd characters and missing hosts are refused before anything is asked."""
    with pytest.raises(EvidenceError) as caught:
        check_url(url, ("prometheus", "prometheus:9090", "evil", ""))
    assert caught.value.kind == "unverifiable"


@pytest.mark.parametrize("url", ["http://user:hunter2@prometheus", "http://hunter2@prometheus", "http://:hunter2@x"])
def test_refuses_credentials_and_never_repeats_them(url: str) -> None:
    """A secret in a URL would end in the record."""
    with pytest.raises(EvidenceError, match="credentials") as caught:
        check_url(url, ("prometheus", "x"))
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for 127.0.0.1, with its key, in one file."""
    path = tmp_path / "server.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path, "-out", tmp_path / "c.pem"],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    path.write_text(path.read_text("utf-8") + (tmp_path / "c.pem").read_text("utf-8"), "utf-8")
    return path


def test_trusts_only_certificates_that_the_machine_trusts(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A self-signed certificate is refused; the same server is read once its certificate is trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(saying("HTTP/1.1 200 OK\nContent-Length: 2\n\nok"), context) as (port, _):
        url = f"https://127.0.0.1:{port}/"
        with pytest.raises(EvidenceError, match="TLS failed"):
            fetch(url, limits(port))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert fetch(url, limits(port)).body == b"ok"
        with pytest.raises(EvidenceError, match=r"broke HTTP|cannot be reached"):
            fetch(f"http://127.0.0.1:{port}/", limits(port))


def test_reads_from_an_ordinary_http_server() -> None:
    """The standard library's server understands the request."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.path.encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        port = server.server_address[1]
        assert fetch(f"http://127.0.0.1:{port}/hello?x=1", limits(port)).body == b"/hello?x=1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
