"""
A pull request cannot edit what judges it: each test is an attack by the head of a real repository.

The base branch holds settings, policies and waivers; the head tries to weaken each of them. In CI the trusted side is
read at the base ref, so none of it has any effect.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import NOW, PROJECT, git

from gatekeeper import cli
from gatekeeper.errors import ConfigurationError
from gatekeeper.library import LIBRARY
from gatekeeper.policy import load_policies
from gatekeeper.trusted import TrustedSide, Whereabouts, load_trusted

SETTINGS = """\
apiVersion: gatekeeper/v1
kind: Settings
policies: governance/policies
waivers: {path: governance/waivers.yaml}
evidence: {base_ref: main}
"""
WAIVERS = "apiVersion: gatekeeper/v1\nkind: Waivers\nwaivers: []\n"
RELAXED_WAIVER = """\
apiVersion: gatekeeper/v1
kind: Waivers
waivers:
  - id: W-1
    rule: slo.budget_left
    candidate: {name: tumour-classifier, environment: production}
    reason: because
    ticket: T-1
    approver: somebody
    approved_at: 2026-11-01T00:00:00Z
    expires_at: 2026-12-01T00:00:00Z
"""
CI = {"CI": "true"}


@pytest.fixture
def repository(git_repository: Callable[..., Path]) -> Path:
    """A repository whose main branch holds the trusted side; `promote` is checked out."""
    root = git_repository({"gatekeeper.yaml": SETTINGS, "governance/waivers.yaml": WAIVERS})
    shutil.copytree(PROJECT / "policies", root / "governance" / "policies")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "policies")
    git(root, "checkout", "-q", "-b", "promote")
    return root


def load(root: Path, *, ref: str | None = "main", work_tree: bool = False, settings: Path | None = None) -> TrustedSide:
    return load_trusted(Whereabouts(root, CI, settings, ref, work_tree=work_tree), NOW)


def commit(root: Path) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "attack")


def edit(root: Path, name: str, old: str, new: str) -> None:
    path = root / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


ATTACKS: dict[str, Callable[[Path], None]] = {
    "edited policy": lambda root: edit(
        root, "governance/policies/gatekeeper/gates/slo/slo.rego", "not _budget_left(objective)", "false"
    ),
    "removed gate": lambda root: shutil.rmtree(root / "governance/policies/gatekeeper/gates/slo"),
    "lowered threshold": lambda root: edit(
        root, "governance/policies/gatekeeper/defaults/data.yaml", "min_event_count: 100", "min_event_count: 1"
    ),
    "fewer required gates": lambda root: edit(
        root, "gatekeeper.yaml", "kind: Settings", "kind: Settings\nrequired_gates: {production: {model: [slo]}}"
    ),
    "threshold in the settings": lambda root: edit(
        root, "gatekeeper.yaml", "kind: Settings", "kind: Settings\nthresholds: {slo: {min_event_count: 1}}"
    ),
    "rules switched off": lambda root: edit(
        root,
        "gatekeeper.yaml",
        "kind: Settings",
        "kind: Settings\nenforcement: {profiles: {lax: {exclude: [slo]}}, use: {'*': lax}}",
    ),
    "own waiver": lambda root: (root / "governance/waivers.yaml").write_text(RELAXED_WAIVER, "utf-8") and None,
    "settings replaced by a link": lambda root: (
        (root / "gatekeeper.yaml").unlink(), (root / "gatekeeper.yaml").symlink_to("/dev/null"), None,
    )[-1],
    "other policies": lambda root: edit(root, "gatekeeper.yaml", "governance/policies", "mine"),
    "data that shadows a rule": lambda root: (
        root / "governance/policies/gatekeeper/gates/slo/data.yaml"
    ).write_text("deny: []\n", "utf-8") and None,
    "everything deleted": lambda root: (shutil.rmtree(root / "governance"), (root / "gatekeeper.yaml").unlink(), None)[-1],
}  # fmt: skip


@pytest.mark.parametrize("committed", [True, False], ids=["committed", "in the work tree"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_what_the_head_edits_has_no_effect(attack: str, repository: Path, *, committed: bool) -> None:
    """Settings, policies and waivers are those of the base ref, byte for byte, whatever the head holds."""
    before = load(repository)
    ATTACKS[attack](repository)
    if committed:
        commit(repository)
    after = load(repository)
    assert after.settings == before.settings
    assert after.policies.digest == before.policies.digest == load_policies(LIBRARY).digest
    assert after.policies.modules == before.policies.modules
    assert after.policies.data == before.policies.data
    assert after.waivers == before.waivers == ()
    assert after.ledger == ()


def test_in_ci_the_base_ref_of_the_pull_request_is_the_default(repository: Path) -> None:
    """GITHUB_BASE_REF names the branch; without its remote branch there is no decision."""
    with pytest.raises(ConfigurationError, match="is not in this clone"):
        load_trusted(Whereabouts(repository, CI | {"GITHUB_BASE_REF": "main"}), NOW)
    git(repository, "update-ref", "refs/remotes/origin/main", "main")
    edit(repository, "gatekeeper.yaml", "kind: Settings", "kind: Settings\nthresholds: {slo: {min_event_count: 1}}")
    trusted = load_trusted(Whereabouts(repository, CI | {"GITHUB_BASE_REF": "main"}), NOW)
    assert trusted.settings.thresholds == {}


def test_outside_ci_the_work_tree_is_read_and_the_ledger_says_so(repository: Path) -> None:
    """A developer tries settings out; nobody can take the result for a trusted one."""
    edit(repository, "gatekeeper.yaml", "kind: Settings", "kind: Settings\nthresholds: {slo: {min_event_count: 1}}")
    trusted = load_trusted(Whereabouts(repository, {}), NOW)
    assert trusted.settings.thresholds == {"slo": {"min_event_count": 1}}
    assert [each.kind for each in trusted.ledger] == ["source"]


def test_the_flag_that_trusts_the_work_tree_in_ci_shows(repository: Path) -> None:
    """It works, and the ledger names the flag."""
    trusted = load(repository, ref=None, work_tree=True)
    assert "--trust-work-tree" in trusted.ledger[0].effect


def test_ref_and_work_tree_contradict_each_other(repository: Path) -> None:
    """Both at once is a mistake, and a mistake is not resolved in favour of the weaker."""
    with pytest.raises(ConfigurationError, match="contradicts"):
        load(repository, work_tree=True)


def test_settings_outside_the_repository_are_the_platforms_own(repository: Path, tmp_path: Path) -> None:
    """They are read from disk in CI too, because the change cannot reach them."""
    platform = tmp_path / "platform"
    platform.mkdir()
    (platform / "gatekeeper.yaml").write_text("thresholds: {slo: {min_event_count: 7}}\n", "utf-8")
    trusted = load(repository, ref=None, settings=platform / "gatekeeper.yaml")
    assert trusted.settings.thresholds == {"slo": {"min_event_count": 7}}
    assert trusted.ledger == ()


def test_a_link_does_not_make_settings_of_the_repository_the_platforms(repository: Path, tmp_path: Path) -> None:
    """A path inside the repository is read at the ref, also when the head makes it a link to somewhere outside."""
    outside = tmp_path / "lax.yaml"
    outside.write_text("thresholds: {slo: {min_event_count: 1}}\n", "utf-8")
    (repository / "gatekeeper.yaml").unlink()
    (repository / "gatekeeper.yaml").symlink_to(outside)
    assert load(repository, settings=Path("gatekeeper.yaml")).settings.thresholds == {}
    assert load(repository, settings=repository / "gatekeeper.yaml").settings.thresholds == {}


def test_another_way_into_the_repository_does_not_make_its_settings_the_platforms(
    repository: Path, tmp_path: Path
) -> None:
    """An absolute path through a link to the work tree still names a file of the change."""
    (tmp_path / "workspace").symlink_to(repository)
    ATTACKS["threshold in the settings"](repository)
    assert load(repository, settings=tmp_path / "workspace" / "gatekeeper.yaml").settings.thresholds == {}


def test_a_platform_folder_beside_the_repository_is_outside_it(repository: Path) -> None:
    """`../platform/…` is the platform's, and `folder/../…` is the repository's, whatever lies at the folder."""
    platform = repository.parent / "platform"
    platform.mkdir()
    (platform / "gatekeeper.yaml").write_text("thresholds: {slo: {min_event_count: 7}}\n", "utf-8")
    (repository / "folder").symlink_to(platform)
    beside = load(repository, ref=None, settings=Path("../platform/gatekeeper.yaml"))
    assert beside.settings.thresholds == {"slo": {"min_event_count": 7}}
    assert load(repository, settings=Path("folder/../gatekeeper.yaml")).settings.thresholds == {}
    with pytest.raises(ConfigurationError, match=r"no such settings file in git main|not a regular file"):
        load(repository, settings=Path("folder/gatekeeper.yaml"))


def test_settings_that_are_not_at_the_ref_are_missing_not_default(repository: Path) -> None:
    """A settings file that only the head has is refused when it is named."""
    (repository / "other.yaml").write_text("kind: Settings\n", "utf-8")
    commit(repository)
    with pytest.raises(ConfigurationError, match="no such settings file in git main"):
        load(repository, settings=Path("other.yaml"))


def test_in_ci_without_a_repository_nothing_is_trusted(tmp_path: Path) -> None:
    """A folder that is no repository has no base ref."""
    with pytest.raises(ConfigurationError, match="not a git repository"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("policies: governance/policies", "policies: governance/polices", "no such policy folder"),
        ("policies: governance/policies", "policies: ../../etc", "leaves the place"),
        ("policies: governance/policies", "policies: /etc", "leaves the place|absolute|no such policy folder"),
        ("policies: governance/policies", "policies: gatekeeper.yaml", "is not a folder"),
        ("governance/waivers.yaml", "governance/waivrs.yaml", "no such waivers file"),
        ("policies: governance/policies", f"policies_digest: '{'0' * 64}'", "the settings pin"),
        ("policies: governance/policies", "policies: {git: {ref: nowhere, path: p}}", "is not in this clone"),
        ("policies: governance/policies", "policies: {git: {ref: main, path: p}}", "no such policy folder"),
    ],
)
def test_a_misspelt_place_is_an_error(repository: Path, old: str, new: str, words: str) -> None:
    """Nothing that is named and absent falls back to a default."""
    git(repository, "checkout", "-q", "main")
    edit(repository, "gatekeeper.yaml", old, new)
    commit(repository)
    with pytest.raises(ConfigurationError, match=words):
        load(repository)


def test_policies_at_another_ref_are_read_there(repository: Path) -> None:
    """`policies: {git: …}` reads a tag, whatever main holds now."""
    git(repository, "checkout", "-q", "main")
    git(repository, "tag", "v1")
    edit(repository, "governance/policies/gatekeeper/defaults/data.yaml", "min_event_count: 100", "min_event_count: 1")
    edit(repository, "gatekeeper.yaml", "policies: governance/policies",
         "policies: {git: {ref: v1, path: governance/policies}}")  # fmt: skip
    commit(repository)
    assert load(repository).policies.digest == load_policies(LIBRARY).digest


def test_a_pinned_digest_holds(repository: Path) -> None:
    """With the right digest the policies load; the digest is the one that decisions record."""
    digest = load_policies(LIBRARY).digest
    git(repository, "checkout", "-q", "main")
    edit(repository, "gatekeeper.yaml", "policies: gov", f"policies_digest: {digest}\npolicies: gov")
    commit(repository)
    assert load(repository).policies.digest == digest


def test_a_symbolic_link_among_the_policies_at_the_ref_is_refused(repository: Path) -> None:
    """A link in a tree could point at the work tree."""
    git(repository, "checkout", "-q", "main")
    (repository / "governance/policies/link.rego").symlink_to("../../evil.rego")
    commit(repository)
    with pytest.raises(ConfigurationError, match="symbolic link"):
        load(repository)


PROMOTION = """\
apiVersion: gatekeeper/v1
kind: Promotion
candidate: {kind: dataset, name: d, version: 1.0.0, artifacts: [{path: data.csv, sha256: SHA}]}
from: staging
to: production
owner: team
evidence: {}
"""


def test_a_preview_is_shown_beside_the_decision_and_decides_nothing(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The head drops a gate: the preview says what that would do, the decision stays that of the base."""
    (repository / "data.csv").write_text("a\n1\n", "utf-8")
    digest = hashlib.sha256((repository / "data.csv").read_bytes()).hexdigest()
    (repository / "promotion.yaml").write_text(PROMOTION.replace("SHA", f"'{digest}'"), "utf-8")
    edit(
        repository,
        "governance/policies/gatekeeper/defaults/data.yaml",
        "  production:\n    model: [contracts, lineage, experiments, slo]\n    dataset: [contracts, lineage]",
        "  production:\n    model: [contracts, lineage, experiments, slo]\n    dataset: [lineage]",
    )
    commit(repository)
    monkeypatch.chdir(repository)
    monkeypatch.setenv("CI", "true")
    arguments = ["check", "promotion.yaml", "--policy-ref", "main", "--format", "json"]
    assert cli.run(arguments) == 3
    plain = json.loads(capsys.readouterr().out)["decisions"][0]
    assert cli.run([*arguments, "--preview"]) == 3
    shown = json.loads(capsys.readouterr().out)["decisions"][0]
    assert plain["preview"] is None
    assert shown["policy"] == plain["policy"]
    assert shown["preview"]["policy"]["digest"] != shown["policy"]["digest"]
    assert shown["preview"]["verdicts"]["contracts"] == "not_applicable"
    assert {each["gate"]: each["verdict"] for each in shown["gates"]}["contracts"] == "inconclusive"
    assert cli.run(["check", "promotion.yaml", "--policy-ref", "main", "--preview"]) == 3
    out = " ".join(capsys.readouterr().out.split())
    assert "preview, which decides nothing" in out
    assert "contracts inconclusive → not_applicable" in out
