"""
A real Open Policy Agent as engine, through opa-python-client; the only module that imports it.

The client's errors share no base class and it lets those of `requests` through, so every call goes through
`OpaEngine._call`. A response without `result` means undefined
(https://www.openpolicyagent.org/docs/rest-api#get-a-document-with-input).
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from opa_client import OpaClient, errors

from gatekeeper.engine import Answer
from gatekeeper.engine.opa_server import AUTHORIZATION, LocalServer, find_binary
from gatekeeper.engine.opa_wire import PREFIX, SUBJECT, Address, bound, explain, parse_url
from gatekeeper.engine.portable import check_portable
from gatekeeper.engine.values import parse, refuse_inexact, refuse_inexact_data, settle, whole
from gatekeeper.errors import ConfigurationError, UnavailableError

if TYPE_CHECKING:
    from gatekeeper.decision import EngineReference
    from gatekeeper.policy import Module, PolicySet
    from gatekeeper.settings import EngineSettings

_ATTEMPTS = 3
"""Starts of a local server; another program may take the port in between."""

_CLOSE_SECONDS = 5.0
"""Time to remove what was uploaded to another's server."""

_STRICT = {"strict-builtin-errors": "true"}
"""Without it OPA takes a failed builtin for undefined, and a rule that should deny stays silent."""

_FAILURES = (
    errors.ConnectionsError,
    errors.DeleteDataError,
    errors.DeletePolicyError,
    errors.PolicyNotFoundError,
    errors.QueryExecuteError,
    errors.RegoParseError,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    RecursionError,
)
"""The errors of `requests` are `OSError`s; the last ones are what the client raises on an answer not of OPA."""


