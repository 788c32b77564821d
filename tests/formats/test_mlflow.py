"""MLflow's stores are read as they are, and refused when they are not what they should be."""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mlflow_stores import BASELINE, CANDIDATE, ENDED_MS, SCHEMA, RunFacts, write_file_store, write_sqlite

from gatekeeper.document import sha256_hex
from gatekeeper.errors import EvidenceError
from gatekeeper.files import Workspace
from gatekeeper.formats.mlflow import DatasetInput, Metric, Run, find_run, open_store, sqlite_store
from gatekeeper.formats.mlflow.meta import parse_meta
from gatekeeper.formats.mlflow.run import MAX_INPUTS

ENDED = datetime(2026, 11, 18, 11, 6, 40, tzinfo=UTC)
FACTS = RunFacts(
    CANDIDATE,
    metrics={"accuracy": 0.95, "val/f1 score": 0.9, "rows": 1000.0},
    params={"C": "1.0", "optim/lr": "1e-3"},
    datasets=(("wine", "0a64f9dd", "training"), ("holdout", "1e234567", "evaluation"), ("extra", "11aa22bb", None)),
)
NAMES = ("C", "accuracy", "never", "optim/lr", "val/f1 score")


class Stores:
    """Writes one kind of store and reads runs back through a workspace."""

    def __init__(self, kind: str, root: Path) -> None:
        self.kind, self.root = kind, root
        self.name = "mlflow.db" if kind == "sqlite" else "mlruns"
        self.workspace = Workspace(root=root, base=root)

    def write(self, *runs: RunFacts) -> None:
        if self.kind == "sqlite":
            write_sqlite(self.root / self.name, *runs)
        else:
            write_file_store(self.root / self.name, *runs)

    def read(self, run_id: str = CANDIDATE, names: tuple[str, ...] = NAMES) -> Run:
        with open_store(self.workspace, self.name) as store:
            return find_run(store, run_id, names)

    def refusal(self, run_id: str = CANDIDATE, names: tuple[str, ...] = NAMES) -> EvidenceError:
        with pytest.raises(EvidenceError) as caught:
            self.read(run_id, names)
        return caught.value


