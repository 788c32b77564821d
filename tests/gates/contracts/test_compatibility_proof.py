"""What proves the decider: rows that conform, made at random, and what another tool calls breaking."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from gatekeeper.formats.odcs import parse_contract
from gatekeeper.formats.tabular import JsonLinesTable
from gatekeeper.gates.contracts.compatibility import compare
from gatekeeper.gates.contracts.conformance import check

INTEGERS = st.integers(-3, 12)
TEXTS = st.sampled_from(["", "a", "ab", "abc", "b@example.org", "12"])
BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def optional(keys: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keys)


NUMERIC = optional(dict.fromkeys(BOUNDS, INTEGERS) | {"multipleOf": st.sampled_from([1, 2, 3, 4, 0.5])})
TEXTUAL = optional(
    {
        "minLength": st.integers(0, 3),
        "maxLength": st.integers(0, 3),
        "pattern": st.sampled_from(["^a", "b", "^[a-c]*$"]),
        "format": st.sampled_from(["email", "uuid"]),
    }
)
RULES = st.lists(
    st.fixed_dictionaries(
        {"metric": st.sampled_from(["nullValues", "duplicateValues", "rowCount"])},
        optional={"mustBeLessThan": st.integers(0, 3)},
    ).map(lambda rule: rule if len(rule) == 2 else rule | {"mustBe": 0}),
    max_size=2,
)


def typed(name: str, logical_type: str, options: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "logicalType": logical_type, "logicalTypeOptions": options}


@st.composite
def properties(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """One property with some constraints."""
    kind = draw(st.sampled_from(["integer", "number", "string"]))
    element = typed(name, kind, draw(TEXTUAL if kind == "string" else NUMERIC))
    values = TEXTS if kind == "string" else INTEGERS
    listed = st.lists(values, min_size=1, max_size=3, unique=True).map(lambda each: [{"value": v} for v in each])
    extras = {"required": st.booleans(), "unique": st.booleans(), "primaryKey": st.booleans()}
    return element | draw(optional(extras | {"enum": listed, "quality": RULES}))


@st.composite
def versions(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two versions of a contract; the second often differs from the first by little."""
    base = [draw(properties(name)) for name in draw(st.sampled_from([["x"], ["x", "y"]]))]
    head = [each if draw(st.booleans()) else _mutated(draw, each) for each in base]
    if draw(st.booleans()):
        head = head[1:] if draw(st.booleans()) else [*head, draw(properties("z"))]
    return {"name": "t", "properties": base}, {"name": "t", "properties": head}


def _mutated(draw: st.DrawFn, element: dict[str, Any]) -> dict[str, Any]:
    """The same property with one key taken from another one, or left out."""
    other = draw(properties(element["name"]))
    key = draw(st.sampled_from(sorted((element.keys() | other.keys()) - {"name", "logicalType"})))
    if key == "logicalTypeOptions" and element["logicalType"] == other["logicalType"]:
        return element | {key: other[key]}
    kept = {name: value for name, value in element.items() if name != key}
    return kept | ({key: other[key]} if key in other and key not in ("logicalTypeOptions", "enum") else {})


ROWS = st.lists(
    optional(dict.fromkeys("xyz", st.one_of(st.none(), INTEGERS, st.sampled_from([0.5, 2.0]), TEXTS))), max_size=4
)


