"""The contracts gate: real contracts in real git, real data, and a verdict of the real policy."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import NOW, PROJECT, git
from pydantic import ValidationError
from support import make_context, make_manifest

from gatekeeper.collectors.contracts import MAX_LISTED, Body, ContractEvidence, Request, Thresholds, collect
from gatekeeper.decision import Finding
from gatekeeper.engine.embedded import EmbeddedEngine
from gatekeeper.errors import EvidenceError
from gatekeeper.findings import read_findings
from gatekeeper.policy import PolicySet, load_policies
from gatekeeper.settings import EngineSettings, EvidenceSettings

MAIN = EvidenceSettings(base_ref="main")
PROPERTIES = "      - {name: id, logicalType: string, required: true, primaryKey: true}\n      - {name: age, logicalType: integer}\n"


def contract(properties: str = PROPERTIES, *, version: str = "1.0.0", **more: str) -> str:
    """A contract of one table; custom properties are given by name."""
    custom = "".join(f"  - {{property: {key}, value: {value}}}\n" for key, value in more.items())
    return (
        f"apiVersion: v3.1.0\nkind: DataContract\nid: people\nversion: {version}\nstatus: active\n"
        "team: [{username: ada}]\n"
        f"schema:\n  - name: people\n    properties:\n{properties}" + (f"customProperties:\n{custom}" if custom else "")
    )


WIDER = PROPERTIES + "      - {name: email, logicalType: string}\n"
NARROWER = PROPERTIES.replace("integer}", "integer, logicalTypeOptions: {minimum: 18}}")
DATA = "id,age\na,20\nb,\n"


def request(*items: dict[str, Any]) -> Request:
    return Request.model_validate_json(json.dumps(items or [{"contract": "c.yaml"}]))


def gather(root: Path, *items: dict[str, Any], base_ref: str = "main") -> Body:
    """Collect, and make sure that the evidence survives its way through a bundle."""
    context = make_context(root, settings=EvidenceSettings(base_ref=base_ref))
    body = collect(request(*items), context)
    assert Body.model_validate_json(body.model_dump_json()) == body
    assert {each.contract for each in request(*items).root} <= {each.path for each in context.workspace.sources}
    return body


@pytest.fixture
def changed(git_repository: Callable[..., Path]) -> Callable[..., ContractEvidence]:
    """Commit versions of `c.yaml` to main, change the work tree, and collect."""

    def make(*versions: str, head: str, data: str | None = None) -> ContractEvidence:
        root = git_repository(*({"c.yaml": each, "n": str(number)} for number, each in enumerate(versions)))
        (root / "c.yaml").write_text(head)
        item = {"contract": "c.yaml"}
        if data is not None:
            (root / "d.csv").write_text(data)
            item["data"] = "d.csv"
        return gather(root, item).contracts[0]

    return make


def gap(root: Path, *items: dict[str, Any], base_ref: str = "main") -> tuple[str, str, str]:
    """The kind, the subject and the problem of the gap that collecting ends in."""
    with pytest.raises(EvidenceError) as caught:
        collect(request(*items), make_context(root, settings=EvidenceSettings(base_ref=base_ref)))
    return caught.value.kind, caught.value.subject, caught.value.problem


class TestRequest:
    """The gate's part of the manifest."""

    def test_is_a_list_of_contracts(self) -> None:
        """Data and table are optional."""
        found = request({"contract": "a"}, {"contract": "b", "data": "d.csv", "table": "t"})
        assert [(each.contract, each.data, each.table) for each in found.root] == [
            ("a", None, None),
            ("b", "d.csv", "t"),
        ]

    @pytest.mark.parametrize(
        "text",
        ["[]", "{}", "null", '[{"contract": ""}]', '[{"data": "d.csv"}]', '[{"contract": "a", "dat": "d.csv"}]',
         '[{"contract": 1}]', '[{"contract": "a", "table": "t"}]', '[{"contract": "a", "data": ""}]',
         json.dumps([{"contract": "a"}] * 101)],
    )  # fmt: skip
    def test_refuses_everything_else(self, text: str) -> None:
        """No contract, an unknown key or a table of no data is an error of the manifest."""
        with pytest.raises(ValidationError):
            Request.model_validate_json(text)

    def test_a_misspelt_key_is_told_with_its_place(self, tmp_path: Path) -> None:
        """A wrong key in the list is found in the manifest's own lines."""
        from gatekeeper.errors import ConfigurationError
        from gatekeeper.manifest import load_located, validate

        path = tmp_path / "promotion.yaml"
        path.write_text("evidence:\n  contracts:\n    - contract: c.yaml\n      dta: d.csv\n")
        with pytest.raises(ConfigurationError, match="unknown key 'dta'") as caught:
            validate(load_located(path), Request, at=("evidence", "contracts"))
        assert caught.value.location is not None
        assert caught.value.location.line == 4


