"""Times as the examples write them: RFC 3339, UTC, whole milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """The time of the machine that makes the example."""
    return format_time(datetime.now(UTC))


def format_time(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
