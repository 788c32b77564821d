"""Rows of data as they are read: batches, row numbers, and what is refused."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Collection
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeeper.errors import EvidenceError
from gatekeeper.formats import tabular
from gatekeeper.formats.parquet import ParquetTable
from gatekeeper.formats.tabular import CsvTable, JsonLinesTable, Occurrences, Table


def csv_of(text: str | bytes) -> CsvTable:
    return CsvTable(io.BytesIO(text.encode() if isinstance(text, str) else text), "d.csv")


def lines_of(text: str | bytes) -> JsonLinesTable:
    return JsonLinesTable(io.BytesIO(text.encode() if isinstance(text, str) else text), "d.jsonl")


def read(table: Table, wanted: Collection[str] | None = None) -> tuple[list[int], dict[str, list[Any]]]:
    """All rows of a table: their numbers and the wanted columns."""
    rows: list[int] = []
    columns: dict[str, list[Any]] = {}
    for batch in table.batches(table.columns if wanted is None else wanted):
        rows.extend(batch.rows)
        for name, cells in batch.columns.items():
            assert len(cells) == len(batch.rows)
            columns.setdefault(name, []).extend(cells)
    return rows, columns


def refused(text: str | bytes, reader: Any = csv_of) -> EvidenceError:
    with pytest.raises(EvidenceError) as caught:
        read(reader(text))
    assert caught.value.kind == "malformed"
    assert caught.value.subject in ("d.csv", "d.jsonl")
    return caught.value


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["unix", "rfc", "mac"])
def test_reads_csv_with_every_line_end(end: str) -> None:
    """RFC 4180 asks for CRLF, and most tools write something else."""
    table = csv_of(f"a,b{end}1,x{end}2,{end}")
    assert read(table) == ([1, 2], {"a": ["1", "2"], "b": ["x", ""]})
    assert (table.row_count, table.malformed.count, table.columns) == (2, 0, ("a", "b"))


def test_reads_quoted_cells() -> None:
    """A quoted cell holds commas, quotes and line ends; rows are numbered by record, not by line."""
    table = csv_of('a,b\n"1,""2""","x\ny"\n3,4\n')
    assert read(table) == ([1, 2], {"a": ['1,"2"', "3"], "b": ["x\ny", "4"]})


def test_reads_a_byte_order_mark_and_no_last_line_end() -> None:
    """Spreadsheets write the one and forget the other."""
    assert read(csv_of("\ufeffä,b\n1,2"))[1] == {"ä": ["1"], "b": ["2"]}


def test_counts_ragged_rows_and_goes_on() -> None:
    """A row of another width is malformed; it is counted, keeps its number, and is not checked further."""
    table = csv_of("a,b\n1,2\n3\n4,5,6\n7,8\n")
    assert read(table) == ([1, 4], {"a": ["1", "7"], "b": ["2", "8"]})
    assert (table.row_count, table.malformed) == (4, Occurrences(2, [2, 3]))


def test_a_batch_of_ragged_rows_is_empty() -> None:
    """Nothing but malformed rows is still counted."""
    table = csv_of("a,b\n1\n2\n")
    assert read(table) == ([], {"a": [], "b": []})
    assert table.malformed.count == table.row_count == 2


def test_blank_lines_count_only_between_rows() -> None:
    """A blank line at the end of the file is none; between rows it is a row that lost its cells."""
    table = csv_of("a,b\n1,2\n\n\n3,4\n\n\n")
    assert read(table)[0] == [1, 4]
    assert (table.row_count, table.malformed.rows) == (4, [2, 3])


def test_names_undeclared_columns() -> None:
    """A column that nobody asked for is in every row."""
    table = csv_of("a,b,c\n1,2,3\n4,5,6\n")
    assert read(table, ["b", "absent"])[1] == {"b": ["2", "5"]}
    assert table.undeclared == {"a": Occurrences(2), "c": Occurrences(2)}


