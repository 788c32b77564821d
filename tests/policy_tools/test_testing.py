"""Rego tests on both engines: what passes, what fails, and everything that must not look like a pass."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import regorus
from policy_tools.a_library import DATA, POLICY, RULES, TEST, TESTS, Library, run

from gatekeeper.cli.policy_test import test_command as command
from gatekeeper.engine.embedded import EmbeddedEngine
from gatekeeper.errors import ConfigurationError, UnavailableError
from gatekeeper.policy_tools.embedded_tests import join, run_embedded
from gatekeeper.policy_tools.opa_tests import find_opa, run_opa
from gatekeeper.policy_tools.sources import read_sources
from gatekeeper.policy_tools.testing import EngineRun, Lines, Test, find_tests, report
from gatekeeper.settings import EngineSettings

LIMITS = EngineSettings()
PACKAGE = "data.gatekeeper.gates.probe_test"


def embedded(library: Library) -> EngineRun:
    sources = library.sources()
    return run_embedded(sources, find_tests(sources), LIMITS)


def more_tests(library: Library, text: str) -> Library:
    return library.append(TESTS, f"\n{text}\n")


def test_both_engines_pass_what_is_right(library: Library, opa: str) -> None:
    """Every test passes on both, every line is covered, and the exit code is 0."""
    code, text = run(command, str(library.root), "--opa", opa, "--threshold", "100")
    assert text.split("\n")[:3] == [
        "embedded: 3 passed, 0 failed, 0 skipped; 100.00 % of the lines covered",
        "opa: 3 passed, 0 failed, 0 skipped; 100.00 % of the lines covered",
        "all tests passed",
    ]
    assert code == 0


@pytest.mark.parametrize(
    "body",
    ["false", "1 == 2", "input.nothing", "probe.nothing", "count(probe.deny) == 7"],
)
def test_a_test_that_does_not_hold_fails_on_both_engines(body: str, library: Library, opa: str) -> None:
    """False and undefined are both failures, named with their place."""
    more_tests(library, f"test_wrong if {{\n\t{body}\n}}")
    code, text = run(command, str(library.root), "--opa", opa)
    assert code == 1
    for engine in ("embedded", "opa"):
        assert f"FAILED: {PACKAGE}.test_wrong failed on {engine}" in text
    assert text.count(f"  {TESTS}:20:1: failed: {PACKAGE}.test_wrong: ") == 2
    assert "disagree" not in text


def test_no_test_is_a_failure(library: Library, opa: str) -> None:
    """Without a test file, with an empty one and with nothing but skipped ones, nothing was shown."""
    for text in (
        "package gatekeeper.gates.probe_test\n",
        TEST.replace("test_", "todo_test_").replace("probe_todo_test_", "probe_test_"),
    ):
        library.write(TESTS, text)
        code, said = run(command, str(library.root), "--opa", opa)
        assert (code, "FAILED: no test was run, and no test is not a pass" in said) == (1, True), said
    library.remove(TESTS)
    code, said = run(command, str(library.root), "--opa", opa)
    assert (code, "FAILED: no test was run, and no test is not a pass" in said) == (1, True), said


def test_a_skipped_test_is_said_to_be(library: Library, opa: str) -> None:
    """`todo_test_…` is not run, and its place is in the report of each engine."""
    more_tests(library, "todo_test_later if {\n\tfalse\n}")
    code, text = run(command, str(library.root), "--opa", opa)
    assert code == 0
    assert text.count(f"  {TESTS}:20:1: skipped: {PACKAGE}.todo_test_later") == 2
    assert text.count("3 passed, 0 failed, 1 skipped") == 2


def test_too_little_coverage_is_a_failure_with_its_lines(library: Library, opa: str) -> None:
    """The threshold holds for each engine; lines that no test reached are named."""
    library.edit(
        TESTS, '{finding.rule | some finding in probe.warn} == {"probe.reviewed"} with input as _input(3)', "1 == 1"
    )
    library.append(RULES, "\n_unused(x) := y if {\n\ty := count(x)\n}\n")
    code, text = run(command, str(library.root), "--opa", opa, "--threshold", "100")
    assert code == 1
    assert text.count(f"  {RULES}: not covered: ") == 2
    assert "41" in text.split(f"{RULES}: not covered: ")[1].split("\n")[0]
    assert text.count("% of the lines, 100 % is wanted") == 2
    assert run(command, str(library.root), "--opa", opa, "--threshold", "20")[0] == 0


def test_engines_that_disagree_are_a_failure(library: Library, opa: str) -> None:
    """A test that only one engine passes fails the run, with what each said."""
    more_tests(library, "test_big if 0.1 + 0.2 == 0.3")  # IEEE doubles on one engine, decimals on the other
    code, text = run(command, str(library.root), "--opa", opa)
    assert code == 1
    assert f"FAILED: the engines disagree on {PACKAGE}.test_big: embedded: failed, opa: passed" in text


def test_a_test_that_only_one_engine_knows_is_a_disagreement(library: Library, opa: str) -> None:
    """OPA runs a test in a file that is no test file; the embedded engine does not, and the run fails."""
    library.append(RULES, "\ntest_here if 1 == 1\n")
    code, text = run(command, str(library.root), "--opa", opa)
    assert code == 1
    assert "disagree on data.gatekeeper.gates.probe.test_here: embedded: unknown, opa: passed" in text


def test_without_opa_the_report_says_so(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests run on the embedded engine alone, which nobody can miss."""
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.chdir(tmp_path)
    code, text = run(command, str(library.root))
    assert code == 0
    assert text.startswith("embedded: 3 passed")
    assert text.endswith("no opa binary is here: the tests were not run on it\n")


