"""Digests of structured files are those that a real OPA computes, or the file is refused."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trust.bundle_making import Opa, signing_key, write

from gatekeeper.errors import ConfigurationError
from gatekeeper.trust.canonical import digest_file

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.1, 1e-6, 9.99e-7, 1e-7, 1e20, 1e21, 1e22, 1.5e300, 5e-324, 100.0, -0.0, 2.0**63, 123456.789e3]),
)  # fmt: skip


def values(keys: st.SearchStrategy[str], texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Any JSON value."""
    return st.recursive(
        st.one_of(st.none(), st.booleans(), NUMBERS, texts),
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
        max_leaves=15,
    )


KEYS = st.from_regex("[a-z\u00e0-\u00ff][a-z0-9_]{0,6}", fullmatch=True).filter(
    lambda key: key not in ("null", "true", "false")
)
WORDS = st.from_regex("'[a-zA-Z0-9 \u00e0-\u00ff\U0001f600]{0,10}'", fullmatch=True)


def digest(path: str, content: bytes, algorithm: str = "SHA-256") -> str:
    """The digest of a file as we compute it."""
    return digest_file(path, content, algorithm=algorithm, subject=path)


def opa_digests(real: Opa, files: dict[str, bytes]) -> dict[str, str]:
    """The digests that `opa sign` writes for files."""
    write(real.folder / "in", files)
    (real.folder / "key.pem").write_bytes(signing_key().pem)
    done = real.run("sign", "-b", "in", "--signing-key", "key.pem", "--signing-alg", "ES256", "-o", ".")
    assert done.returncode == 0, done.stdout
    (token,) = json.loads((real.folder / ".signatures.json").read_bytes())["signatures"]
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return {each["name"].removeprefix("in/"): each["hash"] for each in claims["files"]}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(TEXT, values(TEXT, TEXT), max_size=5), min_size=10, max_size=40))
def test_json_has_the_digest_that_opa_computes(real: Opa, documents: list[dict[str, Any]]) -> None:
    """Any JSON data, however it is indented and escaped, has OPA's digest: numbers keep their spelling."""
    files = {
        f"d{number}/data.json": json.dumps(each, indent=number % 3 or None, ensure_ascii=number % 2 == 0).encode()
        for number, each in enumerate(documents)
    }
    theirs = opa_digests(Opa(real.binary, fresh(real)), files)
    assert {path: digest(path, content) for path, content in files.items()} == theirs


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(KEYS, values(KEYS, WORDS), min_size=1, max_size=5), min_size=5, max_size=20))
def test_yaml_has_the_digest_that_opa_computes(real: Opa, documents: list[dict[str, Any]]) -> None:
    """Any value written as YAML has OPA's digest: integers as they are, doubles as Go writes them."""
    files = {
        f"d{number}/data.yaml": "".join(f"{key}: {yaml(each[key])}\n" for key in each).encode()
        for number, each in enumerate(documents)
    }
    theirs = opa_digests(Opa(real.binary, fresh(real)), files)
    assert {path: digest(path, content) for path, content in files.items()} == theirs