def test_a_csv_file_of_a_header_has_no_rows() -> None:
    """No row is no error of the file; the policy refuses it."""
    table = csv_of("a,b\n")
    assert read(table) == ([], {})
    assert table.row_count == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the header names 0 columns"),
        ("\n\n", "the header names 0 columns"),
        ("a,,b\n", "empty or repeated column name"),
        ("a,b,a\n", "empty or repeated column name"),
        (",".join(map(str, range(10_001))) + "\n", "the header names 10001 columns"),
        ('a,b\n1,"2\n', "near line 3 the file is not CSV: unexpected end of data"),
        ('a,b\n1,"2"3\n', "near line 3 the file is not CSV: ',' expected after '\"'"),
        (b"a,b\n1,\xff\n", "the file is not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "the file is not UTF-8"),
        (b"a,b\n1,\xed\xa0\x80\n", "the file is not UTF-8"),
        (f"a,b\n1,{'x' * 131_073}\n", "field larger than field limit"),
        (f"a,b\n{'x,' * (tabular.MAX_LINE_CHARS // 2)}\n", "a line has more than"),
    ],
    ids=["empty", "blank", "no name", "twice", "wide", "cut", "stray quote", "latin-1", "utf-16", "surrogate", "cell", "line"],
)  # fmt: skip
def test_refuses_what_is_no_csv(text: str | bytes, problem: str) -> None:
    """What breaks off or is something else is malformed, and no row of it is shown."""
    assert problem in refused(text).problem


def test_reads_many_rows_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """No batch has more rows than agreed, and none is lost between two."""
    text = "a\n" + "".join(f"{number}\n" for number in range(20_000))
    table = csv_of(text)
    batches = list(table.batches(["a"]))
    assert [len(batch.rows) for batch in batches] == [8192, 8192, 3616]
    assert [cell for batch in batches for cell in batch.columns["a"]] == [str(number) for number in range(20_000)]
    monkeypatch.setattr(tabular, "BATCH_CHARS", 100)
    assert max(len(batch.rows) for batch in csv_of(text).batches(["a"])) < 40
    lines = lines_of("".join(f'{{"a": {number}}}\n' for number in range(100)))
    assert max(len(batch.rows) for batch in lines.batches(["a"])) < 20


def test_does_not_hold_the_file(tmp_path: Path) -> None:
    """Reading thirty megabytes takes a small part of them in memory."""
    path = tmp_path / "d.csv"
    with path.open("w") as out:
        out.write("a,b\n")
        for block in range(100):
            out.write(f"{block},{'x' * 590}\n" * 500)
    tracemalloc.start()
    with path.open("rb") as file:
        rows = sum(len(batch.rows) for batch in CsvTable(file, "d.csv").batches(["a"]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == 50_000
    assert path.stat().st_size > 29_000_000 > 2 * peak


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=6)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), max_size=20))
def test_reads_back_what_the_csv_module_wrote(rows: list[tuple[str, str]]) -> None:
    """Any text survives quoting."""
    import csv

    out = io.StringIO()
    csv.writer(out).writerows([("a", "b"), *rows])
    table = csv_of(out.getvalue())
    columns = read(table)[1] or {"a": [], "b": []}
    assert list(zip(columns["a"], columns["b"], strict=True)) == rows
    assert table.malformed.count == 0


def test_reads_json_lines() -> None:
    """An absent key reads as null; blank lines are no rows."""
    table = lines_of('\ufeff{"a": 1, "b": "x"}\n\n{"b": null}\n  {"a": 2.5}  ')
    assert table.columns == ("a", "b")
    assert read(table) == ([1, 2, 3], {"a": [1, None, 2.5], "b": ["x", None, None]})
    assert table.row_count == 3


def test_counts_json_lines_that_are_no_objects() -> None:
    """A line that is JSON but no object is a malformed row."""
    table = lines_of('{"a": 1}\n[1]\n"x"\n{"a": 2}\n')
    assert read(table) == ([1, 4], {"a": [1, 2]})
    assert table.malformed == Occurrences(2, [2, 3])


def test_names_undeclared_keys_with_their_rows() -> None:
    """A key that nobody asked for, in the rows that have it."""
    table = lines_of('{"a": 1}\n{"a": 1, "b": 2}\n{"c": 1, "b": 2}\n')
    read(table, ["a"])
    assert table.undeclared == {"b": Occurrences(2, [2, 3]), "c": Occurrences(1, [3])}