class TestChange:
    """What is compared with what."""

    def test_an_unchanged_contract_has_no_changes(self, changed: Any) -> None:
        """The version in force is the one at the base ref."""
        found = changed(contract(), head=contract())
        assert (found.is_new, found.base.against, found.base.change_count) == (False, "git:main:c.yaml", 0)
        assert (found.base.step, found.base.content_changed) == ("same", False)
        assert (found.id, found.version, found.status, found.owner_count) == ("people", "1.0.0", "active", 1)

    def test_a_change_is_named_with_its_line(self, changed: Any) -> None:
        """Each change has its kind, its verdicts and the line of the new contract."""
        base = changed(contract(), head=contract(NARROWER, version="1.1.0")).base
        (change,) = base.changes
        assert (change.change, change.subject, change.detail) == (
            "constraint_tightened",
            "people.age",
            "minimum: absent to 18",
        )
        assert (change.backward, change.forward, change.pointer) == (
            "incompatible", "compatible", "/schema/0/properties/1/logicalTypeOptions/minimum",
        )  # fmt: skip
        assert change.place is not None
        assert (change.place.path, change.place.line) == ("c.yaml", 11)
        assert (base.backward.incompatible, base.forward.compatible, base.step) == (1, 1, "minor")

    def test_what_is_gone_points_at_what_is_nearest(self, changed: Any) -> None:
        """A removed property has a line in the old contract only; its table is in the new one."""
        head = contract(PROPERTIES.splitlines(keepends=True)[1], version="2.0.0")
        base = changed(contract(), head="# moved down\n\n" + head).base
        assert {each.change for each in base.changes} == {"property_removed", "primary_key_changed"}
        removed = next(each for each in base.changes if each.change == "property_removed")
        assert removed.place is not None
        assert (removed.place.line, removed.pointer) == (12, "/schema/0/properties/0")

    def test_a_change_outside_the_schema_counts_as_content(self, changed: Any) -> None:
        """The same version with another text is another contract."""
        base = changed(contract(), head=contract().replace("ada", "bob")).base
        assert (base.content_changed, base.change_count, base.step) == (True, 0, "same")

    def test_a_comment_is_no_content(self, changed: Any) -> None:
        """What YAML does not say is not compared."""
        assert changed(contract(), head="# note\n" + contract()).base.content_changed is False

    def test_reads_the_base_ref_and_not_the_work_tree(self, git_repository: Callable[..., Path]) -> None:
        """The version in force is a git object, which the change under review cannot touch."""
        root = git_repository({"c.yaml": contract()}, {"c.yaml": contract(WIDER, version="1.1.0")})
        (root / "c.yaml").write_text(contract(WIDER, version="1.2.0"))
        assert gather(root, base_ref="main~1").contracts[0].base.version == "1.0.0"  # type: ignore[union-attr]

    def test_records_the_version_in_force_as_a_source(self, git_repository: Callable[..., Path]) -> None:
        """The digest of the git object is evidence too."""
        root = git_repository({"sub/c.yaml": contract()})
        context = make_context(root, settings=MAIN)
        collect(request({"contract": "sub/c.yaml"}), context)
        sources = {each.path: each.sha256 for each in context.workspace.sources}
        assert set(sources) == {"sub/c.yaml", "git:main:sub/c.yaml"}
        assert len(set(sources.values())) == 1

    def test_a_contract_that_is_not_at_the_base_is_new(self, git_repository: Callable[..., Path]) -> None:
        """There is nothing to compare it with."""
        root = git_repository({"README": "x"})
        (root / "c.yaml").write_text(contract())
        (found,) = gather(root).contracts
        assert (found.is_new, found.base, found.fault_count) == (True, None, 0)

    @pytest.mark.parametrize("old", ["old.yaml", "deep/old.yml", "old.json"])
    def test_a_moved_contract_is_not_new(self, git_repository: Callable[..., Path], old: str) -> None:
        """A contract is known by its id; another file name does not evade the comparison."""
        text = contract()
        if old.endswith("json"):
            from gatekeeper.formats.strict_yaml import parse_yaml

            text = json.dumps(parse_yaml(text.encode(), old), indent=1)
        root = git_repository({old: text, "notes.yaml": "DataContract people\n", "docs/people.md": contract()})
        (root / old).unlink()
        (root / "c.yaml").write_text(contract(NARROWER, version="1.1.0"))
        (found,) = gather(root).contracts
        assert found.base is not None
        assert (found.is_new, found.base.against, found.base.backward.incompatible) == (False, f"git:main:{old}", 1)

    def test_a_contract_in_the_place_of_another_one_is_not_new(self, git_repository: Callable[..., Path]) -> None:
        """Another file with another id does not evade the comparison where the old one is gone and the table stays."""
        root = git_repository({"old.yaml": contract(), "kept.yaml": contract().replace("id: people", "id: kept")})
        (root / "c.yaml").write_text(contract(NARROWER).replace("id: people", "id: persons"))
        assert gather(root).contracts[0].is_new
        (root / "old.yaml").unlink()
        (found,) = gather(root).contracts
        assert found.base is not None
        assert found.base.against == "git:main:old.yaml"
        assert {each.change for each in found.base.changes} == {"contract_removed", "constraint_tightened"}
        (root / "c.yaml").write_text(
            contract(NARROWER).replace("id: people", "id: dogs").replace("name: people", "name: dogs")
        )
        assert gather(root).contracts[0].is_new

    def test_two_contracts_of_one_id_are_a_gap(self, git_repository: Callable[..., Path]) -> None:
        """Of two versions in force neither can be chosen."""
        root = git_repository({"a.yaml": contract(), "b.yaml": contract(WIDER)})
        (root / "c.yaml").write_text(contract())
        kind, subject, problem = gap(root)
        assert (kind, subject) == ("unverifiable", "c.yaml")
        assert "git:main:a.yaml, git:main:b.yaml" in problem

    def test_another_id_at_the_same_place_removes_a_contract(self, changed: Any) -> None:
        """Who takes a contract's file takes it away from its readers."""
        base = changed(contract(), head=contract(version="2.0.0").replace("id: people", "id: persons")).base
        assert [each.change for each in base.changes] == ["contract_removed"]

    def test_a_contract_behind_a_link_is_compared_with_its_target(self, git_repository: Callable[..., Path]) -> None:
        """A link in the work tree leads to the file that is compared."""
        root = git_repository({"real.yaml": contract()})
        (root / "c.yaml").symlink_to("real.yaml")
        assert gather(root).contracts[0].base.against == "git:main:real.yaml"  # type: ignore[union-attr]

    def test_a_faulty_version_in_force_is_undecidable(self, changed: Any) -> None:
        """A contract that mends the one in force can be judged only as a break that is announced."""
        base = changed(contract().replace("integer", "int"), head=contract(version="1.1.0")).base
        assert [(each.change, each.backward, each.forward) for each in base.changes] == [
            ("base_invalid", "undecidable", "undecidable")
        ]
        assert "git:main:c.yaml has 1 faults" in base.changes[0].detail

    def test_lists_no_more_changes_than_agreed(self, changed: Any) -> None:
        """A contract of hundreds of columns stays a small piece of evidence, and the worst is in it."""
        many = "".join(f"      - {{name: c{number}, logicalType: string}}\n" for number in range(80))
        base = changed(contract(), head=contract(many, version="2.0.0")).base
        assert base.change_count == 83
        assert len(base.changes) == MAX_LISTED
        assert {each.change for each in base.changes[:3]} == {"property_removed", "primary_key_changed"}
        assert (base.backward.incompatible, base.backward.compatible, base.forward.compatible) == (2, 81, 80)

    def test_announces_a_break_by_version_and_migration_path(self, changed: Any) -> None:
        """Both are needed."""
        assert changed(contract(), head=contract(NARROWER, version="2.0.0", migrationPath="docs/v2.md")).base.announced

    @pytest.mark.parametrize(("version", "path"), [("1.9.0", "docs/v2.md"), ("2.0.0", "' '")])
    def test_does_not_announce_by_halves(self, changed: Any, version: str, path: str) -> None:
        """A major version without a way past it, or a way without the version, announces nothing."""
        assert not changed(contract(), head=contract(NARROWER, version=version, migrationPath=path)).base.announced


