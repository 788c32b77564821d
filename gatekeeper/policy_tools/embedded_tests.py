"""
Rego tests on the embedded engine, in the worker process that decisions use.

regorus 0.13 loses track of the module under `with`: a rule of one file does not find those of another file of
the same package. For tests, the files of a package are therefore joined to one module; lines are counted back.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from gatekeeper.engine.embedded import EmbeddedEngine
from gatekeeper.engine.portable import bind_all_heads, check_outlines
from gatekeeper.engine.rego import Outline, read_outline
from gatekeeper.engine.values import refuse_inexact_data
from gatekeeper.errors import ConfigurationError, Location, UnavailableError
from gatekeeper.policy import Module
from gatekeeper.policy_tools.sources import Sources
from gatekeeper.policy_tools.testing import FAILED, PASSED, SKIPPED, EngineRun, Lines, Test
from gatekeeper.settings import EngineSettings

_HINT = "bind what is tested before it is compared: `found := gate.deny with input as …`, then `found == …`"


@dataclass
class _Joined:
    """The files of one package as one text, and where each of its lines comes from."""

    text: str
    origins: list[tuple[str, int]] = field(default_factory=list)

    def origin(self, line: int) -> tuple[str, int]:
        """File and line of a line of the text; both count from 1."""
        return self.origins[line - 1]


def run_embedded(sources: Sources, tests: list[Test], settings: EngineSettings) -> EngineRun:
    """
    Run every test on the embedded engine.

    Raises `ConfigurationError` when policies or tests do not compile, `UnavailableError` when there is no engine.
    """
    engine = _TestEngine(settings)
    try:
        joined = engine.load_tests(sources)
        outcomes: dict[str, str] = {}
        reasons: dict[str, str] = {}
        reached: dict[str, tuple[set[int], set[int]]] = {path: (set(), set()) for path in sources.outlines}
        for test in tests:
            if test.skipped:
                outcomes[test.name] = SKIPPED
                continue
            problem, lines = engine.run_test(test.name)
            outcomes[test.name] = FAILED if problem else PASSED
            reasons |= {test.name: problem} if problem else {}
            _add(lines, joined, reached)
        lines_by_path = {
            path: Lines(frozenset(covered), frozenset(seen - covered)) for path, (covered, seen) in reached.items()
        }
        return EngineRun(engine.reference().name, outcomes, reasons, lines_by_path)
    finally:
        engine.close()


def _add(
    lines: dict[str, list[list[int]]], joined: dict[str, _Joined], reached: dict[str, tuple[set[int], set[int]]]
) -> None:
    """Add one test's lines, which are those of packages, to those of the files."""
    for package, kinds in lines.items():
        for kind, numbers in enumerate(kinds):
            for path, line in map(joined[package].origin, numbers):
                if path in reached:
                    reached[path][kind].add(line)


class _TestEngine(EmbeddedEngine):
    """The embedded engine with tests beside the policies."""

    def load_tests(self, sources: Sources) -> dict[str, _Joined]:
        """Check the policies as loading does, and compile them with their tests; returns the text by package."""
        self.close()
        refuse_inexact_data(sources.policies)
        outlines = list(sources.outlines.values())
        check_outlines(outlines)
        bound = bind_all_heads(outlines)
        modules = [Module(each.path, each.package, bound[each.path]) for each in sources.policies.modules]
        joined = join([*modules, *sources.tests])
        content = {"modules": [[package, each.text] for package, each in joined.items()]}
        self._policies = json.dumps(content | {"data": sources.policies.data}).encode()
        try:
            self._finish_start(self._start())
        except ConfigurationError as error:
            if error.location is None or error.location.path not in joined:
                raise
            path, line = joined[error.location.path].origin(error.location.line)
            place = Location(path, line, error.location.column)
            raise ConfigurationError(path, error.problem, hint=error.hint, location=place) from error
        return joined

    def run_test(self, rule: str) -> tuple[str, dict[str, Any]]:
        """Evaluate one test: what is wrong with it, empty when nothing is, and the lines that it reached."""
        if self._worker is None:
            self._finish_start(self._start())
        try:
            head, body = self._ask({"op": "test", "rule": rule}, b"")
        except UnavailableError as error:
            return error.problem, {}
        if "error" in head:
            return str(head["error"]).rpartition("error: ")[2], {}
        answer = json.loads(body)
        if answer["value"] is True:
            return "", answer["lines"]
        said = "it is undefined" if answer["value"] is None else "its value is not true"
        return f"{said}; if it passes on OPA, {_HINT}", answer["lines"]


def join(modules: list[Module]) -> dict[str, _Joined]:
    """Join the files of each package; raises `ConfigurationError` when two import different things as one name."""
    packages: dict[str, list[Outline]] = {}
    for module in modules:
        packages.setdefault(module.package, []).append(read_outline(module))
    return {package: _join(package, outlines) for package, outlines in packages.items()}


def _join(package: str, outlines: list[Outline]) -> _Joined:
    imports: dict[str, str] = {}
    texts: list[str] = []
    origins: list[tuple[str, int]] = []
    for outline in outlines:
        path = outline.module.path
        for name, full in outline.imports.items():
            if imports.setdefault(name, full) != full:
                raise ConfigurationError(path, f"another file of {package} imports {imports[name]} as {name}")
        lines = outline.edited(_statements(outline)).replace("\r\n", "\n").split("\n")
        texts += lines
        origins += [(path, number) for number in range(1, len(lines) + 1)]
    header = [f"package {package}"]
    header += [f"import {full}" if full == "rego.v1" else f"import {full} as {name}" for name, full in imports.items()]
    return _Joined("\n".join([*header, *texts]) + "\n", [(outlines[0].module.path, 1)] * len(header) + origins)


def _statements(outline: Outline) -> list[tuple[int, int, str]]:
    """Edits that remove the package and the imports of a file; its lines keep their numbers."""
    found = []
    for index in outline.top_level:
        if outline.tokens[index] in ("package", "import"):
            last = index + 3 if outline.text(index + 2) == "as" else index + 1
            found.append((outline.span(index)[0], outline.span(last)[1], ""))
    return found
