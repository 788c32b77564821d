"""Rows against a contract: each constraint at its boundary and just past it, in each format."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.errors import EvidenceError
from gatekeeper.formats.odcs import find_faults, parse_contract
from gatekeeper.formats.parquet import ParquetTable
from gatekeeper.formats.tabular import SUFFIXES, CsvTable, JsonLinesTable
from gatekeeper.gates.contracts.conformance import Report, check
from gatekeeper.gates.contracts.conformance.readers import identity
from gatekeeper.gates.contracts.conformance.uniqueness import joined

PATH = ("schema", 0)


def of_csv(text: str, *properties: dict[str, Any], **more: Any) -> Report:
    """Check the rows of a CSV file."""
    table = {"name": "t", "properties": list(properties)} | more
    return check(table, PATH, CsvTable(io.BytesIO(text.encode()), "d.csv"))


def of_json(rows: list[Any], *properties: dict[str, Any], **more: Any) -> Report:
    """Check JSON lines."""
    table = {"name": "t", "properties": list(properties)} | more
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    return check(table, PATH, JsonLinesTable(io.BytesIO(lines.encode()), "d.jsonl"))


def broken(report: Report) -> dict[tuple[str, str], list[int]]:
    """Rows by column and kind of violation."""
    return {key: [row for row, _ in each.examples] for key, each in report.violations.items()}


def column(logical_type: str | None = None, /, **keys: Any) -> dict[str, Any]:
    """The property `x` of a type; options are given as `options`."""
    element: dict[str, Any] = {"name": "x"} | ({"logicalType": logical_type} if logical_type else {})
    if "options" in keys:
        element["logicalTypeOptions"] = keys.pop("options")
    return element | keys


def cells_refused(element: dict[str, Any], cells: list[str]) -> list[str]:
    """The cells of a CSV column that break the contract."""
    quoted = "".join('"' + cell.replace('"', '""') + '"\n' for cell in cells)
    report = of_csv(f"x,n\n{quoted}".replace('"\n', '",1\n'), element, {"name": "n", "logicalType": "integer"})
    rows = {row for violation in report.violations.values() for row in _all_rows(violation, cells, element)}
    return [cells[row - 1] for row in sorted(rows)]


def _all_rows(violation: Any, cells: list[str], element: dict[str, Any]) -> list[int]:
    assert violation.count <= 5 == len(violation.examples) or violation.count == len(violation.examples)
    return [row for row, _ in violation.examples]


TEXTS: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "string": (column("string"), ["a", " ", "1", "null"], []),
    "integer": (column("integer"), ["0", "-1", "+1", "007", "9" * 30], ["1.0", "1e3", " 1", "1_0", "x"]),
    "integer, too": (column("integer"), ["1"], ["", "१", "0x1", "1,0", "NaN"][1:]),
    "number": (column("number"), ["0", "-1.5", ".5", "5.", "1e-3", "1E+400"], ["NaN", "inf", "1,5", "1_0", "--1"]),
    "boolean": (column("boolean"), ["true", "false", "True", "FALSE"], ["0", "1", "yes", "tRUE"]),
    "date": (column("date"), ["2024-02-29", "0001-01-01"], ["2023-02-29", "20240101", "2024-1-1", "01.01.2024", "2024-01-01T00:00"]),
    "timestamp": (
        column("timestamp"), ["2024-01-01T10:00:00Z", "2024-01-01 10:00", "2024-01-01T10:00:00.123456+02:00"],
        ["2024-01-01", "2024-01-01T25:00:00", "1704103200", "2024-01-01T10:00:00 UTC"],
    ),
    "time": (column("time"), ["10:00", "10:00:00.5", "10:00:00Z"], ["24:00:00", "10", "10:60:00", "10.00"]),
    "array": (column("array"), ["[]", "[1, 2]"], ["{}", "1", "[", "a"]),
    "object": (column("object"), ["{}", '{"a": 1}'], ["[]", "null", "x"]),
    "minimum": (column("integer", options={"minimum": 3}), ["3", "4"], ["2", "-3"]),
    "maximum": (column("number", options={"maximum": 0.3}), ["0.3", "0.30", "-1"], ["0.3000000000000000001", "0.31"]),
    "exclusiveMinimum": (column("integer", options={"exclusiveMinimum": 3}), ["4"], ["3", "2"]),
    "exclusiveMaximum": (column("number", options={"exclusiveMaximum": 3}), ["2.999"], ["3", "3.0"]),
    "multipleOf": (column("number", options={"multipleOf": 0.1}), ["0.3", "1", "0", "-0.7"], ["0.35", "1e-2", "1e999"]),
    "multipleOf integer": (column("integer", options={"multipleOf": 5}), ["0", "5", "-10"], ["1", "6"]),
    "i8": (column("integer", options={"format": "i8"}), ["-128", "127"], ["-129", "128"]),
    "u16": (column("integer", options={"format": "u16"}), ["0", "65535"], ["-1", "65536"]),
    "i64": (column("integer", options={"format": "i64"}), [str(2**63 - 1)], [str(2**63)]),
    "f32": (column("number", options={"format": "f32"}), ["3.4e38"], ["3.5e38", "-3.5e38"]),
    "f64": (column("number", options={"format": "f64"}), ["3.5e38"], []),
    "minLength": (column("string", options={"minLength": 2}), ["ab", "äö"], ["a", "ä"]),
    "maxLength": (column("string", options={"maxLength": 2}), ["ab", "äö", "👩🏽"], ["abc"]),
    "pattern": (column("string", options={"pattern": "^[A-Z]{2}[0-9]$"}), ["AB1"], ["AB12", "aB1", "AB1\n", "XAB1"]),
    "pattern without anchors": (column("string", options={"pattern": "b"}), ["abc"], ["ac"]),
    "pattern that looks ahead": (column("string", options={"pattern": "^(?=a)\\w+$"}), ["ab"], ["ba"]),
    "pattern that refers back": (column("string", options={"pattern": "^(a|b)\\1$"}), ["aa"], ["ab"]),
    "email": (column("string", options={"format": "email"}), ["a@example.org"], ["a", "a@", "@b"]),
    "uuid": (column("string", options={"format": "uuid"}), ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567", "x"]),
    "uri": (column("string", options={"format": "uri"}), ["https://example.org/a"], ["example", "http://a b"]),
    "hostname": (column("string", options={"format": "hostname"}), ["a.example.org"], ["-a.org", "a b"]),
    "ipv4": (column("string", options={"format": "ipv4"}), ["10.0.0.1"], ["10.0.0.256", "10.0"]),
    "ipv6": (column("string", options={"format": "ipv6"}), ["::1"], ["10.0.0.1"]),
    "byte": (column("string", options={"format": "byte"}), ["YWJj", "YQ=="], ["YQ=", "*"]),
    "password": (column("string", options={"format": "password"}), ["anything"], []),
    "enum": (column("string", enum=[{"value": "a"}, {"value": "b"}]), ["a", "b"], ["A", "c"]),
    "enum of numbers": (column("number", enum=[{"value": 1}, {"value": 2.5}]), ["1", "1.0", "2.50", "25e-1"], ["2"]),
    "enum of booleans": (column("boolean", enum=[{"value": True}]), ["true", "TRUE"], ["false"]),
    "enum of dates": (column("date", enum=[{"value": "2024-01-01"}]), ["2024-01-01"], ["2024-01-02"]),
    "enum without type": (column(None, enum=[{"value": 1}]), ["1"], ["2"]),
    "first date": (column("date", options={"minimum": "2024-01-01"}), ["2024-01-01"], ["2023-12-31"]),
    "last time": (column("time", options={"maximum": "10:00:00"}), ["10:00", "09:59"], ["10:00:00.1", "09:00-02:00"]),
    "timestamps on one scale": (
        column("timestamp", options={"minimum": "2024-01-01T00:00:00Z"}),
        ["2024-01-01T00:00:00", "2024-01-01T02:00:00+02:00", "2023-12-31T23:00:00-01:00"], ["2024-01-01T01:59:59+02:00"],
    ),
    "timestamps from a day": (
        column("timestamp", options={"exclusiveMaximum": "2024-01-02"}), ["2024-01-01T23:59:59"], ["2024-01-02T00:00:00"],
    ),
    "timestamps in a zone": (
        column("timestamp", options={"minimum": "2024-01-01T00:00:00", "defaultTimezone": "Europe/Berlin"}),
        ["2024-01-01T00:00:00", "2023-12-31T23:00:00Z"], ["2023-12-31T22:59:59Z"],
    ),
    "zone wanted": (column("timestamp", options={"timezone": True}), ["2024-01-01T00:00:00Z"], ["2024-01-01T00:00:00"]),
    "no zone wanted": (column("time", options={"timezone": False}), ["10:00:00"], ["10:00:00Z"]),
    "German dates": (column("date", options={"format": "dd.MM.yyyy", "minimum": "01.02.2024"}), ["01.02.2024"], ["31.01.2024", "2024-02-01", "30.02.2024"]),
    "date format and ISO bound": (column("date", options={"format": "dd.MM.yyyy", "minimum": "2024-02-01"}), ["01.02.2024"], ["31.01.2024"]),
    "timestamp format": (
        column("timestamp", options={"format": "yyyy-MM-dd'T'HH:mm:ss.SSSXXX"}), ["2024-01-01T10:00:00.123+02:00", "2024-01-01T10:00:00.123Z"],
        ["2024-01-01T10:00:00Z", "2024-01-01T10:00:00.123"],
    ),
    "timestamp format of the standard": (column("timestamp", options={"format": "yyyy-MM-ddTHH:mm:ssZ"}), ["2024-03-10T14:22:35Z", "2024-03-10T14:22:35+1000"], ["2024-03-10"]),
    "time format": (column("time", options={"format": "HH:mm", "maximum": "10:00"}), ["10:00"], ["10:01", "10:00:00"]),
    "vector": (column("vector", options={"dimensions": 2}), ["[1, 0.5]"], ["[1]", "[1, 2, 3]", '["a", 1]', "[1, null]"]),
    "items": (column("array", items={"logicalType": "integer"}, options={"minItems": 1, "maxItems": 2}), ["[1]", "[1, 2]"], ["[]", "[1, 2, 3]", '["1"]', "[1.5]"]),
    "unique items": (column("array", options={"uniqueItems": True}), ["[1, 2]", '[1, "1.5"]'], ["[1, 1]", "[1, 1.0]", '[{"a": 1}, {"a": 1}]']),
    "fields": (
        column("object", properties=[{"name": "a", "logicalType": "integer", "required": True}, {"name": "b"}]),
        ['{"a": 1}', '{"a": 1, "b": null}'], ["{}", '{"a": null}', '{"a": "1"}', '{"a": 1, "c": 2}'],
    ),
    "number of fields": (column("object", options={"minProperties": 1, "maxProperties": 2}), ['{"a": 1}'], ["{}", '{"a": 1, "b": 2, "c": 3}']),
    "required fields": (column("object", options={"required": ["a"]}), ['{"a": 1}'], ["{}", '{"a": null}']),
    "map": (
        column("map", map={"key": {"logicalType": "string", "logicalTypeOptions": {"maxLength": 1}}, "value": {"logicalType": "integer"}}),
        ['{"a": 1}', "{}"], ['{"ab": 1}', '{"a": "1"}'],
    ),
    "implied object": (column(None, properties=[{"name": "a", "logicalType": "integer"}]), ['{"a": 1}'], ["1", '{"a": "b"}']),
}  # fmt: skip


@pytest.mark.parametrize(("element", "good", "bad"), TEXTS.values(), ids=TEXTS.keys())
def test_checks_cells_of_csv(element: dict[str, Any], good: list[str], bad: list[str]) -> None:
    """Each type and each constraint: what is admitted, and what is just past it."""
    assert cells_refused(element, good) == []
    assert cells_refused(element, bad) == bad


JSON_VALUES: dict[str, tuple[dict[str, Any], list[Any], list[Any]]] = {
    "string": (column("string"), ["", "a"], [1, True, [], {}]),
    "integer": (column("integer"), [1, -1, 1.0, 10**30], [1.5, "1", True]),
    "number": (column("number"), [1, 1.5, 0.1], ["1", True, []]),
    "boolean": (column("boolean"), [True, False], [0, "true"]),
    "date": (column("date"), ["2024-01-01"], ["2024-13-01", 20240101]),
    "timestamp": (column("timestamp"), ["2024-01-01T00:00:00Z"], ["2024-01-01", 1704103200]),
    "array": (column("array"), [[], [1]], [{}, "[]"]),
    "object": (column("object"), [{}], [[], "{}"]),
    "binary text": (column("string", options={"format": "binary"}), ["ab"], [1]),
    "decimals are exact": (column("number", options={"maximum": 0.3}), [0.3, 0.1], [0.30000000000000004]),
    "any type": (column(None), [1, "a", [], None], []),
}


@pytest.mark.parametrize(("element", "good", "bad"), JSON_VALUES.values(), ids=JSON_VALUES.keys())
def test_checks_values_of_json(element: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
    """JSON has types of its own: text is no number, and 1.0 is the integer 1."""
    assert broken(of_json([{"x": value} for value in good], element)) == {}
    report = of_json([{"x": value} for value in bad], element)
    assert sorted({row for rows in broken(report).values() for row in rows}) == list(range(1, len(bad) + 1))


def parquet(tmp_path: Path, query: str, *properties: dict[str, Any]) -> Report:
    import duckdb

    path = tmp_path / "d.parquet"
    duckdb.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
    with ParquetTable(path, "d.parquet") as table:
        return check({"name": "t", "properties": list(properties)}, PATH, table)


PARQUET = {
    "TINYINT": {"integer", "number"},
    "UBIGINT": {"integer", "number"},
    "DECIMAL(10,0)": {"integer", "number"},
    "DECIMAL(10,2)": {"number"},
    "DOUBLE": {"number"},
    "FLOAT": {"number"},
    "VARCHAR": {"string"},
    "UUID": {"string"},
    "BOOLEAN": {"boolean"},
    "DATE": {"date"},
    "TIMESTAMP": {"timestamp"},
    "TIMESTAMP_NS": {"timestamp"},
    "TIMESTAMPTZ": {"timestamp"},
    "TIME": {"time"},
    "INTEGER[]": {"array", "vector"},
    "STRUCT(a INTEGER)": {"object", "map"},
    "MAP(VARCHAR, INTEGER)": {"map", "object"},
    "BLOB": set(),
    "INTERVAL": set(),
}
LOGICAL = ("string", "integer", "number", "boolean", "date", "timestamp", "time", "array", "object", "map", "vector")


@pytest.mark.parametrize(("physical", "admitted"), PARQUET.items(), ids=PARQUET.keys())
def test_checks_the_types_of_parquet(tmp_path: Path, physical: str, admitted: set[str]) -> None:
    """A column has the type that the file declares, even where it holds nothing but nulls."""
    found = set()
    for logical_type in LOGICAL:
        report = parquet(tmp_path, f"SELECT NULL::{physical} AS x FROM range(3)", column(logical_type))
        if not report.violations:
            found.add(logical_type)
        else:
            assert report.violations[("x", "logical_type")].count == 3
    assert found == admitted


def test_checks_the_values_of_parquet(tmp_path: Path) -> None:
    """Decimals, dates and zones are compared as what they are."""
    query = (
        "SELECT 1.50::DECIMAL(5,2) AS amount, DATE '2024-01-01' AS day, TIMESTAMPTZ '2024-01-01 00:00:00+01' AS moment, "
        "'NaN'::DOUBLE AS share, [1, 2] AS items, {'a': 1} AS fields, 7::BIGINT AS number, 'abc'::BLOB AS raw, "
        "MAP {'k': 1} AS counts, TIMESTAMP '2024-01-01' AS bare, '123e4567-e89b-12d3-a456-426614174000'::UUID AS key"
    )
    report = parquet(
        tmp_path,
        query,
        column("number", options={"maximum": 1.5}) | {"name": "amount"},
        column("date", options={"minimum": "2024-01-02"}) | {"name": "day"},
        column("timestamp", options={"maximum": "2023-12-31T22:59:59Z", "timezone": True}) | {"name": "moment"},
        column("number") | {"name": "share"},
        column("array", items={"logicalType": "integer", "logicalTypeOptions": {"maximum": 1}}) | {"name": "items"},
        column("object", properties=[{"name": "a", "logicalType": "string"}]) | {"name": "fields"},
        column("integer", enum=[{"value": 8}]) | {"name": "number"},
        column("string", options={"format": "binary"}) | {"name": "raw"},
        column("map", map={"key": {"logicalType": "string"}, "value": {"logicalType": "integer"}}) | {"name": "counts"},
        column("timestamp", options={"timezone": True}) | {"name": "bare"},
        column("string", options={"format": "uuid"}) | {"name": "key"},
    )
    assert set(report.violations) == {
        ("day", "minimum"), ("moment", "maximum"), ("share", "logical_type"), ("items[]", "maximum"),
        ("fields.a", "logical_type"), ("number", "enum"), ("bare", "timezone"),
    }  # fmt: skip


def test_dates_beyond_the_calendar_break_the_type(tmp_path: Path) -> None:
    """What Python cannot hold is no date that anything could be compared with."""
    query = "SELECT DATE '262000-01-01' AS x UNION ALL SELECT DATE 'infinity' UNION ALL SELECT DATE '2024-01-01'"
    report = parquet(tmp_path, query, column("date"))
    assert report.violations[("x", "logical_type")].count >= 1
    assert report.rows == 3


EQUAL = [
    (1, 1.0, Decimal("1.00"), Decimal("1e0")),
    (100, Decimal("1e2")),
    (0, -0.0, Decimal("-0.000"), Decimal("0e9")),
    (-5, Decimal("-5.0")),
    (Decimal("1e50"), Decimal("10e49")),
    (True,),
    ("true ",),
    (date(2024, 1, 1),),
    (datetime(2024, 1, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, 2, tzinfo=timezone(timedelta(hours=1)))),
    (datetime(2024, 1, 1, 1),),
    (time(1),),
    ({"b": 1, "a": [1]}, {"a": [1], "b": 1}),
    ([1, 2],),
    ([2, 1],),
    ({date(2024, 1, 1): 1},),
    (UUID(int=1), str(UUID(int=1))),
]


def test_equal_values_have_one_identity_and_others_another() -> None:
    """Duplicates and allowed values are found by it."""
    for values in EQUAL:
        assert len({identity(value) for value in values}) == 1, values
    assert len({identity(values[0]) for values in EQUAL}) == len(EQUAL)


def test_a_null_is_empty_text_in_csv_and_null_elsewhere(tmp_path: Path) -> None:
    """Whether a null is allowed is said by `required`, or by being part of the primary key."""
    for element in (column("string", required=True), column("string", primaryKey=True)):
        assert broken(of_csv('x,n\na,1\n,2\n"",3\n', element, {"name": "n"})) == {("x", "required"): [2, 3]}
        assert broken(of_json([{"x": "a"}, {"x": None}, {}, {"x": ""}], element)) == {("x", "required"): [2, 3]}
        rows = "SELECT * FROM (VALUES ('a'), (NULL), ('')) AS t(x)"
        assert broken(parquet(tmp_path, rows, element)) == {("x", "required"): [2]}
    assert broken(of_csv("x,n\n,1\n", column("integer", options={"minimum": 1}), {"name": "n"})) == {}


def test_columns_must_be_there_and_no_others(tmp_path: Path) -> None:
    """A declared column that is missing and an undeclared one that is there both break the contract, in every row."""
    wanted = (column("string"), {"name": "y", "logicalType": "string"})
    expected = {("x", "missing_column"): 2, ("z", "undeclared_column"): 2}
    report = of_csv("y,z\na,b\nc,d\n", *wanted)
    assert {key: each.count for key, each in report.violations.items()} == expected
    report = parquet(tmp_path, "SELECT 'a' AS y, 1 AS z FROM range(2)", *wanted)
    assert {key: each.count for key, each in report.violations.items()} == expected
    assert broken(of_json([{"y": "a"}, {"y": "b", "z": 1}], *wanted)) == {("z", "undeclared_column"): [2]}


def test_a_measure_needs_no_column_and_says_so() -> None:
    """A measure is computed from columns; where it is stored all the same, it is checked."""
    measure = column("integer", semanticType="measure", required=True)
    for report in (of_csv("y\n1\n", measure, {"name": "y"}), of_json([{"y": 1}], measure, {"name": "y"})):
        assert report.violations == {}
        assert "a measure is computed, not stored" in {each.reason for each in report.unchecked}
    assert broken(of_csv("x\na\n", measure)) == {("x", "logical_type"): [1]}


def test_a_column_is_found_by_its_physical_name_or_its_name() -> None:
    """Files are written by either."""
    element = column("integer", physicalName="x_col")
    assert broken(of_csv("x_col\n1\n", element)) == broken(of_csv("x\n1\n", element)) == {}
    assert broken(of_json([{"x_col": 1}], element)) == broken(of_json([{"x": 1}], element)) == {}
    assert set(broken(of_csv("x_col,x\n1,2\n", element))) == {("x", "undeclared_column")}


def test_malformed_rows_break_the_contract() -> None:
    """A row that cannot be read does not conform, and the others are checked."""
    report = of_csv("x,y\n1,2\n3\nz,4\n", column("integer"), {"name": "y"})
    assert broken(report) == {("(row)", "malformed_row"): [2], ("x", "logical_type"): [3]}
    assert report.rows == 3
    assert broken(of_json([{"x": 1}, [1]], column("integer"))) == {("(row)", "malformed_row"): [2]}


def test_finds_repeated_values_in_every_batch() -> None:
    """A value counts again wherever it stands; a null is no value, and 1.0 is 1."""
    cells = [*map(str, range(20_000)), "7", "19999.0", "", ""]
    report = of_csv("x,n\n" + "".join(f"{cell},1\n" for cell in cells), column("number", unique=True), {"name": "n"})
    assert broken(report) == {("x", "unique"): [20_001, 20_002]}


def test_finds_repeated_primary_keys() -> None:
    """All columns of the key together, in its order; a row without a whole key breaks `required` instead."""
    first, second = column("string", primaryKey=True, primaryKeyPosition=2), {"name": "y", "primaryKey": True}
    report = of_csv("x,y\na,bc\nab,c\na,bc\na,\na,\n", first, second)
    assert broken(report) == {("y, x", "primary_key"): [3], ("y", "required"): [4, 5]}


def test_a_key_of_a_missing_column_is_not_checked_and_not_passed() -> None:
    """Without the column there is no key; the column is missing."""
    report = of_csv("y\na\na\n", column("string", primaryKey=True), {"name": "y"})
    assert broken(report) == {("x", "missing_column"): []}


@given(st.lists(st.lists(st.one_of(st.none(), st.text(max_size=4)), min_size=2, max_size=2), min_size=2, max_size=2))
def test_joined_keys_are_equal_only_when_their_parts_are(pair: list[list[str | None]]) -> None:
    """("ab", "c") is not ("a", "bc"), and no text is null."""
    assert (joined(pair[0]) == joined(pair[1])) == (pair[0] == pair[1])


def test_uniqueness_has_a_limit() -> None:
    """More keys than can be remembered are a gap, never a pass."""
    table = {"name": "t", "properties": [column("integer", unique=True)]}
    text = "x\n" + "".join(f"{number}\n" for number in range(11))
    assert check(table, PATH, CsvTable(io.BytesIO(text.encode()), "d.csv"), max_digests=11).violations == {}
    for rows in (text, text + "1\n"):
        with pytest.raises(EvidenceError, match="more than 10 values") as caught:
            check(table, PATH, CsvTable(io.BytesIO(rows.encode()), "d.csv"), max_digests=10)
        assert (caught.value.kind, caught.value.subject) == ("unverifiable", "d.csv")


@pytest.mark.parametrize("classification", [None, "confidential", "restricted", "PII", "internal", ""])
def test_values_of_columns_that_are_not_public_are_not_kept(classification: str | None) -> None:
    """Evidence is recorded and shown; only rows are named."""
    more = {} if classification is None else {"classification": classification}
    element = column("integer", **more) | {"unique": True, "enum": [{"value": 4711}]}
    report = of_csv("x\n4712\nsecret-4713\n4712\n", element, **more)
    assert {kind for _, kind in report.violations} == {"logical_type", "enum", "unique"}
    assert "471" not in repr(report.violations) + repr(report.quality)


def test_values_of_public_columns_are_shown_on_one_short_line() -> None:
    """A value helps to find the fault; control characters and long texts do not."""
    values = ["a\nb\x1b[31m", "x" * 100]
    report = of_json([{"x": each} for each in values], column("integer", classification=" Public "))
    shown = [value for _, value in report.violations[("x", "logical_type")].examples]
    assert shown == ["a\ufffdb\ufffd[31m", "x" * 57 + "..."]


def test_keeps_the_first_rows_and_counts_all() -> None:
    """Counts are complete, examples are few."""
    report = of_csv("x\n" + "a\n" * 20_000, column("integer"))
    violation = report.violations[("x", "logical_type")]
    assert (violation.count, [row for row, _ in violation.examples]) == (20_000, [1, 2, 3, 4, 5])


def test_a_pattern_cannot_hang_the_gate() -> None:
    """Patterns come from the change under review; both engines stop."""
    text = "x\n" + ("a" * 5000 + "!\n") * 20
    for pattern in ("^(a+)+$", "^(a|aa)+\\1$", "^(?=(a+)+b)a"):
        report = of_csv(text, column("string", options={"pattern": pattern}))
        assert report.violations[("x", "pattern")].count == 20


def test_numbers_cannot_hang_the_gate() -> None:
    """A number of a million digits' worth is compared, not written out."""
    element = column("number", unique=True, options={"multipleOf": 0.001, "maximum": 1e308})
    report = of_csv("x\n1e999999\n1e999998\n-1e-999999\n", element)
    assert {key[1]: each.count for key, each in report.violations.items()} == {"maximum": 2, "multiple_of": 3}


