"""
Serving code of the tumour classifier: one HTTP server that answers predictions and exposes its own metrics.

`POST /predict` takes the ten features as a JSON object and answers `{"malignant": probability}`;
`GET /metrics` is what Prometheus scrapes. Every four-hundredth prediction fails on purpose with 503, so that the
example has an error budget that is partly spent; nothing else about the figures is arranged.
"""

from __future__ import annotations

import json
import math
import struct
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

FAIL_EVERY = 400


class Classifier:
    """The boosted trees of model.json."""

    def __init__(self, path: Path) -> None:
        self._model = json.loads(path.read_text("utf-8"))

    def predict(self, features: dict[str, float]) -> float:
        """Probability of malignancy; a feature that is not given is a `KeyError`."""
        # scikit-learn's trees compare single-precision values, so these do too.
        values = [struct.unpack("f", struct.pack("f", features[name]))[0] for name in self._model["features"]]
        total = sum(_leaf(tree, values) for tree in self._model["trees"])
        return 1 / (1 + math.exp(-(self._model["prior_log_odds"] + self._model["learning_rate"] * total)))


def _leaf(tree: dict[str, list[Any]], values: list[float]) -> float:
    node = 0
    while tree["left"][node] >= 0:
        goes_left = values[tree["feature"][node]] <= tree["threshold"][node]
        node = tree["left" if goes_left else "right"][node]
    return float(tree["value"][node])


class Server(ThreadingHTTPServer):
    """The classifier with its counters, on a free port of the loopback address."""

    daemon_threads = True

    def __init__(self, model: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.classifier = Classifier(model)
        self.registry = CollectorRegistry()
        self.requests = Counter("predictions", "Predictions by status.", ["code"], registry=self.registry)
        self.seconds = Histogram("prediction_seconds", "Time of one prediction.", registry=self.registry)
        self.count = 0
        # A series that does not exist until the first failure would make the error ratio undefined, not zero.
        for code in ("200", "400", "503"):
            self.requests.labels(code)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer the scrape."""
        self._answer(200, generate_latest(self.server.registry), "text/plain; version=0.0.4")

    def do_POST(self) -> None:
        """Answer one prediction and count it."""
        began = time.perf_counter()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.count += 1
        code: int = 503
        answer: dict[str, Any] = {"error": "overloaded"}
        if self.server.count % FAIL_EVERY:
            try:
                code, answer = 200, {"malignant": self.server.classifier.predict(json.loads(body))}
            except (ValueError, KeyError, TypeError, struct.error):
                code, answer = 400, {"error": "the ten features are wanted as a JSON object"}
        self.server.requests.labels(str(code)).inc()
        self.server.seconds.observe(time.perf_counter() - began)
        self._answer(code, json.dumps(answer).encode(), "application/json")

    def _answer(self, code: int, body: bytes, content_type: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing for each request; the counters tell."""
