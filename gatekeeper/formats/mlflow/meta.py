"""
MLflow's `meta.yaml`: flat mappings of plain scalars, kept as text.

MLflow writes them with PyYAML, whose YAML 1.1 leaves `1e234567` unquoted because it is text there; to YAML 1.2 it
is a number. One digest in seventy looks like that, so no scalar is interpreted here. The parser's events are read
one by one, so that no nesting can exhaust a stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gatekeeper.errors import EvidenceError, Location
from gatekeeper.formats.strict_json import decode_utf8

_NULL = ("", "null", "~")
_MAX_DEPTH = 3

Scalars = dict[str, str | None]
"""Text by key; None where YAML says null."""


def parse_meta(data: bytes, path: str) -> tuple[Scalars, dict[str, Scalars]]:
    """
    Read the scalars of a `meta.yaml`, and those of the mappings in it; lists are left out.

    Raises `EvidenceError` (malformed) when it is not one YAML mapping, a key appears twice, or it is nested
    deeper than MLflow ever writes it.
    """
    import yaml

    text = decode_utf8(data, path)
    try:
        events = list(_shallow(yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), path))
    except yaml.YAMLError as error:
        raise EvidenceError("malformed", path, f"not YAML: {str(error).splitlines()[0]}") from error
    if len(events) < 2 or not isinstance(events[0], yaml.MappingStartEvent):
        raise EvidenceError("malformed", path, "is not a mapping, as MLflow writes it")
    reader = iter(events[1:])
    return _mapping(reader, path)


def _shallow(events: Iterator[Any], path: str) -> Iterator[Any]:
    """Pass the events of one document's content; refuse deep nesting, aliases, and a second document."""
    import yaml

    depth = documents = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if depth > _MAX_DEPTH or documents > 1 or isinstance(event, yaml.AliasEvent):
            place = Location(path, event.start_mark.line + 1, event.start_mark.column + 1)
            raise EvidenceError("malformed", path, "is not a flat mapping, as MLflow writes it", location=place)
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent | yaml.CollectionEndEvent):
            yield event


def _mapping(events: Iterator[Any], path: str) -> tuple[Scalars, dict[str, Scalars]]:
    """Read pairs up to the end of a mapping whose start was read."""
    import yaml

    scalars: Scalars = {}
    nested: dict[str, Scalars] = {}
    while not isinstance(key := next(events), yaml.MappingEndEvent):
        if not isinstance(key, yaml.ScalarEvent) or key.value in scalars or key.value in nested:
            place = Location(path, key.start_mark.line + 1, key.start_mark.column + 1)
            raise EvidenceError("malformed", path, "a key appears twice or is no plain text", location=place)
        value = next(events)
        if isinstance(value, yaml.ScalarEvent):
            scalars[key.value] = None if value.implicit[0] and value.value in _NULL else value.value
        elif isinstance(value, yaml.MappingStartEvent):
            nested[key.value], _ = _mapping(events, path)
        else:
            _skip_list(events)
    return scalars, nested


def _skip_list(events: Iterator[Any]) -> None:
    import yaml

    depth = 1
    while depth:
        event = next(events)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