UNCHECKED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown text format": (column("string", options={"format": "iban"}), "format: 'iban' is no format"),
    "letters of a date format": (column("date", options={"format": "d MMMM yyyy"}), "the letters 'd' are not read"),
    "zone with such a format": (column("timestamp", options={"format": "MMM", "timezone": True}), "timezone: the declared format"),
    "bound that is no date": (column("date", options={"minimum": "yesterday"}), "minimum: 'yesterday' cannot be compared"),
    "bound in an unknown zone": (
        column("timestamp", options={"minimum": "2024-01-01T00:00:00", "defaultTimezone": "Mars/Olympus"}), "minimum:",
    ),
    "no type": (column(None), "no logicalType"),
    "embedding model": (column("vector", options={"dimensions": 1, "embeddingModel": "m"}), "embeddingModel: not checked"),
}  # fmt: skip


@pytest.mark.parametrize(("element", "reason"), UNCHECKED.values(), ids=UNCHECKED.keys())
def test_says_what_it_does_not_check(element: dict[str, Any], reason: str) -> None:
    """A declaration that is not verified is named, so that silence is no pass."""
    report = of_csv("x,n\n,1\n", element, {"name": "n", "logicalType": "integer"})
    assert any(reason in each.reason and each.kind == "option" for each in report.unchecked)


