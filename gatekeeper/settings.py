"""gatekeeper.yaml: the trusted side's choice of gates, engine, policies, log and outputs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from gatekeeper.document import Document
from gatekeeper.errors import ConfigurationError
from gatekeeper.manifest import Name, load_located, validate

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


class Settings(Document):
    """The trusted side's choices; an absent file means the defaults, an absent key its default."""

    api_version: Annotated[Literal["gatekeeper/v1"], Field(alias="apiVersion")] = "gatekeeper/v1"
    """Version of this format."""
    kind: Literal["Settings"] = "Settings"
    """Always `Settings`."""
    policies: str | None = None
    """Folder of policies, relative to this file; without it the library that ships with gatekeeper."""
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
    if settings.policies is None:
        return settings
    return settings.model_copy(update={"policies": str(path.parent / settings.policies)})


def _refuse_misnamed() -> None:
    """Refuse a file that its author takes for the settings."""
    for name in ("gatekeeper.yml", ".gatekeeper.yaml", ".gatekeeper.yml", "gatekeeper.json"):
        if os.path.lexists(name):
            raise ConfigurationError(
                name, f"settings are read from {DEFAULT_SETTINGS}", hint=f"rename it to {DEFAULT_SETTINGS}"
            )
