"""
YAML as evidence and settings: the JSON subset of it, with the place of every value.

Scalars follow YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema): dates stay text,
`yes` and `no` are words. Duplicate keys, custom tags and alias bombs are refused.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from gatekeeper.errors import EvidenceError, Location
from gatekeeper.formats.strict_json import MAX_DEPTH, decode_utf8

MAX_NODES = 1_000_000
"""Values in one document after aliases are expanded; a billion-laughs file stops here."""

Path = tuple[str | int, ...]
"""The way to a value from the document's root: keys and indexes."""

_INTEGER = re.compile(r"[-+]?[0-9]+")
_RADIX = re.compile(r"0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = dict.fromkeys(("null", "Null", "NULL", "~", ""))
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)


@dataclass(frozen=True)
class LocatedDocument:
    """A parsed document that still knows where each value stood."""

    name: str
    value: Any
    text: str
    data: bytes = b""
    marks: dict[Path, tuple[int, int]] = field(default_factory=dict)
    key_marks: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def location(self, path: Path, *, key: bool = False) -> Location:
        """Locate a value (or its key), or the nearest ancestor that is in the file."""
        marks = self.key_marks if key and path in self.key_marks else self.marks
        while path and path not in marks:
            path, marks = path[:-1], self.marks
        line, column = marks.get(path, (1, 1))
        lines = self.text.splitlines()
        return Location(self.name, line, column, lines[line - 1] if line <= len(lines) else "")


def parse_yaml(data: bytes, name: str) -> Any:
    """Parse one YAML document to JSON values; raises `EvidenceError` (malformed) with its place."""
    return parse_located(data, name).value


def parse_located(data: bytes, name: str) -> LocatedDocument:
    """Parse one YAML document and keep the place of each value."""
    text = decode_utf8(data, name)
    if not text.strip():
        raise EvidenceError("malformed", name, "the file is empty, a YAML document was wanted")
    builder = _Builder(LocatedDocument(name, None, text))
    value = builder.build(_compose(text, name), (), 1)
    return LocatedDocument(name, value, text, data, builder.document.marks, builder.document.key_marks)


def parse_yaml_documents(data: bytes, name: str) -> list[Any]:
    """Parse a stream of YAML documents separated by `---`; empty ones are left out."""
    text = decode_utf8(data, name)
    nodes = _composed(text, name)
    return [_Builder(LocatedDocument(name, None, text)).build(node, (), 1) for node in nodes if node is not None]


def _compose(text: str, name: str) -> Any:
    nodes = _composed(text, name)
    if len(nodes) != 1:
        raise EvidenceError("malformed", name, f"{len(nodes)} YAML documents found, one was wanted")
    return nodes[0]


@cache
def _loader() -> Any:
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _composed(text: str, name: str) -> list[Any]:
    import yaml

    try:
        return list(yaml.compose_all(text, Loader=_loader()))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        lines = text.splitlines()
        place = Location(name, line, column, lines[line - 1] if line <= len(lines) else "")
        raise EvidenceError("malformed", name, f"not YAML: {error.problem}", location=place) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise EvidenceError("malformed", name, f"not YAML: {str(error).splitlines()[0]}") from error


class _Builder:
    """Turns PyYAML's node graph into JSON values."""

    def __init__(self, document: LocatedDocument) -> None:
        self.document = document
        self.nodes = 0

    def build(self, node: Any, path: Path, depth: int) -> Any:
        mark = node.start_mark
        self.nodes += 1
        self.document.marks[path] = (mark.line + 1, mark.column + 1)
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            raise self._refuse(path, f"more than {MAX_NODES} values or {MAX_DEPTH} levels")
        match node.id:
            case "scalar":
                return self._scalar(node, path)
            case "sequence":
                return [self.build(item, (*path, index), depth + 1) for index, item in enumerate(node.value)]
            case _:
                return self._mapping(node, path, depth)

    def _mapping(self, node: Any, path: Path, depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key_node, item in node.value:
            if key_node.id != "scalar" or key_node.tag == "tag:yaml.org,2002:merge":
                raise self._refuse(path, "a key must be plain text (no merge keys, lists or mappings)")
            key, here = key_node.value, (*path, key_node.value)
            self.document.key_marks[here] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if key in value:
                raise self._refuse(here, f"duplicate key {key!r}", key=True)
            value[key] = self.build(item, here, depth + 1)
        return value

    def _scalar(self, node: Any, path: Path) -> Any:
        text: str = node.value
        if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.endswith(":binary"):
            raise self._refuse(path, f"tag {node.tag!r} is not allowed")
        if node.style in ("'", '"', "|", ">"):
            return text
        if text in _WORDS:
            return _WORDS[text]
        if text.lstrip("+-").lower() in (".inf", ".nan"):
            raise self._refuse(path, f"{text} is not a number that JSON knows")
        if len(text) > 400 or not _FLOAT.fullmatch(text):
            return int(text, 0) if _RADIX.fullmatch(text) else text
        if _INTEGER.fullmatch(text):
            return int(text)
        if not math.isfinite(float(text)):
            raise self._refuse(path, f"{text[:40]} is too large for a number")
        return float(text)

    def _refuse(self, path: Path, problem: str, *, key: bool = False) -> EvidenceError:
        place = self.document.location(path, key=key)
        return EvidenceError("malformed", self.document.name, problem, location=place)
