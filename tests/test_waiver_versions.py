"""A waiver is for the versions that it names; in doubt for none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeeper.waiver_versions import is_broad, is_range, parse_range, version_matches


@pytest.mark.parametrize(
    "version", ["2.3.0", "2.3", "v2.3.0", "2026-11-23", "r17-final", "main@8f2c", "2.*", "^2.3", " 2"]
)
def test_an_exact_version_matches_itself_only(version: str) -> None:
    """Letter by letter: neither a shorter form, nor a prefix, a space or another case."""
    assert not is_range(version)
    assert version_matches(version, version)
    for other in (
        f"{version} ",
        f" {version}",
        f"{version}.0",
        f"{version}+local",
        version[:-1],
        f"{version}\n",
        "",
        "2",
    ):
        assert not version_matches(version, other)


@pytest.mark.parametrize(
    ("wanted", "inside", "outside"),
    [
        (">=2.3,<2.4", ["2.3", "2.3.0", "2.3.99", "v2.3.1", "2.3.1.post1"], ["2.2.9", "2.4", "2.4.0", "3", "1!2.3"]),
        ("==2.3.*", ["2.3", "2.3.7"], ["2.4", "2.30", "2.3.1rc1"]),
        ("==2.3.0", ["2.3.0", "2.3"], ["2.3.0.post1", "2.3.1", "2.3.0+local", "2.3.0rc1"]),
        ("~=2.3", ["2.3", "2.9"], ["3.0", "2.2"]),
        ("!=2.3.0", ["2.3.1"], ["2.3.0", "2.3"]),
        (">=2.3", ["2.3", "99"], ["2.2", "2.3rc1", "2.4.dev0"]),
        (">=2.3rc1,<2.4", ["2.3rc1", "2.3rc2", "2.3", "2.3.1rc1"], ["2.3b1", "2.4rc1", "2.4.dev0"]),
        (">2.3", ["2.3.1"], ["2.3", "2.3.0", "2.3.post1", "2.3+local"]),
        ("<=2.3", ["2.3", "0"], ["2.3.0+local", "2.3.1"]),
    ],
)
def test_a_range_is_as_in_pep_440(wanted: str, inside: list[str], outside: list[str]) -> None:
    """Without pre-releases and local versions that it does not name."""
    assert [each for each in inside if not version_matches(wanted, each)] == []
    assert [each for each in outside if version_matches(wanted, each)] == []


@pytest.mark.parametrize("wanted", [">=0", "!=9999", ">=2.3,<2.4", "==2.3.*", "<=99999"])
@pytest.mark.parametrize(
    "version",
    ["latest", "main", "2.3.x", "2.3-final-2", ">=2.3", "", " ", " 2.3.1", "2.3.1\n", "2.3.1 ", "2.3.1+evil",
     "\uff12.3.1", "2\u20243.1", "2.3.1\u200b", "2.3.1; rm", "a" * 100, "8f2c" * 10],
    ids=repr,
)  # fmt: skip
def test_a_version_that_is_not_pep_440_is_in_no_range(wanted: str, version: str) -> None:
    """Whatever the range: only an exact waiver can name it."""
    assert not version_matches(wanted, version)


@pytest.mark.parametrize(
    "text", [">=", ">=a", ">=2.3 <2.4", "=>2", "=2", "~2", "==*", "<>2", ">=2.3;<2.4", ">=\uff12", "!2", "=", ">=2.*"]
)
def test_refuses_a_range_that_is_none(text: str) -> None:
    """What begins like a range is not taken for an exact version."""
    assert is_range(text)
    with pytest.raises(ValueError, match="no range of versions"):
        parse_range(text)


@pytest.mark.parametrize("text", ["===2.3", ">=2,===foo"])
def test_refuses_the_comparison_of_text(text: str) -> None:
    """PEP 440 advises against `===`, and the exact version says the same."""
    with pytest.raises(ValueError, match="compares text"):
        parse_range(text)


@pytest.mark.parametrize(
    ("wanted", "broad"),
    [
        (None, True), ("2.3.0", False), ("anything at all", False),
        (">=0", True), (">=2.3", True), (">2", True), ("<3", True), ("<=2.4", True), ("!=2.3", True), (">=2,!=2.3", True),
        (">=0,<99999", True), (">=2.3,<3.1", True), (">=2.3,<=3", True), (">=2.3,<4", True), (">=2,<1!3", True),
        (">=2.3,<3.post1", True), ("<2,>=3", True),
        (">=2.3,<2.4", False), (">=2.3,<3", False), (">=2.3,<3.0.0", False), (">=2.3,<=2.9", False), (">2,<3", False),
        (">=0,>=2.3,<2.4", False), (">=2.3,<2.4,<99999", False),
        ("==2.3.0", False), ("==2.*", False), ("~=2.3", False), (">=0,==2.3", False),
    ],
)  # fmt: skip
def test_a_range_past_one_major_version_is_broad(wanted: str | None, broad: bool) -> None:
    """Without a lower or an upper bound, or with bounds far apart."""
    assert is_broad(wanted) == broad


VERSIONS = st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4))


@given(low=VERSIONS, high=VERSIONS, version=VERSIONS)
def test_a_range_holds_what_lies_in_it(low: tuple[int, ...], high: tuple[int, ...], version: tuple[int, ...]) -> None:
    """Compared as numbers, not as text."""
    text = [".".join(map(str, each)) for each in (low, high, version)]
    assert version_matches(f">={text[0]},<{text[1]}", text[2]) == (low <= version < high)
    if not is_broad(f">={text[0]},<{text[1]}"):
        assert high[0] <= low[0] + 1


@given(wanted=st.sampled_from([">=0", "==2.*", "2.3.0", "~=2.3", "!=1"]), version=st.text(max_size=100))
def test_no_version_makes_it_fail(wanted: str, version: str) -> None:
    """The version is the candidate's own text: it matches or it does not."""
    assert version_matches(wanted, version) in (True, False)
