"""
Reading Rego as tokens: enough to know what a module defines, calls and computes, without parsing it.

The lexical grammar is OPA's (https://www.openpolicyagent.org/docs/policy-reference#grammar). Every character is
part of a token or refused, and in Rego a `(` after a name is a call wherever it stands, so no call is missed.
A test compares what is found with the syntax trees of both engines. A token is its text: a word with its dots
(`input.a.b`), a text literal with its quotes, a number or a mark; what it is shows in its first character.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from gatekeeper.errors import ConfigurationError, Location

if TYPE_CHECKING:
    from gatekeeper.policy import Module

MAX_NESTING = 10
"""Brackets within brackets: regorus's parser takes twice as long for each level of literals (10: 30 ms)."""

KEYWORDS = frozenset({"as", "default", "else", "every", "if", "import", "in", "not", "package", "some", "with"})

_TOKEN = re.compile(
    r"""(?:[ \t\n]++|\#[^\n]*+)*+
    ([A-Za-z_][A-Za-z0-9_]*+(?:\.[A-Za-z_][A-Za-z0-9_]*+)*+
    |"(?:[^"\\\n]|\\[^\n])*+"|`[^`]*+`
    |[0-9]++(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?
    |:=|[=!<>]=
    |[^ \t\n]|\Z)""",
    re.VERBOSE,
)
_WORD = frozenset(string.ascii_letters + "_")
_DIGIT = frozenset(string.digits)
_QUOTE = frozenset('"`')
_MARKS = frozenset("-+*/%|&=<>.,:;()[]{}") | {":=", "==", "!=", "<=", ">="}
_CLOSING = {")": "(", "]": "[", "}": "{"}


class Call(NamedTuple):
    """A function call: name as written, number of arguments, index of its opening bracket among the tokens."""

    name: str
    arguments: int
    opening: int


@dataclass
class Outline:
    """What one module consists of, as far as its tokens tell."""

    module: Module
    tokens: list[str]
    pairs: dict[int, int] = field(default_factory=dict)
    """Index of each opening bracket to that of its closing one, and back."""
    commas: dict[int, int] = field(default_factory=dict)
    """Number of commas directly inside a bracket, by the index of the opening one."""
    heads: dict[str, int | None] = field(default_factory=dict)
    """Rules by name as written; the number of arguments of a function, None for other rules."""

    @cached_property
    def imports(self) -> dict[str, str]:
        """What each imported name stands for."""
        found = {}
        for index in self.top_level:
            if self.tokens[index] == "import":
                full = self.text(index + 1)
                found[self.text(index + 3) if self.text(index + 2) == "as" else full.rpartition(".")[2]] = full
        return found

    @cached_property
    def calls(self) -> list[Call]:
        """Every call, in the order of the file; definitions of functions are not calls, nor is `set()`."""
        found = [
            Call(name, self.arguments(index), index)
            for index, text in enumerate(self.tokens)
            if text == "(" and (name := self._callee(index)) and not self.is_head(index - 1)
        ]
        return [call for call in found if call.name != "set" or call.arguments]

    @cached_property
    def top_level(self) -> dict[int, None]:
        """Indexes of the tokens outside all brackets, in order."""
        return dict.fromkeys(self._walk(0, len(self.tokens)))

    def inside(self, opening: int) -> Iterator[int]:
        """Indexes of the tokens directly inside a bracket, those of inner brackets left out."""
        return self._walk(opening + 1, self.pairs[opening])

    def _walk(self, index: int, end: int) -> Iterator[int]:
        while index < end:
            yield index
            index = max(self.pairs.get(index, index), index) + 1

    def arguments(self, opening: int) -> int:
        """Count what stands between a bracket and its partner."""
        closing = self.pairs[opening]
        if closing == opening + 1:
            return 0
        return self.commas.get(opening, 0) + (self.tokens[closing - 1] != ",")

    def text(self, index: int) -> str:
        """The token at an index; empty beyond either end."""
        return self.tokens[index] if 0 <= index < len(self.tokens) else ""

    def ends_operand(self, index: int) -> bool:
        """Say whether a value ends at a token, so that an operator may follow."""
        text = self.text(index)
        return text in _CLOSING or (text not in _MARKS and text not in KEYWORDS and text not in ("", "contains"))

    def refuse(self, index: int, problem: str, *, hint: str = "") -> ConfigurationError:
        """Make the error for the token at an index."""
        return refuse(self.module, self._starts[index], problem, hint=hint)

    def span(self, index: int) -> tuple[int, int]:
        """Offsets of a token's beginning and end in the module's text."""
        start = self._starts[index]
        return start, start + len(self.tokens[index])

    def edited(self, edits: list[tuple[int, int, str]]) -> str:
        """The module's text with parts of it, given by their offsets, replaced."""
        text = self.module.text
        for start, end, new in sorted(edits, reverse=True):
            text = text[:start] + new + text[end:]
        return text

    def rule_end(self, index: int) -> int:
        """Index of the token that begins the next rule or import."""
        return next((each for each in self.top_level if each > index and self.begins_rule(each)), len(self.tokens))

    def begins_rule(self, index: int) -> bool:
        """Say whether a rule or an import begins at a token outside all brackets."""
        text = self.tokens[index]
        if text in ("import", "default"):
            return True
        return is_word(text) and text not in KEYWORDS and text != "contains" and self.is_head(index)

    def touches(self, index: int) -> bool:
        """Say whether a token stands directly after the one before it."""
        return self.span(index)[0] == self.span(index - 1)[1]

    @cached_property
    def _starts(self) -> list[int]:
        """Offsets of the tokens; found only for an error or an edit."""
        return [match.start(1) for match in _TOKEN.finditer(_unix(self.module.text))]

    def note_heads(self) -> None:
        """Find the rules that the module defines."""
        for index in self.top_level:
            text = self.tokens[index]
            if not is_word(text) or text in KEYWORDS or not self.is_head(index):
                continue
            function = self.text(index + 1) == "("
            if text == "contains" and not function:
                continue
            arity = self.arguments(index + 1) if function else None
            if self.heads.setdefault(text, arity) != arity:
                raise self.refuse(index, f"{text} is defined with different numbers of arguments")

    def is_head(self, index: int) -> bool:
        """Say whether a word begins a rule: it follows a finished expression, outside all brackets."""
        before = self.text(index - 1)
        return before in ("", "default") or (index in self.top_level and self.ends_operand(index - 1))

    def _callee(self, opening: int) -> str:
        """Name the function that a `(` calls; empty when it only groups."""
        name = self.text(opening - 1)
        if name == "]" or (is_word(name) and self.text(opening - 2) == "."):
            raise self.refuse(opening, "a function is called by its plain name, not through brackets")
        return name if is_word(name) and name not in KEYWORDS else ""


