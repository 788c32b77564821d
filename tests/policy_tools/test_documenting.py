"""Pages about rules: whole, the same each time, and known to be stale when the policies move on."""

from __future__ import annotations

import pytest
from conftest import PROJECT
from policy_tools.a_library import DATA, RULES, Library, run

from gatekeeper.cli.policy_docs import docs_command
from gatekeeper.errors import ConfigurationError
from gatekeeper.library import LIBRARY
from gatekeeper.policy_tools.documenting import INDEX, MARK, document, stale_pages
from gatekeeper.policy_tools.sources import read_sources

PAGE = f"""\
{MARK}

# probe: Probe

A gate for tests.

Package `data.gatekeeper.gates.probe`.

## probe.score

**The score is high enough** (deny)

### Avoid

The rule reports:

- `the score must reach %v`

### Prefer

The score reaches min\\_score.

To do: Raise it.

### Why

Controls: `nist-ai-rmf:MEASURE-2.3`.

### Configure

| threshold | default | overrides |
|---|---|---|
| `min_score` | `3` | `5` for production and high risk |

Source: `{RULES}:8`

## probe.reviewed

**The score was reviewed** (warn, cannot be waived, collections: reviews)

### Avoid

The rule reports:

- `nobody looked`

### Prefer

Somebody looked at the score.

To do: Have it reviewed.

### Why

Controls: `nist-ai-rmf:MEASURE-2.3`.

### Configure

No threshold decides this rule.

Source: `{RULES}:26`

## Every rule

Evidence that is older is stale, and the gate inconclusive.

| threshold | default | overrides |
|---|---|---|
| `max_age_seconds` | `60` |  |
"""


def test_a_page_says_all_that_the_policies_say(library: Library) -> None:
    """Title, severity, messages, description, remedy, controls, thresholds with overrides, and the source."""
    pages = document(library.sources())
    assert set(pages) == {INDEX, "probe.md"}
    assert pages["probe.md"] == PAGE
    assert "| [`probe.score`](probe.md#probescore) | deny | The score is high enough |" in pages[INDEX]


def test_the_same_policies_give_the_same_pages(library: Library) -> None:
    """Nothing of the time, the machine or the order of a set is in a page."""
    assert document(library.sources()) == document(library.sources())


def test_texts_cannot_break_a_page(library: Library) -> None:
    """What METADATA says is text: no table, no HTML and no link comes of it."""
    library.edit(RULES, "title: The score is high enough", 'title: "a | b <script> [x](y)"')
    pages = document(library.sources())
    assert "a \\| b &lt;script&gt; \\[x\\](y)" in pages[INDEX]
    assert "<script>" not in "".join(pages.values())


def test_names_a_message_that_is_made_elsewhere(library: Library) -> None:
    """A message that is no literal is named by what makes it."""
    library.edit(RULES, '"message": "nobody looked"', '"message": input.evidence.text')
    assert "- the text in `input.evidence.text`\n" in document(library.sources())["probe.md"]


@pytest.mark.parametrize(
    ("path", "old", "new", "problem"),
    [
        (RULES, "# METADATA\n# title: Probe\n", "", "no METADATA above its package"),
        (RULES, "# title: Probe\n", "# title: [Probe\n", "METADATA is not YAML"),
        (RULES, "#   remedy: Raise it.\n", "", "lacks remedy"),
        (DATA, "max_bundle_age_seconds: 60\n", "", "max_bundle_age_seconds"),
    ],
)
def test_refuses_policies_that_are_not_whole(path: str, old: str, new: str, problem: str, library: Library) -> None:
    """A page is not made from what is missing."""
    library.edit(path, old, new)
    with pytest.raises(ConfigurationError, match=problem):
        document(library.sources())


def test_command_writes_and_then_finds_nothing_stale(library: Library) -> None:
    """What was written is up to date, and writing again changes nothing."""
    folder = library.root.parent / "pages"
    assert run(docs_command, str(library.root), "-o", str(folder), "--check")[0] == 1
    assert not folder.exists()
    assert run(docs_command, str(library.root), "-o", str(folder)) == (0, "")
    written = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert written["probe.md"] == PAGE.encode()
    assert run(docs_command, str(library.root), "-o", str(folder), "--check") == (0, "")
    assert run(docs_command, str(library.root), "-o", str(folder))[0] == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == written


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (RULES, "Raise it.", "Lower it."),
        (RULES, "must reach %v", "has to reach %v"),
        (DATA, "min_score: 3", "min_score: 4"),
        (DATA, "{min_score: 5}", "{min_score: 6}"),
    ],
    ids=["remedy", "message", "threshold", "override"],
)
def test_check_finds_a_stale_page(path: str, old: str, new: str, library: Library) -> None:
    """A change of METADATA, message, threshold or override makes the page stale, which is exit 1 with its name."""
    folder = library.root.parent / "pages"
    run(docs_command, str(library.root), "-o", str(folder))
    library.edit(path, old, new)
    code, text = run(docs_command, str(library.root), "-o", str(folder), "--check")
    assert (code, text) == (1, f"{folder.as_posix()}/probe.md: is stale; run `gatekeeper policy docs`\n")


def test_pages_of_gates_that_are_gone_are_found_and_removed(library: Library) -> None:
    """A page that was generated goes with its gate; one that somebody wrote stays."""
    folder = library.root.parent / "pages"
    run(docs_command, str(library.root), "-o", str(folder))
    (folder / "old.md").write_text(f"{MARK}\n", "utf-8")
    (folder / "own.md").write_text("# Mine\n", "utf-8")
    code, text = run(docs_command, str(library.root), "-o", str(folder), "--check")
    assert (code, text.split(";")[0]) == (1, f"{folder.as_posix()}/old.md: no gate has this page")
    run(docs_command, str(library.root), "-o", str(folder))
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "own.md", "probe.md"]


def test_the_pages_of_the_library_are_up_to_date() -> None:
    """docs/rules is what `gatekeeper policy docs -o docs/rules` writes now, and names every rule."""
    folder = PROJECT / "docs" / "rules"
    sources = read_sources(LIBRARY)
    present = {path.name: path.read_text("utf-8") for path in folder.glob("*.md")}
    assert stale_pages(document(sources), present) == []
    assert len(sources.policies.rules) > 20
    for rule in sources.policies.rules.values():
        assert f"\n## {rule.rule}\n" in present[f"{rule.gate}.md"]
        assert f"`{rule.rule}`" in present[INDEX]
