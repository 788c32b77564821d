"""Dates, times and timestamps as text: ISO 8601, or the pattern that the contract declares."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import cache
from typing import Any

Moment = date | time | datetime
Convert = Callable[[Any], Moment]

_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ISO_TIME = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?")
_ISO_TIMESTAMP = re.compile(_ISO_DATE.pattern + "[T ]" + _ISO_TIME.pattern)

_TOKENS = {
    "yyyy": r"(?P<year>[0-9]{4})",
    "uuuu": r"(?P<year>[0-9]{4})",
    "MM": r"(?P<month>[0-9]{2})",
    "dd": r"(?P<day>[0-9]{2})",
    "HH": r"(?P<hour>[0-9]{2})",
    "mm": r"(?P<minute>[0-9]{2})",
    "ss": r"(?P<second>[0-9]{2})",
}
"""Letters of java.time.format.DateTimeFormatter that ODCS formats are written in; the others are not read."""
_OFFSETS = ("Z", "X", "XX", "XXX", "x", "xx", "xxx", "ZZZZZ")
_OFFSET = r"(?P<offset>Z|[+-][0-9]{2}(?::?[0-9]{2})?)"
_PIECE = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")


class UnreadableFormat(ValueError):
    """A declared format whose letters gatekeeper does not know."""


def iso_date(text: str) -> date:
    """Read `2024-07-10`; raises `ValueError`."""
    if not _ISO_DATE.fullmatch(text):
        raise ValueError(text)
    return date.fromisoformat(text)


def iso_time(text: str) -> time:
    """Read `08:30:00`, with a fraction and an offset where there are some; raises `ValueError`."""
    if not _ISO_TIME.fullmatch(text):
        raise ValueError(text)
    return time.fromisoformat(text)


def iso_timestamp(text: str) -> datetime:
    """Read `2024-07-10T08:30:00Z`, with a blank for the T and without offset too; raises `ValueError`."""
    if not _ISO_TIMESTAMP.fullmatch(text):
        raise ValueError(text)
    return datetime.fromisoformat(text)


ISO: dict[str, Convert] = {"date": iso_date, "time": iso_time, "timestamp": iso_timestamp}


@cache
def converter(logical_type: str, pattern: str) -> Convert:
    """
    Make the reader of a declared format such as `dd.MM.yyyy HH:mm`.

    Raises `UnreadableFormat` when it holds letters that are not numeric fields of date, time or offset.
    """
    compiled = re.compile("".join(_token(match) for match in _PIECE.finditer(pattern)))

    def _convert(text: str) -> Moment:
        match = compiled.fullmatch(text)
        if match is None:
            raise ValueError(text)
        return _assemble(match.groupdict(), logical_type)

    return _convert


def _token(match: re.Match[str]) -> str:
    piece = match.group(0)
    if piece.startswith("'"):
        return re.escape(match.group(1).replace("''", "'") or "'")
    if not match.group(2) or piece == "T":
        # The standard's own examples write the T bare, which Java would refuse.
        return re.escape(piece)
    if set(piece) == {"S"}:
        return rf"(?P<fraction>[0-9]{{{len(piece)}}})"
    if piece in _OFFSETS:
        return _OFFSET
    if piece not in _TOKENS:
        raise UnreadableFormat(piece)
    return _TOKENS[piece]


def _assemble(parts: dict[str, str | None], logical_type: str) -> Moment:
    number = {key: int(parts.get(key) or default) for key, default in _LEAST.items()}
    fraction = (parts.get("fraction") or "")[:6].ljust(6, "0")
    zone = _zone(parts.get("offset"))
    clock = time(number["hour"], number["minute"], number["second"], int(fraction), tzinfo=zone)
    if logical_type == "time":
        return clock
    day = date(number["year"], number["month"], number["day"])
    return day if logical_type == "date" and "hour" not in parts else datetime.combine(day, clock)


_LEAST = {"year": 1, "month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0}


def _zone(offset: str | None) -> tzinfo | None:
    if offset is None:
        return None
    if offset == "Z":
        return UTC
    digits = offset[1:].replace(":", "").ljust(4, "0")
    delta = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-delta if offset[0] == "-" else delta)


def comparable(moment: Moment, default_zone: tzinfo) -> Any:
    """
    Put moments on one scale: aware ones in UTC, zoneless timestamps in the contract's default zone, dates at midnight.

    Times of day are compared as they are written when they have no offset.
    """
    if isinstance(moment, datetime):
        aware = moment if moment.tzinfo else moment.replace(tzinfo=default_zone)
        return aware.astimezone(UTC)
    if isinstance(moment, time):
        shift = moment.utcoffset() or timedelta()
        return (
            timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second)
            - shift
            + timedelta(microseconds=moment.microsecond)
        )
    return datetime(moment.year, moment.month, moment.day, tzinfo=default_zone).astimezone(UTC)
