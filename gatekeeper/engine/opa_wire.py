"""What crosses the wire to an OPA: its address, the size of its answers, and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from gatekeeper.engine.values import MAX_ANSWER_BYTES
from gatekeeper.errors import ConfigurationError, GatekeeperError, Location, UnavailableError

SUBJECT = "engine opa"
PREFIX = "gatekeeper/"
"""First part of the ids under which policies are uploaded; the beginning of the policy set's digest follows."""

_ID = re.compile(re.escape(PREFIX) + "[0-9a-f]{12}/")
_LOOPBACK = ("127.0.0.1", "[::1]", "localhost")


class Address(NamedTuple):
    """Where a server listens; an IPv6 host stands in brackets."""

    tls: bool
    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether the server is on this machine."""
        return self.host in _LOOPBACK


def parse_url(url: str) -> Address:
    """Parse `http://host:port`; raises `ConfigurationError` for anything more."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise _bad_url(url, str(error)) from error
    if parts.scheme not in ("http", "https") or not host:
        raise _bad_url(url, "it is not http://host:port")
    if parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment:
        raise _bad_url("engine.url", "only scheme, host and port are allowed in it")
    tls = parts.scheme == "https"
    return Address(tls, f"[{host}]" if ":" in host else host, port or (443 if tls else 8181))


def _bad_url(url: str, problem: str) -> ConfigurationError:
    return ConfigurationError(url, problem, hint="write engine.url as http://127.0.0.1:8181")


class Bounded:
    """A response's stream that ends with an error when it is too long."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, *arguments: Any, **options: Any) -> Iterator[bytes]:
        """Yield what the stream yields, up to the limit."""
        size = 0
        for block in self._raw.stream(*arguments, **options):
            size += len(block)
            if size > MAX_ANSWER_BYTES:
                self._raw.close()
                raise OSError(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
            yield block


def bound(response: Any, **_: Any) -> None:
    """
    Limit a response of `requests`, as a hook that runs before its content is read and its redirect followed.

    OPA redirects `/v1/policies/` to `/v1/policies`; who answers must still be who was asked.
    """
    asked, redirected = urlsplit(response.url), urlsplit(urljoin(response.url, response.headers.get("location", "")))
    if (asked.scheme, asked.netloc) != (redirected.scheme, redirected.netloc):
        response.close()
        raise OSError(f"the server redirects to {redirected.netloc}")
    response.raw = Bounded(response.raw)


def explain(error: BaseException) -> GatekeeperError:
    """Say what an error of the client means: policies that do not compile, or a server that is of no use."""
    faults = _faults(error)
    if not faults:
        problem = f"{type(error).__name__}: {getattr(error, 'message', None) or _innermost(error)}"
        return UnavailableError(SUBJECT, problem[:300], hint="see that the server of engine.url is an OPA, and runs")
    problem, place = faults[0]
    more = f"; {len(faults) - 1} more" if len(faults) > 1 else ""
    if getattr(error, "expression", None) == "invalid_parameter":
        hint = "run `opa check --strict` on them"
        return ConfigurationError(place.path if place else "policies", problem + more, hint=hint, location=place)
    hint = "a builtin failed; a policy checks types before it calls"
    return UnavailableError(SUBJECT, problem + more, hint=hint, location=place)


def _innermost(error: BaseException) -> BaseException:
    """The error at the bottom of the chain: `requests` wraps a refused connection in three others."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def _faults(error: BaseException) -> list[tuple[str, Location | None]]:
    """List OPA's own messages; `errors` is in the client's exception, or in the answer of a failed query."""
    listed = getattr(error, "errors", None)
    response = getattr(error, "response", None)
    if response is not None:
        try:
            content = response.json()
        except (ValueError, OSError, RecursionError):
            return []
        listed = content.get("errors", [content]) if isinstance(content, dict) else None
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        return []
    return [(_ID.sub("", str(each["message"]))[:500], _place(each)) for each in listed if "message" in each]


def _place(fault: dict[str, Any]) -> Location | None:
    match fault.get("location"):
        case {"file": str(name), "row": int(row), "col": int(column)} if name and row > 0:
            return Location(unquote(_ID.sub("", name)), row, max(column, 1))
        case _:
            return None
