"""What a reviewer of a change of policies is shown: the differences, what they decide, and the exit code; pure."""

from __future__ import annotations

import json
from collections.abc import Iterator

from gatekeeper.document import Document
from gatekeeper.errors import EXIT_ALLOW, EXIT_DENY, worst
from gatekeeper.policy_tools.diff import Change, PolicyDiff
from gatekeeper.policy_tools.weakening import Flip, Weakening
from gatekeeper.report.escape import markdown_code, markdown_text, one_line

MAX_VALUE_CHARS = 200
"""Characters of one value of policy data or text."""

_KINDS = {
    "rule_added": "rule added", "rule_removed": "rule removed", "rule_text": "text of the rule changed",
    "helper": "helper changed", "gate_added": "gate added", "gate_removed": "gate removed",
    "required_gate": "required gate", "max_bundle_age": "age of evidence",
}  # fmt: skip


class PolicyReview(Document):
    """A difference of policies and, where evidence was given, the weakening check."""

    diff: PolicyDiff
    """What differs."""
    weakening: Weakening | None
    """What recorded evidence says; absent when none was given."""
    require_approval: bool
    """Whether every known weakening asks for an approval, also one that no evidence shows."""
    allowed_because: str = ""
    """The reason why a weakening was accepted; empty: it was not."""

    @property
    def needs_approval(self) -> bool:
        """Whether somebody has to accept the change: a promotion flips to allow, or more strictly as asked for."""
        found = self.weakening
        if found is not None and found.to_allow:
            return True
        return self.require_approval and bool(self.diff.weakened or (found is not None and found.quiet_rules))

    @property
    def exit_code(self) -> int:
        """0 when nothing needs approval or it was given; 1 when it was not; else the code of what is in doubt."""
        codes = [self.weakening.doubt_exit_code] if self.weakening is not None else []
        codes.append(EXIT_DENY if self.needs_approval and not self.allowed_because else EXIT_ALLOW)
        return worst(codes)


def render_json(review: PolicyReview) -> str:
    """Render for programs."""
    content = review.model_dump(mode="json")
    content |= {"needs_approval": review.needs_approval, "exit_code": review.exit_code}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def render_text(review: PolicyReview) -> str:
    """Render for a terminal or a job's log; names and values are data."""
    base, head = review.diff.base, review.diff.head
    lines = [
        f"base  {one_line(base.name)}  sha256:{base.digest}",
        f"head  {one_line(head.name)}  sha256:{head.digest}",
        "",
        *(f"{each.direction:<9}  {_sentence(each)}" for each in review.diff.changes),
    ]
    if not review.diff.changes:
        lines.append(_no_changes(review.diff))
    lines += ["", *(f"{indent}{one_line(text)}" for indent, text in _verdict_lines(review))]
    return "\n".join(lines) + "\n"


def render_markdown(review: PolicyReview) -> str:
    """Render for a comment on a pull request; names and values are data."""
    base, head = review.diff.base, review.diff.head
    lines = [
        "### Policy change",
        "",
        f"{markdown_code(base.name)} ({base.digest[:12]}) → {markdown_code(head.name)} ({head.digest[:12]})",
        "",
    ]
    if review.diff.changes:
        lines += ["| direction | change | subject | scope | before | after |", "|---|---|---|---|---|---|"]
        lines += [_row(each) for each in review.diff.changes]
    else:
        lines.append(markdown_text(_no_changes(review.diff)))
    lines += ["", "#### Weakening check", ""]
    lines += [f"{indent}- {markdown_text(text)}" for indent, text in _verdict_lines(review)]
    return "\n".join(lines) + "\n"


def _row(change: Change) -> str:
    values = [_code(change.subject), _text(change.scope), _code(change.before), _code(change.after)]
    return "| " + " | ".join([change.direction, _KINDS.get(change.kind, change.kind), *values]) + " |"


def _code(text: str) -> str:
    return markdown_code(text, MAX_VALUE_CHARS) if text else ""


def _text(text: str) -> str:
    return markdown_text(text, MAX_VALUE_CHARS) if text else ""


def _sentence(change: Change) -> str:
    kind = _KINDS.get(change.kind, change.kind)
    text = f"{kind}: {one_line(change.subject)}"
    if change.scope:
        text += f" ({one_line(change.scope)})"
    if change.before or change.after:
        before, after = (one_line(each, MAX_VALUE_CHARS) or "(none)" for each in (change.before, change.after))
        text += f": {before} -> {after}"
    return text


def _no_changes(diff: PolicyDiff) -> str:
    if diff.base.digest == diff.head.digest:
        return "the policies are the same, byte for byte"
    return "no difference in what the policies say: only comments, layout or names of files differ"


def _verdict_lines(review: PolicyReview) -> Iterator[tuple[str, str]]:
    """Yield indent and unescaped text of everything below the differences."""
    found = review.weakening
    if found is None:
        yield "", "weakening check: not run, because no evidence was given (--evidence, --log)"
    else:
        yield from _weakening_lines(found)
    weakened = len(review.diff.weakened)
    yield "", f"{weakened} of {len(review.diff.changes)} differences are known to weaken the policies"
    if review.needs_approval:
        accepted = review.allowed_because
        yield "", f"weakening accepted: {accepted}" if accepted else "the weakening needs an approval"


def _weakening_lines(found: Weakening) -> Iterator[tuple[str, str]]:
    yield (
        "",
        (
            f"weakening check: {found.documents} evidence documents judged under base and head, "
            f"{len(found.to_allow)} flip to allow, {len(found.flips) - len(found.to_allow)} differ otherwise"
        ),
    )
    for flip in found.flips:
        yield "  ", f"{flip.before} -> {flip.after}: {flip.promotion} ({flip.origin})"
        yield from (("    ", text) for text in _causes(flip))
    for rule in found.quiet_rules:
        yield (
            "  ",
            (
                f"{rule.rule} objects less: {rule.findings} findings in {rule.documents} documents, "
                f"such as {'; '.join(rule.examples)}"
            ),
        )
    yield from _doubts(found)


def _doubts(found: Weakening) -> Iterator[tuple[str, str]]:
    for text in found.undecided:
        yield "  ", f"head could not judge {text}"
    for text in found.unreadable:
        yield "  ", f"could not be read: {text}"
    if found.without_evidence:
        yield "  ", f"{found.without_evidence} records hold no evidence and were not judged"
    if found.doubt_exit_code:
        yield "", "the check is not complete: what could not be judged may hide a weakening"


def _causes(flip: Flip) -> Iterator[str]:
    if flip.rules_gone:
        yield f"no longer denied by {', '.join(flip.rules_gone)}"
    if flip.gates_gone:
        yield f"no longer required: {', '.join(flip.gates_gone)}"
    yield f"base: {flip.reason_before}"
    yield f"head: {flip.reason_after}"
