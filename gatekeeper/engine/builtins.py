"""
Which of Rego's builtins a policy may call (https://www.openpolicyagent.org/docs/policy-reference/builtins).

A builtin is portable when both engines gave the same value, or both an error, for every sample of
tests/engine/test_builtins.py; where two differ OPA is right, and the policy has to do without.
"""

from __future__ import annotations

FORBIDDEN = ("http.", "net.", "opa.", "rand.", "time.now_ns", "time.clock", "uuid.", "trace", "print", "rego.")
"""Builtins, and families of them, that reach the network, the clock, the environment, chance or the engine itself."""

PORTABLE = {
    "abs": 1, "array.concat": 2, "array.reverse": 1, "array.slice": 3, "concat": 2, "contains": 2, "count": 1,
    "endswith": 2, "format_int": 2, "intersection": 1, "is_array": 1, "is_boolean": 1, "is_null": 1,
    "is_number": 1, "is_object": 1, "is_set": 1, "is_string": 1, "max": 1, "min": 1, "object.filter": 2,
    "object.get": 3, "object.keys": 1, "object.remove": 2, "object.union": 2, "object.union_n": 1,
    "regex.match": 2, "replace": 3, "round": 1, "sort": 1, "split": 2, "sprintf": 2, "startswith": 2,
    "strings.any_prefix_match": 2, "strings.any_suffix_match": 2, "strings.reverse": 1, "substring": 3,
    "trim": 2, "trim_left": 2, "trim_prefix": 2, "trim_right": 2, "trim_space": 1, "trim_suffix": 2,
    "type_name": 1, "union": 1,
}  # fmt: skip
"""Builtins that may be called, with their number of arguments; a test runs each on both engines."""

DIFFERENT = {
    "sum": "adds in another precision",
    "product": "multiplies in another precision",
    "ceil": "OPA rounds -0.5 to 1",
    "floor": "OPA rounds -0.5 to 0",
    "lower": "differs for the letters İ and Σ",
    "upper": "differs for the letter ß",
    "indexof": "differs for empty text",
    "semver.compare": "OPA accepts a leading v",
    "semver.is_valid": "OPA accepts a leading v",
    "to_number": "differs for spaces, and -0",
    "glob.match": "differs for wildcards and letters beyond ASCII",
    "time.parse_rfc3339_ns": "differs for lower-case letters and leap seconds",
    "time.parse_duration_ns": "differs in its units",
    "json.marshal": "writes numbers and <, >, & in another way",
    "json.unmarshal": "reads numbers in another way",
    "json.filter": "differs where a path leads through a number or text",
    "json.remove": "differs where a path leads through a number or text",
    "json.match_schema": "differs in its result",
    "json.verify_schema": "differs in its result",
    "object.subset": "stops the embedded engine on lists",
    "numbers.range": "can grow without bound",
    "regex.split": "differs for letters beyond 16 bits",
    "base64.decode": "differs for bytes that are not UTF-8",
    "strings.replace_n": "differs in its order",
    "strings.count": "differs for empty text",
    "walk": "is a relation, which the engines call in different ways",
    "io.jwt.decode": "is missing from the embedded engine",
}
"""Builtins on which the engines differ, and how; found by running both on the same values."""


def is_forbidden(name: str) -> bool:
    """Say whether a builtin, or the whole family that its name begins with, is forbidden."""
    return any(name == each or (each.endswith(".") and name.startswith(each)) for each in FORBIDDEN)
