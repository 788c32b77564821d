"""Bulk checks of text by a linear-time engine: a pattern from a contract must not be able to hang a gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

BACKTRACK_LIMIT = 100_000
"""Steps of a pattern with lookaround or backreference on one value; past it the value does not match."""


class Grammar:
    """
    One JSON Schema keyword over many values at once.

    Patterns follow ECMA-262 and are searched for, not anchored, as ODCS and JSON Schema have it.
    """

    def __init__(self, keyword: str, value: Any) -> None:
        import jsonschema_rs

        schema = {"items": {keyword: value}}
        try:
            self._validator = jsonschema_rs.validator_for(
                schema, validate_formats=True, pattern_options=jsonschema_rs.RegexOptions()
            )
        except ValueError:
            limited = jsonschema_rs.FancyRegexOptions(backtrack_limit=BACKTRACK_LIMIT)
            self._validator = jsonschema_rs.validator_for(schema, validate_formats=True, pattern_options=limited)

    def mismatches(self, values: Sequence[str]) -> list[int]:
        """
        Indexes of the values that do not match, ascending.

        Each is asked for by itself when one does not: the engine's list of errors leaves out a value on which
        it gave up.
        """
        listed = list(values)
        if self._validator.is_valid(listed):
            return []
        return [index for index, value in enumerate(listed) if not self._validator.is_valid([value])]
