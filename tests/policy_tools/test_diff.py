"""`policy diff`: what it says of changes to the real library."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import PROJECT, git
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.cli.diffing import DiffOptions, complete, open_policies, review_policies
from gatekeeper.errors import ConfigurationError
from gatekeeper.library import LIBRARY
from gatekeeper.policy import build_policies, load_policies
from gatekeeper.policy_tools.diff import Change, PolicyDiff, diff_policies
from gatekeeper.policy_tools.review import PolicyReview, render_json, render_markdown, render_text
from gatekeeper.policy_tools.thresholds import direction_of
from gatekeeper.trusted import Whereabouts, load_trusted

DATA = "gatekeeper/defaults/data.yaml"
SLO = "gatekeeper/gates/slo/slo.rego"


@pytest.fixture
def files() -> dict[str, bytes]:
    """The library's files, to be edited."""
    return {path.relative_to(LIBRARY).as_posix(): path.read_bytes() for path in LIBRARY.rglob("*") if path.is_file()}


def edited(files: dict[str, bytes], name: str, *edits: tuple[str, str]) -> dict[str, bytes]:
    """The files with text of one replaced, which must be there."""
    text = files[name].decode()
    for old, new in edits:
        assert old in text, f"{old!r} is not in {name}"
        text = text.replace(old, new)
    return {**files, name: text.encode()}


def compare(base: dict[str, bytes], head: dict[str, bytes]) -> PolicyDiff:
    """The differences between two sets of files."""
    return diff_policies(build_policies("base", base), build_policies("head", head))


def only(diff: PolicyDiff) -> Change:
    """The one difference."""
    assert len(diff.changes) == 1, diff.changes
    return diff.changes[0]


def test_the_same_policies_do_not_differ(files: dict[str, bytes]) -> None:
    """A set compared with itself has no difference, and says that its bytes are the same."""
    diff = compare(files, files)
    assert diff.changes == ()
    assert "byte for byte" in render_text(PolicyReview(diff=diff, weakening=None, require_approval=False))


def test_comments_and_layout_are_no_difference(files: dict[str, bytes]) -> None:
    """A comment and blank lines change the digest and nothing that is listed; the report says that."""
    diff = compare(files, edited(files, SLO, ("import rego.v1\n", "import rego.v1\n\n\n# a word\n")))
    assert diff.changes == ()
    assert diff.base.digest != diff.head.digest
    assert "only comments" in render_text(PolicyReview(diff=diff, weakening=None, require_approval=False))


THRESHOLDS = [
    ("max_alpha: 0.05", "max_alpha: 0.2", "weakened", "experiments.max_alpha", "", "0.05", "0.2"),
    ("max_alpha: 0.05", "max_alpha: 0.01", "tightened", "experiments.max_alpha", "", "0.05", "0.01"),
    ("min_samples: 100", "min_samples: 10", "weakened", "experiments.min_samples", "", "100", "10"),
    ("min_samples: 100", "min_samples: 101", "tightened", "experiments.min_samples", "", "100", "101"),
    ("require_owner: true", "require_owner: false", "weakened", "lineage.require_owner", "", "true", "false"),
    ("min_target_ratio: 0.99", "min_target_ratio: 0.98", "weakened", "slo.min_target_ratio",
     "production, risk tier high", "0.99", "0.98"),
    ("deny_unchecked_severities: [error]", "deny_unchecked_severities: [error, warning]", "tightened",
     "contracts.deny_unchecked_severities", "production, risk tier high", '["error"]', '["error", "warning"]'),
    ("allowed_statuses: [draft, active]", "allowed_statuses: [active]", "tightened", "contracts.allowed_statuses",
     "staging", '["draft", "active"]', '["active"]'),
    ("default_compatibility_mode: BACKWARD", "default_compatibility_mode: NONE", "changed",
     "contracts.default_compatibility_mode", "", "BACKWARD", "NONE"),
    ("[dataset, feature_view]", "[dataset]", "weakened", "contracts.data_required_kinds", "",
     '["dataset", "feature_view"]', '["dataset"]'),
]  # fmt: skip


@pytest.mark.parametrize("case", THRESHOLDS, ids=lambda case: f"{case[3]}-{case[2]}")
def test_a_threshold_is_shown_with_old_and_new_value_and_what_that_does(
    files: dict[str, bytes], case: tuple[str, ...]
) -> None:
    """Each changed threshold, overrides included, is one difference with its scope, both values and a direction."""
    old, new, direction, subject, scope, before, after = case
    change = only(compare(files, edited(files, DATA, (old, new))))
    assert (change.kind, change.direction, change.subject) == ("threshold", direction, subject)
    assert (change.scope, change.before, change.after) == (scope, before, after)


