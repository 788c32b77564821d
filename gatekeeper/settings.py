"""gatekeeper.yaml: the trusted side's choice of gates, engine, policies, log and outputs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from gatekeeper.document import Document
from gatekeeper.enforcement import Enforcement
from gatekeeper.errors import ConfigurationError
from gatekeeper.evidence import MAX_AGE_SECONDS
from gatekeeper.manifest import Kind, Name, Sha256, load_located, locate, validate
from gatekeeper.trust.keys import VerificationKey
from gatekeeper.waivers import WaiverSettings

DEFAULT_SETTINGS = "gatekeeper.yaml"
FORMATS = ("text", "json", "markdown", "junit", "github", "openmetrics")
Format = Literal["text", "json", "markdown", "junit", "github", "openmetrics"]
RiskTier = Literal["low", "medium", "high"]


class EngineSettings(Document):
    """Which engine evaluates, and within what limits."""

    name: Literal["embedded", "opa"] = "embedded"
    """embedded: regorus in a worker process. opa: a real Open Policy Agent."""
    url: str | None = None
    """opa only: a running server, `http://127.0.0.1:8181`; without it a local binary is started."""
    binary: str | None = None
    """opa only: the binary to start; without it `opa` from PATH."""
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 20.0
    """Wall time for one evaluation; past it the engine is killed."""
    memory_bytes: Annotated[int, Field(ge=64 * 1024 * 1024)] = 1024 * 1024 * 1024
    """embedded only: address space of the worker."""

    @model_validator(mode="after")
    def _opa_only(self) -> EngineSettings:
        if self.name == "embedded" and (self.url or self.binary):
            raise ValueError("url and binary belong to the engine 'opa'")
        if self.url and self.binary:
            raise ValueError("give a url or a binary, not both")
        return self


class LogSettings(Document):
    """Where decisions are recorded."""

    path: str = "gatekeeper-decisions.jsonl"
    """JSONL file, appended and fsynced before the process exits; relative to the working folder."""


class OutputSettings(Document):
    """One report that every run writes."""

    format: Format
    """text, json, markdown, junit, github or openmetrics."""
    path: str
    """File, or `-` for standard output."""


class EvidenceSettings(Document):
    """Limits on what collectors read."""

    base_ref: str = "origin/main"
    """Git ref that holds what is in force now; contracts are compared with it."""
    allowed_hosts: tuple[str, ...] = ()
    """`host` or `host:port` that a collector may ask; none by default."""
    http_timeout_seconds: Annotated[float, Field(gt=0, le=120)] = 10.0
    """Time for one request."""
    max_document_bytes: Annotated[int, Field(ge=1024, le=1024 * 1024 * 1024)] = 32 * 1024 * 1024
    """Size of a file that is parsed whole."""
    collect_timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 120.0
    """Wall time for all collectors together; what is not there by then is a gap."""


class RiskSettings(Document):
    """Risk tier by candidate; the candidate never chooses its own."""

    default: RiskTier = "high"
    """Tier of a candidate that is not named."""
    candidates: dict[str, RiskTier] = {}
    """Tier by candidate name."""


class GitReference(Document):
    """A folder at a git ref."""

    ref: Annotated[str, Field(min_length=1)]
    """Ref, tag or commit; read from the object database, never from the work tree."""
    path: Annotated[str, Field(min_length=1)]
    """Folder of policies, relative to the repository."""


class GitPolicies(Document):
    """Policies at a git ref."""

    git: GitReference
    """Ref and folder."""


class BundlePolicies(Document):
    """Policies in an OPA bundle."""

    bundle: Annotated[str, Field(min_length=1)]
    """Path of the `.tar.gz`, relative to this file."""
    keys: Annotated[dict[str, VerificationKey], Field(min_length=1)]
    """Public keys by id, one of which signed it; several allow rotation."""
    scope: str = ""
    """Scope that the signature must name; empty: none."""


def _kind_of_policies(value: Any) -> str:
    if isinstance(value, str):
        return "folder"
    is_bundle = isinstance(value, BundlePolicies) or (isinstance(value, dict) and "bundle" in value)
    return "bundle" if is_bundle else "git"


class KnownCandidate(Document):
    """What the trusted side knows of one candidate."""

    kind: Kind
    """Its kind; a manifest that says otherwise would choose other gates."""
    risk_tier: RiskTier | None = None
    """Its tier, over `risk_tiers`."""


class CustomGate(Document):
    """A gate of the organisation whose evidence is a document held to a JSON Schema."""

    schema_path: Annotated[str, Field(alias="schema", min_length=1)]
    """JSON Schema of the evidence, relative to this file."""
    thresholds_schema: Annotated[str, Field(min_length=1)] | None = None
    """JSON Schema of the gate's thresholds without `max_age_seconds`, relative to this file."""
    max_age_seconds: Annotated[int, Field(gt=0, le=MAX_AGE_SECONDS)]
    """Age at which a measurement is stale."""
    observed_at: Annotated[str, Field(pattern=r"^(/([^~/]|~[01])+)+$")]
    """JSON pointer to the time of the measurement in the document, RFC 3339."""


