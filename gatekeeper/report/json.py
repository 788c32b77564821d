"""
The report for programs: every decision of the run, complete, in a versioned shape.

The text is ASCII and holds no `##[`, so that it can be printed in a terminal or a CI job as it is; the values
that a parser reads are those of the decisions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from gatekeeper.decision import Decision, Outcome
from gatekeeper.document import Document
from gatekeeper.report.outline import settle_run

SCHEMA: Literal["gatekeeper/report/v1"] = "gatekeeper/report/v1"


class Report(Document):
    """The decisions of one run."""

    schema_id: Annotated[Literal["gatekeeper/report/v1"], Field(alias="schema")] = SCHEMA
    """Version of this format."""
    outcome: Outcome
    """allow only when there is a decision and every one is allow."""
    exit_code: Annotated[int, Field(ge=0, le=255)]
    """The worst of the run's exit codes; 3 when there is no decision."""
    decisions: tuple[Decision, ...]
    """One for each promotion, in the order asked for."""


def render(decisions: Sequence[Decision]) -> str:
    """Render decisions as JSON with the keys in the order of the models."""
    outcome, exit_code = settle_run(decisions)
    report = Report(outcome=outcome, exit_code=exit_code, decisions=tuple(decisions))
    text = json.dumps(report.model_dump(mode="json"), indent=2, allow_nan=False)
    return text.replace("##[", "#\\u0023[") + "\n"