class TestModes:
    """The declared compatibility mode, and all earlier versions where it asks for them."""

    def test_reads_both_modes(self, changed: Any) -> None:
        """The policy judges by the mode in force."""
        found = changed(contract(compatibilityMode="FULL"), head=contract(compatibilityMode="FORWARD"))
        assert (found.base_mode, found.mode, found.earlier_count) == ("FULL", "FORWARD", 0)

    @pytest.mark.parametrize("side", ["base", "head"])
    def test_a_misspelt_mode_is_a_gap(self, git_repository: Callable[..., Path], side: str) -> None:
        """It must not fall back to a weaker one."""
        wrong = contract(compatibilityMode="BACKWARDS")
        root = git_repository({"c.yaml": wrong if side == "base" else contract()})
        (root / "c.yaml").write_text(wrong if side == "head" else contract())
        kind, subject, problem = gap(root)
        assert (kind, subject) == ("malformed", "git:main:c.yaml" if side == "base" else "c.yaml")
        assert "BACKWARDS" in problem

    def test_a_transitive_mode_compares_with_every_earlier_version(self, changed: Any) -> None:
        """A property that went and comes back with another type breaks readers of the first version."""
        first = contract(PROPERTIES + "      - {name: score, logicalType: string}\n", version="1.0.0")
        second = contract(version="2.0.0", compatibilityMode="BACKWARD_TRANSITIVE")
        head = contract(
            PROPERTIES + "      - {name: score, logicalType: date}\n",
            version="2.1.0",
            compatibilityMode="BACKWARD_TRANSITIVE",
        )
        found = changed(first, second, head=head)
        assert found.base.backward.incompatible == 0
        assert (found.earlier_count, found.earlier_breaking_count) == (1, 1)
        assert [each.change for each in found.earlier[0].changes] == ["type_changed"]
        assert found.earlier[0].against.startswith("git:")
        assert (found.earlier[0].version, found.earlier[0].step, found.earlier[0].announced) == (
            "1.0.0",
            "major",
            False,
        )

    def test_an_announced_break_of_an_earlier_major_version_stays_announced(self, changed: Any) -> None:
        """A migration path stands for every earlier major version."""
        mode = {"compatibilityMode": "FULL_TRANSITIVE", "migrationPath": "docs/v2.md"}
        found = changed(contract(WIDER), contract(version="2.0.0", **mode), head=contract(version="2.0.1", **mode))
        assert (found.earlier_count, found.earlier_breaking_count) == (1, 0)

    def test_an_earlier_version_that_is_no_contract_is_undecidable(self, changed: Any) -> None:
        """What cannot be read cannot be compared, and nothing announces it."""
        mode = {"compatibilityMode": "BACKWARD_TRANSITIVE"}
        found = changed("kind: Draft\n", "a: [\n", contract(**mode), head=contract(version="1.0.1", **mode))
        assert (found.earlier_count, found.earlier_breaking_count) == (2, 2)
        assert {each.changes[0].change for each in found.earlier} == {"earlier_version_unreadable"}

    def test_lists_no_more_earlier_versions_than_agreed(self, changed: Any) -> None:
        """The policy refuses when there are more breaks than are listed."""
        drafts = [f"kind: Draft\nnumber: {number}\n" for number in range(23)]
        mode = {"compatibilityMode": "BACKWARD_TRANSITIVE"}
        found = changed(*drafts, contract(**mode), head=contract(version="1.0.1", **mode))
        assert (found.earlier_count, found.earlier_breaking_count, len(found.earlier)) == (23, 23, 20)

    def test_too_long_a_history_is_a_gap(self, git_repository: Callable[..., Path]) -> None:
        """More versions than can be compared are not skipped."""
        text = contract(compatibilityMode="FULL_TRANSITIVE")
        root = git_repository({"c.yaml": text})
        stream = []
        for number in range(200):
            content = f"# {number}\n{text}".encode()
            stream.append(f"commit refs/heads/main\ncommitter a <a@b> {number} +0000\ndata 1\nx\n".encode())
            stream.append(b"from refs/heads/main^0\n" if number == 0 else b"")
            stream.append(b"M 100644 inline c.yaml\ndata %d\n%s\n" % (len(content), content))
        subprocess.run(["git", "fast-import", "--quiet"], cwd=root, input=b"".join(stream), check=True, timeout=60)
        assert gap(root) == ("unverifiable", "git:main:c.yaml", "more than 200 commits changed it")

    def test_a_shallow_clone_has_no_history(self, git_repository: Callable[..., Path], tmp_path: Path) -> None:
        """What was cut off cannot be compared."""
        text = contract(compatibilityMode="FULL_TRANSITIVE")
        origin = git_repository({"c.yaml": contract(WIDER)}, {"c.yaml": text})
        git(tmp_path, "clone", "-q", "--depth", "1", origin.as_uri(), "shallow")
        kind, _, problem = gap(tmp_path / "shallow")
        assert kind == "unverifiable"
        assert "shallow" in problem
        (tmp_path / "shallow" / "c.yaml").write_text(contract())
        assert gap(tmp_path / "shallow")[0] == "unverifiable"


