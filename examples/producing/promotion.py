"""The manifest of an example, filled in from its template, and the time that its demo runs at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Template

from producing.clock import format_time


def write_promotion(folder: Path, values: dict[str, str]) -> None:
    """Fill `promotion.template.yaml`; raises `KeyError` when a value is lacking."""
    template = Template((folder / "promotion.template.yaml").read_text("utf-8"))
    (folder / "promotion.yaml").write_text(template.substitute(values), "utf-8", newline="\n")


def write_as_of(folder: Path) -> None:
    """Write the time just after the evidence was made; the demo judges by it, so that no evidence grows stale."""
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    (folder / "as_of.txt").write_text(format_time(moment) + "\n", "utf-8", newline="\n")
