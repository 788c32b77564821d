"""
Nothing that is missing, misspelt, broken, hostile or slow ends as allow.

Each row breaks one thing in a promotion that is allowed, runs the real command, and asks for the exit code, for
words that say what is wrong, for a hint, for a record in the log, and for the absence of any traceback.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import PROJECT

from .conftest import Promotion, environment

Break = Callable[[Promotion], list[str]]
SLO = "slo/prometheus.json"
EVENTS = "lineage/events.ndjson"
SLO_REGO = "policies/gatekeeper/gates/slo/slo.rego"


def manifest(old: str, new: str) -> Break:
    def change(promotion: Promotion) -> list[str]:
        promotion.edit("promotion.yaml", old, new)
        return ["promotion.yaml"]

    return change


def settings(text: str) -> Break:
    def change(promotion: Promotion) -> list[str]:
        path = promotion.root / "gatekeeper.yaml"
        replaced = {line.split(":")[0] for line in text.splitlines() if line}
        kept = [line for line in path.read_text("utf-8").splitlines() if line.split(":")[0] not in replaced]
        path.write_text("\n".join(kept) + text, "utf-8")
        return ["promotion.yaml"]

    return change


def evidence(name: str, content: bytes | Callable[[bytes], bytes] | None) -> Break:
    def change(promotion: Promotion) -> list[str]:
        path = promotion.root / name
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content(path.read_bytes()) if callable(content) else content)
        return ["promotion.yaml"]

    return change


def policy(body: str, *, keep: bool = False, settings_text: str = "") -> Break:
    """Replace the rules of the slo gate (or add to them) in a copy of the library."""

    def change(promotion: Promotion) -> list[str]:
        shutil.copytree(PROJECT / "policies", promotion.root / "policies")
        path = promotion.root / SLO_REGO
        head = path.read_text("utf-8") if keep else "package gatekeeper.gates.slo\n\nimport rego.v1\n"
        path.write_text(f"{head}\n{body}\n", "utf-8")
        return settings(f"\npolicies: policies\n{settings_text}")(promotion)

    return change


def rule(body: str) -> str:
    """A rule with complete METADATA."""
    return (
        "# METADATA\n# title: T\n# description: D\n# custom:\n#   rule: slo.broken\n#   severity: deny\n"
        f"#   remedy: R\n#   controls: []\n{body}\n"
    )


def symlink(name: str, target: str) -> Break:
    def change(promotion: Promotion) -> list[str]:
        (promotion.root / name).unlink()
        (promotion.root / name).symlink_to(target)
        return ["promotion.yaml"]

    return change


def sparse(name: str, size: int) -> Break:
    def change(promotion: Promotion) -> list[str]:
        with (promotion.root / name).open("wb") as file:
            file.truncate(size)
        return ["promotion.yaml"]

    return change


def arguments(*values: str) -> Break:
    return lambda _promotion: list(values)


def negative_ratio(data: bytes) -> bytes:
    """Every value that Prometheus measured, made negative."""
    content = json.loads(data)
    for window in content["windows"].values():
        for series in window["data"]["result"]:
            series["value"][1] = "-0.5"
    return json.dumps(content).encode()


def negative_in_bundle(promotion: Promotion) -> list[str]:
    """A bundle with a negative figure and the right digest, for decide."""
    from gatekeeper.evidence import bundle_digest

    promotion.run("promotion.yaml", "-o", "bundle.json", command="collect")
    path = promotion.root / "bundle.json"
    content = json.loads(path.read_text("utf-8"))
    (slo,) = (each for each in content["evidence"] if each["gate"] == "slo")
    slo["body"]["warning_count"] = -1
    content["digest"] = bundle_digest(content)
    path.write_text(json.dumps(content), "utf-8")
    return ["bundle.json"]


def no_policies(promotion: Promotion) -> list[str]:
    (promotion.root / "nothing").mkdir()
    return settings("\npolicies: nothing\n")(promotion)


NO_WARN = rule('deny contains {"rule": "slo.broken", "subject": "s", "message": "m"} if input.never')
MANY = "_many := [\n" + ",\n".join(map(str, range(1, 4001))) + ",\n]\n"
WARN = 'warn contains {"rule": "slo.broken", "subject": "s", "message": "m"} if input.never\n'

ROWS: dict[str, tuple[Break, int, str]] = {
    "no policies found": (no_policies, 2, "no policies found"),
    "policy folder misspelt": (settings("\npolicies: polices\n"), 2, "no such policy folder"),
    "gate with no rules": (policy("deny := set()\n\nwarn := set()"), 2, "no rules"),
    "unknown gate in settings": (
        settings("\nrequired_gates: {production: {model: [contracts, sloo]}}\n"), 2, "did you mean 'slo'",
    ),
    "no gate in settings": (settings("\nrequired_gates: {production: {model: []}}\n"), 2, "no gate is not a pass"),
    "environment misspelt": (manifest("to: production", "to: prodution"), 2, "did you mean 'production'"),
    "settings misspelt": (arguments("promotion.yaml", "--settings", "gatekeper.yaml"), 2, "no such settings file"),
    "unknown key in settings": (settings("\nengin: embedded\n"), 2, "did you mean 'engine'"),
    "threshold misspelt": (settings("\nthresholds: {slo: {max_age_second: 1}}\n"), 2, "max_age_second"),
    "threshold of unknown gate": (settings("\nthresholds: {sloo: {max_age_seconds: 1}}\n"), 2, "did you mean 'slo'"),
    "undefined result": (policy(NO_WARN), 2, "does not define `warn`"),
    "result of another shape": (policy(rule('deny := {"a": 1}') + WARN), 2, "a set of findings was wanted"),
    "member is a number": (policy(rule("deny contains 7") + WARN), 2, "no finding"),
    "member is a string": (policy(rule('deny contains "no"') + WARN), 2, "no finding"),
    "member is null": (policy(rule("deny contains null") + WARN), 2, "no finding"),
    "finding without METADATA": (
        policy(rule('deny contains {"rule": "slo.other", "subject": "s", "message": "m"}') + WARN), 2, "slo.other",
    ),
    "policy that does not compile": (policy(NO_WARN + WARN + "_x := y if z"), 2, "slo.rego"),
    "policy with an open bracket": (policy("deny contains {"), 2, "never closed"),
    "policy that calls the network": (
        policy(NO_WARN + WARN + '_x := http.send({"url": "http://127.0.0.1:1", "method": "get"})'), 2, "http.send",
    ),
    "policy that reads the clock": (policy(NO_WARN + WARN + "_x := time.now_ns()"), 2, "time.now_ns"),
    "builtin error": (
        policy(rule('deny contains {"rule": "slo.broken", "subject": "s", "message": m} if m := replace(input.settings, "a", "b")') + WARN),
        4, "replace",
    ),
    "policy that crashes the engine": (
        policy(NO_WARN + WARN + "\n".join(f"_r{n} := _r{n + 1}" for n in range(6000)) + "\n_r6000 := 1\n"
               + "deny contains _r0"), 4, "worker died",
    ),
    "engine out of memory": (
        policy(
            rule('deny contains {"rule": "slo.broken", "subject": "s", "message": "m"} if '
                 "count([[a, b] | some a in _many; some b in _many]) > 1") + WARN + MANY,
            settings_text="engine: {name: embedded, memory_bytes: 268435456}\n",
        ), 4, "memory",
    ),
    "engine out of time": (
        policy(
            rule('deny contains {"rule": "slo.broken", "subject": "s", "message": "m"} if {\n'
                 "\tsome a in _many\n\tsome b in _many\n\tsome c in _many\n\ta == b\n\tb == c\n\tc == 0\n}") + WARN + MANY,
            settings_text="engine: {name: embedded, timeout_seconds: 0.5}\n",
        ), 4, "no answer within",
    ),
    "engine unreachable": (
        settings("\nengine: {name: opa, url: 'http://127.0.0.1:1', timeout_seconds: 2}\n"), 4, "engine.url",
    ),
    "engine binary absent": (settings("\nengine: {name: opa, binary: no-such-opa}\n"), 4, "no-such-opa"),
    "evidence file absent": (evidence(SLO, None), 3, "no such file"),
    "evidence file empty": (evidence(SLO, b""), 3, "empty"),
    "evidence file truncated": (evidence(SLO, lambda data: data[: len(data) // 2]), 3, "not JSON"),
    "evidence file not UTF-8": (evidence(SLO, b"\xff\xfe\x00{"), 3, "not UTF-8"),
    "evidence with NaN": (evidence(SLO, b'{"status": NaN}'), 3, "NaN"),
    "evidence with duplicated keys": (
        evidence(SLO, lambda data: data.rstrip().removesuffix(b"}") + b', "status": 1, "status": 2}'), 3, "duplicate key",
    ),
    "evidence with a negative ratio": (evidence(SLO, negative_ratio), 3, "not in [0, 1]"),
    "bundle with a negative ratio": (negative_in_bundle, 3, "greater than or equal to 0"),
    "events truncated": (evidence(EVENTS, lambda data: data[:-40]), 3, "not JSON"),
    "events absent": (evidence(EVENTS, None), 3, "no such file"),
    "template absent": (evidence("experiment.yaml", None), 3, "no such file"),
    "store is not a store": (evidence("mlflow.db", b"not a database"), 3, "mlflow.db"),
    "contract absent": (evidence("contracts/tumour-features.odcs.yaml", None), 3, "no such file"),
    "data empty": (evidence("data/holdout.csv", b""), 3, "0 columns"),
    "evidence of 1 GB": (sparse(SLO, 1024**3), 3, "bytes"),
    "evidence is a symlink out": (symlink(SLO, "/etc/hostname"), 3, "leaves the repository"),
    "evidence is a device": (symlink(SLO, "/dev/zero"), 3, "leaves the repository"),
    "evidence path with ../": (
        manifest("slo/prometheus.json", "../../prometheus.json"), 3, "leaves the repository",
    ),
    "evidence path absolute": (manifest("slo/prometheus.json", "/etc/hostname"), 3, "not a relative path"),
    "empty artefact list": (
        manifest("artifacts:\n    - {path: model.json, sha256:", "artifacts: []\n    # {path: model.json, sha256:"),
        2, "artifacts",
    ),
    "artefact absent": (manifest("path: model.json", "path: model.jsn"), 3, "model.jsn"),
    "digest mismatch": (evidence("model.json", lambda data: data + b" "), 3, "sha256"),
    "manifest names its own gates": (manifest("owner:", "gates: [slo]\nowner:"), 2, "chosen by the trusted settings"),
    "manifest absent": (arguments("promotoin.yaml"), 2, "cannot be read"),
    "manifest names an unknown gate": (manifest("  slo:", "  sloo:"), 2, "did you mean 'slo'"),
    "gate left out of the manifest": (
        manifest("  slo:\n    openslo: slo/serving.yaml\n    prometheus: {response: slo/prometheus.json}\n", ""),
        3, "names no evidence for this gate",
    ),
    "base ref misspelt": (arguments("promotion.yaml", "--base-ref", "mian"), 3, "mian"),
    "log not writable": (arguments("promotion.yaml", "--log", "promotion.yaml/log.jsonl"), 4, "cannot be written"),
    "disk full": (arguments("promotion.yaml", "--log", "/dev/full"), 4, "No space left"),
    "output not writable": (arguments("promotion.yaml", "--output", "json=promotion.yaml/x.json"), 4, "cannot be written"),
    "clock without a zone": (arguments("promotion.yaml", "--as-of", "2026-11-23T12:00:00"), 2, "no time zone"),
    "clock long after the evidence": (arguments("promotion.yaml", "--as-of", "2099-01-01T00:00:00Z"), 3, "stale"),
    "clock before the evidence": (arguments("promotion.yaml", "--as-of", "2001-01-01T00:00:00Z", "--allow-past"), 3, "future"),
    "option misspelt": (arguments("promotion.yaml", "--allow-passt"), 2, "allow-passt"),
    "no promotion at all": (arguments(), 2, "Missing argument"),
}  # fmt: skip


def test_the_promotion_that_the_rows_break_is_allowed(allowed: Promotion) -> None:
    """Unbroken, the promotion is allowed: each row's outcome comes from what the row breaks."""
    done = allowed.run("promotion.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ROWS)
def test_fails_closed(name: str, allowed: Promotion) -> None:
    """What is broken blocks with its own exit code, says what is wrong and what to do, and leaves a record."""
    change, code, words = ROWS[name]
    given = change(allowed)
    command = "decide" if given == ["bundle.json"] else "check"
    done = allowed.run(*given, command=command, clock="--as-of" not in given)
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "Traceback" not in said
    assert words in " ".join(said.split()), said
    assert "ALLOW" not in said or name == "output not writable"  # that decision stands and is recorded
    log = allowed.root / "gatekeeper-decisions.jsonl"
    if log.is_file():
        assert {json.loads(line)["result"]["outcome"] for line in log.read_text("utf-8").splitlines()} <= {
            "inconclusive", "deny",
        } or code == 4  # fmt: skip


def test_every_outcome_leaves_a_record(allowed: Promotion, denied: Promotion) -> None:
    """Allow, deny, inconclusive and configuration errors are all in the log, fsynced before the exit."""
    log = allowed.root / "all.jsonl"
    allowed.run("promotion.yaml", "--log", str(log))
    denied.run("promotion.yaml", "--log", str(log))
    allowed.run("no-such.yaml", "--log", str(log))
    allowed.edit("slo/prometheus.json", "{", "[")
    allowed.run("promotion.yaml", "--log", str(log))
    records = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert [(each["result"]["outcome"], each["result"]["exit_code"]) for each in records] == [
        ("allow", 0), ("deny", 1), ("inconclusive", 2), ("inconclusive", 3),
    ]  # fmt: skip


SLOW = (
    rule(
        'deny contains {"rule": "slo.broken", "subject": "s", "message": "m"} if {\n'
        "\tsome a in _many\n\tsome b in _many\n\tsome c in _many\n\ta == b\n\tb == c\n\tc == 0\n}"
    )
    + WARN
    + MANY
)


def start_slow(promotion: Promotion) -> subprocess.Popen[str]:
    """Start a run whose policy takes minutes, and wait until its worker is busy."""
    policy(SLOW, settings_text="engine: {name: embedded, timeout_seconds: 300}\n")(promotion)
    process = subprocess.Popen(
        [sys.executable, "-m", "gatekeeper", "check", "promotion.yaml", "--as-of", promotion.as_of, "--allow-past"],
        cwd=promotion.root, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and _busy_worker(process.pid) is None:
        time.sleep(0.05)
    return process


def _busy_worker(parent: int) -> int | None:
    """The child of a process that has used more than a second of CPU."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text("ascii", "replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and int(fields[11]) / os.sysconf("SC_CLK_TCK") > 1:
            return int(status.parent.name)
    return None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_promotes_nothing_and_is_recorded(allowed: Promotion, number: signal.Signals) -> None:
    """A run that is interrupted exits 130 without a traceback and leaves an inconclusive record."""
    process = start_slow(allowed)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "Traceback" not in out + err
    (record,) = (allowed.root / "gatekeeper-decisions.jsonl").read_text("utf-8").splitlines()
    assert json.loads(record)["result"]["outcome"] == "inconclusive"


def test_killed_engine_is_inconclusive(allowed: Promotion) -> None:
    """An engine that is killed from outside while it evaluates makes the gate inconclusive."""
    process = start_slow(allowed)
    worker = _busy_worker(process.pid)
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 4, out + err
    assert "worker died" in " ".join(out.split())


def test_worst_outcome_of_several_promotions_decides(allowed: Promotion, denied: Promotion) -> None:
    """One denied promotion among allowed ones blocks the run; an unreadable one outweighs it."""
    assert allowed.run("promotion.yaml", "promotion.yaml").returncode == 0
    shutil.copytree(denied.root, allowed.root / "other")
    shutil.rmtree(allowed.root / "other" / ".git")
    assert allowed.run("promotion.yaml", "other/promotion.yaml").returncode in (1, 3)
    assert allowed.run("promotion.yaml", "no-such.yaml").returncode == 2
