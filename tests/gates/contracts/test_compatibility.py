"""The compatibility decider: every kind of change, both directions, never a doubtful yes."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest

from gatekeeper.gates.contracts.compatibility import Change, compare, version_step, worst_first
from gatekeeper.gates.contracts.compatibility.versions import parse_version

C, I, U = "compatible", "incompatible", "undecidable"  # noqa: E741


def contract(*properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A contract of one table with these properties."""
    table = {"name": "orders", "properties": list(properties)}
    return {"id": "orders", "version": "1.0.0", "schema": [table]} | more


def changes(base: dict[str, Any], head: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What one property's change comes to: kind, backward, forward."""
    found = compare(contract({"name": "x"} | base), contract({"name": "x"} | head))
    return [(each.kind, each.effect.backward, each.effect.forward) for each in found]


def options(logical_type: str, **values: Any) -> dict[str, Any]:
    return {"logicalType": logical_type, "logicalTypeOptions": values}


STRING = {"logicalType": "string"}

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], list[tuple[str, str, str]]]] = {
    "nothing": ({"required": True}, {"required": True}, []),
    "required": ({}, {"required": True}, [("required_added", I, C)]),
    "no longer required": ({"required": True}, {"required": False}, [("required_removed", C, I)]),
    "required false is the default": ({"required": False}, {}, []),
    "unique": ({"unique": False}, {"unique": True}, [("unique_added", I, C)]),
    "no longer unique": ({"unique": True}, {}, [("unique_removed", C, I)]),
    "another type": (STRING, {"logicalType": "date"}, [("type_changed", I, I)]),
    "wider type": ({"logicalType": "integer"}, {"logicalType": "number"}, [("type_widened", U, I)]),
    "narrower type": ({"logicalType": "number"}, {"logicalType": "integer"}, [("type_narrowed", I, U)]),
    "type declared": ({}, STRING, [("type_narrowed", U, C)]),
    "type no longer declared": (STRING, {}, [("type_widened", C, U)]),
    "physical type": ({"physicalType": "INT"}, {"physicalType": "BIGINT"}, [("physical_type_changed", U, U)]),
    "physical type respelt": ({"physicalType": "VARCHAR(10)"}, {"physicalType": "varchar( 10 )"}, []),
    "physical type declared": ({}, {"physicalType": "INT"}, [("physical_type_changed", U, U)]),
    "physical name": ({"physicalName": "a"}, {"physicalName": "b"}, [("physical_name_changed", I, I)]),
    "physical name that was the name": ({}, {"physicalName": "x"}, []),
    "higher minimum": (options("integer", minimum=0), options("integer", minimum=1), [("constraint_tightened", I, C)]),
    "lower minimum": (options("integer", minimum=1), options("integer", minimum=0), [("constraint_loosened", C, I)]),
    "same minimum as float": (options("number", minimum=1), options("number", minimum=1.0), [("constraint_changed", C, C)]),
    "minimum added": (options("integer"), options("integer", minimum=0), [("constraint_tightened", I, C)]),
    "minimum removed": (options("integer", minimum=0), options("integer"), [("constraint_loosened", C, I)]),
    "lower maximum": (options("number", maximum=2), options("number", maximum=1.5), [("constraint_tightened", I, C)]),
    "higher maximum": (options("number", maximum=1), options("number", maximum=2), [("constraint_loosened", C, I)]),
    "bound becomes exclusive": (
        options("integer", minimum=0), options("integer", exclusiveMinimum=0),
        [("constraint_tightened", I, C), ("constraint_loosened", C, I)],
    ),
    "later first date": (
        options("date", minimum="2020-01-01"), options("date", minimum="2021-01-01"), [("constraint_tightened", I, C)],
    ),
    "date bound in words": (
        options("date", minimum="2020-01-01"), options("date", minimum="yesterday"), [("constraint_changed", U, U)],
    ),
    "bound with zone": (
        options("timestamp", maximum="2020-01-01T00:00:00Z"), options("timestamp", maximum="2021-01-01T00:00:00Z"),
        [("constraint_changed", U, U)],
    ),
    "bound that is no number": (options("integer", minimum=True), options("integer", minimum=1), [("constraint_changed", U, U)]),
    "longer text": (options("string", maxLength=5), options("string", maxLength=6), [("constraint_loosened", C, I)]),
    "shorter text": (options("string", maxLength=6), options("string", maxLength=5), [("constraint_tightened", I, C)]),
    "least length of zero": (options("string"), options("string", minLength=0), []),
    "more items": (options("array", maxItems=5), options("array", maxItems=9), [("constraint_loosened", C, I)]),
    "unique items": (options("array"), options("array", uniqueItems=True), [("unique_added", I, C)]),
    "no unique items": (options("array", uniqueItems=True), options("array"), [("unique_removed", C, I)]),
    "pattern changed": (options("string", pattern="a"), options("string", pattern="b"), [("pattern_changed", U, U)]),
    "pattern added": (options("string"), options("string", pattern="b"), [("pattern_changed", I, C)]),
    "pattern removed": (options("string", pattern="a"), options("string"), [("pattern_changed", C, I)]),
    "text format changed": (options("string", format="email"), options("string", format="uri"), [("format_changed", I, I)]),
    "text format added": (options("string"), options("string", format="uri"), [("format_changed", I, C)]),
    "date format declared": (options("date"), options("date", format="dd.MM.yyyy"), [("format_changed", I, I)]),
    "integer format widened": (options("integer", format="i32"), options("integer", format="i64"), [("format_changed", C, I)]),
    "integer format narrowed": (options("integer", format="i32"), options("integer", format="i16"), [("format_changed", I, C)]),
    "unsigned to wider signed": (options("integer", format="u8"), options("integer", format="i16"), [("format_changed", C, I)]),
    "unsigned to same signed": (options("integer", format="u8"), options("integer", format="i8"), [("format_changed", I, I)]),
    "float format widened": (options("number", format="f32"), options("number", format="f64"), [("format_changed", C, I)]),
    "integer format to float": (options("number", format="i32"), options("number", format="f64"), [("format_changed", I, I)]),
    "integer format declared": (options("integer"), options("integer", format="i64"), [("format_changed", U, U)]),
    "coarser step": (options("integer", multipleOf=2), options("integer", multipleOf=6), [("constraint_tightened", I, C)]),
    "finer step": (options("number", multipleOf=1), options("number", multipleOf=0.25), [("constraint_loosened", C, I)]),
    "other step": (options("integer", multipleOf=2), options("integer", multipleOf=3), [("constraint_changed", I, I)]),
    "step added": (options("integer"), options("integer", multipleOf=3), [("constraint_tightened", I, C)]),
    "zone declared": (options("timestamp"), options("timestamp", timezone=True), [("constraint_changed", I, I)]),
    "default zone written out": (options("timestamp"), options("timestamp", defaultTimezone="Etc/UTC"), []),
    "vector of another size": (options("vector", dimensions=3), options("vector", dimensions=4), [("constraint_changed", I, I)]),
    "vector of another model": (
        options("vector", dimensions=3, embeddingModel="a"), options("vector", dimensions=3, embeddingModel="b"),
        [("constraint_changed", I, I)],
    ),
    "required keys more": (options("object", required=["a"]), options("object", required=["a", "b"]), [("required_added", I, C)]),
    "required keys fewer": (options("object", required=["a", "b"]), options("object", required=["b"]), [("required_removed", C, I)]),
    "required keys others": (options("object", required=["a"]), options("object", required=["b"]), [("required_changed", I, I)]),
    "required keys reordered": (
        options("object", required=["a", "b"]), options("object", required=["b", "a"]), [("required_changed", C, C)],
    ),
    "option that nobody knows": (options("string", flavour="a"), options("string", flavour="b"), [("unknown_keyword_changed", U, U)]),
    "key that nobody knows": ({}, {"encryptedName": "y"}, [("unknown_keyword_changed", U, U)]),
    "relationship": ({}, {"relationships": [{"to": "a.b"}]}, [("unknown_keyword_changed", U, U)]),
    "value no longer allowed": (
        {"enum": [{"value": 1}, {"value": 2}]}, {"enum": [{"value": 1, "label": "one"}]}, [("enum_narrowed", I, C)],
    ),
    "value now allowed": ({"enum": [{"value": 1}]}, {"enum": [{"value": 1}, {"value": 2}]}, [("enum_widened", C, I)]),
    "values swapped": ({"enum": [{"value": 1}]}, {"enum": [{"value": 2}]}, [("enum_narrowed", I, C), ("enum_widened", C, I)]),
    "values listed": ({}, {"enum": [{"value": 1}]}, [("enum_narrowed", I, C)]),
    "values no longer listed": ({"enum": [{"value": 1}]}, {}, [("enum_widened", C, I)]),
    "column becomes a measure": ({}, {"semanticType": "measure"}, [("semantic_type_changed", U, U)]),
    "column written out": ({}, {"semanticType": "column"}, []),
    "class lowered": ({"classification": "restricted"}, {"classification": "Public"}, [("classification_lowered", I, I)]),
    "class raised": ({"classification": "public"}, {"classification": "internal"}, [("classification_raised", C, C)]),
    "class dropped": ({"classification": "4"}, {}, [("classification_lowered", I, I)]),
    "class given": ({}, {"classification": "4"}, [("classification_raised", C, C)]),
    "class in own words": ({"classification": "4"}, {"classification": "5"}, [("classification_changed", U, U)]),
    "words for people": (
        {"description": "a", "tags": ["b"], "businessName": "c", "examples": [1], "transformLogic": "d"}, {"deprecated": True}, [],
    ),
    "rule added": ({}, {"quality": [{"metric": "nullValues", "mustBe": 0}]}, [("quality_rule_changed", I, C)]),
    "rule removed": ({"quality": [{"metric": "nullValues", "mustBe": 0}]}, {}, [("quality_rule_changed", C, I)]),
    "SQL rule added": ({}, {"quality": [{"type": "sql", "query": "q", "mustBe": 0}]}, [("quality_rule_changed", U, C)]),
    "prose added": ({}, {"quality": [{"type": "text", "description": "good"}]}, []),
    "stricter rule": (
        {"quality": [{"metric": "nullValues", "mustBeLessThan": 5}]},
        {"quality": [{"metric": "nullValues", "mustBeLessThan": 4, "description": "fewer"}]}, [("quality_rule_changed", I, C)],
    ),
    "laxer rule": (
        {"quality": [{"metric": "rowCount", "mustBeGreaterThan": 5}]},
        {"quality": [{"type": "library", "metric": "rowCount", "mustBeGreaterThan": 4}]}, [("quality_rule_changed", C, I)],
    ),
    "narrower interval": (
        {"quality": [{"metric": "rowCount", "mustBeBetween": [1, 9]}]},
        {"quality": [{"metric": "rowCount", "mustBeBetween": [2, 8]}]}, [("quality_rule_changed", I, C)],
    ),
    "wider interval": (
        {"quality": [{"metric": "rowCount", "mustBeBetween": [9, 1]}]},
        {"quality": [{"metric": "rowCount", "mustBeBetween": [0, 9]}]}, [("quality_rule_changed", C, I)],
    ),
    "shifted interval": (
        {"quality": [{"metric": "rowCount", "mustBeBetween": [1, 9]}]},
        {"quality": [{"metric": "rowCount", "mustBeBetween": [2, 10]}]}, [("quality_rule_changed", U, U)],
    ),
    "equality in a rule": (
        {"quality": [{"metric": "rowCount", "mustBe": 1}]},
        {"quality": [{"metric": "rowCount", "mustBe": 2}]},
        [("quality_rule_changed", U, U)],
    ),
    "severity of a rule": (
        {"quality": [{"id": "r", "type": "sql", "query": "q", "mustBe": 0, "severity": "error"}]},
        {"quality": [{"id": "r", "type": "sql", "query": "q", "mustBe": 0, "severity": "info"}]}, [("quality_rule_changed", U, U)],
    ),
    "unit of a rule": (
        {"quality": [{"metric": "nullValues", "mustBeLessThan": 5}]},
        {"quality": [{"metric": "nullValues", "mustBeLessThan": 5, "unit": "percent"}]}, [("quality_rule_changed", U, U)],
    ),
    "second rule of one kind": (
        {"quality": [{"metric": "invalidValues", "mustBe": 0}]},
        {"quality": [{"metric": "invalidValues", "mustBe": 0}, {"metric": "invalidValues", "mustBe": 0}]},
        [("quality_rule_changed", I, C)],
    ),
    "field of an object removed": (
        {"logicalType": "object", "properties": [{"name": "a"}, {"name": "b"}]},
        {"logicalType": "object", "properties": [{"name": "a"}]}, [("property_removed", I, I)],
    ),
    "items of an array": (
        {"logicalType": "array", "items": {"logicalType": "integer"}}, {"logicalType": "array", "items": STRING},
        [("type_changed", I, I)],
    ),
    "items declared": ({"logicalType": "array"}, {"logicalType": "array", "items": STRING}, [("type_narrowed", U, C)]),
    "items no longer declared": ({"logicalType": "array", "items": STRING}, {"logicalType": "array"}, [("type_widened", C, U)]),
    "values of a map": (
        {"logicalType": "map", "map": {"key": STRING, "value": {"logicalType": "integer"}}},
        {"logicalType": "map", "map": {"key": STRING, "value": {"logicalType": "integer", "required": True}}},
        [("required_added", I, C)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("base", "head", "wanted"), CASES.values(), ids=CASES.keys())
def test_judges_each_change_in_both_directions(base: dict[str, Any], head: dict[str, Any], wanted: list[Any]) -> None:
    """Every kind of change has its name and its verdict for new readers of old data and old readers of new data."""
    assert sorted(changes(base, head)) == sorted(wanted)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_finds_nothing_between_equal_contracts(case: tuple[dict[str, Any], dict[str, Any], Any]) -> None:
    """A contract is compatible with itself, whatever it declares."""
    for side in case[:2]:
        assert changes(side, copy.deepcopy(side)) == []


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_change_that_is_safe_both_ways_is_safe_both_ways_when_undone(case: tuple[Any, Any, Any]) -> None:
    """What breaks neither reader is undone by a change that breaks neither, but for a class that is lowered."""
    if all(verdict == C for _, *verdicts in changes(case[0], case[1]) for verdict in verdicts):
        undone = [kind for kind, *verdicts in changes(case[1], case[0]) if verdicts != [C, C]]
        assert undone in ([], ["classification_lowered"])


def only(found: list[Change]) -> Change:
    assert len(found) == 1
    return found[0]


def test_a_removed_property_breaks_both_ways_and_points_into_the_old_contract() -> None:
    """Data with a column that the contract no longer declares does not conform, and old readers miss it."""
    change = only(compare(contract({"name": "a"}, {"name": "b"}), contract({"name": "a"})))
    assert (change.kind, change.subject, change.effect) == ("property_removed", "orders.b", (I, I))
    assert (change.pointer, change.in_head) == ("/schema/0/properties/1", False)


def test_an_added_optional_property_breaks_nobody() -> None:
    """An absent column reads as nulls, and an old reader does not ask for it."""
    change = only(compare(contract({"name": "b"}), contract({"name": "a"}, {"name": "b"})))
    assert (change.kind, change.effect, change.pointer) == ("property_added", (C, C), "/schema/0/properties/0")


@pytest.mark.parametrize("more", [{"required": True}, {"required": True, "quality": [{"metric": "rowCount"}]}])
def test_an_added_required_property_breaks_readers_of_old_data(more: dict[str, Any]) -> None:
    """Old data has no value for it."""
    change = only(compare(contract(), contract({"name": "a"} | more)))
    assert (change.kind, change.effect) == ("required_added", (I, C))


def test_an_added_property_with_quality_rules_is_undecidable() -> None:
    """Rows without the property may break its rules."""
    change = only(compare(contract(), contract({"name": "a", "quality": [{"metric": "nullValues", "mustBe": 0}]})))
    assert (change.kind, change.effect) == ("property_added", (U, C))


def test_the_order_of_properties_does_not_matter() -> None:
    """Columns are found by name."""
    assert compare(contract({"name": "a"}, {"name": "b"}), contract({"name": "b"}, {"name": "a"})) == []


KEY = {"primaryKey": True}


@pytest.mark.parametrize(
    ("base", "head", "effect"),
    [
        ([{}, {}], [KEY, {}], (I, C)),
        ([KEY, {}], [{}, {}], (C, I)),
        ([KEY, {}], [KEY, KEY], (I, I)),
        ([KEY, KEY], [{}, KEY], (I, I)),
        ([KEY | {"primaryKeyPosition": 1}, KEY], [KEY | {"primaryKeyPosition": 2}, KEY], (U, U)),
    ],
    ids=["given", "dropped", "wider", "narrower", "reordered"],
)
def test_a_changed_primary_key_is_never_compatible(base: list[Any], head: list[Any], effect: tuple[str, str]) -> None:
    """A key says what a row is about; another key makes other rows."""
    sides = [contract(*({"name": name} | each for name, each in zip("ab", side, strict=True))) for side in (base, head)]
    change = only(compare(*sides))
    assert (change.kind, change.effect) == ("primary_key_changed", effect)


def test_a_removed_or_renamed_schema_object_breaks_both_ways() -> None:
    """Readers find a table by its name."""
    base, head = contract(), contract()
    head["schema"][0]["name"] = "sales"
    assert [(each.kind, each.effect) for each in compare(base, head)] == [
        ("schema_object_removed", (I, I)),
        ("schema_object_added", (C, C)),
    ]


@pytest.mark.parametrize(
    ("key", "value", "kind", "effect"),
    [
        ("physicalName", "orders_v2", "physical_name_changed", (I, I)),
        ("physicalType", "view", "physical_type_changed", (U, U)),
        ("relationships", [{"from": "a.b", "to": "c.d"}], "relationship_changed", (U, U)),
        ("quality", [{"metric": "rowCount", "mustBeGreaterThan": 0}], "quality_rule_changed", (I, C)),
        ("quality", [{"type": "custom", "engine": "soda", "implementation": "x"}], "quality_rule_changed", (U, C)),
        ("surprise", 1, "unknown_keyword_changed", (U, U)),
    ],
)
def test_judges_the_schema_object_itself(key: str, value: Any, kind: str, effect: tuple[str, str]) -> None:
    """A table has properties of its own that readers rely on."""
    head = contract()
    head["schema"][0][key] = value
    change = only(compare(contract(), head))
    assert (change.kind, change.effect) == (kind, effect)


@pytest.mark.parametrize(
    "key", ["description", "businessName", "tags", "dataGranularityDescription", "customProperties"]
)
def test_words_about_the_schema_object_concern_no_reader(key: str) -> None:
    """Descriptions promise nothing about rows."""
    head = contract()
    head["schema"][0][key] = ["new"]
    assert compare(contract(), head) == []


def test_what_is_not_about_rows_is_not_judged() -> None:
    """Servers, prices, roles and service levels change without breaking a reader of rows."""
    head = contract(servers=[{"server": "b"}], slaProperties=[{"property": "latency", "value": 5}], status="retired")
    assert compare(contract(servers=[]), head) == []


def test_another_id_is_another_contract() -> None:
    """A contract that takes the place of another one has removed it."""
    change = only(compare(contract(), contract(id="sales")))
    assert (change.kind, change.effect, change.pointer) == ("contract_removed", (I, I), "/id")


def test_nested_subjects_read_like_paths() -> None:
    """A finding names the element as its reader knows it."""
    items = {"logicalType": "object", "properties": [{"name": "c/d", "logicalType": "string"}]}
    base = contract({"name": "a", "logicalType": "array", "items": items})
    head = copy.deepcopy(base)
    head["schema"][0]["properties"][0]["items"]["properties"][0]["required"] = True
    change = only(compare(base, head))
    assert change.subject == "orders.a[].c/d"
    assert change.pointer == "/schema/0/properties/0/items/properties/0/required"


def test_the_worst_changes_come_first() -> None:
    """A list that is cut short still shows what blocks."""
    head = contract({"name": "new"}, {"name": "b", "physicalType": "INT"})
    found = compare(contract({"name": "a"}, {"name": "b"}), head)
    assert [each.kind for each in found] == ["property_removed", "physical_type_changed", "property_added"]
    assert worst_first(found[::-1])[0].kind == "property_removed"


def test_long_values_are_shortened_in_details() -> None:
    """A detail stays readable."""
    change = only(
        compare(contract({"name": "a", "physicalType": "x" * 200}), contract({"name": "a", "physicalType": "y"}))
    )
    assert change.detail == f"{'x' * 77}... to y"


VERSIONS = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
            "1.0.0-rc.1", "1.0.0", "1.0.1", "1.1.0", "2.0.0-rc.1", "2.0.0", "10.0.0"]  # fmt: skip


def test_orders_versions_as_the_specification_does() -> None:
    """The order of clause 11 of Semantic Versioning 2.0.0."""
    for lower, higher in itertools.combinations(VERSIONS, 2):
        assert version_step(higher, lower) == "lower", (lower, higher)
        assert version_step(lower, higher) not in ("lower", "same", "unknown"), (lower, higher)


@pytest.mark.parametrize(
    ("base", "head", "step"),
    [
        ("1.2.3", "2.0.0", "major"),
        ("1.2.3", "1.3.0", "minor"),
        ("1.2.3", "1.2.4", "patch"),
        ("1.2.3-rc.1", "1.2.3", "prerelease"),
        ("1.2.3", "1.2.3", "same"),
        ("1.2.3+a", "1.2.3+b", "same"),
        ("0.1.0", "0.2.0", "minor"),
        ("0.9.0", "1.0.0", "major"),
        ("1.9.0", "2.0.0-rc.1", "major"),
        ("1.2.3", "1.2.4-rc.1", "patch"),
        ("2.0.0", "1.9.9", "lower"),
    ],
)
def test_names_the_step_between_two_versions(base: str, head: str, step: str) -> None:
    """Only a higher first number is a major step, below 1.0.0 too."""
    assert version_step(base, head) == step


@pytest.mark.parametrize(
    "text", ["1", "1.0", "v1.0.0", "1.0.0.0", "01.0.0", "1.0.0-", "1.0.0-01", "latest", "", "1.0.0 ", "१.0.0"]
)
def test_takes_no_other_text_for_a_version(text: str) -> None:
    """A version that is not semantic cannot prove that it went up."""
    assert parse_version(text) is None
    assert version_step("1.0.0", text) == version_step(text, "1.0.0") == "unknown"
    assert version_step(text, text) == "same"
