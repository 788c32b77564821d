"""
Which collector serves a gate: gatekeeper's own, a document held to a schema, or a module that an installed package
names as an entry point.

The last two are an organisation's own; neither can take the place of a gate of the library.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gatekeeper.collectors import COLLECTORS, Collector, load_collector
from gatekeeper.collectors.custom import DocumentCollector, Read, open_document_gate
from gatekeeper.errors import ConfigurationError
from gatekeeper.evidence import EvidenceBody, GateThresholds

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from gatekeeper.settings import CustomGate

GROUP = "gatekeeper.collectors"
"""Entry point group (https://packaging.python.org/specifications/entry-points/): name is the gate, value a module."""


@dataclass(frozen=True)
class Collectors:
    """Every collector of a run; one that is not used is not imported."""

    documents: Mapping[str, DocumentCollector] = field(default_factory=dict)
    """Gates whose evidence is a document held to a schema."""

    def find(self, gate: str) -> Collector | None:
        """
        Find the collector of a gate; None when there is none.

        Installed packages are looked through only for a gate that is neither gatekeeper's own nor a document.
        Raises `ConfigurationError` when an entry point takes a name that is taken, or cannot be loaded.
        """
        if gate in COLLECTORS:
            return load_collector(gate)
        if gate in self.documents:
            return cast("Collector", self.documents[gate])
        points = self._entry_points()
        return _load(points[gate]) if gate in points else None

    def names(self) -> list[str]:
        """Name every gate that has a collector, for hints."""
        return [*COLLECTORS, *self.documents, *self._entry_points()]

    def _entry_points(self) -> Mapping[str, EntryPoint]:
        points = _installed(tuple(sys.path))
        for gate in self.documents:
            if gate in points:
                raise _taken(points[gate], "custom_gates of the settings give it a schema")
        return points


BUILT_IN = Collectors()
"""The gates of the library, and those of installed packages."""


def open_collectors(wanted: Mapping[str, CustomGate], read: Read | None = None) -> Collectors:
    """
    Open the gates that the settings declare; `read` reads the trusted side's files.

    Raises `ConfigurationError` for a gate of the library, and for a schema that is absent or lax.
    """
    for gate in wanted:
        if gate in COLLECTORS:
            raise ConfigurationError(
                f"custom_gates.{gate}", "is a gate of the library, which cannot be replaced", hint="rename the gate"
            )
    return Collectors({gate: open_document_gate(gate, each, read or read_file) for gate, each in wanted.items()})


def read_file(path: str) -> bytes:
    """Read a file beside the settings; raises `ConfigurationError`."""
    from gatekeeper.policy import MAX_POLICY_BYTES

    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_POLICY_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConfigurationError(path, f"cannot be read: {error}", hint="mend custom_gates in the settings") from error
    if len(data) > MAX_POLICY_BYTES:
        raise ConfigurationError(path, f"larger than {MAX_POLICY_BYTES} bytes")
    return data


@functools.lru_cache(maxsize=4)
def _installed(_path: tuple[str, ...]) -> Mapping[str, EntryPoint]:
    """Look through the installed packages, once for each search path."""
    from importlib.metadata import entry_points

    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in COLLECTORS:
            raise _taken(point, "it is a gate of the library")
        if point.name in found:
            raise _taken(point, f"{_origin(found[point.name])} names it too")
        if point.dist is not None and Path(str(point.dist.locate_file(""))).resolve() == Path.cwd():
            raise ConfigurationError(
                _origin(point), "lies in the working folder, where the author of a promotion could have put it",
                hint="install it, and run gatekeeper by its own command",
            )  # fmt: skip
        found[point.name] = point
    return found


def _load(point: EntryPoint) -> Collector:
    """Import a collector's module and check that it has what a collector needs."""
    try:
        module: Any = importlib.import_module(point.value)
    except (ImportError, SyntaxError, TypeError, ValueError, SystemExit) as error:
        problem = f"{point.value} cannot be imported: {error!r}"
        raise ConfigurationError(_origin(point), problem, hint="mend the package, or remove it") from error
    for name, base in (("Request", object), ("Body", EvidenceBody), ("Thresholds", GateThresholds)):
        found = getattr(module, name, None)
        if not isinstance(found, type) or not issubclass(found, base):
            problem = f"{point.value} has no class {name}" + (f" below {base.__name__}" if base is not object else "")
            raise ConfigurationError(_origin(point), problem, hint="see docs/organisation-gates.md")
    if not hasattr(module.Request, "model_validate_json") or not callable(getattr(module, "collect", None)):
        problem = f"{point.value} has no function collect, or its Request is no model"
        raise ConfigurationError(_origin(point), problem, hint="see docs/organisation-gates.md")
    return cast("Collector", module)


def _taken(point: EntryPoint, reason: str) -> ConfigurationError:
    problem = f"names a collector for the gate {point.name!r}: {reason}"
    return ConfigurationError(_origin(point), problem, hint="remove the package, or rename the gate")


def _origin(point: EntryPoint) -> str:
    package = point.dist.name if point.dist is not None else "an unnamed package"
    return f"entry point {point.name} of {package}"
