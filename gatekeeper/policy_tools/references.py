"""What each rule of the policies refers to: other rules, thresholds, data; read from tokens, as the lint does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property

from gatekeeper.engine.rego import Outline, is_literal, is_word
from gatekeeper.policy_tools.sources import RuleText, rules_in

Node = tuple[str, str]
"""A rule by package and name; all definitions of a name are one."""

ENTRY_POINTS = ("deny", "warn")
_THRESHOLDS = "input.settings.thresholds"


class References:
    """The rules of all modules and what they name; pure."""

    def __init__(self, outlines: list[Outline]) -> None:
        self.outlines = outlines
        self.rules = [rule for outline in outlines for rule in rules_in(outline)]

    @cached_property
    def nodes(self) -> dict[Node, list[RuleText]]:
        """Definitions by package and name."""
        found: dict[Node, list[RuleText]] = {}
        for rule in self.rules:
            found.setdefault(node_of(rule), []).append(rule)
        return found

    @cached_property
    def packages(self) -> set[str]:
        """Every package that a module defines."""
        return {outline.module.package for outline in self.outlines}

    def reached_from(self, start: list[RuleText]) -> set[Node]:
        """Every rule that these definitions refer to, directly or through others."""
        found: set[Node] = set()
        waiting = list(start)
        while waiting:
            for node in self._named_by(waiting.pop()):
                if node not in found:
                    found.add(node)
                    waiting.extend(self.nodes[node])
        return found

    def thresholds_of(self, rule: RuleText) -> set[str]:
        """Keys of the thresholds that decide a rule, its helpers included; those only shown in a text left out."""
        reached = [each for node in self.reached_from([rule]) for each in self.nodes[node]]
        return {key for each in (rule, *reached) for key, _ in self.threshold_uses(each)}

    def threshold_uses(self, rule: RuleText) -> Iterator[tuple[str, int]]:
        """Each threshold that one definition compares, with the index of the token that names it."""
        outline = rule.outline
        for index in range(rule.index + 1, rule.end):
            yield from ((key, index) for key in _keys_at(outline, index) if not _is_shown(outline, index))
            yield from ((key, index) for key in self._keys_in_call(outline, index) if not _is_shown(outline, index))

    def threshold_names(self, rule: RuleText) -> Iterator[tuple[str, int]]:
        """Each threshold that one definition names, those shown in a text included."""
        outline = rule.outline
        for index in range(rule.index + 1, rule.end):
            yield from ((key, index) for key in (*_keys_at(outline, index), *self._keys_in_call(outline, index)))

    def full_names(self, rule: RuleText) -> Iterator[tuple[str, int]]:
        """Each reference below `data`, written out in full, with its token's index."""
        outline = rule.outline
        for index in range(rule.index + 1, rule.end):
            text = outline.tokens[index]
            if not is_word(text) or outline.text(index - 1) == ".":
                continue
            first, dot, rest = text.partition(".")
            full = f"{outline.imports[first]}{dot}{rest}" if first in outline.imports else text
            if full == "data" or full.startswith("data."):
                yield full, index

    def package_of(self, full: str) -> str | None:
        """The package that a full name lies in; None when there is none."""
        steps = full.split(".")[1:]
        names = (".".join(steps[:size]) for size in range(len(steps), 0, -1))
        return next((name for name in names if name in self.packages), None)

    def _named_by(self, rule: RuleText) -> Iterator[Node]:
        outline, package = rule.outline, rule.outline.module.package
        for index in range(rule.index + 1, rule.end):
            text = outline.tokens[index]
            if is_word(text) and outline.text(index - 1) != "." and (node := (package, _first(text))) in self.nodes:
                yield node
        for full, _ in self.full_names(rule):
            yield from self._nodes_at(full)

    def _nodes_at(self, full: str) -> list[Node]:
        """The rule that a full name stands for, or all rules of a package that it names as a whole."""
        package = self.package_of(full)
        if package is None:
            return [node for node in self.nodes if f"data.{node[0]}.".startswith(f"{full}.")]
        name = _first(full.removeprefix(f"data.{package}").removeprefix("."))
        return [node for node in self.nodes if node[0] == package and name in ("", node[1])]

    def _keys_in_call(self, outline: Outline, index: int) -> Iterator[str]:
        """Literal keys that are given to a function which looks thresholds up by its argument."""
        node = (outline.module.package, outline.tokens[index])
        if outline.text(index + 1) != "(" or node not in self._lookups:
            return
        for argument in outline.inside(index + 1):
            if is_literal(outline.tokens[argument]):
                yield unquote(outline.tokens[argument])

    @cached_property
    def _lookups(self) -> set[Node]:
        """Functions in which a variable picks the threshold."""
        found = set()
        for rule in self.rules:
            for index in range(rule.index, rule.end):
                text = rule.outline.text
                if text(index) == _THRESHOLDS and text(index + 1) == "[" and is_word(text(index + 2)):
                    found.add(node_of(rule))
        return found


