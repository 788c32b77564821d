"""
Rules rewritten for regorus so that a finding without a value is left out, and no other with it.

For `deny contains {"subject": column.name} if some column in input.columns`, OPA leaves out a column that has
no name. regorus 0.13 forgets the findings before it, or stops. Bound at the end of the body, as `deny contains
head if {some column in input.columns; head := {"subject": column.name}}`, the rule means the same to both. All
lines keep their numbers; an error in a head is reported at the end of its rule.
"""

from __future__ import annotations

from gatekeeper.engine.negation import is_certain
from gatekeeper.engine.rego import Outline

BOUND = "gatekeeper_head"
"""Variable that takes the value of a head; policies may not use the name."""

Edit = tuple[int, int, str]
"""Offsets of what is replaced, and the text that replaces it."""


def bind_heads(outline: Outline, undefinable: frozenset[str]) -> str:
    """
    Rewrite the `contains` rules of a module whose heads may lack a value; `undefinable` as in `check_negations`.

    Raises `ConfigurationError` with the place for a rule that cannot be rewritten.
    """
    edits: list[Edit] = []
    for index in outline.top_level:
        text = outline.text(index)
        if text == "contains" and outline.ends_operand(index - 1):
            edits += _bind(outline, index + 1, undefinable)
        elif text == "[" and outline.text(index - 1) in outline.heads and outline.is_head(index - 1):
            _check_keyed(outline, index, undefinable)
        elif text == "else":
            _check_else(outline, index, undefinable)
    return outline.edited(edits)


def _head_end(outline: Outline, start: int) -> tuple[int, int]:
    """Find where the head that contains a token ends, and where its rule does."""
    rule_end = outline.rule_end(start)
    found = (index for index in outline.top_level if start <= index < rule_end and outline.text(index) == "if")
    return next(found, rule_end), rule_end


def _bind(outline: Outline, start: int, undefinable: frozenset[str]) -> list[Edit]:
    head_end, rule_end = _head_end(outline, start)
    if is_certain(outline, start, head_end, undefinable):
        return []
    begin, end = outline.span(start)[0], outline.span(head_end - 1)[1]
    bound = f"{BOUND} := {_on_one_line(outline, start, head_end)}"
    if head_end == rule_end:
        return [(begin, end, f"{BOUND} if {{{bound}}}")]
    lines = outline.module.text.count("\n", begin, end) - bound.count("\n")
    head, opening, last = (begin, end, BOUND + "\n" * lines), head_end + 1, rule_end - 1
    after = outline.span(last)[1]
    if outline.text(opening) != "{":
        return [head, (*outline.span(head_end), "if {"), (after, after, f"; {bound}}}")]
    if outline.pairs[opening] != last:
        raise outline.refuse(opening, "a body that begins with a brace ends with it", hint="put braces around it")
    separator = "" if "\n" in outline.module.text[outline.span(last - 1)[1] : after] else "; "
    return [head, (after - 1, after - 1, separator + bound)]


def _on_one_line(outline: Outline, start: int, end: int) -> str:
    """Write tokens without the comments and line ends between them."""
    spaced = (("" if outline.touches(index) else " ") + outline.text(index) for index in range(start, end))
    return "".join(spaced).strip()


def _check_keyed(outline: Outline, opening: int, undefinable: frozenset[str]) -> None:
    """Refuse `rule[key] := value` where either may lack a value: it cannot be rewritten as simply."""
    head_end, _ = _head_end(outline, opening)
    key = (opening + 1, outline.pairs[opening])
    if not (is_certain(outline, *key, undefinable) and is_certain(outline, key[1] + 1, head_end, undefinable)):
        raise outline.refuse(
            opening, "regorus forgets other entries where this key or value is undefined", hint="bind it in the body"
        )


def _check_else(outline: Outline, index: int, undefinable: frozenset[str]) -> None:
    """Refuse an `else` when a value of its chain may be undefined: regorus goes on where OPA stops, or stops."""
    starts = [each for each in outline.top_level if outline.begins_rule(each) and each < index]
    rule = [each for each in outline.top_level if starts[-1] <= each < outline.rule_end(index)]
    for position, each in enumerate(rule):
        if outline.text(each) != ":=":
            continue
        end = next((later for later in rule[position:] if outline.text(later) in ("if", "else")), rule[-1] + 1)
        if not is_certain(outline, each + 1, end, undefinable):
            raise outline.refuse(
                index, "the engines differ when a value before or after `else` is undefined", hint="write two rules"
            )