@pytest.fixture(params=["sqlite", "files"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    return Stores(request.param, tmp_path)


@pytest.fixture
def sqlite(tmp_path: Path) -> Stores:
    return Stores("sqlite", tmp_path)


@pytest.fixture
def files(tmp_path: Path) -> Stores:
    return Stores("files", tmp_path)


def execute(stores: Stores, *statements: str) -> None:
    """Change a SQLite store as a hostile or careless hand would."""
    with closing(sqlite3.connect(stores.root / stores.name)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_reads_what_was_named_and_nothing_else(stores: Stores) -> None:
    """Metrics, parameters and datasets of a run are the same from both kinds of store."""
    stores.write(FACTS, RunFacts(BASELINE))
    assert stores.read() == Run(
        run_id=CANDIDATE,
        name="trial",
        status="FINISHED",
        lifecycle_stage="active",
        ended_at=ENDED,
        metrics={"accuracy": Metric(0.95, ENDED), "val/f1 score": Metric(0.9, ENDED)},
        params={"C": "1.0", "optim/lr": "1e-3"},
        datasets=(
            DatasetInput("", "extra", "11aa22bb"),
            DatasetInput("evaluation", "holdout", "1e234567"),
            DatasetInput("training", "wine", "0a64f9dd"),
        ),
    )


def test_keeps_the_digest_of_every_byte_read(stores: Stores) -> None:
    """Each file that was read is a source, with the digest of its bytes."""
    stores.write(FACTS)
    stores.read()
    sources = stores.workspace.sources
    assert len(sources) == (1 if stores.kind == "sqlite" else 11)
    for source in sources:
        assert source.sha256 == sha256_hex((stores.root / source.path).read_bytes())


def test_store_folder_may_end_in_a_slash(files: Stores) -> None:
    """`mlruns/` and `mlruns` are one folder."""
    files.write(FACTS)
    files.name = "mlruns/"
    assert files.read().metrics["accuracy"].value == 0.95


def test_lists_runs_sorted(stores: Stores) -> None:
    """Run ids come sorted, whatever the order in the store."""
    stores.write(FACTS, RunFacts(BASELINE))
    with open_store(stores.workspace, stores.name) as store:
        assert store.list_run_ids() == [BASELINE, CANDIDATE]


def test_absent_run_is_missing_and_names_the_nearest(stores: Stores) -> None:
    """A misspelt id is a gap that names the ids that it may have meant."""
    stores.write(FACTS, RunFacts(BASELINE))
    error = stores.refusal("c" * 31 + "d")
    assert (error.kind, error.subject) == ("missing", stores.name)
    assert error.hint.startswith(f"nearest run ids: {CANDIDATE}")


def test_empty_store_says_that_it_holds_no_runs(stores: Stores) -> None:
    """A store without runs is a gap with that hint."""
    stores.write()
    assert stores.refusal().hint == "the store holds no runs"


@pytest.mark.parametrize("status", ["RUNNING", "SCHEDULED", "FAILED", "KILLED"])
def test_unfinished_run_is_unverifiable(stores: Stores, status: str) -> None:
    """Half of a run's metrics prove nothing."""
    stores.write(replace(FACTS, status=status))
    error = stores.refusal()
    assert error.kind == "unverifiable"
    assert status in error.problem


def test_deleted_run_is_unverifiable(stores: Stores) -> None:
    """A run that somebody deleted is not evidence."""
    stores.write(replace(FACTS, stage="deleted"))
    assert "'deleted'" in stores.refusal().problem


def test_run_may_have_neither_name_nor_end(stores: Stores) -> None:
    """Null stays what it is: no name, no end."""
    stores.write(replace(FACTS, name=None, ended_ms=None))
    run = stores.read()
    assert (run.name, run.ended_at) == ("", None)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (math.nan, "NaN"),
        (math.inf, "infinite"),
        (-math.inf, "infinite"),
        (1.7976931348623157e308, "infinite"),
        (-1.7976931348623157e308, "infinite"),
        (1e19, "infinite or past"),
    ],
    ids=str,
)
def test_metric_that_is_no_number_is_malformed(stores: Stores, value: float, problem: str) -> None:
    """NaN is a gap and not a 0; infinity is one in either notation."""
    stores.write(replace(FACTS, metrics={"accuracy": value}))
    error = stores.refusal()
    assert error.kind == "malformed"
    assert problem in error.problem
    assert "accuracy" in error.problem


def test_metric_that_nobody_named_may_be_nan(stores: Stores) -> None:
    """Only what the plan names must be a number."""
    stores.write(replace(FACTS, metrics={"accuracy": 0.95, "loss": math.nan}))
    assert stores.read().metrics == {"accuracy": Metric(0.95, ENDED)}


@pytest.mark.parametrize("milliseconds", [-1, 253_402_300_800_000], ids=["before-1970", "after-9999"])
def test_time_out_of_range_is_malformed(stores: Stores, milliseconds: int) -> None:
    """A time that no calendar holds is a gap, not a crash."""
    stores.write(replace(FACTS, logged_ms=milliseconds))
    assert "outside the years" in stores.refusal().problem


def test_missing_store_is_missing(stores: Stores) -> None:
    """No file, no evidence."""
    assert stores.refusal().kind == "missing"


def test_store_outside_the_repository_is_unverifiable(tmp_path: Path) -> None:
    """A store is read inside the repository only, by path or by symbolic link."""
    write_sqlite(tmp_path / "mlflow.db", FACTS)
    root = tmp_path / "repo"
    root.mkdir()
    (root / "link.db").symlink_to(tmp_path / "mlflow.db")
    for name in ("../mlflow.db", "link.db"):
        with pytest.raises(EvidenceError, match="leaves the repository"), open_store(Workspace(root, root), name):
            pass


@pytest.mark.parametrize("name", ["a b#c?d%41.db", "mlflow.db?mode=rwc", "é.db"])
def test_odd_file_names_are_names_and_not_options(tmp_path: Path, name: str) -> None:
    """A file's name never becomes a parameter of SQLite's URI."""
    write_sqlite(tmp_path / name, FACTS)
    with open_store(Workspace(tmp_path, tmp_path), name) as store:
        assert find_run(store, CANDIDATE, NAMES).metrics["accuracy"].value == 0.95
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


# SQLite


@pytest.mark.parametrize(
    ("content", "problem", "hint"),
    [
        (b"", "is empty", "mlflow.db"),
        (b"run,accuracy\n1,0.9\n", "is not a SQLite file", "mlflow.db"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is not a SQLite file", "git lfs pull"),
    ],
    ids=["empty", "csv", "lfs-pointer"],
)
def test_file_that_is_no_sqlite_is_malformed(sqlite: Stores, content: bytes, problem: str, hint: str) -> None:
    """A file of another format is recognised by its content, and the hint says what it may be."""
    (sqlite.root / sqlite.name).write_bytes(content)
    error = sqlite.refusal()
    assert error.kind == "malformed"
    assert problem in error.problem
    assert hint in error.hint


@pytest.mark.parametrize("keep", [100, 4096, 0.5], ids=["header", "one-page", "half"])
def test_truncated_store_is_malformed(sqlite: Stores, keep: float) -> None:
    """A file that was cut off is a gap."""
    sqlite.write(*(RunFacts(f"{n:032x}", params={"p": "x" * 500}) for n in range(100)), FACTS)
    path = sqlite.root / sqlite.name
    data = path.read_bytes()
    path.write_bytes(data[: int(keep if keep > 1 else len(data) * keep)])
    assert sqlite.refusal().kind == "malformed"


def test_overwritten_pages_are_malformed(sqlite: Stores) -> None:
    """A damaged file is a gap, whichever page was hit."""
    sqlite.write(FACTS)
    path = sqlite.root / sqlite.name
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))
    assert sqlite.refusal().kind == "malformed"


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_journal_beside_the_store_is_unverifiable(sqlite: Stores, suffix: str) -> None:
    """A journal holds what the file does not: the file alone is not the data."""
    sqlite.write(FACTS)
    (sqlite.root / f"{sqlite.name}{suffix}").write_bytes(b"")
    error = sqlite.refusal()
    assert error.kind == "unverifiable"
    assert suffix in error.problem