def test_a_flood_of_keys_is_counted_together() -> None:
    """A key of its own in every row must not fill the memory."""
    table = lines_of("".join(f'{{"k{number}": 1}}\n' for number in range(1000)))
    read(table, [])
    assert len(table.undeclared) == 201
    assert table.undeclared["(further columns)"].count == 800


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1}\n{"a": ', "line 2 is not JSON: Expecting value"),
        ('{"a": 1}\n{"a": 1} {"a": 2}\n', "line 2 is not JSON: Extra data"),
        ("a,b\n", "line 1 is not JSON"),
        ('{"a": 1, "a": 2}\n', "line 1 has a duplicate key"),
        ('{"a": NaN}\n', "line 1 holds NaN"),
        ('{"a": -Infinity}\n', "line 1 holds -Infinity"),
        ('{"a": "\\ud800"}\n', "line 1 holds half of a surrogate pair"),
        (b'{"a": "\xff"}\n', "is not UTF-8"),
        (b'{"a": 1}\n{"a": "\xff"}\n', "line 2 is not UTF-8"),
        ('{"a": ' + "[" * 200 + "]" * 200 + "}\n", "nested deeper than 100 levels"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}\n", "nested"),
        ('{"a": ' + "9" * 5000 + "}\n", "line 1"),
        ('{"a": "' + "x" * tabular.MAX_LINE_CHARS + '"}\n', "line 1 has more than"),
    ],
    ids=["cut", "two", "csv", "duplicate", "nan", "infinity", "surrogate", "latin-1", "later", "deep", "deeper", "digits", "long"],
)  # fmt: skip
def test_refuses_what_is_no_json_line(text: str | bytes, problem: str) -> None:
    """A line that is not JSON means that the file is cut or something else."""
    error = refused(text, lines_of)
    assert problem in error.problem


def test_refusals_do_not_show_rows() -> None:
    """A row may hold what must not be shown."""
    for text, reader in (('{"ssn": "078-05-1120"', lines_of), ('a\n"078-05-1120\n', csv_of)):
        error = refused(text, reader)
        assert "078" not in f"{error} {error.problem} {error.hint} {error.location.excerpt}"


@pytest.fixture
def parquet(tmp_path: Path) -> Any:
    """Write Parquet files with DuckDB: `parquet("SELECT 1 AS a")`."""
    import duckdb

    def write(query: str, name: str = "d.parquet") -> ParquetTable:
        path = tmp_path / name
        duckdb.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
        return ParquetTable(path, "d.parquet")

    return write


def test_reads_parquet_with_its_types(parquet: Any) -> None:
    """Values come as Python knows them, and types as DuckDB names them."""
    query = (
        "SELECT 1::BIGINT AS i, 2.50::DECIMAL(5,2) AS d, DATE '2024-07-10' AS day, [1, 2] AS items, {'k': 'v'} AS o, "
        "NULL::VARCHAR AS gone, TIMESTAMP '2024-01-01 10:00:00' AS ts, TIMESTAMPTZ '2024-01-01 10:00:00+02' AS tz"
    )
    with parquet(query) as table:
        rows, columns = read(table)
    assert rows == [1]
    assert columns == {
        "i": [1],
        "d": [Decimal("2.50")],
        "day": [date(2024, 7, 10)],
        "items": [[1, 2]],
        "o": [{"k": "v"}],
        "gone": [None],
        "ts": [datetime(2024, 1, 1, 10)],  # the file has no zone
        "tz": [datetime(2024, 1, 1, 8, tzinfo=UTC)],
    }
    assert table.types["d"] == "DECIMAL(5,2)"
    assert table.types["tz"] == "TIMESTAMP WITH TIME ZONE"


def test_reads_parquet_in_batches_and_names_the_rest(parquet: Any) -> None:
    """Only wanted columns are read, whatever their names hold."""
    table = parquet("""SELECT range AS "a ""b", 1 AS c FROM range(10000)""")
    rows, columns = read(table, ['a "b'])
    assert (rows[0], rows[-1], table.row_count) == (1, 10_000, 10_000)
    assert columns['a "b'][9_999] == 9_999
    assert table.undeclared == {"c": Occurrences(10_000)}


def test_counts_rows_of_parquet_without_wanted_columns(parquet: Any) -> None:
    """A file of other columns only still has rows."""
    table = parquet("SELECT range AS a FROM range(5)")
    assert read(table, ["b"])[0] == [1, 2, 3, 4, 5]
    assert table.row_count == 5