class TestGaps:
    """What leaves the gate without evidence."""

    def test_an_absent_file_is_missing(self, git_repository: Callable[..., Path]) -> None:
        """Nothing is where the manifest points."""
        assert gap(git_repository({"n": "1"}))[:2] == ("missing", "c.yaml")

    def test_absent_data_is_missing(self, git_repository: Callable[..., Path]) -> None:
        """The data that the manifest names must be there."""
        root = git_repository({"c.yaml": contract()})
        assert gap(root, {"contract": "c.yaml", "data": "d.csv"})[:2] == ("missing", "d.csv")

    def test_a_base_ref_that_the_clone_does_not_hold_is_unverifiable(self, git_repository: Callable[..., Path]) -> None:
        """A shallow checkout must not make every contract new."""
        kind, subject, _ = gap(git_repository({"c.yaml": contract()}), base_ref="origin/main")
        assert (kind, subject) == ("unverifiable", "git ref 'origin/main'")

    def test_a_folder_without_git_is_unverifiable(self, tmp_path: Path) -> None:
        """Without git there is no version in force."""
        (tmp_path / "c.yaml").write_text(contract())
        assert gap(tmp_path)[0] == "unverifiable"

    @pytest.mark.parametrize(
        ("content", "problem"),
        [("", "empty"), ("a: [\n", "not YAML"), ("kind: Other\n", "not an ODCS contract"), (b"\xff", "not UTF-8"),
         (contract().replace("v3.1.0", "v2.2.2"), "ODCS v2.2.2"), (contract() + "id: x\n", "duplicate key")],
        ids=["empty", "yaml", "kind", "utf-8", "v2", "duplicate"],
    )  # fmt: skip
    @pytest.mark.parametrize("side", ["base", "head"])
    def test_what_is_no_contract_is_malformed(
        self, git_repository: Callable[..., Path], content: str | bytes, problem: str, side: str
    ) -> None:
        """Neither the new version nor the one in force may be something else."""
        data = content.encode() if isinstance(content, str) else content
        root = git_repository({"c.yaml": data if side == "base" else contract()})
        (root / "c.yaml").write_bytes(contract().encode() if side == "base" else data)
        kind, subject, found = gap(root)
        assert (kind, subject) == ("malformed", "git:main:c.yaml" if side == "base" else "c.yaml")
        assert problem in found

    @pytest.mark.parametrize(
        ("name", "content", "problem"),
        [("d.xlsx", b"PK", "suffix '.xlsx' is not read"), ("d", b"", "suffix '' is not read"),
         ("d.csv", b"", "the header names 0 columns"), ("d.csv", b"id,age\n\xff,1\n", "not UTF-8"),
         ("d.csv", b'id,age\na,"2', "unexpected end of data"), ("d.jsonl", b'{"id": ', "line 1 is not JSON"),
         ("d.parquet", b"PAR1", "not readable as Parquet"), ("d.CSV.GZ", b"", "suffix '.gz' is not read")],
    )  # fmt: skip
    def test_data_that_cannot_be_read_is_a_gap(
        self, git_repository: Callable[..., Path], name: str, content: bytes, problem: str
    ) -> None:
        """A truncated file or another format proves nothing."""
        root = git_repository({"c.yaml": contract()})
        (root / name).write_bytes(content)
        kind, subject, found = gap(root, {"contract": "c.yaml", "data": name})
        assert kind in ("malformed", "unverifiable")
        assert subject == name
        assert problem in found

    def test_data_for_no_clear_table_is_a_gap(self, git_repository: Callable[..., Path]) -> None:
        """With several schema objects the manifest says which one the data is for."""
        two = contract() + "  - name: pets\n    properties: [{name: id, logicalType: string}]\n"
        root = git_repository({"c.yaml": two})
        (root / "d.csv").write_text("id\na\n")
        item = {"contract": "c.yaml", "data": "d.csv"}
        assert "which schema object it is for is not said" in gap(root, item)[2]
        assert gap(root, item | {"table": "cats"})[2] == "no schema object 'cats' in c.yaml"
        found = gather(root, item | {"table": "pets"}).contracts[0]
        assert found.tables == ("people", "pets")
        assert found.data is not None
        assert (found.data.table, found.data.violation_count) == ("pets", 0)