def test_finds_opa_where_it_was_asked_for_or_built(tmp_path: Path, opa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """--opa, then PATH, then what `make tools` built; a path that leads nowhere is an error, not a silent pass."""
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.chdir(tmp_path)
    assert find_opa(None) is None
    assert find_opa(Path(opa)) == opa
    with pytest.raises(ConfigurationError, match="no program that can be run"):
        find_opa(tmp_path / "opa")
    (tmp_path / ".tools" / "bin").mkdir(parents=True)
    (tmp_path / ".tools" / "bin" / "opa").symlink_to(opa)
    assert find_opa(None) == opa
    monkeypatch.setenv("PATH", str(Path(opa).parent))
    assert find_opa(None) == opa


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("test_twice if 1 == 1\n\ntest_twice if 2 == 2", "test_twice exists already"),
        ("test_of(x) if x == 1", "is no plain rule"),
        ("test_cases contains 1", "is no plain rule"),
        ("test_cases[1] := 2", "is no plain rule"),
        ("default test_a := true", "is no plain rule"),
        ('test_net if http.send({"method": "get", "url": "http://127.0.0.1"})', "http.send is forbidden in tests too"),
        ("test_now if time.now_ns() > 0", "time.now_ns is forbidden in tests too"),
    ],
)
def test_refuses_a_test_that_says_nothing_sure(text: str, problem: str, library: Library) -> None:
    """A name for several tests, a case list and a look at the world are refused with their place."""
    more_tests(library, text)
    with pytest.raises(ConfigurationError, match=problem) as caught:
        find_tests(library.sources())
    assert str(caught.value.location).startswith(f"{TESTS}:2")


def test_a_value_that_is_not_true_is_no_pass(library: Library) -> None:
    """OPA takes any value but false for a pass; here it must be true."""
    more_tests(library, "test_number := 1")
    assert embedded(library).outcomes[f"{PACKAGE}.test_number"] == "failed"


def test_a_failing_builtin_fails_its_test_only(library: Library) -> None:
    """An error of the engine is the reason of one failure, and the next test is not touched by it."""
    more_tests(library, "test_error if max(3) == 3\n\ntest_zafter if 1 == 1")
    run_ = embedded(library)
    assert run_.outcomes[f"{PACKAGE}.test_error"] == "failed"
    assert "requires array/set" in run_.reasons[f"{PACKAGE}.test_error"]
    assert run_.outcomes[f"{PACKAGE}.test_zafter"] == "passed"


def test_a_test_that_never_ends_is_killed_and_fails(library: Library) -> None:
    """The worker is killed after the engine's time, and a new one runs the tests that follow."""
    big = ", ".join(str(number) for number in range(60))
    more_tests(
        library,
        f"_many := [{big}]\n\ntest_endless if count([1 | some a in _many; some b in _many; some c in _many; some d in _many; some e in _many; a + b + c + d + e == 1]) == 1\n\ntest_zafter if 1 == 1",
    )
    sources = library.sources()
    run_ = run_embedded(sources, find_tests(sources), EngineSettings(timeout_seconds=1))
    assert run_.outcomes[f"{PACKAGE}.test_endless"] == "failed"
    assert "no answer within 1 s" in run_.reasons[f"{PACKAGE}.test_endless"]
    assert run_.outcomes[f"{PACKAGE}.test_zafter"] == "passed"


