"""The parts of a policy whose very text decides whether both engines compute the same: operators and literals."""

from __future__ import annotations

import json
import re
from functools import cache

from gatekeeper.engine.heads import BOUND
from gatekeeper.engine.rego import Call, Outline, is_literal, is_number

_ARITHMETIC = frozenset("+-*/%")
_COUNTS = ("count",)
_SETS = ("object.keys", "intersection", "union")
_NUMBER = re.compile(r"[0-9]{1,18}(?:\.[0-9]*[1-9])?")
_VERB = re.compile(r"%(.?)", re.DOTALL)
_PATTERN = r"""(?:
      (?: [^\\\[\](){}*+?|^$]                   # a character that stands for itself, or any with .
        | \\[-.^$*+?()\[\]{}|/\\tnr]
        | \[\^?(?:[^]\[\\^&~-]|\\[]\[\\^.-])(?:[^]\[\\&~-]|-(?=[^]\[\\&~-])|\\[]\[\\^.-])*-?\]
        | \)
      ) (?:[*+?]\??|\{@(?:,@?)?\}\??)?
      | \((?:\?:|\?i\)|(?!\?))                 # that groups are balanced is for the engines to say
      | [|^$]
    )*""".replace("@", "(?:[0-9]|[1-5][0-9]|6[0-4])")
"""Regular expressions that RE2 and Rust's regex read in the same way: no \\w, \\d, \\s, \\b, no nested classes."""


def check_tokens(outline: Outline) -> None:
    """Refuse `with`, unusual numbers and arithmetic; raises `ConfigurationError` with the place."""
    for index, text in enumerate(outline.tokens):
        if text == "with":
            raise outline.refuse(index, "`with` replaces what a policy sees; it belongs in tests")
        if text == BOUND:
            raise outline.refuse(index, f"the name {BOUND} is taken")
        if text == "=":
            raise outline.refuse(index, "`=` is read in different ways; write := to bind and == to compare")
        if text in _ARITHMETIC:
            _check_operator(outline, index)
        elif is_number(text) and not _NUMBER.fullmatch(text):
            raise outline.refuse(index, f"write {text} without exponent or final zero, in at most 18 digits")


def _check_operator(outline: Outline, index: int) -> None:
    """Allow a set without another, a negative number, and counts and whole numbers added or subtracted."""
    mark = outline.text(index)
    if mark == "-" and (_is_set(outline, index) or _is_negative_number(outline, index)):
        return
    if mark in "+-" and _is_whole_before(outline, index - 1) and _is_whole_after(outline, index + 1):
        return
    raise outline.refuse(
        index,
        f"`{mark}` could give another number on the other engine",
        hint="compute it in the collector; a policy compares, and may add or subtract whole numbers and count(…)",
    )


def _is_negative_number(outline: Outline, index: int) -> bool:
    return is_number(outline.text(index + 1)) and not outline.ends_operand(index - 1)


def _is_set(outline: Outline, index: int) -> bool:
    """Say whether one side is a set by its form; then the other is one too, or both engines stop."""
    if outline.text(index - 1) == "}" or _called(outline, index - 1) in _SETS:
        return True
    opening = index + 1
    if outline.text(opening) in _SETS:
        opening += 1
    elif outline.text(opening) != "{":
        return False
    return outline.text(outline.pairs.get(opening, -2) + 1) not in ("[", ".")


def _called(outline: Outline, closing: int) -> str:
    """Name the function whose call ends here."""
    return outline.text(outline.pairs[closing] - 1) if outline.text(closing) == ")" else ""


def _is_whole_before(outline: Outline, index: int) -> bool:
    return outline.text(index).isdigit() or _called(outline, index) in _COUNTS


def _is_whole_after(outline: Outline, index: int) -> bool:
    return outline.text(index).isdigit() or (outline.text(index) in _COUNTS and outline.text(index + 1) == "(")


def check_literals(outline: Outline, call: Call) -> None:
    """Check the literals that decide what a builtin does; raises `ConfigurationError` with the place."""
    first = call.opening + 1
    match call.name:
        case "sprintf":
            _check_format(outline, first)
        case "regex.match":
            if not _pattern().fullmatch(_literal(outline, first, "the pattern")):
                raise outline.refuse(first, "the engines read this pattern in different ways")
        case "replace":
            second = _second(outline, call.opening)
            if not _literal(outline, second, "what is replaced"):
                raise outline.refuse(second, "what is replaced is empty text")
        case _:
            pass


@cache
def _pattern() -> re.Pattern[str]:
    return re.compile(_PATTERN, re.VERBOSE)


def _second(outline: Outline, opening: int) -> int:
    """Find where the second argument begins."""
    return next(index + 1 for index in outline.inside(opening) if outline.text(index) == ",")


def _literal(outline: Outline, index: int, what: str) -> str:
    text = outline.tokens[index]
    if not is_literal(text) or outline.text(index + 1) not in (",", ")"):
        raise outline.refuse(index, f"{what} is not written out as text")
    if text.startswith("`"):
        return text[1:-1]
    try:
        return str(json.loads(text))
    except ValueError as error:
        raise outline.refuse(index, f"{what} is not text: {error}") from error


def _check_format(outline: Outline, first: int) -> None:
    verbs = _VERB.findall(_literal(outline, first, "the format"))
    wrong = [verb for verb in verbs if verb not in ("s", "d", "v", "%")]
    if wrong:
        raise outline.refuse(first, f"%{wrong[0]} differs between the engines; %s, %d and %v do not")
    listed = first + 2
    if outline.text(listed) != "[" or outline.text(outline.pairs[listed] + 1) not in (")", ","):
        raise outline.refuse(first, "the arguments of sprintf are a list in brackets")
    if any(outline.text(index) == "|" for index in outline.inside(listed)):
        raise outline.refuse(listed, "the arguments of sprintf are written out one by one")
    wanted, given = sum(verb != "%" for verb in verbs), outline.arguments(listed)
    if wanted != given:
        raise outline.refuse(first, f"the format has {wanted} verbs for {given} arguments")