class TestFaults:
    """A contract that breaks its JSON Schema is shown, not judged further."""

    def test_a_fault_has_pointer_message_and_line(self, changed: Any) -> None:
        """It is a denial and no gap: the file is ODCS and can be mended."""
        found = changed(contract(), head=contract().replace("integer", "int"), data="id,age\nx,y\n")
        (fault,) = found.faults
        assert (fault.pointer, fault.place.line) == ("/schema/0/properties/1/logicalType", 11)
        assert "'int' is not one of" in fault.message
        assert (found.base, found.data, found.tables, found.is_new) == (None, None, (), False)

    def test_a_contract_that_promises_nothing_is_faulty(self, changed: Any) -> None:
        """No columns, nothing to check."""
        head = contract().split("    properties:")[0]
        assert [each.message for each in changed(contract(), head=head).faults] == [
            "'people' declares no property, so nothing is promised"
        ]

    def test_faults_beyond_the_list_are_counted(self, changed: Any) -> None:
        """A broken contract of many columns stays a small piece of evidence."""
        many = "".join(f"      - {{name: c{number}, logicalType: text}}\n" for number in range(60))
        found = changed(contract(), head=contract(many))
        assert len(found.faults) == MAX_LISTED < found.fault_count


class TestData:
    """The candidate's data against its contract."""

    def test_conforming_data_has_no_violations(self, changed: Any) -> None:
        """Rows and columns are counted."""
        data = changed(contract(), head=contract(), data=DATA).data
        assert (data.format, data.table, data.row_count, data.column_count, data.violation_count) == (
            "csv",
            "people",
            2,
            2,
            0,
        )

    def test_violations_are_listed_with_rows_and_place(self, changed: Any) -> None:
        """Most rows first; the place is the property in the contract."""
        data = changed(contract(), head=contract(), data="id,age,extra\na,x,1\n,y,2\na,z,3\n").data
        assert [(each.column, each.kind, each.count) for each in data.violations] == [
            ("age", "logical_type", 3), ("extra", "undeclared_column", 3), ("id", "primary_key", 1), ("id", "required", 1),
        ]  # fmt: skip
        assert [each.row for each in data.violations[0].examples] == [1, 2, 3]
        assert (data.violations[0].place.line, data.violations[0].row_count) == (11, 3)

    def test_values_of_unclassified_columns_stay_out_of_the_evidence(self, changed: Any) -> None:
        """Nothing of a row is recorded unless its column is public."""
        data = changed(contract(), head=contract(), data="id,age\nsecret-1,secret-2\nsecret-1,3\n").data
        assert data.violation_count == 2
        assert all(each.classified for each in data.violations)
        assert "secret" not in data.model_dump_json()

    def test_values_of_public_columns_are_evidence(self, changed: Any) -> None:
        """They help to mend the data."""
        text = contract(PROPERTIES.replace("integer}", "integer, classification: public}"))
        (violation,) = changed(text, head=text, data="id,age\na,old\n").data.violations
        assert (violation.classified, violation.examples[0].value) == (False, "old")

    def test_lists_no_more_violations_than_agreed(self, changed: Any) -> None:
        """A file of hundreds of undeclared columns stays a small piece of evidence."""
        header = ",".join(f"c{number}" for number in range(80))
        data = changed(contract(), head=contract(), data=f"id,age,{header}\na,1{',' * 80}\n").data
        assert (data.violation_count, len(data.violations)) == (80, MAX_LISTED)

    def test_rules_are_evidence(self, changed: Any) -> None:
        """What failed with its numbers, what could not be run with its severity."""
        rules = (
            "        quality:\n"
            "          - {metric: nullValues, mustBe: 0, name: none, severity: Error}\n"
            "          - {metric: rowCount, mustBe: 2}\n"
            "          - {type: sql, query: SELECT 1, mustBe: 1, severity: ERROR}\n"
            "          - {type: text, description: fine}\n"
        )
        text = contract("      - name: id\n        logicalType: string\n" + rules)
        data = changed(text, head=text, data='id\na\n""\n').data
        assert (data.quality_passed_count, data.quality_failed_count, data.text_rule_count) == (1, 1, 1)
        (failed,) = data.quality_failed
        assert (failed.name, failed.measured, failed.wanted, failed.severity) == (
            "none",
            "1 rows",
            "mustBe 0 rows",
            "error",
        )
        assert failed.place.line == 13
        assert (data.unchecked_count, data.unchecked_severities) == (1, ("error",))
        assert (data.unchecked[0].kind, data.unchecked[0].place.line) == ("sql", 15)

    @pytest.mark.parametrize("suffix", ["jsonl", "ndjson", "parquet"])
    def test_reads_the_other_formats(self, git_repository: Callable[..., Path], suffix: str) -> None:
        """The same rows, the same evidence."""
        import duckdb

        root = git_repository({"c.yaml": contract()})
        path = root / f"d.{suffix}"
        if suffix == "parquet":
            duckdb.execute(f"COPY (SELECT 'a' AS id, 20::INTEGER AS age) TO '{path}' (FORMAT parquet)")
        else:
            path.write_text('{"id": "a", "age": 20}\n')
        context = make_context(root, settings=MAIN)
        data = collect(request({"contract": "c.yaml", "data": path.name}), context).contracts[0].data
        assert data is not None
        assert (data.row_count, data.violation_count) == (1, 0)
        assert path.name in {each.path for each in context.workspace.sources}

    def test_one_contract_serves_several_files(self, git_repository: Callable[..., Path]) -> None:
        """Each item has its own entry; the contract is read once."""
        root = git_repository({"c.yaml": contract(), "a.csv": DATA, "b.csv": "id,age\n"})
        context = make_context(root, settings=MAIN)
        items = [{"contract": "c.yaml", "data": name} for name in ("a.csv", "b.csv")]
        body = collect(request(*items), context)
        assert [each.data.row_count for each in body.contracts if each.data] == [2, 0]
        assert [each.path for each in context.workspace.sources].count("c.yaml") == 1


