"""ODCS contracts as they are read: what is refused, what is a fault, what is taken from them."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gatekeeper.contracts import violations
from gatekeeper.errors import EvidenceError
from gatekeeper.formats.odcs import MODES, find_faults, official_schema, parse_contract

HEAD = "apiVersion: v3.1.0\nkind: DataContract\nid: orders\nversion: 1.0.0\nstatus: active\n"
SCHEMA = "schema:\n  - name: orders\n    properties:\n      - name: id\n        logicalType: string\n"


def parse(text: str | bytes) -> Any:
    return parse_contract(text if isinstance(text, bytes) else text.encode(), "c.yaml")


def faults(text: str) -> list[str]:
    contract = parse(text)
    assert violations(contract.value, official_schema()) == []
    return [f"{each.path}: {each.message}" for each in find_faults(contract)]


@pytest.mark.parametrize("version", ["v3.0.0", "v3.0.1", "v3.0.2", "v3.1.0", "v3.2.0"])
def test_accepts_each_version_3(version: str) -> None:
    """Every 3.x version of the standard is valid by its JSON Schema."""
    assert faults(HEAD.replace("v3.1.0", version) + SCHEMA) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEAD.replace("v3.1.0", "v2.2.2"), "ODCS v2.2.2, 3.x is wanted"),
        (HEAD.replace("v3.1.0", "2.2.0"), "ODCS 2.2.0, 3.x is wanted"),
        ("dataContractSpecification: 1.2.1\nid: x\n", "a Data Contract Specification"),
        (HEAD.replace("kind: DataContract", "kind: Contract"), "not an ODCS contract"),
        ("- 1\n", "not an ODCS contract"),
        ("just text", "not an ODCS contract"),
        ("", "the file is empty"),
        ("   \n", "the file is empty"),
        (HEAD + "id: again\n", "duplicate key 'id'"),
        (HEAD + "schema: [\n", "not YAML"),
        (HEAD + "x: .nan\n", ".nan is not a number"),
        (HEAD + "---\nid: b\n", "2 YAML documents found"),
        (HEAD.encode() + b"name: \xff\n", "is not UTF-8"),
        (HEAD + "x: !!python/object:os.system {}\n", "tag"),
        (HEAD + 'name: "\\ud800"\n', "not YAML"),
    ],
)
def test_refuses_what_is_no_contract(text: str | bytes, problem: str) -> None:
    """Every other document is malformed, with the file and the reason."""
    with pytest.raises(EvidenceError, match=r"c\.yaml") as caught:
        parse(text)
    assert caught.value.kind == "malformed"
    assert problem in caught.value.problem


def test_reads_dates_as_text() -> None:
    """A date of YAML 1.1 would not be JSON, and the JSON Schema asks for text."""
    text = HEAD + SCHEMA + "        examples: [2024-07-10]\nteam: [{username: a, dateIn: 2024-01-01}]\n"
    assert faults(text) == []
    assert parse(text).value["team"][0]["dateIn"] == "2024-01-01"


def test_reads_json_too() -> None:
    """JSON is YAML, and some tools write it."""
    text = '{"apiVersion": "v3.1.0", "kind": "DataContract", "id": "a", "version": "1.0.0"}'
    assert parse(text).text("id") == "a"


def test_the_json_schema_comes_without_its_package() -> None:
    """The package builds heavy models at import; only its JSON Schema is wanted."""
    code = (
        "import sys; from gatekeeper.formats.odcs import official_schema; "
        "assert official_schema()['title'].startswith('Open Data Contract'); "
        "assert 'open_data_contract_standard' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_says_so_when_the_json_schema_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the schema nothing is valid; it is a gap and no pass."""
    monkeypatch.setattr("gatekeeper.formats.odcs._PACKAGE", "no_such_package_at_all")
    with pytest.raises(EvidenceError, match="not installed") as caught:
        official_schema()
    assert caught.value.kind == "unverifiable"