class OpaEngine:
    """OPA behind `gatekeeper.engine.Engine`."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._address = parse_url(settings.url) if settings.url else None
        self._policies: PolicySet | None = None
        self._ids: dict[str, Module] = {}
        self._server: LocalServer | None = None
        self._client: Any = None
        self._deadline = 0.0
        self._version = "not connected"

    def load(self, policies: PolicySet) -> None:
        """Check the policies, reach or start the server and upload them; see `Engine.load`."""
        self.close()
        refuse_inexact_data(policies)
        if wrong := [key for key, value in policies.data.items() if not isinstance(value, dict)]:
            raise ConfigurationError(policies.name, f"data.{wrong[0]} is not a mapping, and OPA takes no other")
        ordered = check_portable(policies.modules)
        self._ids = {quote(f"{PREFIX}{policies.digest[:12]}/{module.path}"): module for module in ordered}
        self._policies = policies
        try:
            self._connect(policies)
        except BaseException:
            self.close()
            raise

    def evaluate(self, package: str, document: bytes) -> Answer:
        """Evaluate one gate with two queries; see `Engine.evaluate`."""
        refuse_inexact(document, SUBJECT)
        if self._policies is None:
            raise UnavailableError(SUBJECT, "no policies were loaded")
        value = whole(parse(document, SUBJECT))
        if self._client is None:
            self._connect(self._policies)
        started = self._begin(self._settings.timeout_seconds)
        found = {}
        for rule in ("deny", "warn"):
            response = self._call("query_rule", value, package, rule, _STRICT)
            if not isinstance(response, dict):
                raise _not_opa("its answer is not an object")
            if "result" in response:
                found[rule] = response["result"]
        self._check_alive()
        return Answer(settle(found), time.monotonic() - started)

    def reference(self) -> EngineReference:
        """Name, and the version that the server gave."""
        from gatekeeper.decision import EngineReference

        return EngineReference(name="opa", version=self._version)

    def close(self) -> None:
        """Stop the local server, or remove what was uploaded to another's; forget the policies."""
        policies, self._policies = self._policies, None
        if self._server is None and self._client is not None and policies is not None:
            self._begin(min(_CLOSE_SECONDS, self._settings.timeout_seconds))
            with contextlib.suppress(UnavailableError, ConfigurationError):
                self._remove(policies)
        self._drop()

    def _drop(self) -> None:
        client, self._client = self._client, None
        server, self._server = self._server, None
        if client is not None:
            client.close_connection()
        if server is not None:
            server.stop()

    def _connect(self, policies: PolicySet) -> None:
        self._begin(self._settings.timeout_seconds)
        if self._address is None:
            self._start()
        else:
            self._client = self._open(self._address, token=None)
        config = self._call("get_config")
        match config:
            case {"result": {"labels": {"version": str(version)}}}:
                self._version = version
            case _:
                raise _not_opa("it does not say its version")
        self._upload(policies)
        self._check_alive()

    def _start(self) -> None:
        binary, problem = find_binary(self._settings.binary), "it does not become healthy"
        for _ in range(_ATTEMPTS):
            self._server = server = LocalServer(binary)
            self._client = self._open(Address(False, "127.0.0.1", server.port), token=server.token)
            while server.alive:
                if self._call("check_health"):
                    return
                time.sleep(0.01)
            problem = server.complaint()
            self._drop()
        raise UnavailableError(SUBJECT, f"{binary} does not start: {problem}", hint="run `opa run --server` by hand")

    def _open(self, address: Address, *, token: str | None) -> Any:
        later = self._settings.timeout_seconds + 1  # `_call` keeps the time
        client = OpaClient(address.host, address.port, ssl=address.tls, token=token, retries=0, timeout=later)
        session = client._session
        session.max_redirects = 1
        session.trust_env = not address.loopback  # no proxy stands before this machine
        session.hooks["response"].append(bound)
        return client

    def _upload(self, policies: PolicySet) -> None:
        """Put data and policies on a server that holds nothing else, and see that it holds them then."""
        _refuse_foreign(self._held() - self._ids.keys())
        _refuse_foreign(self._remove(policies))
        for key, value in policies.data.items():
            self._call("update_or_create_data", whole(value), quote(key, safe=""))
        for name, module in self._ids.items():
            self._call("update_policy_from_string", module.text, name, rego_compat=False)
        if self._held() != self._ids.keys():
            raise _not_opa("it does not hold the policies that were sent to it")

    def _held(self) -> set[str]:
        """Ids of the policies on the server, but for its own."""
        return set(self._call("get_policies_list")) - ({AUTHORIZATION} if self._server else set())

    def _remove(self, policies: PolicySet) -> set[str]:
        """Remove what this run or an earlier one uploaded, callers first; return the keys of data that remain."""
        held = self._held()
        for name in reversed(self._ids):
            if name in held:
                self._call("delete_policy", name)
        match self._call("ad_hoc_query", "found := data"):
            case {"result": [{"found": dict(present)}]}:
                keys = set(present) - ({"system"} if self._server else set())
            case _:
                raise _not_opa("it does not show its data")
        for key in keys & policies.data.keys():
            self._call("delete_data", quote(key, safe=""))
        return keys - policies.data.keys()

    def _check_alive(self) -> None:
        """See that the answers came from the process that was started, and not from another on its port."""
        if self._server is not None and not self._server.alive:
            problem = self._server.complaint()
            self._drop()
            raise UnavailableError(SUBJECT, f"the server died: {problem}")

    def _begin(self, seconds: float) -> float:
        """Set the time by which all following calls must be done; return the time now."""
        now = time.monotonic()
        self._deadline = now + seconds
        return now

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """
        Call a method of the client in a thread that can be left behind: its own timeout begins anew with each byte.

        Raises `ConfigurationError` for policies that do not compile and `UnavailableError` for all else.
        """
        function = getattr(self._client, method)
        results: list[Any] = []
        failures: list[BaseException] = []

        def run() -> None:
            try:
                results.append(function(*arguments, **options))
            except _FAILURES as error:
                failures.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(max(self._deadline - time.monotonic(), 0))
        if results:
            return results[0]
        if failures:
            self._check_alive()
            raise explain(failures[0]) from failures[0]
        self._drop()
        raise UnavailableError(
            SUBJECT,
            f"no answer within {self._settings.timeout_seconds:g} s",
            hint="simplify the policy, or raise engine.timeout_seconds in gatekeeper.yaml",
        )


def _refuse_foreign(found: set[str]) -> None:
    if found:
        raise UnavailableError(
            SUBJECT,
            f"the server holds {min(found)!r}, which is not of this run",
            hint="give gatekeeper a server of its own, or remove engine.url: it then starts one",
        )


def _not_opa(problem: str) -> UnavailableError:
    return UnavailableError(SUBJECT, f"the server is not an OPA: {problem}", hint="mend engine.url")
