"""Random gates and inputs: every statement that policies are made of, in combinations that nobody writes."""

from __future__ import annotations

import json
from random import Random
from typing import Any

FIELDS = ["a", "b", "xs", "o", "m"]
SCALARS = ["1", "2", "0", '"a"', '"b"', "true", "false", "null", '""', "1.5", "-1"]
CALLS = [
    "h1({})", "h2({})", "h3({})", "count({})", "type_name({})", 'sprintf("%v", [{}])', "is_string({})",
    'object.get({}, "a", 3)', "max({})", "sort({})", "object.keys({})",
]  # fmt: skip


class PolicyMaker:
    """Makes policies from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.made = 0

    def gate(self, package: str) -> str:
        """A package with a `deny` of one or two rules, three functions and four other rules."""
        self.made = 0
        parts = [f"package {package}", "warn contains 1 if false"]
        parts += [self._rule("deny contains {term}") for _ in range(self.random.choice([1, 1, 2]))]
        for name in ("h1", "h2", "h3"):
            head = f"{name}(x) := {{term}}" if name == "h2" or self._chance(0.2) else f"{name}(x)"
            parts += [self._rule(head, ["x"]) for _ in range(self.random.choice([1, 1, 2]))]
        parts += ["default r2 := 0"] if self._chance(0.5) else []
        return "\n\n".join([*parts, *map(self._rule, ["r1", "r2 := 1", "r3 contains {term}", "r4 := {term}"])]) + "\n"

    def document(self) -> bytes:
        """An input with all fields, of any types."""
        return json.dumps({field: self._value(3) for field in FIELDS}).encode()

    def _chance(self, share: float) -> bool:
        return self.random.random() < share

    def _new(self) -> str:
        self.made += 1
        return f"v{self.made}"

    def _rule(self, head: str, variables: list[str] | None = None) -> str:
        statements, known = self._statements(variables or [], 2)
        body = "\n\t".join(statements)
        return f"{head.replace('{term}', self._term(known, 2))} if {{\n\t{body}\n}}"

    def _statements(self, variables: list[str], depth: int) -> tuple[list[str], list[str]]:
        made, known = [], list(variables)
        for _ in range(self.random.choice([1, 1, 2, 3])):
            statement, names = self._statement(known, depth)
            made.append(statement)
            known += names
        return made, known

    def _statement(self, known: list[str], depth: int) -> tuple[str, list[str]]:
        one, two, reference = self._new(), self._new(), self._reference(known)
        variable = self.random.choice(known or ["input"])
        match self.random.randrange(10):
            case 0 | 1:
                return f"some {one} in {reference}", [one]
            case 2:
                return f"some {two}, {one} in {reference}", [one, two]
            case 3:
                return f"{one} := {self._term(known, 2)}", [one]
            case 4:
                return f"{reference} {self.random.choice(['<', '>='])} {self.random.choice(SCALARS)}", []
            case 5:
                return f"{self._term(known, 1)} {self.random.choice(['==', '!=', 'in'])} {self._term(known, 1)}", []
            case 6 if depth:
                inner, _ = self._statements([*known, one], 0)
                return f"every {one} in {reference} {{ {'; '.join([f'{one} != 77', *inner])} }}", []
            case 7:
                return f"{one} := {reference}[_]", [one]
            case 8:
                return self.random.choice([reference, "r1", "r2 == 1", "count(r3) > 0", f"h1({variable})"]), []
            case _:
                negated = [reference, f"h1({variable})", f"h3({variable})", f"{reference} == 1", "r1"]
                return "not " + self.random.choice(negated), []

    def _reference(self, known: list[str]) -> str:
        text = self.random.choice(["input", *known])
        for _ in range(self.random.choice([0, 1, 1, 2])):
            steps = [f".{self.random.choice(FIELDS)}"] * 6 + ['["a"]', "[0]", f"[{self.random.choice(known or ['0'])}]"]
            text += self.random.choice(steps)
        return text

    def _term(self, known: list[str], depth: int) -> str:
        kind = self.random.randrange(12)
        if kind < 5 or not depth:
            return self._reference(known)
        if kind < 7:
            return self.random.choice(SCALARS + known)
        inner, one = self._term(known, depth - 1), f"c{self.random.randrange(10_000)}"
        match kind:
            case 7:
                return f"[{inner}]"
            case 8:
                return f'{{"a": {inner}}}'
            case 9:
                return f"[{one} | some {one} in {self._reference(known)}]"
            case _:
                return self.random.choice(CALLS).format(inner)

    def _value(self, depth: int) -> Any:
        kind = self.random.randrange(5) if depth else 0
        if kind == 0:
            return self.random.choice([None, True, False, 0, 1, 2, 1.5, -1, "a", "b", ""])
        if kind < 3:
            return [self._value(depth - 1) for _ in range(self.random.randrange(4))]
        return {key: self._value(depth - 1) for key in self.random.sample(FIELDS, self.random.randint(2, 5))}