def test_store_with_a_real_write_ahead_log_is_unverifiable(sqlite: Stores) -> None:
    """What a running server has not checkpointed is not in the file; after the checkpoint it is read."""
    sqlite.write()
    with closing(sqlite3.connect(sqlite.root / sqlite.name)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("INSERT INTO runs VALUES (?, 'late', 'FINISHED', 0, 1, 'active', 1)", (CANDIDATE,))
        connection.commit()
        assert "-wal" in sqlite.refusal().problem
    assert sqlite.read().name == "late"


def test_reading_leaves_the_folder_as_it_was(sqlite: Stores) -> None:
    """No lock, journal or index appears beside the store, even in WAL mode."""
    sqlite.write(FACTS)
    execute(sqlite, "PRAGMA journal_mode = WAL")
    before = (sqlite.root / sqlite.name).read_bytes()
    sqlite.read()
    assert (sqlite.root / sqlite.name).read_bytes() == before
    assert [path.name for path in sqlite.root.iterdir()] == [sqlite.name]


@pytest.mark.parametrize("table", ["runs", "latest_metrics", "params", "inputs", "input_tags", "datasets"])
def test_store_without_a_table_is_malformed(sqlite: Stores, table: str) -> None:
    """A SQLite file that lacks one of MLflow's tables is no tracking store."""
    sqlite.write(FACTS)
    execute(sqlite, f"DROP TABLE {table}")
    error = sqlite.refusal()
    assert error.kind == "malformed"
    assert repr(table) in error.problem


@pytest.mark.parametrize("table", ["runs", "latest_metrics", "params", "inputs", "input_tags", "datasets"])
def test_view_in_the_place_of_a_table_is_refused(sqlite: Stores, table: str) -> None:
    """A view may compute anything; MLflow has none there."""
    sqlite.write(FACTS)
    execute(sqlite, f"ALTER TABLE {table} RENAME TO real", f"CREATE VIEW {table} AS SELECT * FROM real")
    assert "not an ordinary table" in sqlite.refusal().problem


def test_generated_column_is_refused(sqlite: Stores) -> None:
    """A value that the schema computes when it is read is not a value that was logged."""
    schema = SCHEMA.replace("value FLOAT NOT NULL", "value FLOAT GENERATED ALWAYS AS (0.99) VIRTUAL")
    write_sqlite(sqlite.root / sqlite.name, RunFacts(CANDIDATE), schema=schema)
    assert "'latest_metrics' is not an ordinary table" in sqlite.refusal().problem


def test_virtual_table_is_refused(sqlite: Stores) -> None:
    """A virtual table runs code of its own."""
    sqlite.write(FACTS)
    execute(sqlite, "DROP TABLE params", "CREATE VIRTUAL TABLE params USING fts5(key, value, run_uuid)")
    assert "'params' is not an ordinary table" in sqlite.refusal().problem


def test_missing_column_is_malformed(sqlite: Stores) -> None:
    """A column that is not there is an error, and never its own name as text."""
    schema = SCHEMA.replace("is_nan BOOLEAN NOT NULL, ", "")
    write_sqlite(sqlite.root / sqlite.name, RunFacts(CANDIDATE), schema=schema)
    error = sqlite.refusal()
    assert error.kind == "malformed"
    assert "is_nan" in error.problem


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("value", "'0.99 at least'", "not a number"),
        ("value", "x'3ff0'", "not a number"),
        ("is_nan", "2", "is_nan"),
        ("is_nan", "'no'", "is_nan"),
        ("timestamp", "NULL", "whole number of milliseconds"),
        ("timestamp", "'yesterday'", "whole number of milliseconds"),
        ("timestamp", "1.5", "whole number of milliseconds"),
    ],
)
def test_metric_of_a_wrong_type_is_malformed(sqlite: Stores, column: str, value: str, problem: str) -> None:
    """SQLite stores anything in any column; what is not the type that MLflow writes is refused."""
    sqlite.write(FACTS)
    execute(sqlite, f"UPDATE latest_metrics SET {column} = {value}")
    error = sqlite.refusal()
    assert error.kind == "malformed"
    assert problem in error.problem


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("UPDATE runs SET name = x'00'", "text of at most"),
        ("UPDATE runs SET status = x'33'", "text of at most"),
        ("UPDATE runs SET name = printf('%.*c', 501, 'x')", "text of at most"),
        ("UPDATE runs SET end_time = 'now'", "whole number of milliseconds"),
        ("UPDATE params SET value = x'31'", "not text"),
        ("UPDATE datasets SET digest = ''", "does not describe"),
        ("UPDATE datasets SET digest = printf('%.*c', 501, 'a')", "text of at most"),
        ("UPDATE input_tags SET value = x'00'", "text of at most"),
        ("DELETE FROM datasets", "does not describe"),
        ("UPDATE runs SET name = CAST(x'ff' AS TEXT)", "UTF-8"),
        ("UPDATE runs SET name = printf('%.*c', 300000, 'x')", "too big"),
        ("UPDATE params SET value = zeroblob(300000)", "too big"),
        ("UPDATE datasets SET digest = zeroblob(33554433)", "too big"),
    ],
)
def test_hostile_rows_are_malformed(sqlite: Stores, change: str, problem: str) -> None:
    """Blobs for text, text for numbers, endless values and bad encodings are gaps, never another exception."""
    sqlite.write(FACTS)
    execute(sqlite, "DROP TRIGGER guard", change)
    error = sqlite.refusal()
    assert error.kind == "malformed"
    assert problem in error.problem
    assert len(error.problem) < 400