def measured(rule: dict[str, Any], text: str, element: dict[str, Any] | None = None) -> tuple[bool, str]:
    """Whether a rule on the column passes, and what was measured."""
    report = of_csv(text, (element or column("string")) | {"quality": [rule]}, {"name": "n", "logicalType": "integer"})
    assert len(report.quality) == 1
    return report.quality[0].passed, report.quality[0].measured


ROWS = "x,n\na,1\na,2\nN/A,3\n,4\nb,5\n"
METRICS: dict[str, tuple[dict[str, Any], int]] = {
    "nullValues": ({"metric": "nullValues"}, 1),
    "missingValues": ({"metric": "missingValues"}, 1),
    "missingValues of a list": ({"metric": "missingValues", "arguments": {"missingValues": [None, "", "N/A"]}}, 2),
    "invalidValues of a list": ({"metric": "invalidValues", "arguments": {"validValues": ["a", "b"]}}, 1),
    "invalidValues of a pattern": ({"metric": "invalidValues", "arguments": {"pattern": "^[a-z]$"}}, 1),
    "invalidValues of both": ({"metric": "invalidValues", "arguments": {"pattern": "^[a-z]$", "validValues": ["b", "N/A"]}}, 3),
    "duplicateValues": ({"metric": "duplicateValues"}, 1),
    "rowCount": ({"metric": "rowCount"}, 5),
}  # fmt: skip
OPERATORS = {
    "mustBe": (0, 1),
    "mustNotBe": (1, 0),
    "mustBeGreaterThan": (-1, 0),
    "mustBeGreaterOrEqualTo": (0, 1),
    "mustBeLessThan": (1, 0),
    "mustBeLessOrEqualTo": (0, -1),
}
"""By operator, what is added to the measured number for a limit that passes and one that fails."""


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(("rule", "count"), METRICS.values(), ids=METRICS.keys())
def test_computes_each_metric_at_its_limit(rule: dict[str, Any], count: int, operator: str) -> None:
    """Each metric with each operator: at the boundary and just past it."""
    good, bad = OPERATORS[operator]
    assert measured(rule | {operator: count + good}, ROWS) == (True, f"{count} rows")
    assert measured(rule | {operator: count + bad}, ROWS) == (False, f"{count} rows")