def test_a_property_without_logical_type_is_no_map() -> None:
    """The released JSON Schema of v3.2.0 took it for one; its authors mended that, and so do we."""
    assert faults(HEAD + SCHEMA.replace("logicalType: string", "physicalType: text")) == []
    broken = HEAD + SCHEMA.replace("logicalType: string", "logicalType: map")
    assert [each.message for each in violations(parse(broken).value, official_schema())] == [
        "'map' is a required property"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD.replace("version: 1.0.0\n", ""), "'version' is a required property"),
        (HEAD.replace("1.0.0", "1.0"), "1.0 is not of type 'string'"),
        (HEAD.replace("v3.1.0", "v9.9.9"), "'v9.9.9' is not one of"),
        (HEAD + SCHEMA.replace("string", "varchar"), "'varchar' is not one of"),
        (HEAD + SCHEMA + "        requird: true\n", "'requird' was unexpected"),
        (HEAD + "surprise: 1\n", "'surprise' was unexpected"),
    ],
)
def test_violations_name_what_is_wrong(text: str, message: str) -> None:
    """A contract that breaks its JSON Schema is parsed, so that the faults can be shown."""
    assert any(message in each.message for each in violations(parse(text).value, official_schema()))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "('schema',): no schema object is declared"),
        ("schema: []\n", "('schema',): no schema object is declared"),
        ("schema: [{name: a}]\n", "('schema', 0): 'a' declares no property"),
        (SCHEMA + "      - {name: id}\n", "('schema', 0, 'properties', 1): 'id' is declared twice"),
        (SCHEMA + "      - {name: b, physicalName: id}\n", "('schema', 0, 'properties', 1): 'id' is declared twice"),
        (SCHEMA + "  - {name: orders, properties: [{name: a}]}\n", "('schema', 1): 'orders' is declared twice"),
        (
            SCHEMA + "        logicalTypeOptions: {pattern: '['}\n",
            "('schema', 0, 'properties', 0, 'logicalTypeOptions', 'pattern'): '[' is not a regular expression",
        ),
        (
            SCHEMA + "        quality: [{metric: invalidValues, arguments: {pattern: '('}, mustBe: 0}]\n",
            "('schema', 0, 'properties', 0, 'quality', 0, 'arguments'): '(' is not a regular expression",
        ),
        (
            SCHEMA + "      - {name: o, logicalType: object, properties: [{name: a}, {name: a}]}\n",
            "('schema', 0, 'properties', 1, 'properties', 1): 'a' is declared twice",
        ),
        (
            SCHEMA + "      - {name: o, logicalType: array, items: {logicalType: object, properties: [{name: a}, {name: a}]}}\n",
            "('schema', 0, 'properties', 1, 'items', 'properties', 1): 'a' is declared twice",
        ),
        (
            SCHEMA
            + "      - name: m\n        logicalType: map\n        map:\n          key: {logicalType: string}\n"
            + "          value: {logicalType: string, logicalTypeOptions: {pattern: '*'}}\n",
            "('schema', 0, 'properties', 1, 'map', 'value', 'logicalTypeOptions', 'pattern'): '*' is not a regular expression",
        ),
    ],
)  # fmt: skip
def test_a_contract_that_promises_nothing_clear_is_faulty(text: str, found: str) -> None:
    """What the JSON Schema lets through and nothing can be checked against."""
    assert any(each.startswith(found) for each in faults(HEAD + text))


@pytest.mark.parametrize("mode", MODES)
def test_reads_the_compatibility_mode(mode: str) -> None:
    """The mode is a custom property of the contract."""
    assert parse(f"{HEAD}customProperties:\n  - {{property: compatibilityMode, value: {mode}}}\n").mode == mode


def test_no_mode_is_none() -> None:
    """Without the property the threshold decides."""
    assert parse(HEAD).mode is None
    assert parse(HEAD + "customProperties: [{property: other, value: FULL}]\n").mode is None


