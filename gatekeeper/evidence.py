"""Evidence: what a collector read, with the digest of every source, or a gap; never a silence."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, model_validator

from gatekeeper.document import Document, canonical_json, sha256_hex
from gatekeeper.errors import EvidenceError
from gatekeeper.manifest import PromotionManifest, Sha256

GapKind = Literal["missing", "stale", "malformed", "unverifiable"]
Seconds = Annotated[float, Field(ge=0)]
MAX_AGE_SECONDS = 10 * 365 * 86400
"""Bound of every threshold of age; past ten years it would not be one."""


class Source(Document):
    """One thing that was read."""

    path: str
    """Path relative to the manifest, `git:<ref>:<path>`, or URL without credentials."""
    sha256: Sha256
    """Digest of the bytes read."""
    size_bytes: Annotated[int, Field(ge=0)]
    """Number of bytes read."""


class Gap(Document):
    """Why there is no evidence; the gate is inconclusive."""

    kind: GapKind
    """missing: nothing there. stale: too old. malformed: unreadable. unverifiable: not to be trusted."""
    subject: str
    """The file, run, URL or section at fault."""
    message: str
    """What was found and what was wanted."""
    hint: str = ""
    """What to do next."""
    line: Annotated[int, Field(ge=1)] | None = None
    """Line in the subject, from 1, where there is one."""
    column: Annotated[int, Field(ge=1)] | None = None
    """Column in the subject, from 1, where there is one."""

    @classmethod
    def of(cls, error: EvidenceError) -> Gap:
        """Turn a collector's error into a value."""
        place = error.location
        return cls(
            kind=error.kind,  # type: ignore[arg-type]  # checked by the model when it is built
            subject=error.subject,
            message=error.problem,
            hint=error.hint,
            line=place.line if place else None,
            column=place.column if place else None,
        )


class EvidenceBody(Document):
    """Base of every gate's evidence model."""

    observed_at: AwareDatetime | None
    """
    When the oldest measurement that the verdict rests on was made; older than the gate's `max_age_seconds`
    is a stale gap. None where nothing ages: a file of the commit is what it is.
    """


class GateThresholds(Document):
    """Base of every gate's thresholds, which live in `policies/gatekeeper/defaults/data.yaml`."""

    max_age_seconds: Annotated[int, Field(gt=0, le=MAX_AGE_SECONDS)]
    """Age at which a measurement is stale."""


class Evidence(Document):
    """The envelope around one gate's evidence; holds a body or a gap, exactly one of them."""

    gate: str
    """The gate it is for."""
    collected_at: AwareDatetime
    """When it was collected, by the run's pinned clock."""
    queue_seconds: Seconds
    """Time from the start of collection until this collector began."""
    duration_seconds: Seconds
    """Time that the collector took."""
    sources: tuple[Source, ...] = ()
    """Everything that was read, in the order of reading."""
    body: dict[str, Any] | None = None
    """The evidence, in the shape of the gate's own model."""
    gap: Gap | None = None
    """Why there is no body."""

    @model_validator(mode="after")
    def _body_or_gap(self) -> Evidence:
        if (self.body is None) == (self.gap is None):
            raise ValueError("evidence holds a body or a gap, exactly one of them")
        if self.body is not None and not self.sources:
            raise ValueError("evidence without a source proves nothing")
        return self


class EvidenceBundle(Document):
    """All evidence about one promotion in one file: `collect` writes it, `decide` reads it."""

    api_version: Annotated[Literal["gatekeeper/v1"], Field(alias="apiVersion")] = "gatekeeper/v1"
    """Version of this format."""
    kind: Literal["EvidenceBundle"] = "EvidenceBundle"
    """Always `EvidenceBundle`."""
    promotion: PromotionManifest
    """The manifest as it was read."""
    manifest_sha256: Sha256
    """Digest of the manifest's bytes."""
    collected_at: AwareDatetime
    """When collection began, by the run's pinned clock."""
    collect_seconds: Seconds
    """Wall time of the whole collection; collectors run side by side."""
    commit: str | None = None
    """Head commit of the repository, where there is one."""
    base_ref: str = ""
    """Git ref that held what was in force; contracts were compared with it."""
    gap: Gap | None = None
    """Why the candidate's own files could not be verified against the manifest."""
    evidence: tuple[Evidence, ...]
    """One entry for each gate that was collected."""
    digest: str = ""
    """SHA-256 over the canonical JSON of all other fields."""

    @model_validator(mode="after")
    def _one_per_gate(self) -> EvidenceBundle:
        gates = [each.gate for each in self.evidence]
        if len(set(gates)) != len(gates):
            raise ValueError("a gate appears twice")
        return self

    def for_gate(self, gate: str) -> Evidence | None:
        """Find the evidence of one gate."""
        return next((each for each in self.evidence if each.gate == gate), None)


def bundle_digest(content: dict[str, Any]) -> str:
    """Digest a bundle's JSON content without its `digest` field."""
    return sha256_hex(canonical_json({key: value for key, value in content.items() if key != "digest"}))


def seal(bundle: EvidenceBundle) -> EvidenceBundle:
    """Return the bundle with its digest filled in."""
    return bundle.model_copy(update={"digest": bundle_digest(bundle.model_dump(mode="json"))})
