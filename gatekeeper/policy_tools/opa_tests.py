"""
The same tests on a real Open Policy Agent: `opa test` on exactly the text and data that the embedded engine got.

Its answers are described at https://www.openpolicyagent.org/docs/policy-testing.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from gatekeeper.errors import ConfigurationError, UnavailableError
from gatekeeper.policy_tools.sources import Sources
from gatekeeper.policy_tools.testing import FAILED, PASSED, SKIPPED, EngineRun, Lines

_SUBJECT = "opa test"
_BUILT = Path(".tools") / "bin" / "opa"
TIMEOUT_SECONDS = 300.0
"""Wall time for one run over all tests."""


def find_opa(wanted: Path | None) -> str | None:
    """Find an opa binary: the one asked for, that of PATH, or the one that `make tools` built; None without one."""
    if wanted is not None:
        found = shutil.which(str(wanted))
        if found is None:
            raise ConfigurationError(str(wanted), "is no program that can be run", hint="mend the path after --opa")
        return found
    return shutil.which("opa") or (str(_BUILT.resolve()) if _BUILT.is_file() else None)


def run_opa(binary: str, sources: Sources) -> EngineRun:
    """
    Run every test on OPA, once for the results and once for the coverage.

    Raises `ConfigurationError` when OPA does not compile them, `UnavailableError` when it gives no answer.
    """
    with tempfile.TemporaryDirectory(prefix="gatekeeper-") as name:
        folder = Path(name)
        _write(sources, folder)
        results = _ask(binary, folder)
        outcomes, reasons = _outcomes(results or [])
        failed = FAILED in outcomes.values()  # OPA gives no coverage then
        lines = None if failed else _lines(_ask(binary, folder, "--coverage"), sources)
    return EngineRun("opa", outcomes, reasons, lines)


def _outcomes(results: list[dict[str, Any]]) -> tuple[dict[str, str], dict[str, str]]:
    outcomes: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for each in results:
        test = f"{each['package']}.{each['name']}"
        outcomes[test] = SKIPPED if each.get("skip") else FAILED if each.get("fail") or each.get("error") else PASSED
        if isinstance(each.get("error"), dict):
            reasons[test] = str(each["error"].get("message", "an error"))
    return outcomes, reasons


def _write(sources: Sources, folder: Path) -> None:
    for module in (*sources.policies.modules, *sources.tests):
        target = folder / module.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(module.text, "utf-8", newline="")
    (folder / "data.json").write_text(json.dumps(sources.policies.data), "utf-8")


def _ask(binary: str, folder: Path, *options: str) -> Any:
    command = [binary, "test", "--format", "json", *options, "."]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(_SUBJECT, f"it could not be run: {error}", hint="mend --opa") from error
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode not in (0, 2):  # 2: a test failed
        raise ConfigurationError(_SUBJECT, said[:2000] or f"it ended with {done.returncode}", hint="run `opa check`")
    try:
        return json.loads(done.stdout or b"null")
    except ValueError as error:
        raise UnavailableError(_SUBJECT, f"its answer is not JSON: {said[:500]}") from error


def _lines(covered: Any, sources: Sources) -> dict[str, Lines]:
    files = {path.removeprefix("./"): each for path, each in (covered or {}).get("files", {}).items()}
    found = {}
    for module in sources.policies.modules:
        each = files.get(module.path, {})
        reached = _rows(each.get("covered", []))
        found[module.path] = Lines(reached, _rows(each.get("not_covered", [])) - reached)
    return found


def _rows(ranges: list[dict[str, dict[str, int]]]) -> frozenset[int]:
    return frozenset(row for each in ranges for row in range(each["start"]["row"], each["end"]["row"] + 1))
