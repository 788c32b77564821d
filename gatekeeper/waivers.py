"""
Waivers: approved exceptions to named rules, for a named candidate, until a date.

This module holds their shape, what the trusted settings say about them, and the reading of their file, which comes
from the trusted source only. `gatekeeper.waiving` applies them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, field_validator, model_validator

from gatekeeper.document import Document, canonical_json
from gatekeeper.enforcement import Selector, refuse_unmatched
from gatekeeper.errors import ConfigurationError, EvidenceError
from gatekeeper.formats.strict_yaml import LocatedDocument, parse_located
from gatekeeper.manifest import MAX_MANIFEST_BYTES, Name, Sha256, nearest, validate
from gatekeeper.policy import Rule
from gatekeeper.waiver_versions import is_broad, is_range, parse_range

_RFC3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})")
_OFFSETS = (timedelta(hours=-12), timedelta(hours=14))
"""The offsets from UTC that are in use on Earth."""


def _as_written(value: Any) -> Any:
    """Parse a time; pydantic alone would also read a number as one, and other characters as a minus."""
    if not isinstance(value, str):
        return value
    if not _RFC3339.fullmatch(value):
        raise ValueError("a time is written as in RFC 3339, with its time zone: 2026-12-31T18:00:00+01:00")
    return datetime.fromisoformat(value)


def _on_earth(moment: datetime) -> datetime:
    offset = moment.utcoffset()
    if offset is None or not _OFFSETS[0] <= offset <= _OFFSETS[1] or not 2000 <= moment.year <= 2999:
        raise ValueError("the time zone lies between -12:00 and +14:00, the year between 2000 and 2999")
    return moment


Text = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]
Person = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
Moment = Annotated[AwareDatetime, BeforeValidator(_as_written), AfterValidator(_on_earth)]
WaiverId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Days = Annotated[int, Field(ge=1, le=3650)]


class Scope(Document):
    """The candidate that a waiver is for; every field that is given must match."""

    name: Name
    """Name of the candidate; no pattern, so that a waiver is never broader than it looks."""
    environment: Name
    """Environment entered."""
    version: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Exact version, or a range of versions as in PEP 440: `>=2.3,<2.4`."""
    digests: Annotated[tuple[Sha256, ...], Field(min_length=1)] | None = None
    """SHA-256 of artefacts; every artefact of the candidate must be among them."""

    @field_validator("version")
    @classmethod
    def _readable_range(cls, version: str | None) -> str | None:
        if version is not None and is_range(version):
            parse_range(version)
        return version


class Waiver(Document):
    """One approved exception."""

    id: WaiverId
    """Name of the waiver, unique in the file."""
    rule: Text
    """`<rule>` or `<rule>:<subject>`, as the finding names them; all after the first colon is the subject."""
    candidate: Scope
    """What it is for."""
    reason: Text
    """Why the exception is acceptable."""
    ticket: Text
    """Where it was discussed."""
    approver: Person
    """Who approved it; never the owner of the promotion, nor who asked for the waiver."""
    requested_by: Person | None = None
    """Who asked for it."""
    approved_at: Moment
    """When, with time zone."""
    expires_at: Moment
    """From when on it no longer applies, with time zone."""
    key_id: WaiverId | None = None
    """Which key of the trusted settings made the signature."""
    signature: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Base64 Ed25519 signature over the canonical JSON of all other fields."""

    @model_validator(mode="after")
    def _whole(self) -> Waiver:
        if self.rule.endswith(":") and not self.subject:
            raise ValueError("the rule ends with a colon and no subject")
        if (self.signature is None) != (self.key_id is None):
            raise ValueError("signature and key_id belong together")
        return self

    @property
    def rule_id(self) -> str:
        """The rule without the subject."""
        return self.rule.partition(":")[0]

    @property
    def subject(self) -> str | None:
        """The only subject that it is for; None for every one."""
        return self.rule.partition(":")[2] or None

    @property
    def over_broad(self) -> bool:
        """It is for any subject, any content, and more than one major version."""
        return self.subject is None and self.candidate.digests is None and is_broad(self.candidate.version)


class WaiverFile(Document):
    """Shape of the waivers file."""

    api_version: Annotated[Literal["gatekeeper/v1"], Field(alias="apiVersion")]
    """Version of this format."""
    kind: Literal["Waivers"]
    """Always `Waivers`."""
    waivers: tuple[Waiver, ...]
    """The exceptions."""


class WaiverKey(Document):
    """A key that signs waivers, and whose it is."""

    key: Annotated[str, Field(min_length=1, max_length=2000)]
    """Ed25519 public key: 32 bytes in Base64, or a PEM block."""
    approver: Person
    """The only approver whose waivers it signs; one who has a key must sign."""


class WaiverLifetimes(Document):
    """The longest time between approval and expiry, by the rule's own severity."""

    deny: Days = 90
    """Days, for a rule whose METADATA says deny."""
    warn: Days = 180
    """Days, for a rule whose METADATA says warn and which the settings enforce as deny."""


