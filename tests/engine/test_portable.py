"""What could mean two things to two engines is refused when policies are loaded, with its place."""

from __future__ import annotations

import re

import pytest
from conftest import PROJECT
from engine.making import gate, module

from gatekeeper.engine.builtins import DIFFERENT, PORTABLE, is_forbidden
from gatekeeper.engine.portable import check_portable
from gatekeeper.errors import ConfigurationError
from gatekeeper.policy import load_policies
from gatekeeper.settings import EngineSettings

LIBRARY_OF_ONE = "package lib.one\n\nf(x) := x\n\nvalue := 1\n"


def refusal(*texts: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        check_portable([module(text) for text in texts])
    return caught.value


def refused(expression: str, problem: str) -> None:
    """An expression in the body of a rule is refused, at its own line."""
    error = refusal(gate(f"deny contains 1 if {{\n\tx := input.x\n\t{expression}\n}}"), LIBRARY_OF_ONE)
    assert problem in error.problem, error.problem
    assert error.location is not None
    assert error.location.line == 9
    assert error.location.excerpt.strip() == expression.split("\n")[0].strip()


def accepted(expression: str, *, imports: str = "import data.lib.one") -> None:
    text = gate(f"deny contains 1 if {{\n\tx := input.x\n\t{expression}\n}}", imports=imports)
    assert len(check_portable([module(text), module(LIBRARY_OF_ONE)])) == 2


def test_accepts_the_policies_that_ship() -> None:
    """The library itself is portable."""
    policies = load_policies(PROJECT / "policies")
    assert {each.path for each in check_portable(policies.modules)} == {each.path for each in policies.modules}


@pytest.mark.parametrize(
    "call",
    [
        'http.send({"method": "get", "url": "http://example.org"})', 'net.lookup_ip_addr("example.org")',
        "opa.runtime()", 'rand.intn("x", 2)', "time.now_ns()", 'uuid.rfc4122("x")', 'trace("x")', 'print("x")',
        "rego.metadata.chain()", "rego.metadata.rule()", 'rego.parse_module("a", "b")',
    ],
)  # fmt: skip
def test_refuses_what_reaches_beyond_the_input(call: str) -> None:
    """Network, clock, chance, environment and the engine itself are out of a policy's reach, behind any guard."""
    refused(call, "is forbidden")
    refused(f"x == false; {call}", "is forbidden")
    refused(f"not {call}", "is forbidden")


@pytest.mark.parametrize("name", sorted(DIFFERENT))
def test_refuses_each_builtin_that_differs_and_says_how(name: str) -> None:
    """A builtin that the engines disagree on names the disagreement."""
    refused(f"{name}(x)", f"{name} is not the same on both engines: {DIFFERENT[name]}")


def test_sorts_every_builtin_into_one_list() -> None:
    """No builtin is both allowed and refused."""
    assert not PORTABLE.keys() & DIFFERENT.keys()
    assert not [name for name in (*PORTABLE, *DIFFERENT) if is_forbidden(name)]
    assert not is_forbidden("printed")
    assert not is_forbidden("random")


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("cuont(x)", "unknown function cuont"),
        ("not cuont(x)", "unknown function cuont"),
        ("x == false; cuont(x)", "unknown function cuont"),
        ("plus(x, 1)", "unknown function plus"),
        ("input.f(x)", "unknown function input.f"),
        ("data.lib.one.g(x)", "unknown function data.lib.one.g"),
        ("data.lib.two.f(x)", "unknown function data.lib.two.f"),
        ("set(x)", "unknown function set"),
        ("contains (x)", "contains takes 2 arguments, 1 given"),
        ("count()", "count takes 1 arguments, 0 given"),
        ("count(x, y)", "count takes 1 arguments, 2 given"),
        ("count(x,\n\t\ty,\n\t)", "count takes 1 arguments, 2 given"),
        ('upper("a", y)', "upper is not the same"),
        ("startswith(x)", "startswith takes 2 arguments, 1 given"),
        ("data.lib.one.f(x, y)", "data.lib.one.f takes 1 arguments, 2 given"),
        ("data.lib.one.f()", "data.lib.one.f takes 1 arguments, 0 given"),
        ('data.lib.one["f"](x)', "plain name"),
        ("input.y\n\t(x == 1)", "unknown function input.y: regorus takes a `(` for a call even when it stands apart"),
    ],
)
def test_refuses_functions_that_are_not_there_and_wrong_numbers_of_arguments(expression: str, problem: str) -> None:
    """A misspelt call is an error when policies load, and not a rule that never fires; so is a result argument."""
    refused(expression, problem)


def test_resolves_functions_through_imports_aliases_and_full_paths() -> None:
    """A function of another package is found however it is named, and only then."""
    accepted("one.f(x)")
    accepted("data.lib.one.f(x)")
    accepted("short(x)", imports="import data.lib.one.f as short")
    accepted("o.f(x)", imports="import data.lib.one as o")
    refused("one.f(x)", "unknown function one.f")
    refused("f(x)", "unknown function f")


