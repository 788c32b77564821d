"""
YAML as evidence and settings: the JSON subset of it, with the place of every value.

Scalars follow YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema): dates stay text,
`yes` and `no` are words. Duplicate keys, custom tags and alias bombs are refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
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
    documents = _build_all(text, name)
    if len(documents) != 1:
        raise EvidenceError("malformed", name, f"{len(documents)} YAML documents found, one was wanted")
    found = documents[0]
    return LocatedDocument(name, found.value, text, data, found.marks, found.key_marks)


def parse_yaml_documents(data: bytes, name: str) -> list[Any]:
    """Parse a stream of YAML documents separated by `---`; empty ones are left out."""
    documents = _build_all(decode_utf8(data, name), name)
    return [each.value for each in documents if each.value is not None]


def _build_all(text: str, name: str) -> list[LocatedDocument]:
    """Build every document of a stream."""
    import yaml

    events = _events(text, name)
    documents: list[LocatedDocument] = []
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            builder = _Builder(events, LocatedDocument(name, None, text))
            value = builder.build(next(events), (), 1)
            document = builder.document
            documents.append(LocatedDocument(name, value, text, b"", document.marks, document.key_marks))
    return documents


def _events(text: str, name: str) -> Iterator[Any]:
    """
    Stream the parser's events.

    PyYAML's own tree is not used: building it recurses on the C stack, and a deeply nested file kills the process.
    """
    import yaml

    try:
        yield from yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        lines = text.splitlines()
        place = Location(name, line, column, lines[line - 1] if line <= len(lines) else "")
        raise EvidenceError("malformed", name, f"not YAML: {error.problem}", location=place) from error
    except yaml.YAMLError as error:
        raise EvidenceError("malformed", name, f"not YAML: {str(error).splitlines()[0]}") from error


@dataclass(frozen=True)
class _Anchored:
    """A value that aliases may repeat, how many values it holds and how many levels it has."""

    value: Any
    nodes: int
    levels: int


def _copied(value: Any) -> Any:
    """Copy a value, so that an alias and its anchor are two values, as they are in the text."""
    match value:
        case dict():
            return {key: _copied(item) for key, item in value.items()}
        case list():
            return [_copied(item) for item in value]
        case _:
            return value


class _Builder:
    """Turns the events of one document into JSON values."""

    def __init__(self, events: Iterator[Any], document: LocatedDocument) -> None:
        self.events = events
        self.document = document
        self.anchors: dict[str, _Anchored | None] = {}
        self.nodes = 0
        self.deepest = 0

    def build(self, event: Any, path: Path, depth: int) -> Any:
        """Build the value that an event begins; an alias repeats the one that it names."""
        import yaml

        mark = event.start_mark
        self.document.marks[path] = (mark.line + 1, mark.column + 1)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), path, depth)
        nodes, deepest, self.deepest = self.nodes, self.deepest, depth
        self._count(1, path, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        match event:
            case yaml.ScalarEvent():
                value: Any = self._scalar(event, path)
            case yaml.SequenceStartEvent():
                value = self._sequence(event, path, depth)
            case _:
                value = self._mapping(event, path, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchored(value, self.nodes - nodes, self.deepest - depth + 1)
        self.deepest = max(self.deepest, deepest)
        return value

    def _count(self, nodes: int, path: Path, depth: int) -> None:
        self.nodes += nodes
        self.deepest = max(self.deepest, depth)
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            raise self._refuse(path, f"more than {MAX_NODES} values or {MAX_DEPTH} levels")

    def _alias(self, anchor: str, path: Path, depth: int) -> Any:
        if anchor not in self.anchors:
            raise self._refuse(path, f"no value is anchored as {anchor!r} before this alias")
        anchored = self.anchors[anchor]
        if anchored is None:
            raise self._refuse(path, f"the value anchored as {anchor!r} holds itself")
        self._count(anchored.nodes, path, depth + anchored.levels - 1)
        return _copied(anchored.value)

    def _sequence(self, event: Any, path: Path, depth: int) -> list[Any]:
        import yaml

        self._check_tag(event, path, "seq")
        value: list[Any] = []
        while not isinstance(item := next(self.events), yaml.SequenceEndEvent):
            value.append(self.build(item, (*path, len(value)), depth + 1))
        return value

    def _mapping(self, event: Any, path: Path, depth: int) -> dict[str, Any]:
        import yaml

        self._check_tag(event, path, "map")
        value: dict[str, Any] = {}
        while not isinstance(key_event := next(self.events), yaml.MappingEndEvent):
            key = self._key(key_event, path)
            here = (*path, key)
            self.document.key_marks[here] = (key_event.start_mark.line + 1, key_event.start_mark.column + 1)
            if key in value:
                raise self._refuse(here, f"duplicate key {key!r}", key=True)
            value[key] = self.build(next(self.events), here, depth + 1)
        return value

    def _key(self, event: Any, path: Path) -> str:
        import yaml

        if not isinstance(event, yaml.ScalarEvent) or (event.value == "<<" and not event.style):
            raise self._refuse(path, "a key must be plain text (no merge keys, lists or mappings)")
        self._check_tag(event, path, "str")
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchored(event.value, 1, 1)
        key: str = event.value
        return key

    def _check_tag(self, event: Any, path: Path, wanted: str) -> None:
        if event.tag is not None and event.tag != f"tag:yaml.org,2002:{wanted}":
            raise self._refuse(path, f"tag {event.tag!r} is not allowed")

    def _scalar(self, event: Any, path: Path) -> Any:
        text: str = event.value
        self._check_tag(event, path, "str")
        if event.tag is not None or event.style in ("'", '"', "|", ">"):
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
