"""The promotion manifest: what moves, from where to where, and where its evidence lies (untrusted)."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AwareDatetime, Field, RootModel, ValidationError

from gatekeeper.document import Document
from gatekeeper.errors import ConfigurationError, EvidenceError
from gatekeeper.formats.strict_yaml import LocatedDocument, parse_located
from gatekeeper.formats.strict_yaml import Path as ValuePath

API_VERSION = "gatekeeper/v1"
MAX_MANIFEST_BYTES = 1024 * 1024

Kind = Literal["model", "dataset", "feature_view", "agent"]
Name = Annotated[
    str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]*(/[A-Za-z0-9_][A-Za-z0-9._@+-]*)*$")
]
"""A name that is safe in a path, a label and a log line: no segment of it is `..`."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
DocumentType = TypeVar("DocumentType", bound=Document)
_TRUSTED_KEYS = ("gates", "required_gates", "policies", "settings", "waivers")


class Artifact(Document):
    """A file of the candidate, named by its content."""

    path: str
    """Relative to the manifest, with forward slashes."""
    sha256: Sha256
    """Digest of the file's bytes; gatekeeper computes it again and compares."""


class Candidate(Document):
    """The version that wants to move."""

    kind: Kind
    """What it is; the required gates depend on it."""
    name: Name
    """Name in the registry or catalogue."""
    version: Annotated[str, Field(min_length=1, max_length=100)]
    """Version as its owner writes it."""
    artifacts: Annotated[tuple[Artifact, ...], Field(min_length=1)]
    """Its files; an empty list names nothing and is refused."""


class Timeline(Document):
    """When the work began, as its owner declares it; velocity figures are computed from it."""

    planned_at: AwareDatetime | None = None
    """The work was planned."""
    data_requested_at: AwareDatetime | None = None
    """The data was asked for."""
    data_ready_at: AwareDatetime | None = None
    """The data was ready to train on."""
    training_started_at: AwareDatetime | None = None
    """Training began."""
    training_finished_at: AwareDatetime | None = None
    """Training ended."""


class PromotionManifest(Document):
    """A promotion as its owner asks for it; it never chooses its own gates."""

    api_version: Annotated[Literal["gatekeeper/v1"], Field(alias="apiVersion")]
    """Version of this format."""
    kind: Literal["Promotion"]
    """Always `Promotion`."""
    candidate: Candidate
    """What moves."""
    source: Annotated[Name, Field(alias="from")]
    """The environment that it leaves."""
    target: Annotated[Name, Field(alias="to")]
    """The environment that it wants to enter."""
    owner: Annotated[str, Field(min_length=1, max_length=200)]
    """The team that answers for it."""
    evidence: dict[str, Any]
    """For each gate, where its evidence lies; the shape is the gate's own."""
    timeline: Timeline = Field(default_factory=Timeline)
    """Declared dates of the work."""


def load_manifest(path: Path) -> tuple[PromotionManifest, LocatedDocument]:
    """Read `promotion.yaml`; raises `ConfigurationError` with the place of the first fault."""
    located = load_located(path)
    manifest = validate(located, PromotionManifest)
    if manifest.source == manifest.target:
        raise ConfigurationError(
            located.name,
            f"'from' and 'to' are both {manifest.target!r}",
            hint="a promotion moves between two environments",
            location=located.location(("to",)),
        )
    return manifest, located


def load_located(path: Path) -> LocatedDocument:
    """Read a configuration file; every fault of it is a `ConfigurationError`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(str(path), f"cannot be read: {error.strerror}", hint="mend the path") from error
    return locate(data, str(path))


def locate(data: bytes, name: str) -> LocatedDocument:
    """Parse a configuration file's bytes; every fault of it is a `ConfigurationError`."""
    if len(data) > MAX_MANIFEST_BYTES:
        raise ConfigurationError(name, f"larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        return parse_located(data, name)
    except EvidenceError as error:
        raise ConfigurationError(error.subject, error.problem, hint=error.hint, location=error.location) from error


def validate(located: LocatedDocument, model: type[DocumentType], *, at: ValuePath = ()) -> DocumentType:
    """
    Validate a part of a located document; `at` is the way to it.

    Raises `ConfigurationError` naming the first fault with `file:line:column`, the number of further ones,
    and for an unknown key the nearest known one.
    """
    value = located.value
    for step in at:
        value = value[step]
    try:
        return model.model_validate_json(json.dumps(value), by_alias=True, by_name=False)
    except ValidationError as error:
        raise _explain(located, model, at, error) from error


def nearest(word: str, known: list[str]) -> str:
    """Hint at the nearest known word, or list what is known."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(sorted(known))}"


def _explain(
    located: LocatedDocument, model: type[Document], at: ValuePath, error: ValidationError
) -> ConfigurationError:
    found = error.errors(include_url=False)
    inner = {each["loc"][:length] for each in found for length in range(len(each["loc"]))}
    faults = [each for each in found if each["loc"] not in inner]  # a list's fault follows from its item's
    fault = next((each for each in faults if each["type"] == "extra_forbidden"), faults[0])
    path = _path_within(located.value, (*at, *fault["loc"]), absent=fault["type"] == "missing")
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    dotted = ".".join(str(step) for step in path) or "the document"
    if fault["type"] == "extra_forbidden":
        key = str(path[-1])
        problem, hint = f"unknown key {key!r}", nearest(key, _known_keys(model, tuple(fault["loc"][:-1])))
        if issubclass(model, PromotionManifest) and key in _TRUSTED_KEYS:
            hint = "gates and policies are chosen by the trusted settings (gatekeeper.yaml), never by the manifest"
    elif fault["type"] == "missing":
        problem, hint = f"{dotted} is missing", f"add {path[-1]!r} here"
    else:
        problem, hint = f"{dotted}: {fault['msg'][:300]}", ""
    place = located.location(path, key=fault["type"] == "extra_forbidden")
    return ConfigurationError(located.name, problem + more, hint=hint, location=place)


def _path_within(value: Any, steps: ValuePath, *, absent: bool) -> ValuePath:
    """Drop the steps that pydantic adds for members of unions; `absent` keeps the last one, which is not there."""
    path: list[str | int] = []
    for number, step in enumerate(steps, start=1):
        there = step in value if isinstance(value, dict) else isinstance(value, list) and step in range(len(value))
        if there or (absent and number == len(steps)):
            path.append(step)
        if there:
            value = value[step]
    return tuple(path)


def _known_keys(model: type[Document], path: ValuePath) -> list[str]:
    """List the keys of the model that a path leads to, through lists, dicts and unions."""
    models = _models_within(model)
    for step in path:
        found: list[type[Document]] = []
        for each in models:
            named = {(info.alias or name): info.annotation for name, info in each.model_fields.items()}
            found.extend(_models_within(named.get(str(step))))
        models = found or models
    return [info.alias or name for each in models for name, info in each.model_fields.items()]


def _models_within(annotation: Any) -> list[type[Document]]:
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        annotation = annotation.model_fields["root"].annotation
    if isinstance(annotation, type) and issubclass(annotation, Document):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_within(part)]
