"""
What may stand after `not`, so that it holds when something inside it is undefined, on both engines.

OPA evaluates the arguments of a negated call, and both sides of a negated comparison, before the `not`: where
`input.checks` is absent, `not count(input.checks) > 0` is undefined for OPA and a rule with it stays silent,
while regorus takes it for true. Only a reference, an equality of references and a call with plain variables
are negated as a whole; these are allowed, and so is whatever cannot be undefined.
"""

from __future__ import annotations

from enum import Enum

from gatekeeper.engine.builtins import PORTABLE
from gatekeeper.engine.rego import Outline, is_literal, is_number, is_word

_SCALARS = ("true", "false", "null")
_OPERATORS = frozenset("-+*/%|&<>=,:;") | {"==", "!=", "<=", ">=", "in"}
_HINT = "negate a helper that takes a plain variable and looks into it: `not _has_owner(dataset)`"
_PARTIAL = ("max", "min")
"""Builtins without a value for an empty list."""


class _Kind(Enum):
    """What is known of a term."""

    CERTAIN = "it has a value"
    REFERENCE = "it may be undefined, and `not` sees that"
    CALL = "the same, for a call of a function"
    HIDDEN = "a part of it may be undefined before `not` sees it"


def check_negations(outline: Outline, undefinable: frozenset[str]) -> None:
    """
    Check what follows each `not`; `undefinable` names the rules and imports, which may have no value.

    Raises `ConfigurationError` with the place of the `not`.
    """
    reader = _Reader(outline, undefinable)
    blocks = [block for index, text in enumerate(outline.tokens) if text == "every" and (block := reader.block(index))]
    for index, text in enumerate(outline.tokens):
        if text != "not":
            continue
        end, whole = reader.negated(index + 1)
        if not whole:
            raise outline.refuse(index, "for OPA this is not true when a part of it is undefined", hint=_HINT)
        if any(opening < index < closing for opening, closing in blocks) and reader.has_variable_index(index + 1, end):
            raise outline.refuse(index, "regorus mistakes `not` with a variable in brackets within `every`", hint=_HINT)


def is_certain(outline: Outline, start: int, end: int, undefinable: frozenset[str]) -> bool:
    """Say whether the terms between two indexes all have a value, whatever the input."""
    return _Reader(outline, undefinable).are_certain(start, end)


class _Reader:
    """Reads terms of an expression from its tokens."""

    def __init__(self, outline: Outline, undefinable: frozenset[str]) -> None:
        self.outline = outline
        self.undefinable = undefinable

    def negated(self, index: int) -> tuple[int, bool]:
        """Read the expression that begins at an index: where it ends, and whether it is negated as a whole."""
        index, kind = self._term(index)
        kinds, operators = [kind], []
        while (operator := self.outline.text(index)) in _OPERATORS and operator != ";":
            operators.append(operator)
            index, kind = self._term(index + 1)
            kinds.append(kind)
        if not operators:
            return index, kind is not _Kind.HIDDEN
        allowed = {_Kind.CERTAIN, _Kind.REFERENCE} if operators == ["=="] else {_Kind.CERTAIN}
        return index, set(kinds) <= allowed

    def block(self, index: int) -> tuple[int, int] | None:
        """Find the body of an `every`: its opening and its closing brace."""
        start = next(
            (each for each in range(index, len(self.outline.tokens)) if self.outline.text(each) == "in"), index
        )
        opening, _ = self.negated(start + 1)
        return (opening, self.outline.pairs[opening]) if self.outline.text(opening) == "{" else None

    def has_variable_index(self, start: int, end: int) -> bool:
        """Say whether something between two indexes is looked up by a variable."""
        return any(
            self.outline.text(index) == "["
            and self.outline.ends_operand(index - 1)
            and is_word(self.outline.text(index + 1))
            for index in range(start, end)
        )

    def are_certain(self, index: int, end: int) -> bool:
        """Read terms, with operators and commas between them, up to an index."""
        while index < end:
            if self.outline.text(index) in _OPERATORS:
                index += 1
                continue
            index, kind = self._term(index)
            if kind is not _Kind.CERTAIN:
                return False
        return True

    def _term(self, index: int) -> tuple[int, _Kind]:
        """Read one term and what is appended to it; return where it ends."""
        text = self.outline.text(index)
        if text == "-":
            return self._term(index + 1)
        if text in ("(", "[", "{"):
            end = self.outline.pairs[index] + 1
            kind = _Kind.CERTAIN if self._holds_values(index) else _Kind.HIDDEN
        elif self.outline.text(index + 1) == "(" and is_word(text):
            end, kind = self.outline.pairs[index + 1] + 1, self._call(index)
        else:
            end, kind = index + 1, self._plain(text)
        return self._appended(end, kind)

    def _plain(self, text: str) -> _Kind:
        if is_literal(text) or is_number(text) or text in _SCALARS:
            return _Kind.CERTAIN
        return _Kind.REFERENCE if "." in text or text in self.undefinable else _Kind.CERTAIN

    def _holds_values(self, opening: int) -> bool:
        """Say whether a bracket has a value: a comprehension always has."""
        comprehends = any(self.outline.text(index) == "|" for index in self.outline.inside(opening))
        if comprehends and self.outline.text(opening) != "(":
            return True
        return self.are_certain(opening + 1, self.outline.pairs[opening])

    def _call(self, index: int) -> _Kind:
        if not self.are_certain(index + 2, self.outline.pairs[index + 1]):
            return _Kind.HIDDEN
        name = self.outline.text(index)
        return _Kind.CERTAIN if name in PORTABLE and name not in _PARTIAL else _Kind.CALL

    def _appended(self, index: int, kind: _Kind) -> tuple[int, _Kind]:
        """Read `[index]` and `.name` after a term."""
        while (text := self.outline.text(index)) in ("[", "."):
            if kind is _Kind.CALL:
                kind = _Kind.HIDDEN
            elif kind is _Kind.CERTAIN:
                kind = _Kind.REFERENCE
            if text == ".":
                index += 2
                continue
            if not self.are_certain(index + 1, self.outline.pairs[index]):
                kind = _Kind.HIDDEN
            index = self.outline.pairs[index] + 1
        return index, kind
