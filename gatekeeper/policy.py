"""The policies that decide: Rego modules, their METADATA, thresholds and required gates, with one digest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from gatekeeper.document import sha256_hex
from gatekeeper.errors import ConfigurationError, EvidenceError
from gatekeeper.formats.strict_json import parse_json
from gatekeeper.formats.strict_yaml import parse_yaml

GATE_PREFIXES = ("gatekeeper.gates.", "custom.gatekeeper.gates.")
"""A gate is a package below one of these; the second is an organisation's own."""

MAX_POLICY_BYTES = 1024 * 1024
"""Size of one policy or data file."""

_PACKAGE = re.compile(r"^package[ \t]+([A-Za-z0-9_.]+)[ \t]*(?:#.*)?\r?$", re.MULTILINE)
_SEVERITIES = ("deny", "warn")


@dataclass(frozen=True)
class Rule:
    """One rule of a gate as its METADATA describes it."""

    rule: str
    gate: str
    severity: str
    title: str
    description: str
    remedy: str
    controls: tuple[str, ...]
    path: str
    line: int
    collections: tuple[str, ...] = ()
    """Named groups of rules that an organisation enforces together."""
    waivable: bool = True
    """Whether an approved waiver may set its denial aside."""


@dataclass(frozen=True)
class Module:
    """One Rego file; `path` is relative to the policy folder, with forward slashes."""

    path: str
    package: str
    text: str


@dataclass(frozen=True)
class PolicySet:
    """Modules and data under one digest; immutable, so what was digested is what is evaluated."""

    name: str
    digest: str
    modules: tuple[Module, ...]
    data: dict[str, Any] = field(repr=False)

    @cached_property
    def packages(self) -> dict[str, str]:
        """Package by gate name; a library gate cannot be replaced by an organisation's own."""
        found: dict[str, str] = {}
        for module in self.modules:
            for prefix in GATE_PREFIXES:
                gate = module.package.removeprefix(prefix)
                if gate == module.package or "." in gate:
                    continue
                if found.setdefault(gate, module.package) != module.package:
                    raise ConfigurationError(
                        module.path, f"gate {gate!r} exists already as {found[gate]}", hint="rename the gate"
                    )
        return found

    @cached_property
    def rules(self) -> dict[str, Rule]:
        """Every rule by id; raises `ConfigurationError` when METADATA is incomplete or an id appears twice."""
        found: dict[str, Rule] = {}
        packages = {package: gate for gate, package in self.packages.items()}
        for module in self.modules:
            if module.package not in packages:
                continue
            for rule in parse_rules(module, packages[module.package]):
                if rule.rule in found:
                    raise ConfigurationError(
                        f"{rule.path}:{rule.line}", f"rule id {rule.rule!r} is taken", hint="rule ids are unique"
                    )
                found[rule.rule] = rule
        return found

    @cached_property
    def _rules_by_gate(self) -> dict[str, tuple[Rule, ...]]:
        rules = self.rules.values()
        return {gate: tuple(rule for rule in rules if rule.gate == gate) for gate in self.packages}

    def rules_of(self, gate: str) -> tuple[Rule, ...]:
        """The rules of one gate, in the order of the file."""
        return self._rules_by_gate.get(gate, ())

    @property
    def defaults(self) -> dict[str, Any]:
        """`data.gatekeeper.defaults`: required gates, thresholds, overrides."""
        library = self.data.get("gatekeeper")
        value = library.get("defaults") if isinstance(library, dict) else None
        if not isinstance(value, dict):
            raise ConfigurationError(
                self.name, "no gatekeeper/defaults/data.yaml", hint="a policy folder holds the required gates"
            )
        return value


def load_policies(folder: Path) -> PolicySet:
    """
    Load every `.rego` and `data.yaml`/`data.json` below a folder, tests left out.

    Raises `ConfigurationError` when there is none, when one cannot be read, or when data lies on the path of
    a package, where it would override the rules.
    """
    return build_policies(folder.name, dict(_read_files(folder)))


def build_policies(name: str, files: Mapping[str, bytes]) -> PolicySet:
    """
    Build policies from files by their path, wherever they came from; tests and other files are left out.

    Raises `ConfigurationError` as `load_policies` does. The digest is over exactly the files that are evaluated.
    """
    for path in files:
        _refuse_overlooked(PurePosixPath(path))
        if _is_policy(path) and any(step.startswith(".") for step in path.split("/")):
            raise ConfigurationError(path, "is hidden; OPA would put its data elsewhere", hint="rename it")
    files = {path: files[path] for path in sorted(files) if _is_policy(path)}
    modules = tuple(_module(path, text) for path, text in files.items() if path.endswith(".rego"))
    if not modules:
        raise ConfigurationError(name, "no policies found", hint="point `policies` at a folder of .rego files")
    data: dict[str, Any] = {}
    for path in sorted(files, key=lambda path: (path.count("/"), path)):  # outer folders first
        if not path.endswith(".rego"):
            _mount(data, path, files[path])
    for module in modules:
        _refuse_overlap(data, module)
    return PolicySet(name, digest_files(files), modules, data)


def _is_policy(path: str) -> bool:
    if path.endswith("_test.rego"):
        return False
    return path.endswith(".rego") or path.rpartition("/")[2] in ("data.yaml", "data.json")