def test_finds_functions_of_the_same_package_in_another_file() -> None:
    """A package may have several files; each comes after those that it needs."""
    first = module("package a\n\nx := f(1)\n", "a/1.rego")
    second = module("package a\n\nf(n) := n if limit > 0\n", "a/2.rego")
    third = module("package a\n\nlimit := 3\n", "a/3.rego")
    assert [each.path for each in check_portable([first, second, third])] == ["a/3.rego", "a/2.rego", "a/1.rego"]


def test_refuses_files_that_need_each_other() -> None:
    """OPA takes files one by one, so a circle of them could not be uploaded."""
    error = refusal("package a\n\nx(n) := data.b.y(n)\n", "package b\n\ny(n) := data.a.x(n)\n")
    assert error.problem == "these files need each other: a.rego, b.rego"


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (["package a.b\n\nc := 1\n", "package a.b.c\n\nd := 1\n"], "rule 'c' is also a package below a.b"),
        (["package a\n\nb.c := 1\n", "package a.b.c.d\n\ne := 1\n"], "rule 'b.c' is also a package below a"),
        (["package system.log\n\nmask contains 1\n"], "the package `system` is OPA's own"),
        (["package a\n\ncount(x) := 1\n"], "count is a builtin"),
        (["package a\n\nwalk(x) := 1\n"], "walk is a builtin"),
        (["package a\n\nprint(x) := 1\n"], "print is a builtin"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_refuses_names_that_stand_for_two_things(texts: list[str], problem: str) -> None:
    """A rule that is also a package, or a function that is also a builtin, has two meanings."""
    assert refusal(*texts).problem == problem


def test_refuses_one_function_with_two_arities_in_two_files() -> None:
    """Which of them is called would depend on the engine."""
    with pytest.raises(ConfigurationError, match="different numbers of arguments"):
        check_portable([module("package a\n\nf(x) := x\n", "1.rego"), module("package a\n\nf(x, y) := x\n", "2.rego")])


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "%"])
@pytest.mark.parametrize("sides", [("x", "1"), ("1", "x"), ("x", "input.y"), ("0.1", "0.2"), ("abs(x)", "1")])
def test_refuses_arithmetic_on_what_may_not_be_whole(operator: str, sides: tuple[str, str]) -> None:
    """0.1 + 0.2 <= 0.3 is true for OPA and false for regorus, so figures are computed in the collector."""
    refused(f"{sides[0]} {operator} {sides[1]} > 0", f"`{operator}` could give another number")


@pytest.mark.parametrize(
    "expression",
    [
        "count(x) + 1 > 2", "count(x) - count(input.y) > 0", "1 + 2 == 3", "x; (count(x) + 1) > 2", "x > -1", "x == -0.5",
        "[-1, -2] == x", "y := {1, 2} - {2}", "y := x - {2}", "y := {each | some each in x} - input.y",
        "y := object.keys(x) - object.keys(input.y)", "y := union(x) - input.y", "y := x | {1}", "y := x & {1}",
    ],
)  # fmt: skip
def test_accepts_counts_whole_numbers_and_sets(expression: str) -> None:
    """Counts and whole numbers may be added, sets may be subtracted: both engines are exact there."""
    accepted(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "count(x) * 2 > 1", "count(x) / 2 > 1", "count(x) % 2 == 0", "count(x) + 0.5 > 1", "count(x) - y > 1",
        'x - {"a": 0.1}["a"] > 0', 'x - {"a": 0.1}.a > 0', "x - object.keys(y)[0.5] > 0", "y := -x",
    ],
)  # fmt: skip
def test_refuses_arithmetic_that_only_looks_whole(expression: str) -> None:
    """A product, a quotient, or an element taken out of a set may be anything."""
    refused(expression, "could give another number")


@pytest.mark.parametrize("number", ["1e3", "1.0", "0.50", "1E-2", "1234567890123456789"])
def test_refuses_numbers_that_the_engines_write_differently(number: str) -> None:
    """OPA keeps the digits of a number as written; regorus does not."""
    refused(f"x > {number}", f"write {number} without exponent or final zero")


