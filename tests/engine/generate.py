"""
Evidence made from real evidence and from the models that describe it: varied, at the edges, and broken on purpose.

Everything comes from a seeded generator, so a document that shows a difference can be made again.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

TEXTS = [
    "", "a", "accuracy", "name with spaces", "日本語", "e\u0301", "a😀b", "\u2028", "\0", '"quoted" \\ %s %d', "<b>&amp;</b>",
    "x" * 300, "1", "true", "null", "a.b.c", "models/m.onnx", "İΣß", "\u00a0 ", "0.1", "[]",
]  # fmt: skip
PATTERNED = ["0" * 64, "a" * 40, "a", "model", "1.2.3", "2026-11-23T12:00:00Z", "sha256:" + "f" * 64, "a/b", "1", "30d"]
NUMBERS = [
    0,
    1,
    -1,
    2,
    3,
    10,
    0.1,
    0.1 + 0.2,
    0.3,
    0.5,
    0.95,
    0.99,
    1.0,
    1e-7,
    1e-300,
    -0.0,
    100.0,
    12345.678,
    1e6,
    2**53,
]
STRANGE = [None, True, False, 0, 1, -1, 0.5, 1e17, 2**63 - 1, "", "text", [], {}, [[]], [None], {"a": 1}, [{"a": None}]]


class Generator:
    """Documents of one gate; `edges` are the numbers of its thresholds and their neighbours."""

    def __init__(self, seed: str, thresholds: dict[str, Any]) -> None:
        self.random = Random(seed)
        self.edges = [
            edge
            for value in thresholds.values()
            if isinstance(value, int | float) and not isinstance(value, bool)
            for edge in (value, value + 1, value - 1, math.nextafter(value, math.inf), math.nextafter(value, -math.inf))
        ]

    def body(self, schema: dict[str, Any]) -> Any:
        """A value that has the shape of a schema."""
        return self._value(schema, schema.get("$defs", {}), 0)

    def varied(self, body: Any, is_valid: Callable[[Any], bool]) -> Any:
        """A body with some of its parts changed so that it stays valid."""
        body = copy.deepcopy(body)
        for _ in range(self.random.randrange(40)):
            changed = copy.deepcopy(body)
            holder, key = self.random.choice(list(_places(changed)))
            self._vary(holder, key)
            if is_valid(changed):
                body = changed
        return body

    def _vary(self, holder: Any, key: Any) -> None:
        value = holder[key]
        if isinstance(value, bool):
            holder[key] = not value
        elif isinstance(value, int):
            holder[key] = self._number({"type": "integer"})
        elif isinstance(value, float):
            holder[key] = self._number({})
        elif isinstance(value, str):
            holder[key] = self.random.choice(TEXTS + PATTERNED)
        elif isinstance(value, list) and value:
            holder[key] = self.random.choice([[], value[:-1], [*value, value[0]], value[::-1]])
        elif isinstance(value, dict):
            holder[key] = self.random.choice([None, {}])
        else:
            holder[key] = self.random.choice([None, 0.5, 1, "a", []])

    def broken(self, value: Any) -> Any:
        """The same value with one to four of its parts removed, repeated or of another type."""
        for _ in range(self.random.randint(1, 4)):
            places = list(_places(value))
            if not places:
                return value
            holder, key = self.random.choice(places)
            match self.random.randrange(5):
                case 0:
                    del holder[key]
                case 1:
                    holder[key] = [holder[key], copy.deepcopy(holder[key])]
                case 2:
                    self._vary(holder, key)
                case _:
                    holder[key] = copy.deepcopy(self.random.choice(STRANGE))
        return value

    def _value(self, schema: dict[str, Any], definitions: dict[str, Any], depth: int) -> Any:
        match schema:
            case {"$ref": str(name)}:
                return self._value(definitions[name.rpartition("/")[2]], definitions, depth)
            case {"anyOf": list(choices)}:
                return self._value(self.random.choice(choices), definitions, depth)
            case {"enum": list(choices)}:
                return self.random.choice(choices)
            case {"type": "object"}:
                return self._object(schema, definitions, depth)
            case {"type": "array"}:
                return self._array(schema, definitions, depth)
            case {"type": "string"}:
                return self._text(schema)
            case {"type": "integer" | "number"}:
                return self._number(schema)
            case _:
                return schema.get("const", self.random.choice([None, True, False]))

    def _object(self, schema: dict[str, Any], definitions: dict[str, Any], depth: int) -> dict[str, Any]:
        required = schema.get("required", [])
        made = {
            name: self._value(part, definitions, depth + 1)
            for name, part in schema.get("properties", {}).items()
            if name in required or self.random.random() < 0.7
        }
        if isinstance(others := schema.get("additionalProperties"), dict):
            for _ in range(self.random.randrange(4)):
                made[self.random.choice(PATTERNED + TEXTS)] = self._value(others, definitions, depth + 1)
        return made

    def _array(self, schema: dict[str, Any], definitions: dict[str, Any], depth: int) -> list[Any]:
        if "prefixItems" in schema:
            return [self._value(part, definitions, depth + 1) for part in schema["prefixItems"]]
        least, most = schema.get("minItems", 0), schema.get("maxItems", 99)
        size = min(max(self.random.choice([0, 1, 1, 2, 3]) if depth < 6 else 0, least), most)
        return [self._value(schema.get("items", {}), definitions, depth + 1) for _ in range(size)]

    def _text(self, schema: dict[str, Any]) -> str:
        if schema.get("format") == "date-time":
            return self.random.choice(
                ["2026-11-23T12:00:00Z", "2026-11-01T00:00:00.123456Z", "2020-01-01T00:00:00+02:00"]
            )
        least, most = schema.get("minLength", 0), schema.get("maxLength", 10_000)
        fitting = [
            text
            for text in (PATTERNED if "pattern" in schema else TEXTS + PATTERNED)
            if least <= len(text) <= most and re.search(schema.get("pattern", ""), text)
        ]
        return self.random.choice(fitting or ["a" * least])

    def _number(self, schema: dict[str, Any]) -> float:
        low = schema.get("minimum", schema.get("exclusiveMinimum", -(2**53)))
        high = schema.get("maximum", schema.get("exclusiveMaximum", 2**53))
        choices = [low, high, *NUMBERS, *self.edges, self.random.random(), self.random.randrange(1000)]
        if schema.get("type") == "integer":
            choices = [math.floor(choice) for choice in choices]
        fitting = [
            choice
            for choice in choices
            if low <= choice <= high
            and choice != schema.get("exclusiveMinimum", math.nan)
            and choice != schema.get("exclusiveMaximum", math.nan)
        ]
        return self.random.choice(fitting or [low])


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every key and index of a value, with what holds it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield value, key
        yield from _places(part)
