"""
Make this example again from nothing: data, model, lineage events, MLflow runs, Prometheus responses, promotion.

    python examples/tumour-classifier/produce.py

Needs the packages of examples/requirements.txt and a `prometheus` on PATH; takes about a minute.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import pandas  # noqa: E402 — this and the following are found through the line above
import serve  # noqa: E402
import train  # noqa: E402
import yaml  # noqa: E402
from producing.clock import now  # noqa: E402
from producing.commits import commit_of_code  # noqa: E402
from producing.digest import sha256_of  # noqa: E402
from producing.lineage import Code, Journal, Node, describe_file, published_data  # noqa: E402
from producing.mlflow_store import Store, Trial  # noqa: E402
from producing.prometheus import Prometheus, scraping  # noqa: E402
from producing.promotion import write_as_of, write_promotion  # noqa: E402

EXAMPLE = "tumour-classifier"
OWNER = "team-imaging"
NAMESPACE = "imaging"
REPOSITORY = "https://git.example.org/imaging/tumour-classifier"
SERVING_SECONDS = 45
REQUESTS_PER_SECOND = 60
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d")


@dataclass(frozen=True)
class Split:
    """The samples, split."""

    train: pandas.DataFrame
    holdout: pandas.DataFrame


def main() -> None:
    """Make every file of the example, in the order in which a team would."""
    times = {"data_requested_at": now()}
    code = Code(REPOSITORY, "train.py", commit_of_code(EXAMPLE))
    journal = Journal(HERE / "lineage" / "events.ndjson", NAMESPACE, OWNER)
    split = make_data(journal, code)
    times |= {"data_ready_at": now(), "training_started_at": now()}
    runs = make_model(journal, code, split)
    times["training_finished_at"] = now()
    measure_serving(split.holdout)
    digests = {"model_sha256": sha256_of(HERE / "model.json"), "source": published_data().name}
    write_promotion(HERE, times | runs | digests)
    write_as_of(HERE)


def make_data(journal: Journal, code: Code) -> Split:
    """Split scikit-learn's data into the files that the model is trained and measured on."""
    run = journal.begin("split-samples", code)
    split = Split(*train.split_samples(train.load_samples()))
    split.train.to_csv(HERE / "data" / "train.csv", index=False, lineterminator="\n")
    run.report_progress()
    split.holdout.to_csv(HERE / "data" / "holdout.csv", index=False, lineterminator="\n")
    run.complete([published_data()], [_file("data/train.csv"), _file("data/holdout.csv")])
    return split


def make_model(journal: Journal, code: Code, split: Split) -> dict[str, str]:
    """Fit both models, measure them on the same held-out samples, and record both as MLflow runs."""
    store = Store(HERE / "mlflow.db", EXAMPLE)
    ids: dict[str, str] = {}
    run = journal.begin("train-classifier", code)
    baseline, candidate = train.fit_baseline(split.train), train.fit_candidate(split.train)
    run.report_progress()
    train.write_model(candidate, HERE / "model.json")
    run.complete([_file("data/train.csv")], [_file("model.json")], redelivered=True)
    fitted: dict[str, tuple[Any, dict[str, Any]]] = {
        "baseline": (baseline, {"model": "logistic regression", "features": ",".join(train.BASELINE_FEATURES)}),
        "candidate": (candidate, {"model": "boosted trees", **train.CANDIDATE_PARAMETERS}),
    }
    run = journal.begin("measure-classifier", code)
    for role, (model, parameters) in fitted.items():
        with store.run(Trial(role, parameters, _tags(code))) as trial:
            trial.log_dataset(split.train, "data/train.csv", "training")
            trial.log_dataset(split.holdout, "data/holdout.csv", "evaluation")
            trial.log_metrics(train.measure(train.predict(model, split.holdout), split.holdout))
            ids[f"{role}_run"] = trial.run_id
    store.compact()
    run.complete([_file("model.json"), _file("data/holdout.csv")], [_file("mlflow.db")])
    return ids


def measure_serving(holdout: pandas.DataFrame) -> None:
    """Serve the model, send it real requests for a bounded time, and ask a real Prometheus how it went."""
    server = serve.Server(HERE / "model.json")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with scraping(EXAMPLE, server.server_port) as prometheus:
            time.sleep(3)
            _send_requests(server.server_port, holdout)
            time.sleep(3)
            _save_answers(prometheus)
    finally:
        server.shutdown()
        server.server_close()


def _send_requests(port: int, holdout: pandas.DataFrame) -> None:
    samples = holdout[list(train.FEATURES)].to_dict("records")
    deadline = time.monotonic() + 2 * SERVING_SECONDS
    with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        for number in range(SERVING_SECONDS * REQUESTS_PER_SECOND):
            connection.request("POST", "/predict", json.dumps(samples[number % len(samples)]))
            connection.getresponse().read()
            if time.monotonic() > deadline:
                raise TimeoutError(f"only {number + 1} requests within {2 * SERVING_SECONDS} seconds")
            time.sleep(1 / REQUESTS_PER_SECOND)


def _save_answers(prometheus: Prometheus) -> None:
    query, moment = _error_ratio(HERE / "slo" / "serving.yaml"), round(time.time(), 3)
    answers: dict[str, Any] = {
        window: prometheus.query(query.replace("{{.window}}", window), moment) for window in WINDOWS
    }
    events = prometheus.query("sum(predictions_total)", moment)
    saved = {"time": moment, "windows": answers, "events": events}
    text = json.dumps(saved, indent=1) + "\n"
    (HERE / "slo" / "prometheus.json").write_text(text, "utf-8", newline="\n")


def _error_ratio(slo: Path) -> str:
    metric = yaml.safe_load(slo.read_text("utf-8"))["spec"]["indicator"]["spec"]["ratioMetric"]
    bad, total = (metric[part]["metricSource"]["spec"]["query"] for part in ("bad", "total"))
    return f"({bad}) / ({total})"


def _file(name: str) -> Node:
    return describe_file(HERE, name, namespace=NAMESPACE, owner=OWNER)


def _tags(code: Code) -> dict[str, str]:
    return {
        "mlflow.user": OWNER,
        "mlflow.source.name": code.path,
        "mlflow.source.type": "JOB",
        "mlflow.source.git.commit": code.commit,
        "mlflow.source.git.repoURL": code.repository_url,
    }


if __name__ == "__main__":
    main()
