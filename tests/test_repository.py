"""git answers from the object database of a real clone; where it cannot, that is a gap and never a crash."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import git

from gatekeeper.errors import EvidenceError
from gatekeeper.repository import Repository

Make = Callable[..., Path]


@pytest.fixture
def root(git_repository: Make) -> Path:
    """A repository with two commits, a tag and a branch that is not merged."""
    root = git_repository({"a.txt": "one", "dir/b.txt": "b"}, {"a.txt": "two"})
    git(root, "tag", "-a", "v1", "-m", "v1")
    git(root, "checkout", "-q", "-b", "other", "HEAD~1")
    (root / "a.txt").write_text("other")
    git(root, "commit", "-q", "-a", "-m", "other")
    git(root, "checkout", "-q", "main")
    return root


def refusal(action: Callable[[], object]) -> EvidenceError:
    """The error with which git's silence is told; always unverifiable."""
    with pytest.raises(EvidenceError) as caught:
        action()
    assert caught.value.kind == "unverifiable"
    return caught.value


@pytest.mark.parametrize("ref", ["main", "HEAD", "v1", "refs/heads/main", "other", "main~1", "HEAD^", "main@{0}"])
def test_resolves_what_git_resolves(root: Path, ref: str) -> None:
    """Branches, tags and their ancestors, as git itself does."""
    assert Repository(root).resolve(ref).hexsha == git(root, "rev-parse", f"{ref}^{{commit}}")


def test_head_is_the_commit_that_is_checked_out(root: Path) -> None:
    """Also when it is on no branch."""
    assert Repository(root).head() == git(root, "rev-parse", "main")
    git(root, "checkout", "-q", "--detach", "main~1")
    assert Repository(root).head() == git(root, "rev-parse", "main~1")


@pytest.mark.parametrize(
    "ref",
    [
        "", "nope", "origin/main", "-x", "--output=x", "main\nHEAD", "HEAD~9", "HEAD^3", "HEAD^{tree}", "HEAD:a.txt",
        "HEAD@{5}", "@{upstream}", "HEAD@{yesterday}", ":/nope", ":0:a.txt", "main..HEAD", "^", "~", "HEAD^{", "HEAD:",
        "é", "\0", "a" * 5000, "0" * 40, "f" * 40, "../HEAD", "refs/heads/../../HEAD", "HEAD^{foo}", "$(id)", "a b",
    ],
)  # fmt: skip
def test_a_ref_that_names_no_commit_is_a_gap(root: Path, ref: str) -> None:
    """Misspelt, not fetched, hostile, or an id that only looks like one: the same gap, with what to do."""
    error = refusal(lambda: Repository(root).resolve(ref))
    assert (error.subject, error.problem) == (f"git ref {ref!r}", "is not in this clone")
    assert "fetch" in error.hint
    assert not (root / "x").exists()


@pytest.mark.parametrize("other", ["refs/tags/origin/main", "refs/heads/origin/main"])
def test_a_name_of_two_commits_is_a_gap(root: Path, other: str) -> None:
    """Whoever may push a tag or a branch does not choose what a contract is compared with."""
    git(root, "update-ref", "refs/remotes/origin/main", "main~1")
    assert Repository(root).resolve("origin/main").hexsha == git(root, "rev-parse", "main~1")
    git(root, "update-ref", other, "main")
    for ref in ("origin/main", "origin/main~0"):
        error = refusal(lambda ref=ref: Repository(root).resolve(ref))  # type: ignore[misc]  # bound at once
        assert error.problem == "names 2 different commits as tag, branch and remote branch"
    full = "refs/remotes/origin/main"
    assert Repository(root).resolve(full).hexsha == git(root, "rev-parse", full)


def test_one_commit_under_two_names_is_one(root: Path) -> None:
    """A tag and a branch of one name that agree leave no doubt."""
    git(root, "tag", "main", "main")
    assert Repository(root).resolve("main").hexsha == git(root, "rev-parse", "refs/heads/main")


def test_a_commit_of_this_history_is_known(root: Path) -> None:
    """HEAD and its ancestors, by their full id."""
    repository = Repository(root)
    assert repository.has_commit(git(root, "rev-parse", "main"))
    assert repository.has_commit(git(root, "rev-parse", "main~1"))


def test_a_commit_of_another_history_is_not(root: Path) -> None:
    """A branch that was never merged is not where the candidate comes from."""
    assert not Repository(root).has_commit(git(root, "rev-parse", "other"))


