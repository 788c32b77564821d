"""
Where the trusted side's files come from: settings, policies, thresholds, waivers, schemas of organisation gates.

A pull request must not be able to edit the rules that judge it. So in CI they are read from the object database at the
base ref, never from the work tree; one module per kind of place, each satisfying `TrustedFiles`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from gatekeeper.errors import ConfigurationError

MAX_TRUSTED_BYTES = 1024 * 1024
"""Size of one trusted file."""

MAX_TRUSTED_FILES = 5_000
"""Files in one trusted folder."""


class TrustedFiles(Protocol):
    """A place that the author of a promotion cannot change; paths are relative, with forward slashes."""

    @property
    def name(self) -> str:
        """What to call it in a report: `git origin/main`, `folder /etc/gatekeeper`."""
        ...

    @property
    def relaxed(self) -> str:
        """Why a reader should doubt it, for the ledger; empty when there is no reason."""
        ...

    def read(self, path: str) -> bytes | None:
        """Read one file; None when it is not there. Raises `ConfigurationError` when it is no regular file."""
        ...

    def list(self, folder: str) -> dict[str, bytes] | None:
        """Read every file below a folder by its path relative to it; None when there is no such folder."""
        ...


def base_ref(environment: Mapping[str, str], fallback: str) -> str:
    """Name the ref that a CI run's change wants to enter, from the variables of GitHub and GitLab."""
    for variable in ("GITHUB_BASE_REF", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"):
        if environment.get(variable):
            return f"origin/{environment[variable]}"
    return fallback


def open_trusted(
    root: Path, environment: Mapping[str, str], *, policy_ref: str | None = None, work_tree: bool = False
) -> TrustedFiles:
    """
    Choose where trusted files are read: the ref that was named, in CI the base ref, elsewhere the work tree.

    `work_tree` is the flag that relaxes this in CI; it shows in the report. Raises `ConfigurationError` when both a
    ref and the work tree are asked for, or a ref is needed outside a repository.
    """
    from gatekeeper.trust.folder import WorkTree
    from gatekeeper.trust.git import GitRef

    if policy_ref is not None and work_tree:
        raise ConfigurationError("--policy-ref", "contradicts --trust-work-tree", hint="give one of the two")
    in_ci = environment.get("CI", "").lower() not in ("", "0", "false")
    if policy_ref is None and (work_tree or not in_ci):
        return WorkTree(root, flagged=work_tree and in_ci)
    if not (root / ".git").exists():
        raise ConfigurationError(
            str(root), "is not a git repository, and in CI trusted files are read at the base ref",
            hint="check the repository out, give --settings a path outside it, or add --trust-work-tree",
        )  # fmt: skip
    return GitRef(root, policy_ref if policy_ref is not None else base_ref(environment, "origin/main"))
