"""The waivers file is read strictly: what is not said clearly is refused, with its place."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from conftest import PROJECT
from hypothesis import given
from hypothesis import strategies as st
from waiver_entries import RULES, entry, make_settings, make_waiver, waivers_file

from gatekeeper.enforcement import Enforcement
from gatekeeper.errors import ConfigurationError
from gatekeeper.formats.strict_yaml import parse_located
from gatekeeper.manifest import MAX_MANIFEST_BYTES, validate
from gatekeeper.waivers import WaiverSettings, check_waivers, parse_waivers, signed_bytes

FILE = """\
apiVersion: gatekeeper/v1
kind: Waivers
waivers:
  - id: W-1
    rule: slo.burn_rate:availability
    candidate: {name: tumour-classifier, environment: production, version: ">=2.3,<2.4"}
    reason: the burn is a known measuring fault
    ticket: OPS-17
    approver: Risk Board
    requested_by: team-imaging
    approved_at: 2026-11-01T09:00:00+01:00
    expires_at: 2027-01-15T18:00:00+01:00
"""


def refusal(data: bytes, rules: Any = None) -> ConfigurationError:
    """The error with which a file is refused."""
    with pytest.raises(ConfigurationError) as caught:
        parse_waivers(data, "git origin/main:waivers.yaml", rules)
    return caught.value


def test_reads_what_the_file_says() -> None:
    """Every field, as its author wrote it."""
    (waiver,) = parse_waivers(FILE.encode(), "waivers.yaml", RULES)
    assert (waiver.id, waiver.rule_id, waiver.subject) == ("W-1", "slo.burn_rate", "availability")
    assert (waiver.candidate.name, waiver.candidate.version) == ("tumour-classifier", ">=2.3,<2.4")
    assert (waiver.reason, waiver.ticket) == ("the burn is a known measuring fault", "OPS-17")
    assert (waiver.approver, waiver.requested_by) == ("Risk Board", "team-imaging")
    zone = timezone(timedelta(hours=1))
    assert (waiver.approved_at, waiver.expires_at) == (
        datetime(2026, 11, 1, 9, tzinfo=zone), datetime(2027, 1, 15, 18, tzinfo=zone),
    )  # fmt: skip


def test_an_empty_list_is_no_waiver() -> None:
    """A file without exceptions is the best one."""
    assert parse_waivers(waivers_file(), "waivers.yaml") == ()


@pytest.mark.parametrize(
    ("rule", "rule_id", "subject"),
    [
        ("slo.burn_rate", "slo.burn_rate", None),
        ("slo.burn_rate:a", "slo.burn_rate", "a"),
        ("slo.burn_rate:a:b: c", "slo.burn_rate", "a:b: c"),
        ("slo.burn_rate::", "slo.burn_rate", ":"),
        ("slo.burn_rate: a", "slo.burn_rate", " a"),
        ("slo.burn_rate:*", "slo.burn_rate", "*"),
        ("slo.burn_rate:größe 🎯", "slo.burn_rate", "größe 🎯"),
    ],
)
def test_all_after_the_first_colon_is_the_subject(rule: str, rule_id: str, subject: str | None) -> None:
    """A subject is exact text; a star in it is a star."""
    waiver = make_waiver(rule=rule)
    assert (waiver.rule_id, waiver.subject) == (rule_id, subject)


@given(subject=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=200))
def test_any_subject_survives_the_file(subject: str) -> None:
    """Letter by letter: nothing is normalised."""
    waiver = make_waiver(rule=f"slo.burn_rate:{subject}")
    assert (waiver.rule_id, waiver.subject) == ("slo.burn_rate", subject)


@pytest.mark.parametrize(
    ("line", "instead", "problem", "hint", "place"),
    [
        ("    ticket:", "    tiket:", "unknown key 'tiket' (and 1 more)", "did you mean 'ticket'?", "8:5"),
        ("kind: Waivers", "kind: Waivers\nkeys: {}", "unknown key 'keys'", "apiVersion, kind, waivers", "3:1"),
        ("    ticket: OPS-17\n", "", "waivers.0.ticket is missing", "add 'ticket' here", "4:5"),
        ("{name:", "{nmae: x, name:", "unknown key 'nmae'", "did you mean 'name'?", "6:17"),
        ("id: W-1", "id: 'W 1'", "waivers.0.id", "", "4:9"),
        ("id: W-1", "id: 7", "waivers.0.id", "", "4:9"),
        ("slo.burn_rate:availability", "'slo.burn_rate:'", "ends with a colon and no subject", "", "4:5"),
        ("reason: the burn", "reason: '  ' #", "waivers.0.reason", "", "7:13"),
        ("approver: Risk Board", "approver: ''", "waivers.0.approver", "", "9:15"),
        ("name: tumour", "name: 'tumour*', x: tumour", "unknown key 'x' (and 1 more)", "", "6:"),
        ("name: tumour-classifier", "name: '*'", "waivers.0.candidate.name", "", "6:23"),
        ("environment: production", "environment: '*'", "waivers.0.candidate.environment", "", "6:"),
        ("environment: production, ", "", "candidate.environment is missing", "add 'environment'", "6:16"),
        (">=2.3,<2.4", ">=2.3 <2.4", "no range of versions", "", "6:"),
        (">=2.3,<2.4", "===2.3", "compares text", "", "6:"),
        (">=2.3,<2.4", "=2.3", "no range of versions", "", "6:"),
        (">=2.3,<2.4", "", "waivers.0.candidate.version", "", "6:"),
        ("version:", "digests: [], version:", "candidate.digests", "", "6:"),
        ("version:", "digests: [ABC], version:", "candidate.digests", "", "6:"),
        ("v1", "v2", "apiVersion", "", "1:13"),
        ("kind: Waivers", "kind: Waiver", "kind", "", "2:7"),
    ],
)
def test_refuses_another_shape_with_its_place(line: str, instead: str, problem: str, hint: str, place: str) -> None:
    """File, line and column, the key that was meant, and no pattern where a name is wanted."""
    assert line in FILE
    error = refusal(FILE.replace(line, instead, 1).encode())
    assert problem in error.problem
    assert hint in error.hint
    assert str(error.location).startswith(f"git origin/main:waivers.yaml:{place}")


@pytest.mark.parametrize(
    "time",
    [
        "2027-01-15", "2027-01-15T18:00:00", "2027-01-15 18:00:00Z", "2027-01-15T18:00Z", "2027-01-15T18:00:00z",
        "2027-01-15T18:00:00 Europe/Berlin", "2027-01-15T18:00:00+0100", "2027-01-15T18:00:00+1", "20270115T180000Z",
        "2027-01-15T18:00:00+14:01", "2027-01-15T18:00:00-12:01", "2027-01-15T18:00:00+23:59",
        "2027-01-15T18:00:00+24:00", "2027-01-15T18:00:00\u221201:00", "2027-01-15T18:00:00.1234567Z",
        "2026-12-31T23:59:60Z", "2026-12-31T24:00:00Z", "2027-02-29T00:00:00Z", "2027-13-01T00:00:00Z",
        "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "1999-12-31T23:59:59Z", "3000-01-01T00:00:00Z",
        "\uff12027-01-15T18:00:00Z", "1800000000", "never", "", " 2027-01-15T18:00:00Z", "2027-01-15T18:00:00Z\n",
        1800000000, 1800000000.5, None, True, [], {"t": "2027-01-15T18:00:00Z"},
    ],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("field", ["expires_at", "approved_at"])
def test_refuses_a_time_that_is_not_rfc_3339_with_a_zone(field: str, time: Any) -> None:
    """No naive time, no bare date, no number of seconds, no leap second, no zone that is not on Earth."""
    content = entry() | {field: time}
    assert f"waivers.0.{field}" in refusal(waivers_file(content)).problem


@pytest.mark.parametrize(
    "field", ["expires_at", "approved_at", "approver", "ticket", "reason", "rule", "candidate", "id"]
)
def test_no_field_of_an_approval_may_be_absent(field: str) -> None:
    """Expiry is mandatory, and so is everything that makes somebody answer for it."""
    content = {key: value for key, value in entry().items() if key != field}
    assert f"waivers.0.{field} is missing" in refusal(waivers_file(content)).problem


@pytest.mark.parametrize(
    ("time", "instant"),
    [
        ("2027-01-15T18:00:00Z", datetime(2027, 1, 15, 18, tzinfo=UTC)),
        ("2027-01-15T18:00:00-00:00", datetime(2027, 1, 15, 18, tzinfo=UTC)),
        ("2027-01-15T18:00:00+14:00", datetime(2027, 1, 15, 4, tzinfo=UTC)),
        ("2027-01-15T18:00:00-12:00", datetime(2027, 1, 16, 6, tzinfo=UTC)),
        ("2027-01-15T18:00:00.5+05:45", datetime(2027, 1, 15, 12, 15, 0, 500000, tzinfo=UTC)),
        ("2028-02-29T00:00:00Z", datetime(2028, 2, 29, tzinfo=UTC)),
        ("2000-01-01T00:00:00Z", datetime(2000, 1, 1, tzinfo=UTC)),
        ("2999-12-31T23:59:59Z", datetime(2999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_is_the_instant_that_it_names(time: str, instant: datetime) -> None:
    """With every offset in use, and on a leap day."""
    assert make_waiver(expires_at=time).expires_at == instant


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "empty"),
        (b"- a\n", "the document"),
        (b"waivers: [", "not YAML"),
        (b"\xff\xfe", "UTF-8"),
        (FILE.encode() + b"kind: Waivers\n", "duplicate key"),
        (FILE.encode() + FILE.encode().replace(b"apiV", b"---\napiV"), "2 YAML documents"),
        (FILE.replace("id: W-1", "id: !!python/name:os.system W-1").encode(), "tag"),
        (b"#" * (MAX_MANIFEST_BYTES + 1), "larger than"),
        (b"[" * 5000, "levels"),
    ],
)
def test_refuses_a_file_that_is_no_waivers_file(data: bytes, problem: str) -> None:
    """Always as an error of configuration that names the file."""
    error = refusal(data)
    assert problem in error.problem
    assert error.subject == "git origin/main:waivers.yaml"


def test_reads_a_file_of_the_largest_size() -> None:
    """The limit itself is allowed."""
    padding = b"#" * (MAX_MANIFEST_BYTES - len(FILE.encode()))
    assert len(parse_waivers(FILE.encode() + padding, "waivers.yaml")) == 1


def test_an_id_that_appears_twice_is_refused() -> None:
    """A status or a ledger entry names one waiver, not two."""
    error = refusal(waivers_file(entry(), entry(id="W-2"), entry(rule="slo.budget")))
    assert (error.subject, error.problem) == ("waiver 'W-1'", "the id is taken by another waiver")
    assert error.location is not None
    assert '"W-1"' in error.location.excerpt
    with pytest.raises(ConfigurationError, match="taken"):
        check_waivers([make_waiver(), make_waiver()], RULES, WaiverSettings())


@pytest.mark.parametrize(
    ("rule", "hint"),
    [
        ("slo.burn_rat", "did you mean 'slo.burn_rate'?"),
        ("slo.burn-rate:availability", "did you mean 'slo.burn_rate'?"),
        ("slo.burn_r\u0430te", "did you mean 'slo.burn_rate'?"),
        ("SLO.burn_rate", "did you mean 'slo.burn_rate'?"),
        ("slo.burn_rate :availability", "did you mean 'slo.burn_rate'?"),
        ("slo", "known here"),
        ("*", "known here"),
        ("collection:baseline", "known here"),
        (":availability", "known here"),
    ],
)
def test_a_rule_that_does_not_exist_is_refused(rule: str, hint: str) -> None:
    """Misspelt, in lookalike letters, a whole gate or a pattern: with the rule that was meant and the place."""
    error = refusal(waivers_file(entry(rule=rule)), RULES)
    assert error.problem == f"there is no rule {rule.partition(':')[0]!r}"
    assert hint in error.hint
    assert error.location is not None
    assert '"rule"' in error.location.excerpt
    with pytest.raises(ConfigurationError, match="there is no rule"):
        check_waivers([make_waiver(rule=rule)], RULES, WaiverSettings())


def test_a_non_waivable_selector_that_matches_nothing_is_refused() -> None:
    """A rule that somebody meant to protect must not stay waivable over a misspelling."""
    check_waivers([], RULES, make_settings(non_waivable=["slo", "contracts.breaking_change", "collection:baseline"]))
    with pytest.raises(ConfigurationError, match="matches no rule") as caught:
        check_waivers([], RULES, make_settings(non_waivable=["slo", "contract.breaking_change"]))
    assert caught.value.subject == "waivers.non_waivable.1"
    assert caught.value.hint == "did you mean 'contracts.breaking_change'?"


@pytest.mark.parametrize(
    ("changes", "broad"),
    [
        ({}, False),
        ({"rule": "slo.burn_rate"}, False),
        ({"scope": {"version": None}}, False),
        ({"rule": "slo.burn_rate", "scope": {"version": None}}, True),
        ({"rule": "slo.burn_rate", "scope": {"version": ">=0"}}, True),
        ({"rule": "slo.burn_rate", "scope": {"version": ">=0,<99999"}}, True),
        ({"rule": "slo.burn_rate", "scope": {"version": ">=2.3,<2.4"}}, False),
        ({"rule": "slo.burn_rate", "scope": {"version": None, "digests": ["0" * 64]}}, False),
    ],
)
def test_over_broad_means_any_subject_content_and_version(changes: dict[str, Any], broad: bool) -> None:
    """One of the three is enough to bound it, and an open range of versions bounds nothing."""
    assert make_waiver(**changes).over_broad == broad


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"max_days": {"deny": 0}}, "greater than or equal to 1"),
        ({"max_days": {"deny": 3651}}, "less than or equal to 3650"),
        ({"max_days": {"deny": None}}, "valid integer"),
        ({"max_days": {"error": 3}}, "Extra inputs"),
        ({"approvers": []}, "at least 1"),
        ({"approvers": [" "]}, "match pattern"),
        ({"keys": {"a": {"key": "k"}}}, "Field required"),
        ({"keys": {"a": {"key": "k", "approver": "x"}, "b": {"key": "k ", "approver": "y"}}}, "there twice"),
        ({"require_signature": "yes"}, "valid boolean"),
        ({"waiver_keys": {}}, "Extra inputs"),
    ],
)
def test_refuses_settings_that_set_no_bound(settings: dict[str, Any], problem: str) -> None:
    """There is always a longest lifetime, and a key belongs to one approver."""
    with pytest.raises(ValueError, match=problem):
        make_settings(**settings)


def test_the_default_bounds_every_waiver() -> None:
    """An absent section is not an absent limit."""
    assert (make_settings().max_days.deny, make_settings().max_days.warn) == (90, 180)
    assert (make_settings(max_days={"deny": 30}).max_days.deny, make_settings(max_days={"deny": 30}).max_days.warn) == (
        30, 180,
    )  # fmt: skip


@given(
    moment=st.datetimes(datetime(2001, 1, 1), datetime(2998, 1, 1)),
    minutes=st.integers(-12 * 60, 14 * 60),
    other=st.integers(-12 * 60, 14 * 60),
)
def test_one_instant_has_one_form_under_the_signature(moment: datetime, minutes: int, other: int) -> None:
    """Whatever time zone it is written in."""
    utc = moment.replace(tzinfo=UTC)
    texts = [utc.astimezone(timezone(timedelta(minutes=each))).isoformat() for each in (minutes, other)]
    first, second = (make_waiver(expires_at=text) for text in texts)
    assert signed_bytes(first) == signed_bytes(second)
    assert json.loads(signed_bytes(first))["waiver"]["expires_at"] == moment.isoformat() + "Z"


def yaml_blocks(page: str) -> list[bytes]:
    """The YAML examples of a page."""
    text = (PROJECT / "docs" / page).read_text("utf-8")
    return [block.partition("```")[0].encode() for block in text.split("```yaml\n")[1:]]


def test_the_examples_of_the_pages_are_what_is_read() -> None:
    """A user who copies them gets no error, and a bound waiver."""
    file, waiver_settings = yaml_blocks("waivers.md")
    (waiver,) = parse_waivers(file, "waivers.yaml", RULES)
    assert not waiver.over_broad
    assert waiver.expires_at - waiver.approved_at < timedelta(days=make_settings().max_days.deny)
    located = parse_located(waiver_settings, "gatekeeper.yaml")
    assert validate(located, WaiverSettings, at=("waivers",)).require_signature
    (levels,) = yaml_blocks("enforcement.md")
    found = validate(parse_located(levels, "gatekeeper.yaml"), Enforcement, at=("enforcement",))
    assert set(found.profiles) == set(found.use.values())