def test_large_dataset_schema_is_no_obstacle(sqlite: Stores) -> None:
    """MLflow logs schemas of megabytes beside a dataset's digest."""
    sqlite.write(FACTS)
    execute(sqlite, "UPDATE datasets SET dataset_schema = printf('%.*c', 4000000, 'x')")
    assert len(sqlite.read().datasets) == 3


@pytest.mark.parametrize(
    ("table", "names"),
    [("latest_metrics", ("accuracy",)), ("params", ("C",)), ("runs", ())],
)
def test_row_that_is_there_twice_is_malformed(sqlite: Stores, table: str, names: tuple[str, ...]) -> None:
    """Without MLflow's keys a table can hold two values for one metric; neither is taken."""
    keyless = SCHEMA.replace(', PRIMARY KEY ("key", run_uuid)', "").replace(',\n    PRIMARY KEY ("key", run_uuid)', "")
    keyless = keyless.replace("NOT NULL PRIMARY KEY", "NOT NULL")
    write_sqlite(sqlite.root / sqlite.name, FACTS, schema=keyless)
    execute(sqlite, f"INSERT INTO {table} SELECT * FROM {table}")
    assert "twice" in sqlite.refusal(names=names).problem


def test_too_many_datasets_are_malformed(stores: Stores) -> None:
    """The number of datasets of one run is bounded."""
    stores.write(replace(FACTS, datasets=tuple((f"d{n}", "aa", "eval") for n in range(MAX_INPUTS + 1))))
    assert f"more than {MAX_INPUTS} datasets" in stores.refusal().problem


