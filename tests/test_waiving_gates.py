"""Waivers over the gates of a decision: a denial may become waived, a doubt never."""

from __future__ import annotations

import pytest
from waiver_entries import make_finding, make_gate, make_waiver, make_waiver_context

from gatekeeper.decision import GateVerdict, settle
from gatekeeper.waiving import waive_gates


def test_gates_are_settled_again_when_their_denials_are_waived() -> None:
    """One gate is waived, one still denies, warnings and passes stay; the promotion is denied by what is left."""
    gates = (
        make_gate("slo", make_finding(), make_finding("slo.note", "warn")),
        make_gate(
            "contracts",
            make_finding("contracts.breaking_change"),
            make_finding("contracts.breaking_change", subject="x"),
        ),
        make_gate("registry"),
    )
    waivers = (make_waiver(), make_waiver(id="W-2", rule="contracts.breaking_change:availability"))
    after, waived = waive_gates(gates, waivers, make_waiver_context())
    assert [each.verdict for each in after] == ["waived", "deny", "pass"]
    assert {each.rule: each.outcome for each in after[0].rules} == {
        "slo.burn_rate": "waived", "slo.budget": "pass", "slo.note": "warn",
    }  # fmt: skip
    assert [each.effect for each in after[1].findings] == ["deny", "waived"]
    assert {each.outcome for each in after[1].rules} == {"deny"}
    assert after[2] is gates[2]
    assert [each.state for each in waived.statuses] == ["applied", "applied"]
    assert settle(after, ())[:2] == ("deny", 1)
    assert settle((after[0], after[2]), ())[:2] == ("allow", 0)


@pytest.mark.parametrize("verdict", ["inconclusive", "not_applicable", "pass"])
def test_a_doubt_is_never_waived(verdict: str) -> None:
    """Whatever findings such a gate carries, it stays as it is and uses no waiver."""
    doubtful = make_gate("slo", make_finding(), verdict=verdict)
    after, waived = waive_gates((doubtful,), (make_waiver(),), make_waiver_context())
    assert after == (doubtful,)
    assert (waived.statuses[0].state, waived.ledger) == ("unused", ())


def test_a_denied_gate_without_findings_stays_denied() -> None:
    """Nothing was waived, so nothing is settled again."""
    bare = GateVerdict(gate="slo", verdict="deny", reason="r")
    assert waive_gates((bare,), (make_waiver(),), make_waiver_context())[0] == (bare,)