def test_policies_that_do_not_compile_are_an_error_with_its_place(library: Library, opa: str) -> None:
    """The place is that of the file, although the files of a package are joined; OPA refuses them too."""
    library.edit(TESTS, "\tprobe.deny == set() with", "\tnobody == set() with")
    with pytest.raises(ConfigurationError) as caught:
        embedded(library)
    assert str(caught.value.location) == f"{TESTS}:9:5"
    with pytest.raises(ConfigurationError, match="nobody"):
        run_opa(opa, library.sources())


def test_policies_are_held_to_what_is_portable(library: Library) -> None:
    """Tests do not run on policies that no decision would load."""
    library.edit(RULES, "if input.evidence.score >=", "if time.now_ns() >=")
    with pytest.raises(ConfigurationError, match=r"time\.now_ns is forbidden"):
        embedded(library)


def test_tests_of_several_files_see_each_other(library: Library, opa: str) -> None:
    """A package of several files, each with imports, is tested as OPA tests it, and covered by file and line."""
    second = RULES.replace("probe.rego", "second.rego")
    library.write(
        second,
        "# a comment\npackage gatekeeper.gates.probe\n\nimport data.tables.limits as limits\nimport rego.v1\n\n"
        'warn contains {"rule": "probe.second", "subject": "a", "message": "b"} if {\n\tis_number(input.evidence.second)\n\tnot _second_reaches\n}\n\n'
        "_second_reaches if {\n\tlimits.low <= input.evidence.second\n}\n",
    )
    library.write("tables/data.yaml", "limits: {low: 4}\n")
    library.write(
        second.replace(".rego", "_test.rego"),
        "package gatekeeper.gates.probe_test\n\nimport data.gatekeeper.gates.probe as gate\nimport rego.v1\n\n"
        'test_second if {\n\tfound := gate.warn with input as {"evidence": {"reviewed": true, "second": 3}}\n\tcount(found) == 1\n}\n\n'
        'test_second_at_the_limit if {\n\tfound := gate.warn with input as {"evidence": {"reviewed": true, "second": 4}}\n\tcount(found) == 0\n}\n',
    )
    sources = library.sources()
    tests = find_tests(sources)
    runs = [run_embedded(sources, tests, LIMITS), run_opa(opa, sources)]
    assert runs[0].outcomes == runs[1].outcomes
    assert set(runs[0].outcomes.values()) == {"passed"}
    assert len(tests) == 5
    assert [run_.coverage_percent for run_ in runs] == [100, 100]
    assert {8, 13} <= runs[0].lines[second].covered <= set(range(7, 15))


def test_refuses_two_imports_of_one_name(library: Library) -> None:
    """Joined files cannot mean two things by one name."""
    library.write(
        TESTS.replace("probe_test", "b_test"), "package gatekeeper.gates.probe_test\n\nimport data.other as probe\n"
    )
    with pytest.raises(ConfigurationError, match="another file of"):
        join(list(library.sources().tests))


def test_joined_files_keep_their_lines(library: Library) -> None:
    """Each line of a joined text leads back to its own, Windows' line ends included."""
    library.write(TESTS, TEST.replace("\n", "\r\n"))
    joined = join(list(library.sources().tests))["gatekeeper.gates.probe_test"]
    lines = joined.text.split("\n")
    number = next(number for number, line in enumerate(lines, 1) if line.startswith("test_denies"))
    assert joined.origin(number) == (TESTS, 12)
    assert embedded(library).coverage_percent == 100


LINES = {"a.rego": Lines(frozenset({1, 2}), frozenset({3, 4, 7}))}


def claims(outcome: str) -> EngineRun:
    return EngineRun("one", {"data.a.test_b": outcome}, {}, LINES)


def made(name: str = "data.a.test_b") -> Test:
    from gatekeeper.errors import Location

    return Test(name, Location("a_test.rego", 3, 1))


def test_report_names_ranges_and_shares() -> None:
    """2 of 5 lines are 40 %, and neighbours are one range."""
    judged = report([made()], [claims("passed")], 40)
    assert "40.00 % of the lines covered" in judged.text
    assert "a.rego: not covered: 3-4, 7" in judged.text
    assert judged.failures == ()
    assert report([made()], [claims("passed")], 40.01).failures != ()