def conforms(table: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    known = {each["name"] for each in table["properties"]}
    lines = "".join(json.dumps({key: row[key] for key in row if key in known}) + "\n" for row in rows)
    report = check(table, ("schema", 0), JsonLinesTable(io.BytesIO(lines.encode()), "rows"))
    return not report.violations and all(each.passed for each in report.quality)


@settings(
    max_examples=500,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
@given(versions(), ROWS)
def test_never_calls_compatible_what_rows_contradict(
    tables: tuple[dict[str, Any], dict[str, Any]], rows: list[dict[str, Any]]
) -> None:
    """Rows that conform to the one version conform to the other wherever the decider says so."""
    base, head = tables
    found = compare({"schema": [base]}, {"schema": [head]})
    backward = all(change.effect.backward == "compatible" for change in found)
    forward = all(change.effect.forward == "compatible" for change in found)
    assume(found and (backward or forward))
    if backward and conforms(base, [{k: r[k] for k in r if k != "z"} for r in rows]):
        event("backward claim tried")
        assert conforms(head, [{k: r[k] for k in r if k != "z"} for r in rows])
    if forward and conforms(head, rows):
        event("forward claim tried")
        assert conforms(base, rows)


CHOICES: dict[str, dict[str, list[Any]]] = {
    "integer": {each: [0, 1, 2] for each in BOUNDS}
    | {"multipleOf": [1, 2, 3, 4], "format": ["u8", "i8", "i16", "u16"]},
    "number": {each: [0, 1.5, 2] for each in BOUNDS} | {"multipleOf": [0.5, 1, 3], "format": ["f32", "f64"]},
    "string": {
        "minLength": [0, 1, 2],
        "maxLength": [0, 1, 2],
        "pattern": ["a", "^a", "b$"],
        "format": ["email", "uuid"],
    },
    "array": {"minItems": [0, 1, 2], "maxItems": [0, 1, 2], "uniqueItems": [True, False]},
    "object": {"minProperties": [0, 1], "maxProperties": [0, 1, 2], "required": [["a"], ["a", "b"], ["b"]]},
    "date": {each: ["2024-01-01", "2024-01-02", "2023-12-31"] for each in BOUNDS} | {"format": ["dd.MM.yyyy"]},
    "timestamp": {"timezone": [True, False], "minimum": ["2024-01-01T00:00:00", "2024-01-01"]},
    "time": {"timezone": [True, False]},
    "boolean": {},
}
VALUES = [
    *range(-1, 7), 0.5, 1.5, 255, 256, -128, -129, 40_000, 70_000, 1e39, True, "", "a", "b", "ab", "ba", "aab", "x@example.org",
    [], [1], [1, 1], [1, 2], ["a", "b", "c"], {}, {"a": 1}, {"b": 1}, {"a": 1, "b": 2}, "2023-12-31", "2024-01-01", "2024-01-02",
    "01.01.2024", "2024-01-01T00:00:00", "2024-01-01T00:00:00Z", "2023-12-31T23:00:00+00:00", "10:00", "10:00Z", None,
]  # fmt: skip


def variants(logical_type: str, key: str) -> list[dict[str, Any]]:
    """One property without an option, and with each of its values."""
    chosen = CHOICES[logical_type][key]
    return [typed("x", logical_type, {}), *(typed("x", logical_type, {key: value}) for value in chosen)]


@pytest.mark.parametrize(("logical_type", "key"), [(each, key) for each, keys in CHOICES.items() for key in keys])
def test_every_claim_about_one_option_holds_for_every_value(logical_type: str, key: str) -> None:
    """For each pair of values of an option: data that one version admits is admitted by the other where claimed."""
    admitted = []
    for each in variants(logical_type, key):
        table = {"name": "t", "properties": [each]}
        admitted.append((table, {index for index, value in enumerate(VALUES) if conforms(table, [{"x": value}])}))
    assert len({frozenset(values) for _, values in admitted}) > 1 or key == "format", "the values tell nothing apart"
    for base, old in admitted:
        for head, new in admitted:
            found = compare({"schema": [base]}, {"schema": [head]})
            if all(change.effect.backward == "compatible" for change in found):
                assert old <= new, (base, head)
            if all(change.effect.forward == "compatible" for change in found):
                assert new <= old, (base, head)


@pytest.mark.parametrize("types", [(a, b) for a in (None, *CHOICES) for b in (None, *CHOICES)], ids=str)
def test_every_claim_about_types_holds_for_every_value(types: tuple[str | None, str | None]) -> None:
    """For each pair of logical types: values of the one are values of the other where claimed."""
    tables = [{"name": "t", "properties": [{"name": "x"} | ({"logicalType": each} if each else {})]} for each in types]
    old, new = ({index for index, value in enumerate(VALUES) if conforms(each, [{"x": value}])} for each in tables)
    found = compare({"schema": [tables[0]]}, {"schema": [tables[1]]})
    if all(change.effect.backward == "compatible" for change in found):
        assert old <= new
    if all(change.effect.forward == "compatible" for change in found):
        assert new <= old


GENERATED = "contracts/generated/datacontract_cli_1.2.8_breaking_changelog_integration.json"
FIXTURES = "contracts/datacontract-cli/datacontract+datacontract-cli/tests/fixtures"
DIRECTION = {"consumer": "forward", "producer": "backward"}
"""Old consumers read new data; what old producers made is read under the new contract."""

STRICTER = {
    # Data with a column that its contract does not declare does not conform, so a removal breaks both ways.
    ("producer", "orders.customer_id"),
}
LAXER = {
    # datacontract-cli asks whether producers must act; we ask whether readers can read. An optional column or
    # a table that old data lacks stops no reader: the one is read as nulls, the other is asked for by nobody yet.
    ("producer", "orders.region"),
    ("producer", "customers"),
}


def parse(corpus: Path, name: str) -> dict[str, Any]:
    return parse_contract((corpus / FIXTURES / name).read_bytes(), name).value


@pytest.mark.parametrize("perspective", DIRECTION)
def test_calls_nothing_compatible_that_datacontract_cli_calls_breaking(corpus: Path, perspective: str) -> None:
    """Its verdict on its own fixtures, entry by entry; every difference is listed above with its reason."""
    expected = json.loads((corpus / GENERATED).read_text("utf-8"))[perspective]
    folder = "changelog/integration"
    found = compare(*(parse(corpus, f"{folder}/{expected[side]}") for side in ("v1", "v2")))
    ours = {each.subject: getattr(each.effect, DIRECTION[perspective]) for each in found}
    theirs = {
        entry["path"].removeprefix("schema.").replace(".properties.", "."): entry["level"]
        for entry in expected["summary"]
    }
    breaking = {subject for subject, level in theirs.items() if level == "error"}
    assert expected["is_breaking"]
    assert len(breaking) >= 2
    assert any(verdict != "compatible" for verdict in ours.values())
    laxer = {(perspective, subject) for subject in breaking if ours[subject] == "compatible"}
    stricter = {
        (perspective, subject) for subject, each in ours.items() if each != "compatible" and subject not in breaking
    }
    assert laxer == {each for each in LAXER if each[0] == perspective}
    assert stricter == {each for each in STRICTER if each[0] == perspective}


EVOLUTIONS = {
    "changelog/unit/changelog_unit_v{}.yaml": (1, 2, {
        "property_removed", "type_changed", "required_added", "quality_rule_changed", "property_added", "schema_object_added",
    }),
    "schema-evolution/odcs-datacontract-cities-version-{}.yaml": (1, 2, {"property_added"}),
    "schema-evolution/../schema-evolution/odcs-datacontract-cities-version-{}.yaml": (2, 3, {"required_added"}),
}  # fmt: skip


@pytest.mark.parametrize("name", EVOLUTIONS)
def test_names_the_changes_of_the_corpus(corpus: Path, name: str) -> None:
    """Published evolutions of contracts, and what changed in each."""
    first, second, kinds = EVOLUTIONS[name]
    found = compare(parse(corpus, name.format(first)), parse(corpus, name.format(second)))
    assert {each.kind for each in found} == kinds
