"""
What the trusted side decides with: settings, policies and waivers, all from places that the change cannot edit.

In CI they are read at the base ref, from the object database; elsewhere from the work tree, and the ledger says so. A
settings file outside the candidate's repository is the platform's own and is read from disk.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from gatekeeper.collectors.registry import Collectors, open_collectors
from gatekeeper.decision import LedgerEntry
from gatekeeper.errors import ConfigurationError
from gatekeeper.files import find_root
from gatekeeper.library import LIBRARY
from gatekeeper.organisation import merge_policies
from gatekeeper.policy import PolicySet, build_policies, load_policies
from gatekeeper.settings import (
    DEFAULT_SETTINGS,
    BundlePolicies,
    GitPolicies,
    Settings,
    load_settings,
    parse_settings,
)
from gatekeeper.trust import TrustedFiles, open_trusted
from gatekeeper.trust.folder import Folder, WorkTree
from gatekeeper.waivers import Waiver, parse_waivers


@dataclass(frozen=True)
class TrustedSide:
    """Everything that a decision takes on trust."""

    settings: Settings
    policies: PolicySet
    waivers: tuple[Waiver, ...]
    ledger: tuple[LedgerEntry, ...]
    collectors: Collectors


@dataclass(frozen=True)
class Whereabouts:
    """Where to look: the working folder, the environment, and what the command line names."""

    folder: Path
    environment: Mapping[str, str]
    settings: Path | None = None
    policy_ref: str | None = None
    work_tree: bool = False


def load_trusted(where: Whereabouts, now: datetime) -> TrustedSide:
    """
    Load the trusted side.

    Raises `ConfigurationError` when a file that is named is not there, is not what it should be, or the policies do not
    have the digest that the settings pin.
    """
    files, settings_path = _open(where)
    settings = _read_settings(files, settings_path, where)
    base = PurePosixPath(settings_path).parent
    policies = _add_custom(_read_policies(settings, files, base, now), settings, files, base)
    if settings.policies_digest not in (None, policies.digest):
        raise ConfigurationError(
            f"policies {policies.name}",
            f"have the digest {policies.digest}, the settings pin {settings.policies_digest}",
            hint="review the change of the policies, then pin the new digest",
        )
    waivers = _read_waivers(settings, policies, files, base)
    collectors = open_collectors(settings.custom_gates, lambda path: _read_schema(files, _joined(base, path)))
    return TrustedSide(settings, policies, waivers, _ledger(files), collectors)


def _open(where: Whereabouts) -> tuple[TrustedFiles, str]:
    """Choose the place of trusted files, and name the settings file within it."""
    root = find_root(where.folder)
    path = Path(os.path.normpath(where.folder / (where.settings or DEFAULT_SETTINGS)))
    if not path.is_relative_to(root):
        path = path.parent.resolve() / path.name  # another way into the repository is a way into the repository
    if not path.is_relative_to(root):
        return Folder(path.parent), path.name
    files = open_trusted(root, where.environment, policy_ref=where.policy_ref, work_tree=where.work_tree)
    return files, path.relative_to(root).as_posix()


def _read_settings(files: TrustedFiles, path: str, where: Whereabouts) -> Settings:
    if isinstance(files, WorkTree) and where.settings is None:
        load_settings(None)  # refuses a file whose name only looks like that of the settings
    data = files.read(path)
    if data is not None:
        return parse_settings(data, path if isinstance(files, WorkTree) else f"{files.name}:{path}")
    if where.settings is not None:
        raise ConfigurationError(
            str(where.settings),
            f"no such settings file in {files.name}",
            hint="mend the path after --settings; in CI settings are read at the base ref, so merge them first",
        )
    return Settings()


def _read_policies(settings: Settings, files: TrustedFiles, base: PurePosixPath, now: datetime) -> PolicySet:
    match settings.policies:
        case None:
            return load_policies(LIBRARY)
        case GitPolicies(git=reference):
            from gatekeeper.trust.git import GitRef

            at_ref = GitRef(_repository_of(files), reference.ref)
            return _build(at_ref, reference.path)
        case BundlePolicies():
            return _read_bundle(settings.policies, files, base, now)
        case str(folder):
            return _build(files, _joined(base, folder))


def _add_custom(library: PolicySet, settings: Settings, files: TrustedFiles, base: PurePosixPath) -> PolicySet:
    if settings.custom_policies is None:
        return library
    return merge_policies(library, _build(files, _joined(base, settings.custom_policies)))


def _read_schema(files: TrustedFiles, path: str) -> bytes:
    data = files.read(path)
    if data is None:
        raise ConfigurationError(f"{files.name}:{path}", "no such schema", hint="mend custom_gates in the settings")
    return data


def _repository_of(files: TrustedFiles) -> Path:
    root: Path = getattr(files, "root", Path())
    return find_root(root)


def _build(files: TrustedFiles, folder: str) -> PolicySet:
    found = files.list(folder)
    if found is None:
        raise ConfigurationError(
            f"{files.name}:{folder}", "no such policy folder", hint="mend `policies` in the settings"
        )
    name = PurePosixPath(folder).name if isinstance(files, WorkTree) else f"{files.name}:{folder}"
    return build_policies(name, found)


def _read_bundle(bundle: BundlePolicies, files: TrustedFiles, base: PurePosixPath, now: datetime) -> PolicySet:
    from gatekeeper.trust.bundle import open_bundle
    from gatekeeper.trust.keys import Trust

    path = _joined(base, bundle.bundle)
    data = files.read(path)
    if data is None:
        raise ConfigurationError(f"{files.name}:{path}", "no such bundle", hint="mend `policies` in the settings")
    contents = open_bundle(data, path, Trust(bundle.keys, now, bundle.scope))
    return build_policies(f"bundle {path} signed by {contents.signed_by}", contents.files)


def _read_waivers(
    settings: Settings, policies: PolicySet, files: TrustedFiles, base: PurePosixPath
) -> tuple[Waiver, ...]:
    if settings.waivers.path is None:
        return ()
    path = _joined(base, settings.waivers.path)
    data = files.read(path)
    if data is None:
        raise ConfigurationError(
            f"{files.name}:{path}", "no such waivers file", hint="mend waivers.path in the settings"
        )
    return parse_waivers(data, f"{files.name}:{path}", policies.rules)


def _joined(base: PurePosixPath, relative: str) -> str:
    """Join a path of the settings with their folder; raises `ConfigurationError` when it leaves the place."""
    parts: list[str] = []
    for part in (base / relative).parts:
        if part == ".." and not parts:
            raise ConfigurationError(relative, "leaves the place of the trusted settings", hint="keep them together")
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    if PurePosixPath(relative).is_absolute():
        raise ConfigurationError(relative, "is an absolute path", hint="write it relative to the settings file")
    return "/".join(parts)


def _ledger(files: TrustedFiles) -> tuple[LedgerEntry, ...]:
    if not files.relaxed:
        return ()
    return (LedgerEntry(kind="source", subject=files.name, effect=files.relaxed),)
