"""What `policy diff` does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gatekeeper.cli.options import trusted_side
from gatekeeper.errors import ConfigurationError
from gatekeeper.files import find_root
from gatekeeper.library import LIBRARY
from gatekeeper.organisation import ROOT, merge_policies
from gatekeeper.policy import Module, PolicySet, build_policies, load_policies
from gatekeeper.policy_tools.diff import diff_policies
from gatekeeper.policy_tools.recorded import read_recordings
from gatekeeper.policy_tools.review import PolicyReview, render_json, render_markdown, render_text
from gatekeeper.policy_tools.weakening import Weakening, check_weakening
from gatekeeper.trusted import TrustedSide


@dataclass(frozen=True)
class DiffOptions:
    """What the command line says besides the two sets of policies."""

    evidence: tuple[Path, ...] = ()
    log: tuple[Path, ...] = ()
    allow_weakening: str | None = None
    require_approval: bool = False
    settings: Path | None = None


def review_policies(base: str, head: str, options: DiffOptions) -> PolicyReview:
    """
    Compare two sets of policies and, where evidence is given, what they decide.

    Raises `ConfigurationError` for policies that cannot be read or a reason that says nothing, `EvidenceError` when
    evidence was asked for and there is none.
    """
    reason = options.allow_weakening
    if reason is not None and not reason.strip():
        raise ConfigurationError("--allow-weakening", "a reason was wanted", hint="say who accepted it, and why")
    old, new = open_policies(base, Path.cwd()), open_policies(head, Path.cwd())
    return PolicyReview(
        diff=diff_policies(old, new),
        weakening=_check(old, new, options),
        require_approval=options.require_approval,
        allowed_because=(reason or "").strip(),
    )


def _check(old: PolicySet, new: PolicySet, options: DiffOptions) -> Weakening | None:
    if not options.evidence and not options.log:
        return None
    trusted, recordings = trusted_side(options.settings), read_recordings(options.evidence, options.log)
    old, new = complete(old, new, trusted)
    return check_weakening(old, new, recordings, trusted)


def complete(old: PolicySet, new: PolicySet, trusted: TrustedSide) -> tuple[PolicySet, PolicySet]:
    """Lay the organisation's own policies that the settings name beside both, unless it is those that are compared."""
    if trusted.settings.custom_policies is None or _own(old) or _own(new):
        return old, new
    data = {name: value for name, value in trusted.policies.data.items() if name == ROOT}
    own = PolicySet(trusted.settings.custom_policies, trusted.policies.digest, _own(trusted.policies), data)
    return merge_policies(old, own), merge_policies(new, own)


def _own(policies: PolicySet) -> tuple[Module, ...]:
    return tuple(module for module in policies.modules if module.package.startswith(f"{ROOT}."))


def open_policies(place: str, folder: Path) -> PolicySet:
    """
    Open a folder, or `<git ref>:<path>` from the object database of the repository around the working folder.

    A colon makes it a ref whatever lies on the disk: a folder of that name may have come with the change. A folder
    of an organisation's own policies is laid beside the library, without which it is not complete.
    Raises `ConfigurationError` when nothing is there.
    """
    ref, colon, path = place.partition(":")
    if not colon or place.startswith(".") or Path(place).is_absolute():
        policies = load_policies(folder / place)
    else:
        policies = _open_ref(ref, path, folder)
    if len(_own(policies)) == len(policies.modules):
        return merge_policies(load_policies(LIBRARY), policies)
    return policies


def _open_ref(ref: str, path: str, folder: Path) -> PolicySet:
    from gatekeeper.trust.git import GitRef

    source = GitRef(find_root(folder), ref)
    files = source.list(path)
    if files is None:
        raise ConfigurationError(
            f"{ref}:{path}", "no such policy folder", hint="a path starts at the repository's root"
        )
    return build_policies(f"{source.name}:{path}", files)


def render_review(review: PolicyReview, form: str) -> str:
    """Render in one of the command's formats."""
    return {"text": render_text, "json": render_json, "markdown": render_markdown}[form](review)