class WaiverSettings(Document):
    """What the trusted settings say about waivers."""

    path: str | None = None
    """The waivers file, in the trusted source; without it there are none."""
    max_days: WaiverLifetimes = Field(default_factory=WaiverLifetimes)
    """The longest lifetime of a waiver."""
    non_waivable: tuple[Selector, ...] = ()
    """Rules that no waiver sets aside, over those that say so themselves; selectors as in enforcement."""
    approvers: Annotated[tuple[Person, ...], Field(min_length=1)] | None = None
    """Who may approve; without it everybody whose name is written in Latin letters."""
    keys: dict[WaiverId, WaiverKey] = {}
    """Keys that sign waivers."""
    require_signature: bool = False
    """Whether a waiver without a signature never applies."""

    @model_validator(mode="after")
    def _one_approver_a_key(self) -> WaiverSettings:
        if len({each.key.strip() for each in self.keys.values()}) < len(self.keys):
            raise ValueError("a key is there twice; it is bound to one approver")
        return self


def parse_waivers(data: bytes, name: str, rules: Mapping[str, Rule] | None = None) -> tuple[Waiver, ...]:
    """
    Read the waivers file; `name` says in errors where the bytes came from.

    Raises `ConfigurationError` with the place of the first fault: another shape, a time without zone, a range that is
    none, an id that appears twice and, where the rules are given, a rule that does not exist.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise ConfigurationError(name, f"larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        located = parse_located(data, name)
    except EvidenceError as error:
        raise ConfigurationError(error.subject, error.problem, hint=error.hint, location=error.location) from error
    waivers = validate(located, WaiverFile).waivers
    _refuse_duplicates(waivers, located)
    if rules is not None:
        _refuse_unknown_rules(waivers, rules, located)
    return waivers


def check_waivers(waivers: Iterable[Waiver], rules: Mapping[str, Rule], settings: WaiverSettings) -> None:
    """Raise `ConfigurationError` for an id that appears twice, an unknown rule, or a selector that matches none."""
    found = tuple(waivers)
    _refuse_duplicates(found)
    _refuse_unknown_rules(found, rules)
    for number, selector in enumerate(settings.non_waivable):
        refuse_unmatched(selector, rules.values(), f"waivers.non_waivable.{number}")


def _refuse_duplicates(waivers: tuple[Waiver, ...], located: LocatedDocument | None = None) -> None:
    seen: set[str] = set()
    for number, waiver in enumerate(waivers):
        if waiver.id in seen:
            raise ConfigurationError(
                f"waiver {waiver.id!r}", "the id is taken by another waiver", hint="ids are unique",
                location=located.location(("waivers", number, "id")) if located else None,
            )  # fmt: skip
        seen.add(waiver.id)


def _refuse_unknown_rules(
    waivers: tuple[Waiver, ...], rules: Mapping[str, Rule], located: LocatedDocument | None = None
) -> None:
    for number, waiver in enumerate(waivers):
        if waiver.rule_id not in rules:
            raise ConfigurationError(
                f"waiver {waiver.id!r}", f"there is no rule {waiver.rule_id!r}",
                hint=nearest(waiver.rule_id, list(rules)),
                location=located.location(("waivers", number, "rule")) if located else None,
            )  # fmt: skip


def signed_bytes(waiver: Waiver) -> bytes:
    """
    Render what a signature is made over: canonical JSON of the waiver without `signature` and absent fields.

    Times are in UTC and end in `Z`, so that any way to write the same instant has the same bytes; `apiVersion` and
    `kind` keep the signature from meaning anything else.
    """
    content = waiver.model_dump(mode="json", exclude={"signature"}, exclude_none=True)
    for field in ("approved_at", "expires_at"):
        content[field] = getattr(waiver, field).astimezone(UTC).isoformat().replace("+00:00", "Z")
    return canonical_json({"apiVersion": "gatekeeper/v1", "kind": "Waiver", "waiver": content})