def node_of(rule: RuleText) -> Node:
    """Package and name of a rule."""
    return rule.outline.module.package, _first(rule.name)


def emitted_ids(rule: RuleText) -> list[tuple[str, int]]:
    """The literal ids under the key `rule` in a definition, each with the index of its token."""
    outline, found = rule.outline, []
    for index in range(rule.index, rule.end - 2):
        if outline.tokens[index] == '"rule"' and outline.tokens[index + 1] == ":":
            value, after = outline.tokens[index + 2], outline.text(index + 3)
            if is_literal(value) and after in (",", "}"):
                found.append((unquote(value), index + 2))
    return found


def unquote(token: str) -> str:
    """The text of a literal; one that is not JSON stays as it is written."""
    if token.startswith("`"):
        return token[1:-1]
    try:
        value: str = json.loads(token)
    except ValueError:
        return token[1:-1]
    return value


def _first(name: str) -> str:
    return name.partition(".")[0]


def _keys_at(outline: Outline, index: int) -> Iterator[str]:
    """The threshold that a token names: `….thresholds.key`, or a literal in brackets after `….thresholds`."""
    text = outline.tokens[index]
    if not is_word(text) or text.partition(".")[0] not in ("input", *outline.imports):
        return
    first, _, rest = text.partition(".")
    full = f"{outline.imports[first]}.{rest}".rstrip(".") if first in outline.imports else text
    if full.startswith(f"{_THRESHOLDS}."):
        yield full.removeprefix(f"{_THRESHOLDS}.").partition(".")[0]
    elif full == _THRESHOLDS and outline.text(index + 1) == "[":
        inner = outline.text(index + 2)
        if is_literal(inner):
            yield unquote(inner)
        elif is_word(inner):
            yield from _listed_keys(outline, index, inner)


def _listed_keys(outline: Outline, index: int, variable: str) -> Iterator[str]:
    """The keys that `every key in ["a", "b"]` or `some key in […]` gives to a variable that picks a threshold."""
    for start in range(index):
        words = [outline.text(start + offset) for offset in range(3)]
        opening = start + 3
        if words[0] in ("every", "some") and words[1:] == [variable, "in"] and outline.text(opening) in ("[", "{"):
            within = rule_holds(outline, start, index)
            yield from (
                unquote(outline.tokens[each])
                for each in outline.inside(opening)
                if within and is_literal(outline.tokens[each])
            )


def rule_holds(outline: Outline, first: int, second: int) -> bool:
    """Say whether two tokens stand in the same rule."""
    return outline.rule_end(first) == outline.rule_end(second)


def _is_shown(outline: Outline, index: int) -> bool:
    """Say whether a token is an argument of `sprintf`: what is only shown decides nothing."""
    return any(
        text == "sprintf" and outline.text(at + 1) == "(" and at + 1 < index < outline.pairs[at + 1]
        for at, text in enumerate(outline.tokens)
    )