def test_coverage_that_an_engine_does_not_give_is_unknown() -> None:
    """It is missing when a test failed, which is a failure already; otherwise its lack is one."""
    failed = EngineRun("one", {"data.a.test_b": "failed"}, {}, None)
    assert report([made()], [failed], 50).failures == ("data.a.test_b failed on one",)
    assert "0 skipped; coverage unknown" in report([made()], [failed], 50).text
    silent = EngineRun("one", {"data.a.test_b": "passed"}, {}, None)
    assert report([made()], [silent], 0).failures == ("one says nothing of coverage",)


def test_a_test_of_which_an_engine_says_nothing_failed() -> None:
    """Silence of an engine is not a pass."""
    run_ = EngineRun("one", {}, {}, LINES)
    assert report([made()], [run_], 0).failures == ("data.a.test_b failed on one",)


def test_nothing_to_cover_is_not_covered() -> None:
    """A run without a line does not reach a threshold."""
    run_ = EngineRun("one", {"data.a.test_b": "passed"})
    assert run_.coverage_percent == 0
    assert len(report([made()], [run_], 1).failures) == 1


def test_the_embedded_engine_evaluates_as_before(library: Library) -> None:
    """Tests need another request to the worker; decisions do not see it."""
    engine = EmbeddedEngine(LIMITS)
    try:
        engine.load(library.sources().policies)
        found = engine.evaluate(
            "gatekeeper.gates.probe", b'{"evidence":{"score":1},"settings":{"thresholds":{"min_score":3}}}'
        )
        assert [each["rule"] for each in found.result["deny"]] == ["probe.score"]
    finally:
        engine.close()


def test_reads_policies_and_data_as_decisions_do(library: Library) -> None:
    """What is tested has the digest that decisions record."""
    from gatekeeper.policy import load_policies

    sources = read_sources(library.root)
    assert sources.policies.digest == load_policies(library.root).digest
    assert [each.path for each in sources.tests] == [TESTS]
    assert sources.policies.data["gatekeeper"]["defaults"]["thresholds"]["probe"]["min_score"] == 3
    assert ((library.root / RULES).read_text("utf-8"), DATA) == (POLICY, DATA)


def test_the_worker_says_what_each_test_reached_alone() -> None:
    """A request `test` answers with the value and with the lines of that one test; nothing is left for the next."""
    from gatekeeper.engine.process import WorkerProcess

    process = WorkerProcess(str(Path(regorus.__file__).parent.parent))
    try:
        text = "package a\n\nimport rego.v1\n\none := 1 if input.x\n\ntwo if 1 == 1\n\nthree if max(3) == 3\n"
        load = {"op": "load", "memory_bytes": 2**28, "timeout_seconds": 5}
        process.send(load, json.dumps({"modules": [["a", text]], "data": {}}).encode(), seconds=10)
        assert process.receive() == ({"bytes": 0}, b"")
        answers = []
        for rule in ("two", "one", "three", "none", "two"):
            process.send({"op": "test", "rule": f"data.a.{rule}"}, b"", seconds=10)
            answers.append(process.receive())
    finally:
        process.kill()
    assert "requires array/set" in answers[2][0]["error"]
    bodies = [json.loads(body) for _, body in answers if body]
    assert [each["value"] for each in bodies] == [True, None, None, True]
    covered = [each["lines"].get("a", [[]])[0] for each in bodies]
    assert covered == [[7], [5], [], [7]]


def test_a_program_that_is_not_opa_is_no_engine(library: Library, tmp_path: Path) -> None:
    """Neither an answer that is not JSON nor a program that does not start is taken for a result."""
    echo = shutil.which("echo")
    assert echo is not None
    with pytest.raises(UnavailableError, match="its answer is not JSON"):
        run_opa(echo, library.sources())
    with pytest.raises(UnavailableError, match="could not be run"):
        run_opa(str(tmp_path / "nothing"), library.sources())


def test_a_builtin_that_fails_on_opa_is_a_failure_of_its_test(library: Library, opa: str) -> None:
    """A conflict of two values is an error on both engines, and no pass on either."""
    more_tests(library, "_two := 1\n\n_two := 2\n\ntest_conflict if _two == 1")
    sources = library.sources()
    assert run_opa(opa, sources).outcomes[f"{PACKAGE}.test_conflict"] == "failed"
    assert embedded(library).outcomes[f"{PACKAGE}.test_conflict"] == "failed"


def test_a_test_file_that_is_not_utf_8_is_refused(library: Library) -> None:
    """Bytes that are no text are not passed over."""
    (library.root / TESTS).write_bytes(b"package a\n# \xff\n")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        library.sources()
    (library.root / TESTS).write_bytes(b"#" * (1024 * 1024 + 1))
    with pytest.raises(ConfigurationError, match="larger than"):
        library.sources()
