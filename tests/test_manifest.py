"""promotion.yaml: read strictly, refused with file, line, column, caret and a hint that helps."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field
from support import SHA

from gatekeeper.cli import describe
from gatekeeper.document import Document
from gatekeeper.errors import ConfigurationError
from gatekeeper.formats.strict_yaml import parse_located
from gatekeeper.manifest import MAX_MANIFEST_BYTES, PromotionManifest, load_located, load_manifest, nearest, validate

GOOD = f"""\
apiVersion: gatekeeper/v1
kind: Promotion
candidate:
  kind: model
  name: tumour-classifier
  version: 2.3.0
  artifacts:
    - {{path: model.onnx, sha256: "{SHA}"}}
from: staging
to: production
owner: team-imaging
evidence:
  slo: {{openslo: slo.yaml}}
timeline:
  planned_at: 2026-01-01T00:00:00Z
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a manifest with one piece replaced, and return its path, relative as a user types it."""
    monkeypatch.chdir(tmp_path)

    def make(old: str = "", new: str = "") -> Path:
        assert GOOD.count(old) >= 1
        Path("promotion.yaml").write_text(GOOD.replace(old, new, 1) if old else GOOD, "utf-8")
        return Path("promotion.yaml")

    return make


def refusal(path: Path) -> str:
    """What a user reads when a manifest is refused; always exit code 2."""
    with pytest.raises(ConfigurationError) as caught:
        load_manifest(path)
    return describe(caught.value)


def test_reads_a_manifest(write: Any) -> None:
    """Every field arrives, under its own name, with the bytes that were read."""
    manifest, located = load_manifest(write())
    assert (manifest.source, manifest.target, manifest.owner) == ("staging", "production", "team-imaging")
    assert (manifest.candidate.version, manifest.candidate.artifacts[0].path) == ("2.3.0", "model.onnx")
    assert manifest.evidence == {"slo": {"openslo": "slo.yaml"}}
    assert manifest.timeline.planned_at is not None
    assert located.data.decode() == GOOD


def test_json_is_yaml(write: Any) -> None:
    """A manifest that a program wrote as JSON is read too."""
    manifest, _ = load_manifest(write())
    write().write_text(manifest.model_dump_json(), "utf-8")
    assert load_manifest(Path("promotion.yaml"))[0] == manifest


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(
            "owner:",
            "ownr:",
            """\
            promotion.yaml:11:1: error: unknown key 'ownr' (and 1 more)
                ownr: team-imaging
                ^
            hint: did you mean 'owner'?""",
            id="unknown-key",
        ),
        pytest.param(
            "  version: 2.3.0\n",
            "  version: 2.3.0\n  stage: x\n",
            """\
            promotion.yaml:7:3: error: unknown key 'stage'
                  stage: x
                  ^
            hint: known here: artifacts, kind, name, version""",
            id="unknown-key-unlike-any-other",
        ),
        pytest.param(
            f'sha256: "{SHA}"',
            f'sha265: "{SHA}"',
            f"""\
            promotion.yaml:8:26: error: unknown key 'sha265' (and 1 more)
                    - {{path: model.onnx, sha265: "{SHA}"}}
                                         ^
            hint: did you mean 'sha256'?""",
            id="unknown-key-in-a-list",
        ),
        pytest.param(
            "  planned_at: 2026-01-01T00:00:00Z",
            "  planed_at: 2026-01-01T00:00:00Z",
            """\
            promotion.yaml:15:3: error: unknown key 'planed_at'
                  planed_at: 2026-01-01T00:00:00Z
                  ^
            hint: did you mean 'planned_at'?""",
            id="unknown-key-nested",
        ),
        pytest.param(
            "owner: team-imaging",
            "owner: 7",
            """\
            promotion.yaml:11:8: error: owner: Input should be a valid string
                owner: 7
                       ^""",
            id="wrong-type",
        ),
        pytest.param(
            "path: model.onnx",
            "path: 1",
            f"""\
            promotion.yaml:8:14: error: candidate.artifacts.0.path: Input should be a valid string
                    - {{path: 1, sha256: "{SHA}"}}
                             ^""",
            id="wrong-type-in-a-list",
        ),
        pytest.param(
            "version: 2.3.0",
            "version: 2.3",
            """\
            promotion.yaml:6:12: error: candidate.version: Input should be a valid string
                  version: 2.3
                           ^""",
            id="version-is-a-number",
        ),
        pytest.param(
            "owner: team-imaging\n",
            "",
            """\
            promotion.yaml:1:1: error: owner is missing
                apiVersion: gatekeeper/v1
                ^
            hint: add 'owner' here""",
            id="missing",
        ),
        pytest.param(
            "  name: tumour-classifier\n",
            "",
            """\
            promotion.yaml:4:3: error: candidate.name is missing
                  kind: model
                  ^
            hint: add 'name' here""",
            id="missing-nested",
        ),
        pytest.param(
            "to: production",
            "to: staging",
            """\
            promotion.yaml:10:5: error: 'from' and 'to' are both 'staging'
                to: staging
                    ^
            hint: a promotion moves between two environments""",
            id="from-equals-to",
        ),
        pytest.param(
            "owner: team-imaging",
            "owner: a\nowner: b",
            """\
            promotion.yaml:12:1: error: duplicate key 'owner'
                owner: b
                ^""",
            id="duplicate-key",
        ),
        pytest.param(
            "from: staging",
            "from: [staging",
            """\
            promotion.yaml:10:3: error: not YAML: did not find expected ',' or ']'
                to: production
                  ^""",
            id="not-yaml",
        ),
    ],
)
def test_says_exactly_what_is_wrong_and_where(write: Any, old: str, new: str, expected: str) -> None:
    """The whole message, as the terminal shows it."""
    assert refusal(write(old, new)) == textwrap.dedent(expected)


@pytest.mark.parametrize("key", ["gates", "required_gates", "policies", "settings", "waivers"])
@pytest.mark.parametrize("before", ["owner: team-imaging\n", "  version: 2.3.0\n"])
def test_a_manifest_never_names_its_own_gates(write: Any, key: str, before: str) -> None:
    """The candidate's side is told who chooses, wherever it tried."""
    indent = "  " if before.startswith(" ") else ""
    message = refusal(write(before, f"{before}{indent}{key}: [slo]\n"))
    assert f"unknown key '{key}'" in message
    hint = "hint: gates and policies are chosen by the trusted settings (gatekeeper.yaml), never by the manifest"
    assert message.endswith(hint)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("apiVersion: gatekeeper/v1", "apiVersion: gatekeeper/v2"),
        ("kind: Promotion", "kind: promotion"),
        ("kind: model", "kind: modle"),
        ("name: tumour-classifier", "name: ../../etc/passwd"),
        ("name: tumour-classifier", "name: a/../b"),
        ("name: tumour-classifier", "name: a//b"),
        ("name: tumour-classifier", "name: a/"),
        ("name: tumour-classifier", 'name: "a\\n"'),
        ("name: tumour-classifier", 'name: "a b"'),
        ("name: tumour-classifier", "name: ''"),
        ("name: tumour-classifier", f"name: {'a' * 201}"),
        ("name: tumour-classifier", "name: é"),
        ("name: tumour-classifier", "name: null"),
        ("version: 2.3.0", "version: ''"),
        ("version: 2.3.0", f"version: {'1' * 101}"),
        (f'    - {{path: model.onnx, sha256: "{SHA}"}}\n', ""),
        (f'    - {{path: model.onnx, sha256: "{SHA}"}}\n', "    []\n"),
        (f'    - {{path: model.onnx, sha256: "{SHA}"}}\n', "    {}\n"),
        (f'"{SHA}"', SHA),
        (SHA, SHA[:-1]),
        (SHA, "A" * 64),
        (SHA, SHA + "0"),
        ("to: production", "to: pro duction"),
        ("to: production", "to: 1"),
        ("to: production", "target: production"),
        ("from: staging", "source: staging"),
        ("owner: team-imaging", "owner: ''"),
        ("evidence:\n  slo: {openslo: slo.yaml}", "evidence: []"),
        ("evidence:\n  slo: {openslo: slo.yaml}", "evidence:"),
        ("2026-01-01T00:00:00Z", "2026-01-01"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00"),
        ("2026-01-01T00:00:00Z", "1767225600"),
        ("2026-01-01T00:00:00Z", "2026-02-30T00:00:00Z"),
        ("timeline:\n", "timeline: &t\n  planned_at: &p 2026-01-01T00:00:00Z\nx: *t\ny:\n"),
    ],
)  # fmt: skip
def test_refuses_what_is_not_exactly_a_promotion(write: Any, old: str, new: str) -> None:
    """Misspelt, empty, too long, of another type: nothing is guessed, everything has a place in the file."""
    assert refusal(write(old, new)).startswith("promotion.yaml:")