@pytest.mark.parametrize(
    ("limit", "inside"), [([1, 5], True), ([5, 9], True), ([6, 9], False), ([1, 4], False), ([5.0, 5.5], True)]
)  # fmt: skip
def test_intervals_hold_their_ends(limit: list[float], inside: bool) -> None:
    """`mustBeBetween` counts both ends in, and `mustNotBeBetween` both out."""
    assert measured({"metric": "rowCount", "mustBeBetween": limit}, ROWS)[0] is inside
    assert measured({"metric": "rowCount", "mustNotBeBetween": limit}, ROWS)[0] is not inside


def test_shares_are_exact() -> None:
    """One of three rows is more than 33.3333 percent, and one of five is 20."""
    three = "x,n\na,1\n,2\nb,3\n"
    assert measured({"metric": "nullValues", "mustBeLessOrEqualTo": 33.3333, "unit": "percent"}, three) == (
        False,
        "33.3333 percent (1 of 3 rows)",
    )
    assert measured({"metric": "nullValues", "mustBe": 20, "unit": "percent"}, ROWS) == (
        True,
        "20 percent (1 of 5 rows)",
    )


@pytest.mark.parametrize(
    "rule",
    [
        {"metric": "nullValues", "mustBe": "0"},
        {"metric": "nullValues", "mustBe": False},
        {"metric": "nullValues", "mustBe": None},
        {"metric": "nullValues", "mustBe": 1, "unit": "pieces"},
        {"metric": "nullValues", "mustBe": 1, "mustNotBe": 5},
        {"metric": "nullValues"},
        {"metric": "nullValues", "mustBe": 1, "arguments": {"surprise": 1}},
        {"metric": "invalidValues", "mustBeLessThan": 9, "arguments": {"values": ["a"]}},
        {"metric": "freshness", "mustBeLessThan": 9},
        {"mustBeLessThan": 9},
        {"metric": "nullValues", "mustBeBetween": [0]},
    ],
    ids=str,
)
def test_a_rule_that_cannot_be_judged_has_not_passed(rule: dict[str, Any]) -> None:
    """Doubt about a rule is not in favour of the data."""
    assert measured(rule, ROWS)[0] is False