def test_accepts_plain_numbers() -> None:
    """Whole numbers and decimals as people write them are fine."""
    accepted("x > 0; x > 10; x > 0.25; x > 123456789012345678")


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("sprintf(x, [1]) == x", "the format is not written out"),
        ("sprintf(concat(x, y), [1]) == x", "the format is not written out"),
        ('sprintf("%5.1f", [x]) == x', "%5 differs between the engines"),
        ('sprintf("%+d", [x]) == x', "%+ differs between the engines"),
        ('sprintf("%x", [x]) == x', "%x differs between the engines"),
        ('sprintf("50%", []) == x', "% differs between the engines"),
        ('sprintf("%s %s", [x]) == x', "the format has 2 verbs for 1 arguments"),
        ('sprintf("%s", [x, x]) == x', "the format has 1 verbs for 2 arguments"),
        ('sprintf("%s", x) == x', "the arguments of sprintf are a list"),
        ('sprintf("%s", [x][0]) == x', "the arguments of sprintf are a list"),
        ('sprintf("%s", [y | some y in x]) == x', "written out one by one"),
        ("regex.match(x, x)", "the pattern is not written out"),
        ('regex.match(concat("", ["a"]), x)', "the pattern is not written out"),
        ('replace(x, "", "b") == x', "what is replaced is empty"),
        ('replace(x, y, "b") == x', "what is replaced is not written out"),
        ('replace(abs(x), "", "b") == x', "what is replaced is empty"),
        ("x = input.y", "`=` is read in different ways"),
        ("[y, 2] = x", "`=` is read in different ways"),
        ("x := input.y with input as {}", "`with` replaces what a policy sees"),
        ("count(x) with count as 3", "`with` replaces what a policy sees"),
        ('sprintf("\\q", []) == x', "the format is not text"),
    ],
)
def test_refuses_literals_and_modifiers_that_differ(expression: str, problem: str) -> None:
    """Formats, patterns and what is replaced are written out, so that they can be checked."""
    refused(expression, problem)


@pytest.mark.parametrize(
    "expression",
    [
        'sprintf("%s has %d of %v, 100%%", [x, count(x), [1, {"a": 2}]]) == x', 'sprintf("none", []) == x',
        'sprintf("%s", [concat("|", x)]) == x', 'replace(object.get(x, "a", "b"), "a", "b") == x',
        "sprintf(`%s`, [x]) == x", 'x == "$" ', "x == set()",
    ],
)  # fmt: skip
def test_accepts_formats_with_an_argument_for_each_verb(expression: str) -> None:
    """%s, %d, %v and %% are the same on both engines."""
    accepted(expression)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[a-z]+$", r"^[0-9a-f]{64}$", r"^.{1,64}$", r"^v?[0-9]+(\.[0-9]+){2}$", r"a|b", r"(?i)licen[cs]e", r"(?:a|b)*?", r"x.y",
        r"[^,;]+", r"[A-Za-z0-9_.-]+", r"\.onnx$", r"a{2,}", r"\(x\)", r"[\]\[]", r"é+", r"^$", "",
    ],
)  # fmt: skip
def test_accepts_regular_expressions_that_both_engines_read_alike(pattern: str) -> None:
    """What teams write is allowed; test_builtins runs some of them on both engines."""
    accepted(f"regex.match(`{pattern}`, x)")


@pytest.mark.parametrize(
    "pattern",
    [
        r"\d+", r"\w", r"\s", r"\bword\b", r"[\d]", r"[a&&b]", r"[a--b]", r"[~~]", r"[[:alpha:]]", r"[a[b]]", r"\pL",
        r"\x41", r"\u0041", r"a**", r"a{65}", r"a{1,65}", r"a{1}{2}", r"{", r"a{,3}", r"(?x)a b", r"(?P<n>a)", r"\Qa\E", r"\<",
        r"(?=a)", r"\1", r"\z", r"[a", "\\",
    ],
)  # fmt: skip
def test_refuses_regular_expressions_that_the_engines_read_differently(pattern: str) -> None:
    """Unicode classes, set operations and large repetitions are where RE2 and Rust's regex part."""
    error = refusal(gate(f"deny contains 1 if regex.match(`{pattern}`, input.x)"))
    assert re.search("read this pattern in different ways", error.problem)


def test_keeps_functions_with_plain_arithmetic_in_text_and_comments() -> None:
    """What stands in text or in a comment is not code."""
    accepted('x == "a + b" # time.now_ns() * 2')
    accepted("x == `http.send(1) % 2`")


class TestDocumentation:
    """docs/engines.md says what the lint does."""

    def text(self) -> str:
        return (PROJECT / "docs" / "engines.md").read_text("utf-8")

    def test_lists_the_builtins_that_may_be_called(self) -> None:
        """No builtin is missing from the list, or listed and refused."""
        listed = self.text().partition("Allowed builtins:")[2].partition("\n\n")[0]
        assert set(re.findall(r"`([a-z0-9_.]+)`", listed)) == PORTABLE.keys()

    def test_shows_one_policy_that_is_refused_and_one_that_is_not(self) -> None:
        """The example of what to avoid is refused, the one of what to prefer is accepted."""
        avoid, _, prefer = self.text().partition("```rego\n")[2].partition("```")[0].partition("# Prefer")
        head = "package a\n\nfinding := 1\n\n"
        with pytest.raises(ConfigurationError, match="a part of it is undefined"):
            check_portable([module(head + avoid)])
        assert check_portable([module(head + "# Prefer" + prefer)])

    def test_names_every_setting_of_the_engine(self) -> None:
        """The table of settings keeps up with the model."""
        table = self.text().partition("| setting |")[2].partition("\n\n")[0]
        named = set(re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE))
        assert named == EngineSettings.model_fields.keys() - {"name"}