def test_slow_store_is_unverifiable(sqlite: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries end when their time is up, whatever the file makes SQLite do."""
    keyless = SCHEMA.replace("NOT NULL PRIMARY KEY", "NOT NULL")
    write_sqlite(sqlite.root / sqlite.name, *(RunFacts(f"{n:032x}") for n in range(3000)), schema=keyless)
    monkeypatch.setattr(sqlite_store, "MAX_SECONDS", 0.0)
    error = sqlite.refusal()
    assert error.kind == "unverifiable"
    assert "take longer" in error.problem


def test_store_that_changes_while_it_is_read_is_unverifiable(sqlite: Stores) -> None:
    """The digest must be that of the bytes that were read."""
    sqlite.write(FACTS)
    path = sqlite.root / sqlite.name
    opened = open_store(sqlite.workspace, sqlite.name)
    find_run(opened.__enter__(), CANDIDATE, NAMES)
    path.write_bytes(path.read_bytes() + b"\0" * 4096)
    with pytest.raises(EvidenceError, match="changed while"):
        opened.__exit__(None, None, None)


def test_triggers_never_fire(sqlite: Stores) -> None:
    """MLflow's own trigger is there, and nothing is written that could fire it."""
    sqlite.write(FACTS)
    assert sqlite.read().params["C"] == "1.0"


# The file store


def metric_file(files: Stores, text: str | bytes, name: str = "accuracy") -> None:
    path = files.root / "mlruns" / "636581562594815217" / CANDIDATE / "metrics" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ("5 0.1 0\n6 0.2 1\n7 0.3 0\n", 0.2),
        ("5 0.1 1\n6 0.2 1\n", 0.2),
        ("6 0.2 1\n6 0.9 1\n6 0.5 1\n", 0.9),
        ("5 0.1\n6 0.2\n", 0.2),
        ("5 nan 0\n6 0.2 1\n", 0.2),
        ("5 0.25 -1\r\n\n", 0.25),
        ("5 1e-05 0", 1e-05),
        ("5 -3 0", -3.0),
    ],
    ids=["step", "time", "value", "two-fields", "nan-superseded", "windows", "exponent", "negative"],
)
def test_last_value_is_mlflows_last_value(files: Stores, lines: str, value: float) -> None:
    """The greatest (step, timestamp, value) counts, as MLflow's own file store has it."""
    files.write(FACTS)
    metric_file(files, lines)
    assert files.read().metrics["accuracy"].value == value


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "no value"),
        ("\n\n", "no value"),
        ("5 0.9 0 1", "4 fields"),
        ("0.9", "1 fields"),
        ("5 0.9 1.5", "whole number"),
        ("x 0.9 0", "whole number"),
        ("5 1_000 0", "not a number"),
        ("5 infinity 0", "not a number"),
        ("5 0x10 0", "not a number"),
        ("5 1e999 0", "infinite"),
        ("5 0.9 0\n6 nan 0", "NaN"),
        ("5 nan 0\n5 0.9 0", "NaN"),
        ("5 0.9 " + "9" * 30, "whole number"),
        (b"5 0.9 \xff", "not UTF-8"),
    ],
)
def test_malformed_metric_file_is_refused_by_name(files: Stores, content: str | bytes, problem: str) -> None:
    """A metric file that MLflow did not write so is a gap that names the file."""
    files.write(FACTS)
    metric_file(files, content)
    error = files.refusal()
    assert error.kind == "malformed"
    assert problem in error.problem
    assert error.subject.endswith("metrics/accuracy")