def is_word(text: str) -> bool:
    """Say whether a token is a name or a keyword."""
    return text[:1] in _WORD


def is_number(text: str) -> bool:
    """Say whether a token is a number."""
    return text[:1] in _DIGIT


def is_literal(text: str) -> bool:
    """Say whether a token is a text literal."""
    return text[:1] in _QUOTE


def refuse(module: Module, start: int, problem: str, *, hint: str = "") -> ConfigurationError:
    """Make an error with the line and column of an offset in a module."""
    line = module.text.count("\n", 0, start) + 1
    column = start - module.text.rfind("\n", 0, start)
    place = Location(module.path, line, column, module.text.split("\n")[line - 1].rstrip("\r"))
    return ConfigurationError(
        module.path, problem, hint=hint or "docs/engines.md says what a policy may use", location=place
    )


def read_outline(module: Module) -> Outline:
    """Read a module; raises `ConfigurationError` with its place for text that is not Rego or nests too deeply."""
    text = _unix(module.text)
    if "\r" in text:
        raise refuse(module, text.index("\r"), "a carriage return within a line")
    outline = Outline(module, [token for token in _TOKEN.findall(text) if token])
    for word in set(outline.tokens):
        if word not in _MARKS and not is_word(word) and not is_number(word) and not (is_literal(word) and word[1:]):
            raise outline.refuse(outline.tokens.index(word), f"{word!r} is not Rego that both engines read")
    _pair(outline)
    outline.note_heads()
    return outline


def _unix(text: str) -> str:
    """Blank the first half of line ends as Windows writes them; offsets stay."""
    return text.replace("\r\n", " \n")


def _pair(outline: Outline) -> None:
    opened: list[int] = []
    for index, text in enumerate(outline.tokens):
        if text in ("(", "[", "{"):
            opened.append(index)
            if len(opened) > MAX_NESTING:
                raise outline.refuse(index, f"nested deeper than {MAX_NESTING} brackets", hint="name the inner parts")
        elif text in _CLOSING:
            if not opened or outline.tokens[opened[-1]] != _CLOSING[text]:
                raise outline.refuse(index, f"{text!r} closes nothing")
            outline.pairs[opened[-1]], outline.pairs[index] = index, opened[-1]
            opened.pop()
        elif text == "," and opened:
            outline.commas[opened[-1]] = outline.commas.get(opened[-1], 0) + 1
    if opened:
        raise outline.refuse(opened[-1], "this bracket is never closed")
