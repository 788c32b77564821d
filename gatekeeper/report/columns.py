"""Laying text out in columns of a terminal: display width, wrapping, tables; pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MIN_WIDTH = 60
"""Columns below which nothing is narrowed further."""

_MIN_LAST_COLUMN = 20
_MARGIN = 2
_GAP = 2
_BELOW = 6

Paint = Callable[[str, str], str]
"""Give text a style (`bold`, `green`, …); plain output returns the text as it is."""


@dataclass(frozen=True)
class Page:
    """What the text is laid out on."""

    width: int
    """Columns."""
    paint: Paint
    """Styles text; applied after padding, so that styles take no room."""


@dataclass(frozen=True)
class Row:
    """One row of a table."""

    cells: tuple[str, ...]
    """Text by column."""
    style: str = ""
    """Style of the first cell."""


def cell_width(text: str) -> int:
    """Columns that text takes: two for East Asian wide characters, none for combining ones (UAX #11)."""
    if text.isascii():
        return len(text)
    return sum(_char_width(char) for char in text)


def _char_width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def wrap(text: str, width: int) -> list[str]:
    """Break text at spaces into lines of at most `width` columns; a longer word is broken anywhere."""
    return fill(text.split(), width)


def fill(words: Sequence[str], width: int) -> list[str]:
    """Put words, which may hold spaces, onto lines of at most `width` columns."""
    lines, line = [], ""
    for word in words:
        candidate = f"{line} {word}" if line else word
        if cell_width(candidate) <= width:
            line = candidate
            continue
        if line:
            lines.append(line)
        *full, line = _broken(word, width)
        lines.extend(full)
    return [*lines, line] if line else lines


def _broken(word: str, width: int) -> list[str]:
    if cell_width(word) <= width:
        return [word]
    pieces, piece, used = [], "", 0
    for char in word:
        if piece and used + _char_width(char) > width:
            pieces.append(piece)
            piece, used = "", 0
        piece += char
        used += _char_width(char)
    return [*pieces, piece]


def hang(first: str, text: str, page: Page, *, indent: int) -> list[str]:
    """Put `first` before wrapped text; further lines begin below the text, `indent` is the room of `first`."""
    lines = wrap(text, max(page.width - indent, _MIN_LAST_COLUMN))
    return [(first if number == 0 else " " * indent) + line for number, line in enumerate(lines)] or [first.rstrip()]


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Fill text up to a width in columns."""
    room = " " * max(width - cell_width(text), 0)
    return room + text if right else text + room


def table(header: Row, rows: Sequence[Row], page: Page, *, right: frozenset[int] = frozenset()) -> list[str]:
    """
    Align rows below a header; `right` names the columns of figures. The last column wraps.

    Where it would be too narrow it goes onto lines of its own.
    """
    columns = list(zip(header.cells, *(row.cells for row in rows), strict=True))[:-1]
    widths = [max(map(cell_width, column)) for column in columns]
    indent = _MARGIN + sum(widths) + _GAP * len(widths)
    below = page.width - indent < _MIN_LAST_COLUMN
    lines = []
    for row in (header, *rows):
        padded = [pad(each, widths[number], right=number in right) for number, each in enumerate(row.cells[:-1])]
        painted = [page.paint(each, row.style if number == 0 else "") for number, each in enumerate(padded)]
        start = " " * _MARGIN + (" " * _GAP).join(painted) + " " * _GAP
        if below:
            lines += [start.rstrip(), *hang(" " * _BELOW, row.cells[-1], page, indent=_BELOW)]
        else:
            lines += hang(start, row.cells[-1], page, indent=indent)
    return lines
