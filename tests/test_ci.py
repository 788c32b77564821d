"""Step outputs and summary of the action."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gatekeeper import ci


def write_report(folder: Path, *outcomes: str) -> Path:
    path = folder / "report.json"
    path.write_text(json.dumps({"decisions": [{"outcome": each, "decision_id": f"id-{each}"} for each in outcomes]}))
    return path


@pytest.mark.parametrize(
    ("exit_code", "outcomes", "decision", "exits"),
    [
        (0, ("allow",), "allow", "0"),
        (0, ("allow", "allow"), "allow", "0"),
        (1, ("allow", "deny"), "deny", "1"),
        (3, ("allow", "inconclusive"), "inconclusive", "3"),
        (0, ("allow", "deny"), "inconclusive", "70"),
        (0, (), "inconclusive", "70"),
        (1, (), "inconclusive", "1"),
        (130, ("allow",), "inconclusive", "130"),
    ],
)
def test_decision_is_allow_only_when_code_and_report_agree(
    tmp_path: Path, exit_code: int, outcomes: tuple[str, ...], decision: str, exits: str
) -> None:
    """An exit code of 0 without a report that says allow is not an allow."""
    outputs = ci.step_outputs(exit_code, write_report(tmp_path, *outcomes))
    assert (outputs["decision"], outputs["exit-code"]) == (decision, exits)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"decisions": 3}', b'{"decisions": [1]}', b"\xff"])
def test_report_that_cannot_be_read_is_inconclusive(tmp_path: Path, content: bytes | None) -> None:
    """Absent, broken and foreign reports never let a step pass."""
    path = tmp_path / "report.json"
    if content is not None:
        path.write_bytes(content)
    outputs = ci.step_outputs(0, path)
    assert outputs["decision"] == "inconclusive"
    assert outputs["exit-code"] == "70"
    assert outputs["report-json"] == ""


def test_outputs_cannot_end_their_own_block() -> None:
    """A value with newlines stays one value, because the delimiter is random."""
    text = ci.render_outputs({"decision-id": "a\nEOF\ndecision=allow"})
    name, _, rest = text.partition("<<")
    delimiter, _, body = rest.partition("\n")
    assert name == "decision-id"
    assert body == f"a\nEOF\ndecision=allow\n{delimiter}\n"
    assert ci.render_outputs({"a": "b"}) != ci.render_outputs({"a": "b"})


def test_main_writes_what_the_runner_reads(tmp_path: Path) -> None:
    """Outputs and summary are appended to the files that the runner names."""
    markdown = tmp_path / "report.md"
    markdown.write_text("### report\n", "utf-8")
    environment = {name: str(tmp_path / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    (tmp_path / "GITHUB_OUTPUT").write_text("before=1\n", "utf-8")
    code = ci.main(["1", str(write_report(tmp_path, "deny")), str(markdown)], environment)
    assert code == 0
    assert "exit-code<<" in (tmp_path / "GITHUB_OUTPUT").read_text("utf-8")
    assert (tmp_path / "GITHUB_OUTPUT").read_text("utf-8").startswith("before=1\ndecision<<")
    assert (tmp_path / "GITHUB_STEP_SUMMARY").read_text("utf-8") == "### report\n"


def test_summary_says_when_there_is_no_report(tmp_path: Path) -> None:
    """A missing or oversized report leaves a sentence, never an empty summary."""
    assert "INCONCLUSIVE" in ci.summarise(tmp_path / "none.md", 70)
    large = tmp_path / "large.md"
    large.write_text("x" * (ci.MAX_SUMMARY_BYTES + 1), "utf-8")
    assert "larger than" in ci.summarise(large, 1)


def test_main_outside_a_runner_writes_nothing(tmp_path: Path) -> None:
    """Without the runner's files nothing is written."""
    assert ci.main(["3", str(tmp_path / "x.json"), str(tmp_path / "x.md")], {}) == 0
    assert list(tmp_path.iterdir()) == []
