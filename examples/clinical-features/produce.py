"""
Make this example again from nothing: the data with its three faults, the lineage events, the promotion.

    python examples/clinical-features/produce.py

Needs the packages of examples/requirements.txt; takes a few seconds.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import pandas  # noqa: E402 — this and the following are found through the line above
import prepare  # noqa: E402
from producing.clock import now  # noqa: E402
from producing.commits import commit_of_code  # noqa: E402
from producing.digest import sha256_of  # noqa: E402
from producing.lineage import Code, Journal, Node, describe_file, published_data  # noqa: E402
from producing.promotion import write_as_of, write_promotion  # noqa: E402

EXAMPLE = "clinical-features"
OWNER = "team-clinical-data"
NAMESPACE = "clinical"
REPOSITORY = "https://git.example.org/imaging/clinical-features"


def main() -> None:
    """Make every file of the example, in the order in which a team would."""
    times = {"data_requested_at": now()}
    code = Code(REPOSITORY, "prepare.py", commit_of_code(EXAMPLE))
    journal = Journal(HERE / "lineage" / "events.ndjson", NAMESPACE, OWNER)
    source = published_data()
    samples = prepare.load_samples()
    deliver(journal, code, source, samples)
    join(journal, code)
    times["data_ready_at"] = now()
    values = {"data_sha256": sha256_of(HERE / "data" / "features.csv"), "source": source.name}
    write_promotion(HERE, times | values)
    write_as_of(HERE)


def deliver(journal: Journal, code: Code, source: Node, samples: pandas.DataFrame) -> None:
    """Write what the microscopes and the laboratories deliver."""
    run = journal.begin("deliver-measurements", code)
    _write(prepare.deliver_measurements(samples), "data/measurements.csv")
    run.complete([source], [_file("data/measurements.csv")])
    run = journal.begin("deliver-laboratory", code)
    _write(prepare.deliver_laboratory(samples), "data/laboratory.csv")
    run.report_progress()
    run.complete([source], [_file("data/laboratory.csv")], redelivered=True)


def join(journal: Journal, code: Code) -> None:
    """Join both deliveries into the table that is promoted."""
    run = journal.begin("join-features", code)
    measured, laboratory = (pandas.read_csv(HERE / "data" / name) for name in ("measurements.csv", "laboratory.csv"))
    run.report_progress()
    _write(prepare.join(measured, laboratory), "data/features.csv")
    run.complete([_file("data/measurements.csv"), _file("data/laboratory.csv")], [_file("data/features.csv")])


def _write(table: pandas.DataFrame, name: str) -> None:
    table.to_csv(HERE / name, index=False, lineterminator="\n")


def _file(name: str) -> Node:
    return describe_file(HERE, name, namespace=NAMESPACE, owner=OWNER)


if __name__ == "__main__":
    main()