@pytest.mark.parametrize("value", ["backward", "NONE", "'BACKWARD '", "true", "null", "[FULL]", "''"])
def test_refuses_a_misspelt_mode(value: str) -> None:
    """A word that is no mode must not weaken the comparison."""
    with pytest.raises(EvidenceError, match="compatibilityMode is") as caught:
        _ = parse(f"{HEAD}customProperties:\n  - {{property: compatibilityMode, value: {value}}}\n").mode
    assert (caught.value.kind, caught.value.location.line) == ("malformed", 7)


def test_refuses_a_mode_that_is_declared_twice() -> None:
    """Of two modes neither can be believed."""
    entry = "  - {property: compatibilityMode, value: FULL}\n"
    with pytest.raises(EvidenceError, match="is there twice"):
        _ = parse(f"{HEAD}customProperties:\n{entry}{entry}").mode


@pytest.mark.parametrize(
    ("value", "wanted"), [("docs/v2.md", "docs/v2.md"), ("'  see wiki '", "see wiki"), ("''", ""), ("'  '", ""), ("5", "")]
)  # fmt: skip
def test_reads_the_migration_path(value: str, wanted: str) -> None:
    """Only text that says something is a migration path."""
    assert parse(f"{HEAD}customProperties: [{{property: migrationPath, value: {value}}}]\n").migration_path == wanted
    assert parse(HEAD).migration_path == ""


@pytest.mark.parametrize(
    ("team", "count"),
    [
        ("", 0),
        ("team: []", 0),
        ("team: [{username: a}, {username: b, dateOut: 2024-01-01}]", 1),
        ("team: {name: imaging}", 1),
        ("team: {name: ' '}", 0),
        ("team: {name: imaging, members: [{username: a}]}", 2),
        ("team: {members: [{username: a, dateOut: 2024-01-01}]}", 0),
    ],
    ids=["none", "empty", "3.0 list", "3.1 name", "blank name", "3.1 members", "all left"],
)
def test_counts_owners_in_both_shapes_of_team(team: str, count: int) -> None:
    """A list in 3.0, an object since 3.1; who left owns nothing."""
    assert parse(f"{HEAD}{team}\n").owners == count


def test_locates_values() -> None:
    """A finding points at the line of the contract."""
    place = parse(HEAD + SCHEMA).location(("schema", 0, "properties", 0, "logicalType"))
    assert (place.path, place.line, place.column) == ("c.yaml", 10, 22)


def test_reads_or_refuses_every_contract_of_the_corpus(corpus: Path) -> None:
    """Published contracts: 35 are ODCS 3, of which 21 can be used; 45 are another format and say so."""
    outcomes: Counter[str] = Counter()
    files = sorted((corpus / "contracts").rglob("*.y*ml"))
    for path in files:
        try:
            contract = parse_contract(path.read_bytes(), path.name)
        except EvidenceError as error:
            outcomes[f"{error.kind}: {error.problem}" if error.subject == path.name else "unnamed"] += 1
            continue
        invalid = violations(contract.value, official_schema())
        outcomes["invalid" if invalid else "faulty" if list(find_faults(contract)) else "usable"] += 1
    assert len(files) == 80
    dcs = "malformed: a Data Contract Specification, ODCS 3.x is wanted"
    assert outcomes == {dcs: 45, "invalid": 7, "faulty": 7, "usable": 21}


def test_refuses_every_other_document_of_the_corpus(corpus: Path) -> None:
    """A JSON or YAML file of another format is no contract, and never another exception."""
    refused = 0
    for folder in ("slo", "lineage", "quality", "controls"):
        for path in sorted((corpus / folder).rglob("*.*")):
            if path.suffix in (".json", ".yaml", ".yml") and path.stat().st_size < 300_000:
                with pytest.raises(EvidenceError):
                    parse_contract(path.read_bytes(), path.name)
                refused += 1
    assert refused > 100