def test_an_override_that_is_removed_counts_for_what_it_did(files: dict[str, bytes]) -> None:
    """Without the override of production the general threshold is met there, which is lower."""
    old = "      slo: {min_target_ratio: 0.99, min_budget_remaining_ratio: 0.25}\n"
    diff = compare(files, edited(files, DATA, (old, "")))
    assert {(each.subject, each.direction, each.before, each.after) for each in diff.changes} == {
        ("slo.min_target_ratio", "weakened", "0.99", "0.95"),
        ("slo.min_budget_remaining_ratio", "weakened", "0.25", "0.1"),
    }


def test_an_override_that_is_appended_weakens_where_it_applies(files: dict[str, bytes]) -> None:
    """A later override wins, and shows for every environment of its tier, beside the one that was overridden."""
    text = files[DATA].decode() + "  - risk_tier: high\n    thresholds:\n      slo: {min_target_ratio: 0.5}\n"
    diff = compare(files, {**files, DATA: text.encode()})
    assert {(each.scope, each.before, each.after) for each in diff.changes} == {
        ("development, risk tier high", "0.95", "0.5"),
        ("staging, risk tier high", "0.95", "0.5"),
        ("production, risk tier high", "0.99", "0.5"),
    }
    assert {each.direction for each in diff.changes} == {"weakened"}


def test_the_age_of_evidence_is_a_threshold(files: dict[str, bytes]) -> None:
    """Older evidence being accepted is a weakening."""
    change = only(compare(files, edited(files, DATA, ("bundle_age_seconds: 86400", "bundle_age_seconds: 864000"))))
    assert (change.kind, change.direction, change.after) == ("max_bundle_age", "weakened", "864000")


def test_a_required_gate_that_is_removed_is_shown_for_its_environment_and_kind(files: dict[str, bytes]) -> None:
    """A gate taken out of the table weakens that environment and kind; put in, it tightens."""
    head = edited(files, DATA, ("    model: [contracts, lineage, experiments, slo]", "    model: [contracts, lineage]"))
    gone = compare(files, head).changes
    assert {(each.kind, each.direction, each.subject, each.scope) for each in gone} == {
        ("required_gate", "weakened", "experiments", "model entering production"),
        ("required_gate", "weakened", "slo", "model entering production"),
    }
    assert {each.direction for each in compare(head, files).changes} == {"tightened"}


def test_an_environment_that_is_removed_promotes_nothing_and_is_no_weakening(files: dict[str, bytes]) -> None:
    """A kind without any gate cannot be promoted, so that its entry going is shown as changed."""
    diff = compare(files, edited(files, DATA, ("    agent: [lineage]\n  staging", "  staging")))
    change = only(diff)
    assert (change.direction, change.after) == ("changed", "nothing can be promoted")


@pytest.mark.parametrize(
    ("old", "new", "kind", "direction"),
    [
        ("rule: slo.target_floor\n", "rule: slo.target_floor\n#   waivable: false\n", "waivable", "tightened"),
        ("title: The target is not lax", "title: The target is strict", "wording", "changed"),
        ('"eu-ai-act:15(1)"]\ndeny contains _placed', '"eu-ai-act:9"]\ndeny contains _placed', "controls", "changed"),
        ("rule: slo.target_floor\n", "rule: slo.target_floor\n#   collections: [a]\n", "collections", "changed"),
        ("	not _strict(objective)\n", "	objective.name == 1234\n", "rule_text", "changed"),
    ],
)
def test_each_part_of_a_rule_is_compared(
    files: dict[str, bytes], old: str, new: str, kind: str, direction: str
) -> None:
    """METADATA and text of a rule are compared part by part, and the difference names the rule."""
    change = only(compare(files, edited(files, SLO, (old, new))))
    assert (change.kind, change.direction) == (kind, direction)
    assert change.subject.startswith("slo.target_floor")


def test_a_rule_that_becomes_waivable_is_weakened(files: dict[str, bytes]) -> None:
    """The reverse of making it non-waivable."""
    strict = edited(files, SLO, ("rule: slo.target_floor\n", "rule: slo.target_floor\n#   waivable: false\n"))
    assert only(compare(strict, files)).direction == "weakened"


