"""
An organisation's own policies beside the library: one set, one digest, two roots that do not overlap.

Its packages and its data lie below `custom`, so that nothing of it can redefine a rule or a threshold of the library.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from typing import Any

from gatekeeper.document import sha256_hex
from gatekeeper.errors import ConfigurationError
from gatekeeper.policy import PolicySet

ROOT = "custom"
"""First step of every package and of all data that is an organisation's own."""

GATES = f"{ROOT}.gatekeeper.gates."
"""Where the packages of its gates lie."""


def merge_policies(library: PolicySet, own: PolicySet) -> PolicySet:
    """
    Make one set of the library and an organisation's own policies.

    The paths of its modules get the name of its folder in front; the digest is over both digests.
    Raises `ConfigurationError` when a package or data of it lies elsewhere than below `custom`, when the library
    has something there too, or when a gate has the name of a gate of the library.
    """
    _check_own(own)
    _check_library(library)
    folder = re.split("[/:]", own.name)[-1] or ROOT  # `git origin/main:policies-custom` is a name too
    taken = {module.path for module in library.modules}
    modules = [dataclasses.replace(module, path=f"{folder}/{module.path}") for module in own.modules]
    for module in modules:
        if module.path in taken:
            raise ConfigurationError(module.path, "is a path of the library too", hint="rename the folder")
    digest = sha256_hex(f"{library.digest}  library\n{own.digest}  {ROOT}\n".encode())
    merged = PolicySet(
        f"{library.name}+{folder}", digest, (*library.modules, *modules), {**library.data, **own.data}
    )  # fmt: skip
    _ = merged.packages  # a name that is taken is an error here, not at the first promotion
    return merged


def is_own(policies: PolicySet, gate: str) -> bool:
    """Whether a gate is an organisation's own."""
    return policies.packages.get(gate, "").startswith(GATES)


def own_defaults(policies: PolicySet) -> dict[str, Any] | None:
    """Find `data.custom.gatekeeper.defaults`; raises `ConfigurationError` when something misspelt lies beside it."""
    root = _mapping(policies, policies.data.get(ROOT, {}), ROOT)
    for key in root:
        if key != "gatekeeper" and difflib.get_close_matches(key, ["gatekeeper"]):
            raise ConfigurationError(policies.name, f"data.{ROOT}.{key} is not read", hint="did you mean 'gatekeeper'?")
    known = _mapping(policies, root.get("gatekeeper", {}), f"{ROOT}.gatekeeper")
    for key in known:
        if key != "defaults":
            raise ConfigurationError(
                policies.name,
                f"data.{ROOT}.gatekeeper.{key} is not read",
                hint=f"thresholds and required gates lie in {ROOT}/gatekeeper/defaults, tables of your own in {ROOT}/<name>",
            )
    return _mapping(policies, known["defaults"], f"{ROOT}.gatekeeper.defaults") if known else None


def _mapping(policies: PolicySet, value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(policies.name, f"data.{path} is no mapping", hint="write it as keys and values")
    return value


def _check_own(own: PolicySet) -> None:
    for module in own.modules:
        if not module.package.startswith(f"{ROOT}."):
            raise ConfigurationError(
                f"{own.name}/{module.path}",
                f"the package {module.package} is not below {ROOT}, and only the library may be elsewhere",
                hint=f"a gate of your own is the package {GATES}<gate>",
            )
    outside = sorted(set(own.data) - {ROOT})
    if outside:
        raise ConfigurationError(
            own.name, f"data.{outside[0]} is not below data.{ROOT}",
            hint=f"thresholds of your own gates lie in {ROOT}/gatekeeper/defaults/data.yaml",
        )  # fmt: skip


def _check_library(library: PolicySet) -> None:
    """Refuse a library with policies of an organisation, which the own ones could then redefine."""
    both = [module.path for module in library.modules if module.package.split(".")[0] == ROOT]
    if both or ROOT in library.data:
        raise ConfigurationError(
            f"{library.name}/{both[0] if both else ROOT}", f"lies below {ROOT}, and so do custom_policies",
            hint="keep an organisation's policies in one place",
        )  # fmt: skip