def sample(git_repository: Callable[..., Path]) -> Body:
    """Evidence with a change, a violation, a failed rule and something unchecked."""
    rules = (
        "      - {name: age, logicalType: integer, quality: [{metric: nullValues, mustBe: 0}, "
        "{type: sql, query: q, mustBe: 1, severity: error}]}\n"
    )
    text = contract(PROPERTIES.splitlines(keepends=True)[0] + rules, compatibilityMode="FULL_TRANSITIVE")
    root = git_repository({"c.yaml": "kind: Draft\n"}, {"c.yaml": text}, {"c.yaml": text.replace("1.0.0", "1.0.1")})
    (root / "c.yaml").write_text(text.replace("1.0.0", "2.0.0").replace("required: true, ", ""))
    (root / "d.csv").write_text("id,age\na,x\nb,\n")
    return gather(root, {"contract": "c.yaml", "data": "d.csv"})


LIES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no contracts": lambda body: body["contracts"].clear(),
    "unknown key": lambda body: body["contracts"][0].update(extra=1),
    "negative count": lambda body: body["contracts"][0]["data"].update(row_count=-1),
    "not a number": lambda body: body["contracts"][0].update(owner_count="many"),
    "fractional count": lambda body: body["contracts"][0].update(owner_count=0.5),
    "violation left out": lambda body: body["contracts"][0]["data"].update(violations=[]),
    "violation not counted": lambda body: body["contracts"][0]["data"].update(violation_count=0),
    "failure left out": lambda body: body["contracts"][0]["data"].update(quality_failed=[]),
    "failure not counted": lambda body: body["contracts"][0]["data"].update(quality_failed_count=0),
    "unchecked left out": lambda body: body["contracts"][0]["data"].update(unchecked=[]),
    "severity left out": lambda body: body["contracts"][0]["data"].update(unchecked_severities=[]),
    "value of a classified column": lambda body: body["contracts"][0]["data"]["violations"][0]["examples"][0].update(value="x"),
    "row zero": lambda body: body["contracts"][0]["data"]["violations"][0]["examples"][0].update(row=0),
    "data left out": lambda body: body["contracts"][0].update(data=None),
    "base left out": lambda body: body["contracts"][0].update(base=None),
    "said to be new": lambda body: body["contracts"][0].update(is_new=True),
    "said to be faulty": lambda body: body["contracts"][0].update(fault_count=1),
    "faults beside a comparison": lambda body: body["contracts"][0].update(
        fault_count=1, faults=[{"pointer": "", "message": "wrong", "place": None}]
    ),
    "tables left out": lambda body: body["contracts"][0].update(tables=[]),
    "unknown mode": lambda body: body["contracts"][0].update(base_mode="NONE"),
    "announced without path": lambda body: body["contracts"][0]["base"].update(announced=True),
    "path without announcement": lambda body: body["contracts"][0].update(migration_path="x"),
    "announced by a minor version": lambda body: (
        body["contracts"][0].update(migration_path="x"), body["contracts"][0]["base"].update(announced=True, step="minor"),
    ),
    "verdicts that do not add up": lambda body: body["contracts"][0]["base"]["backward"].update(compatible=9),
    "verdict that was changed": lambda body: body["contracts"][0]["base"]["changes"][0].update(backward="incompatible"),
    "unknown verdict": lambda body: body["contracts"][0]["base"]["changes"][0].update(forward="fine"),
    "change not counted": lambda body: body["contracts"][0]["base"].update(change_count=0),
    "changes of equal content": lambda body: body["contracts"][0]["base"].update(content_changed=False),
    "earlier version left out": lambda body: body["contracts"][0].update(earlier=[]),
    "earlier break not counted": lambda body: body["contracts"][0].update(earlier_breaking_count=0),
    "more breaks than versions": lambda body: body["contracts"][0].update(earlier_count=0),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_refuses_evidence_that_contradicts_itself(
    git_repository: Callable[..., Path], lie: Callable[[Any], Any]
) -> None:
    """A bundle that was edited by hand is not believed."""
    body = json.loads(sample(git_repository).model_dump_json())
    Body.model_validate_json(json.dumps(body))
    lie(body)
    with pytest.raises(ValidationError):
        Body.model_validate_json(json.dumps(body))


# The policy.


@pytest.fixture(scope="module")
def policies() -> PolicySet:
    return load_policies(PROJECT / "policies")


@pytest.fixture(scope="module")
def engine(policies: PolicySet) -> Iterator[EmbeddedEngine]:
    opened = EmbeddedEngine(EngineSettings())
    opened.load(policies)
    yield opened
    opened.close()