def test_a_severity_that_falls_is_weakened_and_one_that_rises_tightened(files: dict[str, bytes]) -> None:
    """deny to warn is a weakening even where the rule's text follows."""
    soft = edited(files, SLO, ('"slo.target_floor",', '"slo.target_floor",'), *soften("slo.target_floor"))
    found = {each.kind: each for each in compare(files, soft).changes}
    assert (found["severity"].direction, found["severity"].before, found["severity"].after) == (
        "weakened", "deny", "warn",
    )  # fmt: skip
    assert {each.kind: each for each in compare(soft, files).changes}["severity"].direction == "tightened"


def soften(rule: str) -> list[tuple[str, str]]:
    """Edits that turn a rule of the slo gate from deny into warn."""
    text = (LIBRARY / SLO).read_text("utf-8")
    start = text.index(f"#   rule: {rule}\n")
    block = text[start : text.index(" contains", start)]
    return [(block, block.replace("severity: deny", "severity: warn").replace("\ndeny", "\nwarn"))]


def test_rules_and_gates_that_come_and_go_are_named(files: dict[str, bytes]) -> None:
    """Without the gate's folder the gate and each of its rules are gone; the other way round they are new."""
    base = edited(
        files, DATA, (", slo]", "]"), ("      slo: {min_target_ratio: 0.99, min_budget_remaining_ratio: 0.25}\n", "")
    )
    head = {path: text for path, text in base.items() if "/gates/slo/" not in path}
    rules = {rule.rule for rule in build_policies("base", base).rules_of("slo")}
    diff = compare(base, head)
    assert {each.subject for each in diff.weakened if each.kind == "rule_removed"} == rules
    assert [each.subject for each in diff.changes if each.kind == "gate_removed"] == ["slo"]
    back = compare(head, base)
    assert {each.subject for each in back.changes if each.kind == "rule_added"} == rules
    assert back.weakened == ()


def test_helpers_and_data_that_rules_read_are_compared(files: dict[str, bytes]) -> None:
    """A helper that always holds and a table of data show, although no rule's own text changed."""
    head = edited(files, SLO, ("import rego.v1\n", "import rego.v1\n\n_strict(_) if true\n"))
    head["gatekeeper/tables/data.json"] = b'{"regions": ["eu"]}'
    found = {(each.kind, each.subject, each.after) for each in compare(files, head).changes}
    assert found == {
        ("helper", "gatekeeper.gates.slo: _strict", "present"),
        ("data", "data.gatekeeper.tables.regions", '["eu"]'),
    }


def test_defaults_and_imports_of_a_module_are_compared(files: dict[str, bytes]) -> None:
    """A default that makes a helper true, and an import that gives a name another meaning, show."""
    head = edited(
        files, SLO, ("import rego.v1\n", "import rego.v1\nimport data.x as _text\n\ndefault _lenient := true\n")
    )
    found = {each.subject for each in compare(files, head).changes}
    assert {"gatekeeper.gates.slo: default _lenient", "gatekeeper.gates.slo: _lenient"} <= found
    assert any(subject.startswith("gatekeeper.gates.slo: import") for subject in found)


def test_gates_that_an_organisation_requires_are_compared(files: dict[str, bytes]) -> None:
    """The table below custom adds to the library's, and a gate taken out of it is a weakening."""
    gate = files[SLO].decode().replace("gatekeeper.gates.slo", "custom.gatekeeper.gates.fair").replace("slo.", "fair.")
    base = {**files, "custom/gatekeeper/gates/fair/fair.rego": gate.encode()}
    base["custom/gatekeeper/defaults/data.yaml"] = b"required_gates: {production: {model: [fair]}}\n"
    head = {**base, "custom/gatekeeper/defaults/data.yaml": b"required_gates: {}\n"}
    change = only(compare(base, head))
    assert (change.direction, change.subject, change.scope) == ("weakened", "fair", "model entering production")


@given(st.sampled_from(["min_x", "max_x", "require_x", "allowed_x", "deny_x", "x_required_y", "mode"]),
       *[st.one_of(st.integers(), st.booleans(), st.lists(st.sampled_from("abc"), unique=True))] * 2)  # fmt: skip
def test_what_weakens_one_way_tightens_the_other(key: str, before: Any, after: Any) -> None:
    """A direction turns round with the values, and what is not known stays unknown."""
    turned = {"weakened": "tightened", "tightened": "weakened", "changed": "changed"}
    assert direction_of(key, after, before) == turned[direction_of(key, before, after)]


