"""
Versions that a waiver is for: one exact text, or a range as in PEP 440 (https://peps.python.org/pep-0440/); pure.

Whatever is in doubt does not match: a version that is not PEP 440, a pre-release or a local version that the range
does not name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

_OPERATORS = ("<", ">", "=", "!", "~")
_PREFIX = ".*"


def is_range(text: str) -> bool:
    """Say whether a text is written as a range; anything else is one exact version."""
    return text.startswith(_OPERATORS)


def parse_range(text: str) -> SpecifierSet:
    """Parse a range; raises `ValueError` for one that is not PEP 440, or that compares text (`===`)."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        specifiers = SpecifierSet(text)
    except InvalidSpecifier as error:
        raise ValueError(f"{text!r} is no range of versions as in PEP 440, such as '>=2.3,<2.4'") from error
    if any(each.operator == "===" for each in specifiers):
        raise ValueError("'===' compares text: write the version alone")
    return specifiers


def version_matches(wanted: str, version: str) -> bool:
    """Say whether a candidate's version is the exact one, or lies in the range."""
    from packaging.version import InvalidVersion, Version

    if not is_range(wanted):
        return version == wanted
    try:
        found = Version(version)
    except InvalidVersion:
        return False
    if version != version.strip() or found.local is not None:
        return False
    specifiers = parse_range(wanted)
    named = any(_bound(each.version).is_prerelease for each in specifiers)
    return specifiers.contains(found, prereleases=named)


def is_broad(wanted: str | None) -> bool:
    """Say whether versions are left open: none is named, or the range reaches past one major version."""
    if wanted is None:
        return True
    if not is_range(wanted):
        return False
    specifiers = parse_range(wanted)
    if any(each.operator in ("==", "~=") for each in specifiers):
        return False
    lower = [_bound(each.version) for each in specifiers if each.operator in (">", ">=")]
    upper = [(_bound(each.version), each.operator == "<") for each in specifiers if each.operator in ("<", "<=")]
    return not any(_one_major(low, high, excluded=excluded) for low in lower for high, excluded in upper)


def _one_major(low: Version, high: Version, *, excluded: bool) -> bool:
    if low.epoch != high.epoch:
        return False
    whole = not any(high.release[1:]) and not high.is_postrelease
    return high.major == low.major or (excluded and whole and high.major == low.major + 1)


def _bound(text: str) -> Version:
    from packaging.version import Version

    return Version(text.removesuffix(_PREFIX))