def test_folder_in_the_place_of_a_metric_is_no_metric(files: Stores) -> None:
    """`val` is not a metric because `val/f1 score` is one."""
    files.write(FACTS)
    assert "val" not in files.read(names=("val",)).metrics


def test_metric_that_links_out_of_the_repository_is_unverifiable(tmp_path: Path) -> None:
    """A symbolic link inside the store does not lead out of the repository."""
    (tmp_path / "secret").write_text("5 0.99 0\n")
    files = Stores("files", tmp_path / "repo")
    files.root.mkdir()
    files.write(FACTS)
    metric_file(files, "")
    path = files.root / "mlruns" / "636581562594815217" / CANDIDATE / "metrics" / "accuracy"
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    assert "leaves the repository" in files.refusal().problem


def test_pipe_in_the_place_of_a_metric_is_refused(files: Stores) -> None:
    """A named pipe would make the reader wait for ever."""
    files.write(FACTS)
    path = files.root / "mlruns" / "636581562594815217" / CANDIDATE / "metrics" / "accuracy"
    path.unlink()
    os.mkfifo(path)
    assert "not a regular file" in files.refusal().problem


def test_parameter_is_bounded(files: Stores) -> None:
    """A parameter is no longer than MLflow allows."""
    files.write(replace(FACTS, params={"C": "x" * 8001}))
    assert "at most 8000" in files.refusal().problem


def test_folder_without_experiments_is_malformed(files: Stores) -> None:
    """Any folder is not a store."""
    (files.root / "mlruns" / "docs").mkdir(parents=True)
    error = files.refusal()
    assert error.kind == "malformed"
    assert "no experiment" in error.problem


def test_run_in_two_experiments_is_malformed(files: Stores) -> None:
    """Which of the two is meant?"""
    files.write(FACTS)
    write_file_store(files.root / "mlruns", FACTS, experiment="7")
    assert "experiments 636581562594815217, 7" in files.refusal().problem


def test_run_in_the_trash_is_missing(files: Stores) -> None:
    """A deleted experiment's runs are not found, as in MLflow."""
    files.write(RunFacts(BASELINE))
    write_file_store(files.root / "mlruns" / ".trash", FACTS, experiment="7")
    assert files.refusal().kind == "missing"


def run_meta(change: Callable[[str], str]) -> Callable[[Stores], None]:
    def apply(files: Stores) -> None:
        path = files.root / "mlruns" / "636581562594815217" / CANDIDATE / "meta.yaml"
        path.write_text(change(path.read_text()))

    return apply


@pytest.mark.parametrize(
    ("change", "kind", "problem"),
    [
        (run_meta(lambda text: text.replace(CANDIDATE, BASELINE)), "malformed", "another run"),
        (run_meta(lambda text: text.replace("636581562594815217", "7")), "malformed", "another run or experiment"),
        (run_meta(lambda text: text.replace("status: 3", "status: 9")), "unverifiable", "unknown status"),
        (run_meta(lambda text: text.replace("status: 3\n", "")), "unverifiable", "unknown status"),
        (run_meta(lambda text: text.replace("lifecycle_stage: active\n", "")), "unverifiable", "''"),
        (run_meta(lambda text: text.replace(str(ENDED_MS), "soon")), "malformed", "whole number"),
        (run_meta(lambda text: text + "status: 3\n"), "malformed", "twice"),
        (run_meta(lambda _: ""), "malformed", "not a mapping"),
        (run_meta(lambda _: "- 1\n"), "malformed", "not a mapping"),
        (run_meta(lambda _: "a: [\n"), "malformed", "not YAML"),
        (run_meta(lambda _: "a: " + "[" * 100_000), "malformed", "not a flat mapping"),
        (run_meta(lambda _: "a: &x 1\nb: *x\n"), "malformed", "not a flat mapping"),
    ],
)
def test_malformed_run_is_refused(files: Stores, change: Callable[[Stores], None], kind: str, problem: str) -> None:
    """A run whose meta.yaml is not what MLflow writes is a gap."""
    files.write(FACTS)
    change(files)
    error = files.refusal()
    assert error.kind == kind
    assert problem in error.problem