def test_a_share_of_no_rows_has_not_passed() -> None:
    """No rows prove nothing."""
    assert measured({"metric": "nullValues", "mustBe": 0, "unit": "percent"}, "x,n\n") == (False, "no rows")


def test_values_of_another_type_are_invalid() -> None:
    """invalidValues without arguments counts the rows that break the column's own type and constraints."""
    element = column("integer", options={"minimum": 0, "maximum": 9})
    assert measured({"metric": "invalidValues", "mustBe": 3}, "x,n\n1,1\n-1,1\n10,1\nz,1\n,1\n", element) == (
        True,
        "3 rows",
    )
    listed = {"metric": "invalidValues", "mustBe": 2, "arguments": {"validValues": [1, 10]}}
    assert measured(listed, "x,n\n1,1\n-1,1\n10,1\nz,1\n", element) == (True, "2 rows")


def test_rules_of_the_table_are_computed() -> None:
    """Rows are counted, and duplicates over several columns; nulls are compared there as values."""
    rules = [
        {"metric": "rowCount", "mustBe": 4},
        {"metric": "duplicateValues", "mustBe": 2, "arguments": {"properties": ["x", "y"]}},
        {"metric": "duplicateValues", "mustBe": 0, "arguments": {"properties": ["x", "nowhere"]}},
        {"metric": "duplicateValues", "mustBe": 0},
        {"metric": "nullValues", "mustBe": 0},
    ]
    report = of_csv("x,y\na,1\na,1\nb,\nb,\n", column("string"), {"name": "y"}, quality=rules)
    assert [each.passed for each in report.quality] == [True, True, False, False, False]
    assert {each.subject for each in report.quality} == {"t"}


