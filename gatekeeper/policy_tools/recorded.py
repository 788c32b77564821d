"""Evidence that was recorded earlier, from bundles and decision logs, with the clock that it was judged by."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gatekeeper.bundles import MAX_BUNDLE_BYTES, load_bundle
from gatekeeper.document import dump_json
from gatekeeper.errors import EvidenceError
from gatekeeper.evidence import EvidenceBundle, bundle_digest
from gatekeeper.formats.strict_json import parse_json


@dataclass(frozen=True)
class Recorded:
    """One evidence document and the time to judge it by."""

    origin: str
    bundle: EvidenceBundle
    now: datetime


@dataclass(frozen=True)
class Recordings:
    """What was read, and what could not be; the latter is a doubt that the caller must show."""

    documents: tuple[Recorded, ...] = ()
    unreadable: tuple[str, ...] = ()
    """`place: problem` of every bundle or line that is damaged."""
    without_evidence: tuple[str, ...] = ()
    """Records of decisions that were made without evidence, because there was none."""


def read_recordings(bundles: Iterable[Path], logs: Iterable[Path]) -> Recordings:
    """
    Read bundles (files, or folders of `.json` files) and decision logs; the same evidence at the same time once.

    A damaged bundle or record is listed, not raised. Raises `EvidenceError` when a path is not there.
    """
    documents: dict[tuple[str, datetime], Recorded] = {}
    unreadable: list[str] = []
    without: list[str] = []
    for path in (each for given in bundles for each in _files(given)):
        try:
            _keep(documents, _from_bundle(path))
        except EvidenceError as error:
            unreadable.append(_line(error))
    for log in logs:
        for number, text in enumerate(_log_lines(log), start=1):
            origin = f"{log}:{number}"
            try:
                found = _from_record(text, origin) if text.strip() else None
            except EvidenceError as error:
                unreadable.append(_line(error))
                continue
            if found is not None:
                _keep(documents, found)
            elif text.strip():
                without.append(origin)
    return Recordings(tuple(documents.values()), tuple(unreadable), tuple(without))


def _keep(documents: dict[tuple[str, datetime], Recorded], found: Recorded) -> None:
    documents.setdefault((found.bundle.digest, found.now), found)


def _line(error: EvidenceError) -> str:
    return f"{error.location or error.subject}: {error.problem}"


def _files(given: Path) -> list[Path]:
    if not given.is_dir():
        return [given]
    return sorted(path for path in given.rglob("*.json") if not path.is_dir())


def _from_bundle(path: Path) -> Recorded:
    bundle = load_bundle(path)
    return Recorded(str(path), bundle, bundle.collected_at)


def _log_lines(path: Path) -> Iterable[bytes]:
    """Yield the lines of a log, at most as long as a bundle can make them."""
    try:
        with path.open("rb") as file:
            while line := file.readline(2 * MAX_BUNDLE_BYTES):
                yield line
    except OSError as error:
        kind = "missing" if isinstance(error, FileNotFoundError) else "unverifiable"
        raise EvidenceError(
            kind, str(path), f"the decision log cannot be read: {error.strerror}", hint="mend the path after --log"
        ) from error


def _from_record(line: bytes, origin: str) -> Recorded | None:
    """Put the bundle of a record together again (`gatekeeper.log.record`); None when it has no evidence."""
    record = parse_json(line, origin)
    asked = record.get("input") if isinstance(record, dict) else None
    if not isinstance(asked, dict) or not {"promotion", "evidence", "now"} <= asked.keys():
        raise EvidenceError("malformed", origin, "is no decision record of gatekeeper")
    if asked["evidence"] is None:
        return None
    if not isinstance(asked["evidence"], dict):
        raise EvidenceError("malformed", origin, "input.evidence is no object")
    named = {"apiVersion": "gatekeeper/v1", "kind": "EvidenceBundle", "promotion": asked["promotion"]}
    return Recorded(origin, _bundle({**asked["evidence"], **named}, origin), _moment(asked["now"], origin))


def _bundle(content: dict[str, Any], origin: str) -> EvidenceBundle:
    try:
        bundle = EvidenceBundle.model_validate_json(dump_json(content), by_alias=True, by_name=False)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in fault["loc"])
        raise EvidenceError("malformed", origin, f"input.evidence: {where}: {fault['msg'][:300]}") from error
    if bundle.digest != bundle_digest(json.loads(dump_json(content))):
        raise EvidenceError("unverifiable", origin, "its evidence was changed after it was recorded")
    return bundle


def _moment(value: Any, origin: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise EvidenceError("malformed", origin, "input.now is no time") from error
    if moment.tzinfo is None:
        raise EvidenceError("malformed", origin, "input.now has no time zone")
    return moment