@pytest.mark.parametrize("lost", ["folder", "name", "id"])
def test_dataset_that_is_not_described_is_malformed(files: Stores, lost: str) -> None:
    """MLflow skips such an input with a warning; here it would hide a difference of data."""
    files.write(replace(FACTS, datasets=(("wine", "0a64f9dd", "eval"),)))
    experiment = files.root / "mlruns" / "636581562594815217"
    (meta,) = (experiment / "datasets").glob("*/meta.yaml")
    (edge,) = (experiment / CANDIDATE / "inputs").glob("*/meta.yaml")
    if lost == "folder":
        meta.unlink()
    elif lost == "name":
        meta.write_text("digest: 0a64f9dd\n")
    else:
        edge.write_text(edge.read_text().replace("source_id: ", "source_id: ../../"))
    assert "dataset" in files.refusal().problem


def test_input_that_is_a_model_is_no_dataset(files: Stores) -> None:
    """MLflow 3 records models as inputs too."""
    files.write(replace(FACTS, datasets=(("wine", "0a64f9dd", "eval"),)))
    (edge,) = (files.root / "mlruns" / "636581562594815217" / CANDIDATE / "inputs").glob("*/meta.yaml")
    edge.write_text(edge.read_text().replace("DATASET", "RUN_INPUT"))
    assert files.read().datasets == ()


def test_meta_keeps_scalars_as_text() -> None:
    """`1e234567` is a digest and not infinity; null is null unless it is quoted."""
    text = b"a: 1e234567\nb: null\nc: 'null'\nd: ''\ne:\nf: [1, [2]]\ng: {x: '~', y: ~}\n"
    scalars, nested = parse_meta(text, "meta.yaml")
    assert scalars == {"a": "1e234567", "b": None, "c": "null", "d": "", "e": None}
    assert nested == {"g": {"x": "~", "y": None}}


@pytest.mark.parametrize("data", [b"\xff", b"a: 1\n---\nb: 2\n", b"? [a]\n: 1\n", b"a: !!binary aGk=\n- b\n"])
def test_meta_that_mlflow_never_writes_is_malformed(data: bytes) -> None:
    """Other YAML than flat mappings is refused with the file's name."""
    with pytest.raises(EvidenceError) as caught:
        parse_meta(data, "meta.yaml")
    assert (caught.value.kind, caught.value.subject) == ("malformed", "meta.yaml")


def test_reads_every_run_of_the_corpus(corpus: Path) -> None:
    """Both stores that MLflow 3.17 wrote are read whole: two runs each, with metric, parameter and dataset."""
    workspace = Workspace(corpus, corpus)
    read = []
    for name in ("mlflow.db", "mlruns"):
        with open_store(workspace, f"experiments/generated/{name}") as store:
            read += [find_run(store, run_id, ("C", "accuracy")) for run_id in store.list_run_ids()]
    assert [(run.name, run.params["C"], round(run.metrics["accuracy"].value, 3)) for run in read] == [
        ("lr-1.0", "1.0", 0.994),
        ("lr-0.01", "0.01", 0.955),
        ("lr-0.01", "0.01", 0.955),
        ("lr-1.0", "1.0", 0.994),
    ]
    assert {run.datasets for run in read} == {(DatasetInput("training", "wine", "0a64f9dd"),)}


def test_refuses_every_other_file_of_the_corpus(corpus: Path) -> None:
    """What is no MLflow store is refused by name and with a reason, whatever it is."""
    workspace, folder = Workspace(corpus, corpus), corpus / "experiments"
    refused = []
    for path in sorted(each for each in folder.rglob("*") if each.name not in ("mlflow.db", "mlruns")):
        name = path.relative_to(corpus).as_posix()
        if ("/mlruns/" in name and path.is_dir()) or path == folder / "generated":
            continue
        with pytest.raises(EvidenceError) as caught, open_store(workspace, name):
            pass
        assert caught.value.subject == name
        assert caught.value.problem
        refused.append(name)
    assert len(refused) > 50