def test_rules_of_a_missing_column_have_not_passed() -> None:
    """What was not measured did not pass."""
    rule = {"metric": "nullValues", "mustBe": 0}
    report = of_csv("y\n1\n", column("string", quality=[rule]), {"name": "y"})
    assert [(each.passed, each.measured) for each in report.quality] == [(False, "not measured")]


def test_rules_that_cannot_be_run_are_listed_and_prose_is_counted() -> None:
    """SQL and custom rules need their engine; text is for people."""
    rules = [
        {"type": "sql", "query": "SELECT 1", "mustBe": 1, "name": "fresh", "severity": "Error "},
        {"type": "custom", "engine": "soda", "implementation": "x", "id": "dup"},
        {"type": "text", "description": "is good"},
    ]
    report = of_csv("x\na\n", column("string", quality=rules), quality=rules)
    found = [(each.subject, each.kind, each.severity) for each in report.unchecked]
    assert sorted(found, key=str) == [
        ("t", "custom", None),
        ("t", "sql", "error"),
        ("x", "custom", None),
        ("x", "sql", "error"),
    ]
    assert "custom rule 'dup' of engine 'soda' cannot be run here" in {each.reason for each in report.unchecked}
    assert report.ignored_text_rules == 2
    assert report.quality == []


def test_rules_of_nested_properties_are_computed() -> None:
    """A field of an object may have rules too."""
    rule = {"metric": "nullValues", "mustBe": 0}
    element = column("object", properties=[{"name": "a", "logicalType": "string", "quality": [rule]}])
    report = of_json([{"x": {"a": "b"}}, {"x": {}}], element)
    assert [(each.subject, each.passed, each.measured) for each in report.quality] == [("x.a", False, "1 rows")]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.none(),
            st.integers(-5, 5),
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(st.characters(codec="ascii"), max_size=3),
            st.booleans(),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_agrees_with_a_plain_reading_of_the_rules(values: list[Any]) -> None:
    """A row-by-row reading of the contract finds the same rows as the bulk check."""
    wrong, low, seen, repeated = [], [], set(), []
    for row, value in enumerate(values, start=1):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            wrong.append(row)
        else:
            low += [row] * (value < 0)
            repeated += [row] * (value in seen)
            seen.add(value)
    report = of_json([{"x": value} for value in values], column("integer", unique=True, options={"minimum": 0}))
    wanted = {("x", "logical_type"): wrong, ("x", "minimum"): low, ("x", "unique"): repeated}
    assert {key: each.count for key, each in report.violations.items()} == {k: len(v) for k, v in wanted.items() if v}
    assert broken(report) == {key: rows[:5] for key, rows in wanted.items() if rows}