@pytest.fixture
def judge(engine: EmbeddedEngine, policies: PolicySet) -> Callable[..., set[str]]:
    """Evaluate the real policy on evidence; gives the ids of the rules that found something."""

    def evaluate(found: ContractEvidence, *, kind: str = "model", **thresholds: Any) -> set[str]:
        items = [{"contract": found.path, "data": found.data_path}]
        candidate = make_manifest().model_dump(mode="json")["candidate"] | {"kind": kind}
        promotion = make_manifest(candidate=candidate, evidence={"contracts": items}).model_dump(mode="json")
        document = {
            "promotion": promotion,
            "gate": "contracts",
            "evidence": {"observed_at": None, "contracts": [found.model_dump(mode="json")]},
            "now": NOW.isoformat(),
            "settings": {
                "environment": "production",
                "risk_tier": "high",
                "thresholds": policies.defaults["thresholds"]["contracts"] | thresholds,
            },
        }
        answer = engine.evaluate("gatekeeper.gates.contracts", json.dumps(document).encode())
        findings, _ = read_findings("contracts", answer.result, policies.rules_of("contracts"))
        assert all(isinstance(each, Finding) for each in findings)
        return {each.rule for each in findings}

    return evaluate


def test_thresholds_of_the_library_are_valid(policies: PolicySet) -> None:
    """The defaults have exactly the keys of the model, and the list of statuses is not empty."""
    found = Thresholds.model_validate_json(json.dumps(policies.defaults["thresholds"]["contracts"]))
    assert (found.default_compatibility_mode, found.allowed_statuses, found.min_row_count) == (
        "BACKWARD",
        ("active",),
        1,
    )
    for lie in (
        {"default_compatibility_mode": "FULL_TRANSITIVE"},
        {"allowed_statuses": []},
        {"min_row_count": 0},
        {"deny_unchecked_severities": ["Error"]},
        {"surprise": 1},
    ):
        with pytest.raises(ValidationError):
            Thresholds.model_validate_json(json.dumps(policies.defaults["thresholds"]["contracts"] | lie))


def test_allows_an_unchanged_contract_and_conforming_data(changed: Any, judge: Any) -> None:
    """Nothing to object to, and nothing to remark."""
    assert judge(changed(contract(), head=contract(), data=DATA), kind="dataset") == set()


def test_allows_an_optional_column_in_a_minor_version(changed: Any, judge: Any) -> None:
    """The usual way of growing."""
    assert judge(changed(contract(), head=contract(WIDER, version="1.1.0"))) == set()


def test_denies_a_break_in_a_minor_version(changed: Any, judge: Any) -> None:
    """Each lacking thing is told."""
    assert judge(changed(contract(), head=contract(NARROWER, version="1.1.0"))) == {
        "contracts.compatible", "contracts.major_version", "contracts.migration_path",
    }  # fmt: skip


def test_warns_of_a_break_that_is_announced(changed: Any, judge: Any) -> None:
    """A major version with a migration path is how a contract breaks."""
    head = contract(NARROWER, version="2.0.0", migrationPath="https://example.org/v2")
    assert judge(changed(contract(), head=head)) == {"contracts.breaking_change"}


def test_denies_what_is_undecidable(changed: Any, judge: Any) -> None:
    """A changed pattern may break anyone."""
    first, second = (
        contract(
            f"      - {{name: id, logicalType: string, logicalTypeOptions: {{pattern: {each}}}}}\n", version=version
        )
        for each, version in (("a", "1.0.0"), ("b", "1.0.1"))
    )
    assert "contracts.undecidable" in judge(changed(first, head=second))


def test_judges_by_the_mode_in_force(changed: Any, judge: Any) -> None:
    """The head cannot relax the mode and use it in one change."""
    head = contract(NARROWER, version="1.1.0", compatibilityMode="FORWARD")
    found = changed(contract(compatibilityMode="FULL"), head=head)
    assert {"contracts.compatible", "contracts.mode_kept"} <= judge(found)


def test_forward_mode_judges_the_other_direction(changed: Any, judge: Any) -> None:
    """Old readers of new data: tightening is safe, loosening is not."""
    mode = {"compatibilityMode": "FORWARD"}
    old, new = contract(**mode), contract(NARROWER, version="1.1.0", **mode)
    found = changed(old, head=new)
    assert judge(found) == set()


def test_loosening_breaks_forward_mode(changed: Any, judge: Any) -> None:
    """New data may hold what an old reader does not expect."""
    mode = {"compatibilityMode": "FORWARD"}
    assert "contracts.compatible" in judge(changed(contract(NARROWER, **mode), head=contract(version="1.1.0", **mode)))


def test_uses_the_default_mode_of_the_thresholds(changed: Any, judge: Any) -> None:
    """A contract that declares none is judged by the organisation's."""
    found = changed(contract(NARROWER), head=contract(version="1.1.0"))
    assert judge(found) == set()
    assert "contracts.compatible" in judge(found, default_compatibility_mode="FULL")


def test_denies_a_transitive_break(changed: Any, judge: Any) -> None:
    """Compatible with the last version and not with the one before."""
    mode = {"compatibilityMode": "BACKWARD_TRANSITIVE"}
    text = PROPERTIES + "      - {name: score, logicalType: string}\n"
    versions = (contract(text), contract(version="1.0.1", **mode))
    head = contract(text.replace("score, logicalType: string", "score, logicalType: date"), version="1.1.0", **mode)
    assert "contracts.compatible" in judge(changed(*versions, head=head))


@pytest.mark.parametrize(("version", "denied"), [("1.0.0", True), ("0.9.0", True), ("1.0", True), ("1.0.1", False)])
def test_denies_a_version_that_does_not_rise(changed: Any, judge: Any, version: str, denied: bool) -> None:
    """The same version with another content, a lower one, one that is none."""
    head = contract(version=f"'{version}'").replace("ada", "bob")
    assert ("contracts.version_changed" in judge(changed(contract(), head=head))) is denied