@pytest.mark.parametrize("sha", ["0" * 40, "f" * 40, "0" * 64, "", "main", "HEAD", "G" * 40, "-" * 40, "\n" * 40])
def test_an_id_that_is_not_here_is_not_known(root: Path, sha: str) -> None:
    """Nothing but a full id of a commit is looked up, and an absent one is absent."""
    assert not Repository(root).has_commit(sha)


def test_an_abbreviated_id_is_not_known(root: Path) -> None:
    """Somebody could make another commit that begins like it; upper case is not how git writes it."""
    sha = git(root, "rev-parse", "main")
    assert not Repository(root).has_commit(sha[:12])
    assert not Repository(root).has_commit(sha.upper())


@pytest.mark.parametrize("ref", ["main^{tree}", "main:a.txt"])
def test_an_id_of_something_else_is_not_a_commit(root: Path, ref: str) -> None:
    """Trees and files have ids too."""
    assert not Repository(root).has_commit(git(root, "rev-parse", ref))


def test_a_shallow_clone_does_not_know(root: Path, tmp_path: Path) -> None:
    """What lies beyond its edge is a doubt, not a no; what it holds it knows."""
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{root}", "shallow")
    repository = Repository(tmp_path / "shallow")
    assert repository.has_commit(git(root, "rev-parse", "main"))
    for sha in (git(root, "rev-parse", "main~1"), "f" * 40):
        error = refusal(lambda sha=sha: repository.has_commit(sha))  # type: ignore[misc]  # bound at once
        assert (error.subject, error.hint) == (f"commit {sha}", "check out with fetch-depth 0")
    assert "shallow" in refusal(lambda: repository.history("HEAD", tmp_path / "shallow" / "a.txt")).problem


def test_reads_a_file_as_it_was(root: Path) -> None:
    """From the commit, not from the work tree."""
    (root / "a.txt").write_text("changed, not committed")
    repository = Repository(root)
    assert repository.read_at("main", root / "a.txt") == b"two"
    assert repository.read_at("main~1", root / "a.txt") == b"one"
    assert repository.read_at("other", root / "dir" / "b.txt") == b"b"


@pytest.mark.parametrize("path", ["none", "dir/none", "a.txt/x", "DIR/b.txt"])
def test_a_file_that_was_not_there_is_none(root: Path, path: str) -> None:
    """A new contract has no earlier version; that is an answer."""
    assert Repository(root).read_at("main", root / path) is None


def test_a_file_that_was_deleted_is_read_where_it_was(root: Path) -> None:
    """The work tree does not matter."""
    (root / "a.txt").unlink()
    assert Repository(root).read_at("main", root / "a.txt") == b"two"


def test_refuses_links_and_folders_at_a_ref(root: Path) -> None:
    """A link's blob is a path and not the content that a reader expects."""
    (root / "link").symlink_to("a.txt")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "link")
    for path in ("link", "dir"):
        error = refusal(lambda path=path: Repository(root).read_at("HEAD", root / path))  # type: ignore[misc]  # at once
        assert error.problem == "is not a regular file at that ref"


def test_refuses_a_submodule_at_a_ref(root: Path) -> None:
    """Its content is in another repository."""
    sha = git(root, "rev-parse", "HEAD")
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{sha},module")
    git(root, "commit", "-q", "-m", "module")
    assert "not a regular file" in refusal(lambda: Repository(root).read_at("HEAD", root / "module")).problem


def test_reading_at_an_unknown_ref_is_a_gap(root: Path) -> None:
    """Not an absent file: that would make a breaking change look like a new contract."""
    assert "is not in this clone" in refusal(lambda: Repository(root).read_at("origin/main", root / "a.txt")).problem


def test_a_folder_without_git_is_a_gap(tmp_path: Path) -> None:
    """And so is one below a repository: the root is the root."""
    assert refusal(Repository(tmp_path).head).problem == "not a git repository"
    assert refusal(Repository(tmp_path / "none").head).problem == "not a git repository"


def test_a_folder_inside_a_repository_is_not_its_root(root: Path) -> None:
    """Parents are not searched."""
    assert refusal(Repository(root / "dir").head).problem == "not a git repository"


def test_a_repository_without_commits_is_a_gap(tmp_path: Path) -> None:
    """HEAD names nothing yet."""
    git(tmp_path, "init", "-q")
    assert refusal(Repository(tmp_path).head).subject == "git ref 'HEAD'"