class Settings(Document):
    """The trusted side's choices; an absent file means the defaults, an absent key its default."""

    api_version: Annotated[Literal["gatekeeper/v1"], Field(alias="apiVersion")] = "gatekeeper/v1"
    """Version of this format."""
    kind: Literal["Settings"] = "Settings"
    """Always `Settings`."""
    policies: (
        Annotated[
            Annotated[str, Tag("folder")]
            | Annotated[GitPolicies, Tag("git")]
            | Annotated[BundlePolicies, Tag("bundle")],
            Discriminator(_kind_of_policies),
        ]
        | None
    ) = None
    """Folder relative to this file, `{git: …}` or `{bundle: …}`; without it the library that ships with gatekeeper."""
    policies_digest: Sha256 | None = None
    """The digest that the policies must have (see `gatekeeper policy list`); others are refused."""
    candidates: dict[Name, KnownCandidate] = {}
    """What the trusted side knows of candidates; the manifest may not say otherwise."""
    engine: Annotated[
        Annotated[Literal["embedded", "opa"], Tag("name")] | Annotated[EngineSettings, Tag("settings")],
        Discriminator(lambda value: "name" if isinstance(value, str) else "settings"),
    ] = Field(default_factory=EngineSettings)
    """Engine name, or its settings."""
    required_gates: dict[Name, dict[Name, tuple[Name, ...]]] | None = None
    """Gates by environment entered and candidate kind; replaces the library's own table."""
    risk_tiers: RiskSettings = Field(default_factory=RiskSettings)
    """Risk tier by candidate."""
    thresholds: dict[Name, dict[str, Any]] = {}
    """Thresholds by gate, over the library's own; shown in the report as overrides."""
    enforcement: Enforcement = Field(default_factory=Enforcement)
    """How strictly each rule counts, by environment."""
    waivers: WaiverSettings = Field(default_factory=WaiverSettings)
    """Where waivers are, and what bounds them."""
    custom_policies: Annotated[str, Field(min_length=1)] | None = None
    """Folder of an organisation's own policies, relative to this file; everything in it lies below `custom`."""
    custom_gates: dict[Name, CustomGate] = {}
    """Gates of the organisation whose evidence is a plain document; others have a collector in a package."""
    evidence: EvidenceSettings = Field(default_factory=EvidenceSettings)
    """Limits on what collectors read."""
    log: LogSettings = Field(default_factory=LogSettings)
    """Where decisions are recorded."""
    outputs: tuple[OutputSettings, ...] = ()
    """Reports that every run writes."""

    @property
    def engine_settings(self) -> EngineSettings:
        """The engine's settings, whichever way they were written."""
        return EngineSettings(name=self.engine) if isinstance(self.engine, str) else self.engine


def parse_settings(data: bytes, name: str) -> Settings:
    """Parse settings that were read elsewhere; paths in them stay as they are written."""
    return validate(locate(data, name), Settings)


def load_settings(path: Path | None) -> Settings:
    """
    Read the settings file; without a path, `gatekeeper.yaml` of the working folder, or the defaults.

    Raises `ConfigurationError` when a path was given and nothing is there: a misspelt name must not fall
    back to weaker defaults.
    """
    if path is None:
        path = Path(DEFAULT_SETTINGS)
        if not os.path.lexists(path):
            _refuse_misnamed()
            return Settings()
    elif not path.is_file():
        raise ConfigurationError(str(path), "no such settings file", hint="mend the path after --settings")
    settings = validate(load_located(path), Settings)
    if not isinstance(settings.policies, str):
        return settings
    return settings.model_copy(update={"policies": str(path.parent / settings.policies)})


def _refuse_misnamed() -> None:
    """Refuse a file that its author takes for the settings."""
    for name in ("gatekeeper.yml", ".gatekeeper.yaml", ".gatekeeper.yml", "gatekeeper.json"):
        if os.path.lexists(name):
            raise ConfigurationError(
                name, f"settings are read from {DEFAULT_SETTINGS}", hint=f"rename it to {DEFAULT_SETTINGS}"
            )
