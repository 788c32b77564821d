"""
Open Data Contract Standard 3.x (https://bitol-io.github.io/open-data-contract-standard/), from YAML or JSON.

The official JSON Schema is the one that the wheel `open-data-contract-standard` ships; it accepts every
apiVersion from v2.2.0, but 2.x documents have another shape, so they are refused here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from gatekeeper.errors import EvidenceError, Location
from gatekeeper.formats.strict_yaml import LocatedDocument, Path, parse_located

CompatibilityMode = Literal[
    "BACKWARD", "FORWARD", "FULL", "BACKWARD_TRANSITIVE", "FORWARD_TRANSITIVE", "FULL_TRANSITIVE"
]
MODES: tuple[CompatibilityMode, ...] = (
    "BACKWARD",
    "FORWARD",
    "FULL",
    "BACKWARD_TRANSITIVE",
    "FORWARD_TRANSITIVE",
    "FULL_TRANSITIVE",
)
MODE_PROPERTY = "compatibilityMode"
"""Custom property of the contract that declares its compatibility mode."""
MIGRATION_PROPERTY = "migrationPath"
"""Custom property of the contract that says how readers get past a break: text, a path or a URL."""

_PACKAGE = "open_data_contract_standard"


@dataclass(frozen=True)
class Fault:
    """Something in a contract that its JSON Schema cannot say, and that makes it unusable."""

    path: Path
    message: str


@dataclass(frozen=True)
class Contract:
    """One data contract, with the place of each of its values; its content may still break the JSON Schema."""

    document: LocatedDocument
    value: dict[str, Any]

    @property
    def name(self) -> str:
        """Where it was read from."""
        return self.document.name

    def text(self, key: str) -> str | None:
        """A text at the top level, or None when there is none or it is not text."""
        found = self.value.get(key)
        return found if isinstance(found, str) else None

    @property
    def tables(self) -> tuple[dict[str, Any], ...]:
        """The schema objects (tables, topics, files); to be read only when the contract is valid."""
        return tuple(self.value.get("schema") or ())

    @property
    def mode(self) -> CompatibilityMode | None:
        """
        The compatibility mode declared in `customProperties`; None when there is none.

        Raises `EvidenceError` (malformed) when the word is not a mode: a misspelt mode must not be a weak one.
        """
        declared = self._custom(MODE_PROPERTY)
        if declared is None:
            return None
        index, value = declared
        for mode in MODES:
            if value == mode:
                return mode
        raise EvidenceError(
            "malformed",
            self.name,
            f"{MODE_PROPERTY} is {value!r}",
            hint=f"one of {', '.join(MODES)}",
            location=self.document.location(("customProperties", index, "value")),
        )

    @property
    def migration_path(self) -> str:
        """Text, path or URL that tells readers how to follow a break; empty when there is none."""
        declared = self._custom(MIGRATION_PROPERTY)
        return declared[1].strip() if declared is not None and isinstance(declared[1], str) else ""

    @property
    def owners(self) -> int:
        """
        How many owners are declared.

        `team` is a list of members in 3.0 and an object with `name` and `members` since 3.1; members who left
        (`dateOut`) do not count.
        """
        team = self.value.get("team")
        named = int(isinstance(team, dict) and bool(str(team.get("name") or "").strip()))
        members = (team.get("members") if isinstance(team, dict) else team) or []
        present = [each for each in members if isinstance(each, dict) and not each.get("dateOut")]
        return named + len(present)

    def _custom(self, name: str) -> tuple[int, Any] | None:
        listed = self.value.get("customProperties")
        entries = [
            (index, each.get("value"))
            for index, each in enumerate(listed if isinstance(listed, list) else [])
            if isinstance(each, dict) and each.get("property") == name
        ]
        if len(entries) > 1:
            place = self.document.location(("customProperties", entries[1][0]))
            raise EvidenceError("malformed", self.name, f"custom property {name!r} is there twice", location=place)
        return entries[0] if entries else None

    def location(self, path: Path) -> Location:
        """Place of a value, or of the nearest ancestor that is in the file."""
        return self.document.location(path)


def parse_contract(data: bytes, name: str) -> Contract:
    """
    Parse an ODCS 3.x contract, without validating it.

    Raises `EvidenceError` (malformed) when the bytes are not YAML, or the document is not ODCS 3.x.
    """
    document = parse_located(data, name)
    value = document.value
    if not isinstance(value, dict) or value.get("kind") != "DataContract":
        raise _not_odcs(document)
    version = value.get("apiVersion")
    if isinstance(version, str) and version.lstrip("v").startswith("2."):
        raise EvidenceError(
            "malformed",
            name,
            f"ODCS {version}, 3.x is wanted",
            hint="convert the contract to ODCS v3",
            location=document.location(("apiVersion",)),
        )
    return Contract(document, value)


def _not_odcs(document: LocatedDocument) -> EvidenceError:
    value = document.value
    if isinstance(value, dict) and "dataContractSpecification" in value:
        problem, hint = "a Data Contract Specification, ODCS 3.x is wanted", "convert it: datacontract import"
    else:
        problem, hint = "not an ODCS contract: no `kind: DataContract`", "name an ODCS 3.x contract"
    return EvidenceError("malformed", document.name, problem, hint=hint, location=document.location(("kind",)))


def official_schema() -> dict[str, Any]:
    """
    Load the standard's JSON Schema without importing the package that ships it.

    One fault of v3.2.0 is mended, as its authors did after the release: a property without `logicalType` was
    taken for a map (https://github.com/bitol-io/open-data-contract-standard/issues/322).

    Raises `EvidenceError` (unverifiable) when the package is not installed.
    """
    import importlib.util
    from pathlib import Path as FilePath

    found = importlib.util.find_spec(_PACKAGE)
    folders = list(found.submodule_search_locations or ()) if found is not None else []
    for folder in folders:
        path = FilePath(folder) / "schema.json"
        if path.is_file():
            schema: dict[str, Any] = json.loads(path.read_text("utf-8"))
            for branch in schema["$defs"]["SchemaBaseProperty"]["allOf"]:
                if "required" in branch.get("then", {}):
                    branch["if"].setdefault("required", ["logicalType"])
            return schema
    raise EvidenceError(
        "unverifiable",
        "open-data-contract-standard",
        "the JSON Schema of ODCS is not installed",
        hint="pip install open-data-contract-standard",
    )


def find_faults(contract: Contract) -> Iterator[Fault]:
    """
    Find what makes a contract that its JSON Schema accepts unusable all the same.

    A contract without a property promises nothing, two elements of one name are ambiguous, and a pattern that
    is no regular expression cannot be checked.
    """
    if not contract.tables:
        yield Fault(("schema",), "no schema object is declared, so nothing is promised")
    yield from _same_names(list(contract.tables), ("schema",))
    for index, table in enumerate(contract.tables):
        path: Path = ("schema", index, "properties")
        if not table.get("properties"):
            yield Fault(path[:-1], f"{table['name']!r} declares no property, so nothing is promised")
        yield from _property_faults(table.get("properties") or [], path)


def _property_faults(properties: list[dict[str, Any]], path: Path) -> Iterator[Fault]:
    yield from _same_names(properties, path)
    for index, each in enumerate(properties):
        yield from _element_faults(each, (*path, index))


def _element_faults(element: dict[str, Any], path: Path) -> Iterator[Fault]:
    options = element.get("logicalTypeOptions") or {}
    patterns = [((*path, "logicalTypeOptions", "pattern"), options.get("pattern"))]
    for index, rule in enumerate(element.get("quality") or []):
        patterns.append(((*path, "quality", index, "arguments"), (rule.get("arguments") or {}).get("pattern")))
    for place, pattern in patterns:
        if isinstance(pattern, str) and not _compiles(pattern):
            yield Fault(place, f"{pattern[:100]!r} is not a regular expression")
    if isinstance(element.get("items"), dict):
        yield from _element_faults(element["items"], (*path, "items"))
    for key, part in (element.get("map") or {}).items():
        yield from _element_faults(part, (*path, "map", key))
    yield from _property_faults(element.get("properties") or [], (*path, "properties"))


def _compiles(pattern: str) -> bool:
    import jsonschema_rs

    try:
        jsonschema_rs.validator_for({"pattern": pattern})
    except ValueError:
        return False
    return True


def _same_names(elements: list[dict[str, Any]], path: Path) -> Iterator[Fault]:
    seen: set[str] = set()
    for index, each in enumerate(elements):
        names = {each["name"], each.get("physicalName") or each["name"]}
        for name in sorted(names & seen):
            yield Fault((*path, index), f"{name!r} is declared twice")
        seen |= names