@pytest.mark.parametrize("damage", ["object", "head", "objects", "packed"])
def test_a_damaged_repository_is_a_gap(root: Path, damage: str) -> None:
    """A lost or overwritten object is not an absent file."""
    sha = git(root, "rev-parse", "main")
    loose = root / ".git" / "objects" / sha[:2] / sha[2:]
    match damage:
        case "object":
            loose.chmod(0o644)
            loose.write_bytes(b"damaged")
        case "head":
            (root / ".git" / "HEAD").write_text("ref: refs/heads/none\n")
        case "objects":
            shutil.rmtree(root / ".git" / "objects")
            (root / ".git" / "objects").mkdir()
        case _:
            git(root, "gc", "-q")
            for pack in (root / ".git" / "objects" / "pack").glob("*.pack"):
                pack.chmod(0o644)
                pack.write_bytes(b"PACK" + bytes(100))
    refusal(lambda: Repository(root).read_at("HEAD", root / "a.txt"))


def test_a_repository_that_git_refuses_is_a_gap(root: Path) -> None:
    """Of a newer format, or owned by somebody else: git says no, and every question ends as a gap."""
    sha = git(root, "rev-parse", "HEAD")
    git(root, "config", "core.repositoryformatversion", "99")
    repository = Repository(root)
    questions: list[Callable[[], object]] = [
        repository.head,
        lambda: repository.has_commit(sha),
        lambda: repository.has_commit("f" * 40),
        lambda: repository.read_at("HEAD", root / "a.txt"),
        lambda: repository.history("HEAD", root / "a.txt"),
        lambda: repository.paths_mentioning("HEAD", ["two"]),
    ]
    for question in questions:
        refusal(question)


def test_a_repository_that_breaks_while_it_is_read_is_a_gap(root: Path) -> None:
    """The commit was found; whether it is an ancestor git no longer says."""
    repository = Repository(root)
    sha = repository.head()
    git(root, "config", "core.repositoryformatversion", "99")
    assert refusal(lambda: repository.has_commit(sha)).problem == "git could not compare it with HEAD"


def test_a_damaged_file_object_is_a_gap(root: Path) -> None:
    """The commit is there, the content is not."""
    sha = git(root, "rev-parse", "main:a.txt")
    loose = root / ".git" / "objects" / sha[:2] / sha[2:]
    loose.unlink()
    refusal(lambda: Repository(root).read_at("main", root / "a.txt"))


def test_a_damaged_folder_object_is_a_gap(root: Path) -> None:
    """The commit is there, the way to the file is not."""
    sha = git(root, "rev-parse", "main:dir")
    (root / ".git" / "objects" / sha[:2] / sha[2:]).unlink()
    refusal(lambda: Repository(root).read_at("main", root / "dir" / "b.txt"))


def test_history_lists_each_content_once_newest_first(root: Path) -> None:
    """Only commits of the ref, and only those that changed the file."""
    versions = Repository(root).history("main", root / "a.txt")
    assert [data for _, data in versions] == [b"two", b"one"]
    assert versions[0][0] == git(root, "rev-parse", "main")
    assert Repository(root).history("main", root / "none") == []


def test_finds_the_files_that_mention_all_texts(root: Path) -> None:
    """Every text is in the file, as it is at the ref; the texts are no patterns."""
    (root / "c.txt").write_text("x: 1\ny.z: 2\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "c")
    repository = Repository(root)
    assert repository.paths_mentioning("main", ["x: 1", "y.z"]) == [root / "c.txt"]
    assert repository.paths_mentioning("main", ["x: 1", "yaz"]) == []
    assert repository.paths_mentioning("main~1", ["x: 1"]) == []


def test_a_linked_work_tree_is_a_repository(root: Path, tmp_path: Path) -> None:
    """Its `.git` is a file."""
    git(root, "worktree", "add", "-q", str(tmp_path / "tree"), "other")
    repository = Repository(tmp_path / "tree")
    assert repository.head() == git(root, "rev-parse", "other")
    assert repository.read_at("main", tmp_path / "tree" / "a.txt") == b"two"


def test_reading_runs_no_filter_or_hook(root: Path) -> None:
    """What the candidate's attributes and configuration name is not executed."""
    (root / ".gitattributes").write_text("*.txt filter=evil diff=evil\n")
    for key in ("smudge", "clean", "process"):
        git(root, "config", f"filter.evil.{key}", f"touch {root}/owned")
    git(root, "config", "diff.evil.textconv", f"touch {root}/owned")
    repository = Repository(root)
    assert repository.read_at("main", root / "a.txt") == b"two"
    assert repository.has_commit(repository.head())
    assert repository.history("main", root / "a.txt")
    assert repository.paths_mentioning("main", ["two"]) == [root / "a.txt"]
    assert not (root / "owned").exists()
