"""A folder of policies as its authors see it: the modules that decide, and the tests that the loader leaves out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gatekeeper.defaults import Defaults, OwnDefaults, read_defaults, read_own_defaults
from gatekeeper.engine.rego import Outline, is_word, read_outline
from gatekeeper.errors import ConfigurationError, Location
from gatekeeper.policy import MAX_POLICY_BYTES, Module, PolicySet, load_policies


@dataclass(frozen=True)
class RuleText:
    """One definition of a rule: its name and where its tokens begin and end."""

    outline: Outline
    name: str
    index: int
    end: int

    @property
    def place(self) -> Location:
        """Where it begins."""
        return place_of(self.outline, self.index)


@dataclass(frozen=True)
class Sources:
    """Policies and their tests, read once."""

    folder: Path
    policies: PolicySet
    tests: tuple[Module, ...]

    @property
    def is_own(self) -> bool:
        """Whether the folder holds an organisation's own policies, which are laid beside a library."""
        return all(module.package.startswith("custom.") for module in self.policies.modules)

    @property
    def defaults(self) -> Defaults | OwnDefaults:
        """Thresholds and required gates of the folder; raises `ConfigurationError` when they are not whole."""
        return (read_own_defaults if self.is_own else read_defaults)(self.policies)

    @cached_property
    def outlines(self) -> dict[str, Outline]:
        """What each policy consists of, by path; raises `ConfigurationError` for text that is not Rego."""
        return {module.path: read_outline(module) for module in self.policies.modules}


def read_sources(folder: Path) -> Sources:
    """Read the policies and tests of a folder; raises `ConfigurationError` as `load_policies` does."""
    policies = load_policies(folder)
    paths = sorted(folder.rglob("*_test.rego"))
    return Sources(folder, policies, tuple(_read_test(path, folder) for path in paths))


def _read_test(path: Path, folder: Path) -> Module:
    name = path.relative_to(folder).as_posix()
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise ConfigurationError(str(path), "is not a regular file of the policy folder")
    if path.stat().st_size > MAX_POLICY_BYTES:
        raise ConfigurationError(str(path), f"larger than {MAX_POLICY_BYTES} bytes")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(path), f"cannot be read: {error}") from error
    tokens = read_outline(Module(name, "", text)).tokens
    if tokens[:1] != ["package"] or not is_word("".join(tokens[1:2])):
        raise ConfigurationError(name, "no package line", hint="begin the module with `package …`")
    return Module(name, tokens[1], text)


def rules_in(outline: Outline) -> list[RuleText]:
    """Every definition of a rule in a module, in the order of the file."""
    starts = [index for index in outline.top_level if outline.begins_rule(index)]
    named = [index for index in starts if outline.tokens[index] not in ("import", "default")]
    return [RuleText(outline, outline.tokens[index], index, outline.rule_end(index)) for index in named]


def place_of(outline: Outline, index: int) -> Location:
    """Where a token begins in its file."""
    text, start = outline.module.text, outline.span(index)[0]
    return Location(outline.module.path, text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start))