@pytest.mark.parametrize(
    ("key", "before", "after", "direction"),
    [
        ("min_x", 1, ..., "weakened"),
        ("max_x", ..., 1, "tightened"),
        ("min_x", True, 0, "changed"),
        ("allowed_x", ["a"], ["b"], "changed"),
        ("deny_x", ["a", "b"], ["b"], "weakened"),
        ("anything", 1, ..., "changed"),
    ],
)
def test_a_direction_is_claimed_only_where_the_name_tells(key: str, before: Any, after: Any, direction: str) -> None:
    """A limit that is gone is weaker; a boolean is no number; a list that lost and won is neither."""
    assert direction_of(key, before, after) == direction


def test_base_is_read_from_the_object_database(
    git_repository: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]
) -> None:
    """A ref with a path is read at the ref, whatever lies in the work tree, even a folder of that very name."""
    root = git_repository({f"policies/{path}": text for path, text in files.items()})
    (root / "policies" / DATA).write_bytes(edited(files, DATA, ("max_alpha: 0.05", "max_alpha: 0.2"))[DATA])
    shutil.copytree(root / "policies", root / "main:policies")
    monkeypatch.chdir(root)
    review = review_policies("main:policies", "policies", DiffOptions())
    assert only(review.diff).subject == "experiments.max_alpha"
    assert review.diff.base.name == f"git main ({git(root, 'rev-parse', 'main')[:12]}):policies"
    assert review.exit_code == 0
    assert review.model_copy(update={"require_approval": True}).exit_code == 1


@pytest.mark.parametrize("place", ["main:nothing", "nosuchref:policies", "nothing", "main:"])
def test_policies_that_are_not_there_are_an_error(
    git_repository: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A missing side is never an empty one."""
    monkeypatch.chdir(git_repository({"a.txt": "a"}))
    with pytest.raises(ConfigurationError):
        open_policies(place, Path.cwd())


def test_policies_of_an_organisation_are_laid_beside_the_library(tmp_path: Path) -> None:
    """A folder with packages below custom only is compared as it is used: with the library."""
    gate = (LIBRARY / SLO).read_text("utf-8").replace("gatekeeper.gates.slo", "custom.gatekeeper.gates.fair")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "fair.rego").write_text(gate.replace("slo.", "fair."), "utf-8")
    own = open_policies(str(tmp_path / "own"), PROJECT)
    diff = diff_policies(load_policies(LIBRARY), own)
    assert [each.subject for each in diff.changes if each.kind == "gate_added"] == ["fair"]
    assert diff.weakened == ()


def test_own_policies_of_the_settings_are_judged_beside_both(tmp_path: Path, files: dict[str, bytes]) -> None:
    """A library that is compared gets the gates that the settings add; a comparison of those gates is left as it is."""
    gate = (LIBRARY / SLO).read_text("utf-8").replace("gatekeeper.gates.slo", "custom.gatekeeper.gates.fair")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "fair.rego").write_text(gate.replace("slo.", "fair."), "utf-8")
    (tmp_path / "gatekeeper.yaml").write_text(
        "apiVersion: gatekeeper/v1\nkind: Settings\ncustom_policies: own\n", "utf-8"
    )
    trusted = load_trusted(Whereabouts(tmp_path, {}), datetime(2026, 11, 23, tzinfo=UTC))
    base, head = build_policies("base", files), build_policies("head", edited(files, DATA, ("0.05", "0.5")))
    both = complete(base, head, trusted)
    assert all("fair" in each.packages for each in both)
    assert only(diff_policies(*both)).subject == "experiments.max_alpha"
    own = open_policies(str(tmp_path / "own"), PROJECT)
    assert complete(own, own, trusted) == (own, own)


def test_text_of_policies_is_data_in_every_report(files: dict[str, bytes]) -> None:
    """A remedy and a threshold that speak to the terminal, the runner or Markdown are shown as text."""
    hostile = "::error::x ##[group]y \\u202e \\u001b[31m | <img> @everyone"
    head = edited(files, DATA, ("default_compatibility_mode: BACKWARD", f'default_compatibility_mode: "{hostile}"'))
    review = PolicyReview(diff=compare(files, head), weakening=None, require_approval=False)
    text, markdown = render_text(review), render_markdown(review)
    for shown in (text, markdown):
        assert "::error" not in shown
        assert "##[" not in shown
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert "<img>" not in markdown
    (row,) = [line for line in markdown.splitlines() if "default_compatibility_mode" in line]
    assert row.replace("\\|", "").count("|") == 7
    assert json.loads(render_json(review))["diff"]["changes"][0]["after"].startswith("::error")
