"""
Text from evidence is data: it never speaks to the terminal, the browser or the runner that shows it.

Every renderer but JSON passes what it shows through `one_line`, then through the escape of its format.
"""

from __future__ import annotations

import re
import unicodedata

MAX_TEXT_CHARS = 1000
"""Characters of one message, subject or path that a report for people shows; the JSON report has all."""

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})
"""Control, format (bidirectional overrides, zero width), surrogate, unassigned, line and paragraph separator."""

_HIDDEN_OTHERS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0d\uffa0\U000e0100-\U000e01ef]"
)
"""Default-ignorable characters of the remaining categories (Unicode DerivedCoreProperties)."""

_EMOJI_STYLE = re.compile("[\ufe0e\ufe0f]")
_COMMAND_START = re.compile(r"(?<!\S):{2,}")
_LEGACY_COMMAND = re.compile(r"##(?=\[)")

_MARKDOWN = str.maketrans(
    {char: "\\" + char for char in "\\`*_[]|~!"}
    | {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;", "@": "@&#8203;", "#": "#&#8203;"}
)
_AUTOLINKS = re.compile(r"(:)(?=//)|(\bwww)(?=\.)|(\bgh)(?=-[0-9])|(:)(?=[A-Za-z0-9+\\_-]+:)", re.IGNORECASE)


def one_line(text: str, limit: int = MAX_TEXT_CHARS) -> str:
    """
    Make text safe to print on one line: what is hidden is shown as `\\u202e`, white space is one space.

    At most `limit` characters are shown and the note says how many are not. Workflow commands are defused,
    because a report may be printed in a CI job whatever its format.
    """
    shown = visible(" ".join(text[:limit].split()))
    if len(text) > limit:
        shown += f" … ({len(text) - limit:,} more characters)"
    return defuse(shown)


def visible(text: str) -> str:
    """Show control characters, bidirectional overrides and zero-width characters as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(char) for char in _EMOJI_STYLE.sub("", text))


def _shown(char: str) -> str:
    if unicodedata.category(char) not in _HIDDEN_CATEGORIES and not _HIDDEN_OTHERS.match(char):
        return char
    number = ord(char)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def defuse(text: str) -> str:
    """
    Part the characters by which GitHub's runner knows a command: `::` after white space, `##[` anywhere.

    Visible spaces, not zero-width ones: the runner compares by culture and ignores the latter.
    Source: actions/runner `src/Runner.Common/ActionCommand.cs`, `TryParseV2` and `TryParse`.
    """
    return _LEGACY_COMMAND.sub("## ", _COMMAND_START.sub(lambda match: " ".join(match.group()), text))


def markdown_text(text: str, limit: int = MAX_TEXT_CHARS) -> str:
    """
    Escape text for GitHub's Markdown, inside a table as well as outside.

    Backslashes stop Markdown, entities stop HTML and mathematics; a zero-width space parts what GitHub links
    after Markdown was rendered, where neither helps: `@mention`, `#123`, `GH-123`, addresses, `:emoji:`.
    """
    return (
        _AUTOLINKS.sub(lambda match: match.group() + "&#8203;", one_line(text, limit).translate(_MARKDOWN)) or "(empty)"
    )


def markdown_code(text: str, limit: int = MAX_TEXT_CHARS) -> str:
    """
    Show text as a code span, in which GitHub links nothing.

    Text with a `|` is escaped as prose instead: within a table no code span can hold every such text
    (https://github.github.com/gfm/#example-200).
    """
    shown = one_line(text, limit)
    if "|" in shown or not shown:
        return markdown_text(text, limit)
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def mermaid_label(text: str) -> str:
    """Reduce a name to what no Mermaid grammar reads as its own: `:` ends a gantt label, `;` and `#` break it."""
    return re.sub(r"[^A-Za-z0-9 ._-]", "_", text)[:40].strip() or "_"


def workflow_data(text: str) -> str:
    """Escape the message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def workflow_property(text: str) -> str:
    """Escape a property of a workflow command."""
    return workflow_data(text).replace(":", "%3A").replace(",", "%2C")