CITIES = "contracts/datacontract-cli/datacontract+datacontract-cli/tests/fixtures/schema-evolution"


def cities(corpus: Path, contract: int, data: str) -> dict[tuple[str, str], list[int]]:
    """Check a data file of datacontract-cli's schema evolution against one of its contracts."""
    path = corpus / CITIES / f"odcs-datacontract-cities-version-{contract}.yaml"
    table = parse_contract(path.read_bytes(), path.name).tables[0]
    file = corpus / CITIES / data
    if SUFFIXES[file.suffix] == "parquet":
        with ParquetTable(file, data) as rows:
            return broken(check(table, PATH, rows))
    with file.open("rb") as stream:
        return broken(check(table, PATH, CsvTable(stream, data)))


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_agrees_with_published_data_and_contracts(corpus: Path, suffix: str) -> None:
    """Data of each version conforms to its contract and not to a stricter one."""
    assert cities(corpus, 1, f"cities-version-1.{suffix}") == {}
    assert cities(corpus, 2, f"cities-version-2.{suffix}") == {}
    assert set(cities(corpus, 1, f"cities-version-2.{suffix}")) == {("population", "undeclared_column")}
    assert set(cities(corpus, 2, f"cities-version-1.{suffix}")) == {("population", "missing_column")}
    assert cities(corpus, 3, f"cities-version-2.{suffix}") != {}
    assert cities(corpus, 2, f"invalid/cities-version-2-invalid.{suffix}") != {}


def test_every_usable_contract_of_the_corpus_can_be_checked(corpus: Path) -> None:
    """Each table of each published contract takes a file of its columns; nulls break what is required."""
    checked = 0
    for path in sorted((corpus / "contracts").rglob("*.odcs.yaml")):
        contract = parse_contract(path.read_bytes(), path.name)
        if list(find_faults(contract)):
            continue
        for table in contract.tables:
            names = [each["name"] for each in table["properties"]]
            report = check(
                table, PATH, CsvTable(io.BytesIO((",".join(names) + "\n" + "," * len(names) + "\n").encode()), "d")
            )
            assert {kind for _, kind in report.violations} <= {"required", "malformed_row"}
            checked += 1
    assert checked > 20