@pytest.mark.parametrize("name", ["a", "org/model", "A.b_c-d+e@f", "9", "a/_b", "a" * 200])
def test_reads_usual_names(write: Any, name: str) -> None:
    """Registries' names are names."""
    assert (
        load_manifest(write("tumour-classifier", name if not name.isdigit() else f"'{name}'"))[0].candidate.name == name
    )


@pytest.mark.parametrize("word", ["no", "on", "yes"])
def test_an_environment_may_be_called_no(write: Any, word: str) -> None:
    """A word that YAML 1.1 took for a boolean is a name."""
    assert load_manifest(write("to: production", f"to: {word}"))[0].target == word


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "the file is empty"), (b"# nothing", "0 YAML documents"), (b"\xff\xfe", "not UTF-8"),
        (b"[" * 100_000, "levels"), (b"a: 1\n---\nb: 2", "2 YAML documents"), (b"[]", "the document: Input should be"),
        (b"null", "the document: Input should be"), (b"x" * (MAX_MANIFEST_BYTES + 1), "larger than 1048576 bytes"),
        (b"!!python/object/apply:os.system [id]", "is not allowed"),
    ],
)  # fmt: skip
def test_refuses_a_file_that_is_no_manifest(write: Any, data: bytes, problem: str) -> None:
    """Empty, cut, hostile or huge: a configuration error, never another one."""
    path = write()
    path.write_bytes(data)
    assert problem in refusal(path)


