"""What GitHub's runner reads out of a job's output: the same search for commands, written again for tests."""

from __future__ import annotations

import re
from dataclasses import dataclass

NAMES = {
    "error", "warning", "notice", "debug", "group", "endgroup", "add-mask", "set-output", "set-env", "save-state",
    "stop-commands", "add-path", "add-matcher", "remove-matcher", "echo",
}  # fmt: skip


@dataclass(frozen=True)
class Command:
    """One workflow command as the runner understands it."""

    name: str
    properties: dict[str, str]
    data: str


def read_commands(output: str) -> list[Command]:
    """
    Find every command in a job's output, whichever of the two forms it has.

    Source: actions/runner, ActionCommand.cs: `TryParseV2` trims leading space and wants `::name props::data`;
    `TryParse` finds `##[name props]data` anywhere in the line.
    """
    lines = re.split(r"\r\n|\r|\n", output)
    found = [_second_version(line) or _first_version(line) for line in lines]
    return [each for each in found if each]


def _second_version(line: str) -> Command | None:
    line = line.lstrip()
    end = line.find("::", 2)
    if not line.startswith("::") or end < 0:
        return None
    name, _, rest = line[2:end].partition(" ")
    if name.lower() not in NAMES:
        return None
    pairs = (each.split("=", 1) for each in rest.strip().split(",") if "=" in each)
    properties = {key: _unescape(value, {"%3A": ":", "%2C": ","}) for key, value in pairs}
    return Command(name, properties, _unescape(line[end + 2 :], {}))


def _first_version(line: str) -> Command | None:
    match = re.search(r"##\[([^\]\s]*)[^\]]*\](.*)", line)
    return Command(match[1], {}, match[2]) if match and match[1].lower() in NAMES else None


def _unescape(text: str, more: dict[str, str]) -> str:
    for escaped, char in {"%0D": "\r", "%0A": "\n", **more, "%25": "%"}.items():
        text = text.replace(escaped, char)
    return text