def test_takes_no_folder_name_for_a_column(parquet: Any, tmp_path: Path) -> None:
    """A path like `day=1/` adds no column: what is not in the file is not data."""
    (tmp_path / "day=1").mkdir()
    assert parquet("SELECT 1 AS a", "day=1/d.parquet").columns == ("a",)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1PAR1", b"a,b\n1,2\n", b"PAR1" + bytes(200) + b"PAR1"])
def test_refuses_what_is_no_parquet(content: bytes, tmp_path: Path) -> None:
    """A damaged or truncated file is malformed."""
    path = tmp_path / "d.parquet"
    path.write_bytes(content)
    with pytest.raises(EvidenceError, match="not readable as Parquet") as caught:
        ParquetTable(path, "d.parquet")
    assert caught.value.kind == "malformed"


def test_refuses_truncated_parquet(parquet: Any, tmp_path: Path) -> None:
    """A file that lost its middle is found out at the latest when its rows are read."""
    parquet("SELECT range AS a, md5(range::VARCHAR) AS b FROM range(50000)")
    path = tmp_path / "d.parquet"
    data = bytearray(path.read_bytes())
    data[1000:60_000] = bytes(59_000)
    path.write_bytes(data)
    with pytest.raises(EvidenceError, match="not readable as Parquet"):
        read(ParquetTable(path, "d.parquet"))


def test_refuses_a_path_that_duckdb_takes_for_a_pattern(tmp_path: Path) -> None:
    """`*` would read other files than the one whose digest was recorded."""
    with pytest.raises(EvidenceError, match="takes for a pattern") as caught:
        ParquetTable(tmp_path / "*.parquet", "*.parquet")
    assert caught.value.kind == "unverifiable"


def test_says_what_to_install_for_parquet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without DuckDB a Parquet file is a gap, never a pass."""
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    with pytest.raises(EvidenceError, match="needs DuckDB") as caught:
        ParquetTable(tmp_path / "d.parquet", "d.parquet")
    assert caught.value.kind == "unverifiable"
    assert caught.value.hint == "pip install 'promotion-gatekeeper[parquet]'"


def test_nested_zones_are_a_gap_with_a_hint(parquet: Any) -> None:
    """DuckDB hands them over only with another package."""
    table = parquet("SELECT [TIMESTAMPTZ '2024-01-01 10:00:00+02'] AS a")
    with pytest.raises(EvidenceError, match="nested timestamps") as caught:
        read(table)
    assert (caught.value.kind, caught.value.hint) == ("unverifiable", "pip install pytz")


def test_reads_or_refuses_all_data_of_the_corpus(corpus: Path) -> None:
    """Every CSV, JSON-lines and Parquet file: rows, or the reason why there are none."""
    counts = {"csv": 0, "jsonl": 0, "parquet": 0, "refused": 0, "rows": 0}
    for path in sorted(corpus.rglob("*")):
        kind = tabular.SUFFIXES.get(path.suffix)
        if kind is None or path.stat().st_size > 5_000_000:
            continue
        try:
            with path.open("rb") as file:
                table: Table
                if kind == "parquet":
                    table = ParquetTable(path, path.name)
                else:
                    table = (CsvTable if kind == "csv" else JsonLinesTable)(file, path.name)
                read(table)
        except EvidenceError as error:
            counts["refused"] += error.subject == path.name
        else:
            counts[kind] += 1
            counts["rows"] += table.row_count
    assert counts == {"csv": 8, "jsonl": 5, "parquet": 3, "refused": 0, "rows": 54}


def test_reads_or_refuses_every_file_of_the_corpus_as_rows(corpus: Path) -> None:
    """Whatever a file is, it is rows or malformed by name, and never another exception."""
    counts = {"read": 0, "refused": 0}
    files = [each for each in corpus.rglob("*") if each.is_file() and each.stat().st_size < 200_000]
    for path in files:
        for reader in (CsvTable, JsonLinesTable):
            try:
                read(reader(io.BytesIO(path.read_bytes()), path.name))
            except EvidenceError as error:
                counts["refused"] += (error.kind, error.subject) == ("malformed", path.name)
            else:
                counts["read"] += 1
    assert counts["read"] > 100
    assert counts["refused"] > 600
    assert sum(counts.values()) == 2 * len(files)