def test_denies_a_faulty_contract(changed: Any, judge: Any) -> None:
    """A contract that breaks its JSON Schema is denied with the place."""
    assert judge(changed(contract(), head=contract().replace("integer", "int"))) == {"contracts.valid"}


@pytest.mark.parametrize("status", ["draft", "proposed", "deprecated", "retired", "Active"])
def test_denies_a_status_that_is_not_active(changed: Any, judge: Any, status: str) -> None:
    """Only a contract that is in force is one."""
    text = contract().replace("status: active", f"status: {status}")
    assert judge(changed(text, head=text)) == {"contracts.status"}


def test_allows_another_status_where_the_threshold_says_so(changed: Any, judge: Any) -> None:
    """Development may work with drafts."""
    text = contract().replace("status: active", "status: draft")
    assert judge(changed(text, head=text), allowed_statuses=["draft", "active"]) == set()


def test_denies_a_dataset_without_data_and_not_a_model(changed: Any, judge: Any) -> None:
    """Data is what a dataset is."""
    found = changed(contract(), head=contract())
    assert judge(found) == set()
    assert judge(found, kind="dataset") == judge(found, kind="feature_view") == {"contracts.data_present"}


def test_denies_data_without_rows(changed: Any, judge: Any) -> None:
    """An empty file conforms to everything and proves nothing."""
    assert judge(changed(contract(), head=contract(), data="id,age\n")) == {"contracts.data_present"}


def test_denies_data_that_does_not_conform(changed: Any, judge: Any) -> None:
    """One row is enough."""
    assert judge(changed(contract(), head=contract(), data="id,age\na,x\n")) == {"contracts.data_conforms"}


def test_denies_failed_rules_and_warns_of_unchecked_ones(changed: Any, judge: Any) -> None:
    """What could not be run blocks only where its severity says so."""
    rule = "{metric: rowCount, mustBeGreaterThan: 5}, {type: sql, query: q, mustBe: 1, severity: error}"
    text = contract(f"      - {{name: id, logicalType: string, quality: [{rule}]}}\n")
    found = changed(text, head=text, data="id\na\n")
    assert judge(found) == {"contracts.quality_rules", "contracts.unchecked_quality"}
    strict = judge(found, deny_unchecked_severities=["error"])
    assert strict == {"contracts.quality_rules", "contracts.unchecked_quality", "contracts.unchecked_severe"}


def test_warns_of_a_new_contract_without_owner(git_repository: Callable[..., Path], judge: Any) -> None:
    """Both are worth a look and block nothing."""
    root = git_repository({"n": "1"})
    (root / "c.yaml").write_text(contract().replace("team: [{username: ada}]\n", ""))
    assert judge(gather(root).contracts[0]) == {"contracts.new_contract", "contracts.owner"}


def test_both_engines_say_the_same(
    git_repository: Callable[..., Path], engine: EmbeddedEngine, policies: PolicySet, opa: str, tmp_path: Path
) -> None:
    """The embedded engine and a real OPA give the same findings on evidence that breaks nearly every rule."""
    body = json.loads(sample(git_repository).model_dump_json())
    variants = [body, copy.deepcopy(body), {"contracts": []}, {}]
    variants[1]["contracts"][0] |= {"base": None, "path": "other.yaml", "status": None}
    promotion = make_manifest(evidence={"contracts": [{"contract": "c.yaml", "data": "d.csv"}]}).model_dump(mode="json")
    for evidence in variants:
        document = json.dumps(
            {
                "promotion": promotion,
                "evidence": evidence,
                "settings": {"thresholds": policies.defaults["thresholds"]["contracts"]},
            }
        )
        done = subprocess.run(
            [opa, "eval", "--format", "json", "--stdin-input", "--strict-builtin-errors",
             "--data", str(PROJECT / "policies/gatekeeper/gates/contracts"), "data.gatekeeper.gates.contracts"],
            input=document, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        real = json.loads(done.stdout)["result"][0]["expressions"][0]["value"]
        ours = engine.evaluate("gatekeeper.gates.contracts", document.encode()).result
        for effect in ("deny", "warn"):
            assert sorted(map(json.dumps, ours[effect])) == sorted(map(json.dumps, real[effect]))
        assert real["deny"]


def test_collects_from_every_contract_of_the_corpus(corpus: Path, git_repository: Callable[..., Path]) -> None:
    """Published contracts are new, faulty or refused by name; none ends in another exception."""
    files = sorted((corpus / "contracts").rglob("*.y*ml"))
    root = git_repository({"n": "1"})
    outcomes = {"new": 0, "faulty": 0, "refused": 0}
    for number, path in enumerate(files):
        name = f"{number}.yaml"
        (root / name).write_bytes(path.read_bytes())
        try:
            (found,) = gather(root, {"contract": name}).contracts
        except EvidenceError as error:
            outcomes["refused"] += (error.kind, error.subject) == ("malformed", name)
        else:
            outcomes["new" if found.is_new else "faulty"] += 1
    assert outcomes == {"new": 21, "faulty": 14, "refused": 45}


def test_finds_the_published_break(corpus: Path, changed: Any, judge: Any) -> None:
    """datacontract-cli's own pair of versions: breaking, with a major version and without a migration path."""
    folder = corpus / "contracts/datacontract-cli/datacontract+datacontract-cli/tests/fixtures/changelog/integration"
    first, second = ((folder / f"changelog_integration_v{number}.yaml").read_text("utf-8") for number in (1, 2))
    found = changed(first, head=second)
    assert (found.base.step, found.base.announced) == ("major", False)
    assert judge(found) == {"contracts.compatible", "contracts.migration_path", "contracts.owner"}