def yaml(value: Any) -> str:
    """A value as flow YAML that no JSON reader takes; a text brings its quotes along."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {yaml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(yaml, value)) + "]"
        case str():
            return value
        case _:
            return json.dumps(value)


def fresh(real: Opa) -> Path:
    """A new folder for each example of a property."""
    folder = real.folder / str(len(list(real.folder.iterdir())))
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    "text",
    [
        "a: 0.10", "a: 1.0", "a: 1e3", "a: .5", "a: 5.", "a: +1", "a: -0", "a: -0.0", "a: 0o17", "a: 0x1F", "a: 1e-7",
        "a: 1e21", "a: 123456789012345678901234567890", "a: -9223372036854775809", "a: 18446744073709551615",
        "a: yes", "a: on", "a: ~", "a:", "a: null", "a: TRUE", "a: 2026-01-01", "a: 2026-01-01T10:00:00Z", "a: 12:30",
        "a: |\n  two\n  lines\n", "a: >-\n  folded\n  text\n", "a: &x {b: 1}\nc: *x", "a: 'it''s'", 'a: "\\u2028"',
        "1: a", "true: a", "---\na: 1\n...\n", "a: {b: [1, 2.50, {c: null}]}", "# only\na: caf\u00e9 \u2028",
        '{"a": 1.50, "b": [1e3, 0.10]}', '{"a": 1.50, b: 2.50}',
    ],
)  # fmt: skip
def test_yaml_scalars_have_the_digest_that_opa_computes(text: str, real: Opa) -> None:
    """Each way to write a scalar means to us what it means to OPA; JSON in a YAML file keeps its spelling."""
    content = text.encode()
    assert {"data.yaml": digest("data.yaml", content)} == opa_digests(real, {"data.yaml": content})


@pytest.mark.parametrize("text", ["a: 0123", "a: 1_000", "a: 0b11", "True: a", "1.50: a"])
def test_yaml_that_opa_reads_otherwise_never_has_its_digest(text: str, real: Opa) -> None:
    """What YAML 1.1 made of a scalar is not what is evaluated here, so such a file does not verify."""
    content = text.encode()
    assert digest("data.yaml", content) != opa_digests(real, {"data.yaml": content})["data.yaml"]


@pytest.mark.parametrize(
    "path", ["policy.rego", "a/schema.json", "a/other.yaml", "mydata.json", "data.json.bak", "x.manifest", "README.md"]
)
def test_other_files_are_digested_as_they_are(path: str, real: Opa) -> None:
    """Only `data.*` and the manifest are parsed; any other file has the digest of its bytes."""
    content = b'package a\n\n{"a":  1}\xff'
    assert digest(path, content) == hashlib.sha256(content).hexdigest() == opa_digests(real, {path: content})[path]


def test_the_manifest_is_digested_as_json(real: Opa) -> None:
    """Its spaces and the order of its keys do not matter."""
    content = b'{ "roots": ["b", "a"], "revision": "r" }'
    assert digest(".manifest", content) == digest(".manifest", b'{"revision":"r","roots":["b","a"]}')
    assert digest(".manifest", content) == opa_digests(real, {".manifest": content})[".manifest"]


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("data.json", b""), ("data.json", b"{"), ("data.json", b"a: 1"), ("data.json", b'{"a": 1, "a": 2}'),
        ("data.json", b'{"a": NaN}'), ("data.json", b'{"a": 1e999}'), ("data.json", b'{"a": "\\ud800"}'),
        ("data.json", b'{"a": "\xff"}'), ("data.json", b"[" * 200 + b"]" * 200), (".manifest", b"revision: r"),
        ("data.yaml", b""), ("data.yaml", b"a: 1\na: 2"), ("data.yaml", b"a: .nan"), ("data.yaml", b"a: !!python/x 1"),
        ("data.yaml", b"a: 1\n---\nb: 2"), ("data.yaml", b"<<: {a: 1}"), ("data.yaml", b"a: " + b"9" * 390),
        ("data.yaml", '{"a": "x\u0085y"}'.encode()),
    ],
)  # fmt: skip
def test_refuses_what_could_be_read_in_two_ways(path: str, content: bytes) -> None:
    """A structured file that readers could take differently has no digest, whatever a signature says of it."""
    with pytest.raises(ConfigurationError) as caught:
        digest(path, content)
    assert path in caught.value.subject


@pytest.mark.parametrize(("algorithm", "length"), [("SHA-256", 64), ("SHA-384", 96), ("SHA-512", 128)])
def test_accepts_the_sha2_family(algorithm: str, length: int) -> None:
    """A signature may name a longer hash."""
    assert len(digest("a.rego", b"x", algorithm)) == length


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-1", "SHA-224", "sha-256", "SHA256", "SHAKE-128", "", "none"])
def test_refuses_broken_and_unknown_hashes(algorithm: str) -> None:
    """OPA would take MD5 and SHA-1; two files with one such digest can be made."""
    with pytest.raises(ConfigurationError, match="hash is of the kind"):
        digest("a.rego", b"x", algorithm)