@pytest.mark.parametrize("path", ["none.yaml", ".", "promotion.yaml/x"])
def test_refuses_a_path_that_cannot_be_read(write: Any, path: str) -> None:
    """A misspelt path is said so."""
    write()
    message = refusal(Path(path))
    assert message.startswith(f"{path}: error: cannot be read: ")
    assert message.endswith("hint: mend the path")


def test_a_symbolic_loop_cannot_be_read(tmp_path: Path) -> None:
    """It has no end, and is not a crash."""
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    assert "cannot be read" in refusal(tmp_path / "loop.yaml")


def test_the_size_limit_is_exact(write: Any) -> None:
    """The largest manifest is read."""
    path = write()
    path.write_text(GOOD + "#" * (MAX_MANIFEST_BYTES - len(GOOD)), "utf-8")
    assert load_manifest(path)[0].owner == "team-imaging"
    assert load_located(path).data.endswith(b"#")


class Leaf(Document):
    """A member of a union in a list."""

    path: str
    """A path."""
    limit_bytes: Annotated[int, Field(ge=1)] = 1
    """A limit."""


class Tree(Document):
    """A document with unions in lists and mappings."""

    leaves: tuple[Leaf, ...] = ()
    """In a list."""
    by_name: dict[str, Leaf] = {}
    """In a mapping."""
    either: Literal["none"] | Leaf | None = None
    """In a union."""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("leaves:\n  - {path: a}\n  - {pth: a}", "f:3:6: error: unknown key 'pth' (and 1 more)\n      - {pth: a}\n         ^\nhint: did you mean 'path'?"),
        ("by_name:\n  x: {path: a, limit: 3}", "f:2:16: error: unknown key 'limit'\n      x: {path: a, limit: 3}\n                   ^\nhint: did you mean 'limit_bytes'?"),
        ("either: {pth: a}", "f:1:10: error: unknown key 'pth' (and 2 more)\n    either: {pth: a}\n             ^\nhint: did you mean 'path'?"),
        ("leaves: [{path: a, limit_bytes: 0}]", "f:1:33: error: leaves.0.limit_bytes: Input should be greater than or equal to 1\n    leaves: [{path: a, limit_bytes: 0}]\n                                    ^"),
    ],
    ids=["list", "mapping", "union", "bound"],
)  # fmt: skip
def test_places_faults_in_lists_mappings_and_unions(text: str, message: str) -> None:
    """The steps that a validator adds for itself do not move the caret."""
    with pytest.raises(ConfigurationError) as caught:
        validate(parse_located(text.encode(), "f"), Tree)
    assert describe(caught.value) == message


def test_validates_a_part_at_its_own_place() -> None:
    """A gate's part of a manifest is located in the whole file."""
    located = parse_located(b"evidence:\n  slo:\n    pth: x\n", "f")
    with pytest.raises(ConfigurationError) as caught:
        validate(located, Leaf, at=("evidence", "slo"))
    assert describe(caught.value).startswith(
        "f:3:5: error: unknown key 'pth' (and 1 more)\n        pth: x\n        ^\n"
    )
    good = parse_located(b"evidence: [{path: x}]", "f")
    assert validate(good, Leaf, at=("evidence", 0)).path == "x"


def test_nearest_hints_or_lists() -> None:
    """A close word is suggested, otherwise everything known is named."""
    assert nearest("prodution", ["staging", "production"]) == "did you mean 'production'?"
    assert nearest("qa", ["staging", "production"]) == "known here: production, staging"


def test_dumps_under_the_names_of_the_file() -> None:
    """What policies and records see are the keys that the author wrote."""
    content = {**_json(), "timeline": {}}
    assert set(_json()) == {"apiVersion", "kind", "candidate", "from", "to", "owner", "evidence", "timeline"}
    assert PromotionManifest.model_validate_json(json.dumps(content)).timeline.planned_at is None


def _json() -> dict[str, Any]:
    located = parse_located(GOOD.encode(), "f")
    value: dict[str, Any] = json.loads(validate(located, PromotionManifest).model_dump_json())
    return value
