"""The roots of a bundle: the parts of `data` that it owns; what lies outside them is refused, as OPA does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gatekeeper.errors import ConfigurationError
from gatekeeper.policy import build_policies
from gatekeeper.trust.canonical import DATA_FILES, parse_structured

Steps = tuple[str, ...]


def normalise_roots(roots: Sequence[str], subject: str) -> tuple[str, ...]:
    """Strip outer slashes; raises `ConfigurationError` when one root lies within another."""
    stripped = tuple(root.strip("/") for root in roots)
    for number, root in enumerate(stripped):
        for other in stripped[number + 1 :]:
            if _contains(_steps(root), _steps(other)) or _contains(_steps(other), _steps(root)):
                raise ConfigurationError(subject, f"its roots {root!r:.100} and {other!r:.100} overlap")
    return stripped


def refuse_outside(files: Mapping[str, bytes], roots: Sequence[str], archive: str) -> None:
    """
    Refuse a module whose package, or data whose place, lies outside every root.

    Raises `ConfigurationError` naming the file; also for a module or data file that cannot be read.
    """
    owned = [_steps(root) for root in roots]
    for path, content in files.items():
        subject = f"{archive}:{path}"
        for place in _places(path, content, subject, owned):
            if not any(_contains(root, place) for root in owned):
                raise ConfigurationError(
                    subject, f"lies at {'.'.join(('data', *place))[:200]}, outside the bundle's roots {list(roots)}"
                )


def find_roots(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """The first step of every package and of all data: `gatekeeper`, and `custom` where there is any."""
    found = set()
    for path, content in files.items():
        found |= {place[0] for place in _places(path, content, path, [("", "")]) if place}
    return tuple(sorted(found))


def _places(path: str, content: bytes, subject: str, owned: list[Steps]) -> Iterator[Steps]:
    """Yield where a file's rules or data lie; a mapping above a root is followed down to what it holds."""
    if path.endswith("_test.rego"):
        return  # is not evaluated
    if path.endswith(".rego"):
        (module,) = build_policies(subject, {subject: content}).modules
        yield tuple(module.package.split("."))
    elif path.rsplit("/", 1)[-1] in DATA_FILES:
        pending: list[tuple[Steps, Any]] = [(tuple(path.split("/")[:-1]), parse_structured(path, content, subject))]
        if not isinstance(pending[0][1], dict):
            raise ConfigurationError(subject, "data is a mapping")
        while pending:
            place, value = pending.pop()
            if isinstance(value, dict) and any(
                len(place) < len(root) and root[: len(place)] == place for root in owned
            ):
                pending.extend(((*place, key), item) for key, item in value.items())
            else:
                yield place


def _steps(root: str) -> Steps:
    return tuple(root.split("/")) if root else ()


def _contains(root: Steps, place: Steps) -> bool:
    return place[: len(root)] == root