def digest_files(files: Mapping[str, bytes]) -> str:
    """Digest files by name and content, in the order of their names (UTF-8 bytes)."""
    lines = [f"{sha256_hex(files[path])}  {path}\n" for path in sorted(files, key=str.encode)]
    return sha256_hex("".join(lines).encode())


def _read_files(folder: Path) -> list[tuple[str, bytes]]:
    if not folder.is_dir():
        raise ConfigurationError(str(folder), "no such policy folder", hint="mend `policies` in the settings")
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        _refuse_overlooked(path)
        if path.is_symlink() and path.is_dir():
            raise ConfigurationError(str(path), "is a symbolic link to a folder, which is not followed")
        if not _is_policy(name):
            continue
        found.append((name, _read_file(path, folder.resolve())))
    return found


def _refuse_overlooked(path: PurePath) -> None:
    """Refuse what its author takes for a part of the policies and the loader would pass over."""
    if not path.name.isprintable():
        raise ConfigurationError(repr(path.name), "is no name for a policy or data file", hint="rename it")
    if path.name == "data.yml" or (path.suffix != ".rego" and path.suffix.lower() == ".rego"):
        raise ConfigurationError(str(path), "is not read", hint="name it data.yaml or <name>.rego")


def _read_file(path: Path, root: Path) -> bytes:
    try:
        if not path.resolve().is_relative_to(root) or not path.is_file():
            raise ConfigurationError(str(path), "is not a regular file of the policy folder")
        if path.stat().st_size > MAX_POLICY_BYTES:
            raise ConfigurationError(str(path), f"larger than {MAX_POLICY_BYTES} bytes")
        return path.read_bytes()
    except (OSError, RuntimeError) as error:  # RuntimeError: Python 3.11 and 3.12 on a symbolic link to itself
        raise ConfigurationError(str(path), f"cannot be read: {error}") from error


def _module(path: str, data: bytes) -> Module:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(path, f"byte {error.start} is not UTF-8") from error
    match = _PACKAGE.search(text)
    if match is None:
        raise ConfigurationError(path, "no package line", hint="begin the module with `package …`")
    return Module(path, match.group(1), text)


def _mount(data: dict[str, Any], path: str, content: bytes) -> None:
    try:
        value = parse_json(content, path) if path.endswith(".json") else parse_yaml(content, path)
    except EvidenceError as error:
        raise ConfigurationError(error.subject, error.problem, location=error.location) from error
    node: Any = data
    for step in path.split("/")[:-1]:
        node = node.setdefault(step, {}) if isinstance(node, dict) else None
    if not isinstance(node, dict) or not isinstance(value, dict) or set(node) & set(value):
        raise ConfigurationError(path, "data is a mapping whose keys are not used elsewhere")
    node.update(value)


def _refuse_overlap(data: dict[str, Any], module: Module) -> None:
    node: Any = data
    for step in module.package.split("."):
        if not isinstance(node, dict):
            break
        if step not in node:
            return
        node = node[step]
    raise ConfigurationError(
        module.path,
        f"data lies on the path of the package {module.package} and would override its rules",
        hint="keep data outside the folders of packages",
    )


def parse_rules(module: Module, gate: str) -> list[Rule]:
    """Read the METADATA blocks of a gate's rules (https://www.openpolicyagent.org/docs/policy-language#metadata)."""
    rules, lines = [], module.text.splitlines()
    for number, line in enumerate(lines):
        if line.strip() == "# METADATA":
            block = []
            for following in lines[number + 1 :]:
                if not following.startswith("#"):
                    break
                block.append(following[1:].removeprefix(" "))
            rule = _rule(module, gate, number + 1, "\n".join(block))
            if rule is not None:
                rules.append(rule)
    return rules


def _rule(module: Module, gate: str, line: int, block: str) -> Rule | None:
    where = f"{module.path}:{line}"
    try:
        metadata = parse_yaml(block.encode(), where)
    except EvidenceError as error:
        raise ConfigurationError(where, f"METADATA is {error.problem}") from error
    custom = metadata.get("custom") if isinstance(metadata, dict) else None
    if not isinstance(custom, dict) or not custom.keys() & {"rule", "severity", "remedy"}:
        return None
    texts = {key: metadata.get(key) for key in ("title", "description")} | {
        key: custom.get(key) for key in ("rule", "severity", "remedy")
    }
    lacking = [key for key, value in texts.items() if not isinstance(value, str) or not value]
    controls = custom.get("controls", [])
    if lacking or not isinstance(controls, list) or not all(isinstance(each, str) for each in controls):
        raise ConfigurationError(where, f"METADATA lacks {', '.join(lacking) or 'a list of controls'}")
    if not texts["rule"].startswith(f"{gate}.") or texts["severity"] not in _SEVERITIES:
        raise ConfigurationError(
            where, f"rule {texts['rule']!r} must begin with '{gate}.' and have severity deny or warn"
        )
    collections, waivable = custom.get("collections", []), custom.get("waivable", True)
    if not isinstance(collections, list) or not all(isinstance(each, str) for each in collections):
        raise ConfigurationError(where, "METADATA: custom.collections is no list of names")
    if not isinstance(waivable, bool):
        raise ConfigurationError(where, "METADATA: custom.waivable is neither true nor false")
    return Rule(
        gate=gate,
        path=module.path,
        line=line,
        controls=tuple(controls),
        collections=tuple(collections),
        waivable=waivable,
        **texts,
    )
