"""`gatekeeper policy bundle`: the same policies, the same bytes, and a real OPA loads them with verification on."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from conftest import PROJECT
from trust.bundle_making import DATA, SLO, Opa, members, signing_key, trust, write

from gatekeeper.cli.policy_bundle import bundle_command
from gatekeeper.engine.embedded import EmbeddedEngine
from gatekeeper.errors import ConfigurationError, UnavailableError
from gatekeeper.policy import PolicySet, load_policies
from gatekeeper.settings import EngineSettings
from gatekeeper.trust import building
from gatekeeper.trust.building import build_bundle
from gatekeeper.trust.bundle import open_bundle, read_bundle
from gatekeeper.trust.keys import ALGORITHMS, Algorithm, public_half

LIBRARY = PROJECT / "policies"
KEY = signing_key(scope="production")
REGO = """\
package custom.gatekeeper.gates.probe

# METADATA
# title: Probe
# description: Asks nothing.
# custom:
#   rule: probe.never
#   severity: deny
#   remedy: None.
#   controls: ["iso:1"]
deny contains {"rule": "probe.never", "subject": "s", "message": "m"} if input.never
"""
CUSTOM = "custom/gatekeeper/gates/probe/probe.rego"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The policy library with an organisation's gate, a schema, tests, hidden files and a page beside it."""
    copy = tmp_path / "policies"
    shutil.copytree(LIBRARY, copy)
    extra = {
        CUSTOM: REGO, CUSTOM.replace(".rego", "_test.rego"): "package custom.gatekeeper.gates.probe_test\n",
        "custom/gatekeeper/gates/probe/probe.schema.json": '{"type":  "object"}', "README.md": "x",
        ".regal/config.yaml": "rules: {}", "custom/.hidden/schema.json": "{}",
    }  # fmt: skip
    return write(copy, {path: text.encode() for path, text in extra.items()})


@pytest.fixture
def invoke(tmp_path: Path) -> Callable[..., Result]:
    """Run the command with the library and a key file; what it raises is raised."""
    (tmp_path / "key.pem").write_bytes(KEY.pem)

    def run(*arguments: str | Path, policies: Path = LIBRARY) -> Result:
        words = [str(policies), "-o", str(tmp_path / "b.tar.gz"), *map(str, arguments)]
        return CliRunner().invoke(bundle_command, words, catch_exceptions=False)

    return run


def test_the_same_policies_give_the_same_bytes(folder: Path) -> None:
    """Neither times, nor the order of the folder, nor hidden files and tests change the bundle; signed or not."""
    for key in (None, KEY, signing_key("RS256")):
        first = build_bundle(folder, key=key).data
        copy = folder.with_name(f"copy-{key.algorithm if key else 'unsigned'}")
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_file():
                write(copy, {path.relative_to(folder).as_posix(): path.read_bytes()})
                os.utime(copy / path.relative_to(folder), (1, 1))
        write(copy, {"slo_test.rego": b"package other_test\n", "NOTES.txt": b"x"})
        assert build_bundle(copy, key=key).data == first
        (copy / SLO).write_bytes((copy / SLO).read_bytes() + b"\n")
        assert build_bundle(copy, key=key).data != first


def test_the_bundle_holds_what_is_evaluated_and_its_digest(folder: Path, tmp_path: Path) -> None:
    """Revision and digest are those of the folder; tests, pages and hidden files stay out, schemas go in."""
    built = build_bundle(folder)
    contents = open_bundle(built.data, "b", trust(), require_signature=False)
    assert built.revision == contents.revision == f"sha256:{load_policies(folder).digest}"
    assert load_policies(write(tmp_path / "unpacked", contents.files)).digest == load_policies(folder).digest
    assert contents.roots == built.roots == ("custom", "gatekeeper")
    assert tuple(sorted(contents.files)) == built.files
    assert {CUSTOM, SLO, DATA, "custom/gatekeeper/gates/probe/probe.schema.json"} <= set(built.files)
    assert [path for path in built.files if "_test" in path or "README" in path or "/." in path or path[0] == "."] == []
    manifest = json.loads(members(built.data)[".manifest"])
    assert manifest == {"revision": built.revision, "roots": ["custom", "gatekeeper"], "rego_version": 1}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_opa_loads_what_is_built_with_verification_on(algorithm: Algorithm, real: Opa) -> None:
    """Each algorithm: OPA takes the signed library with key, key id and scope, and refuses another scope or key."""
    key = signing_key(algorithm, scope="production")
    data = build_bundle(LIBRARY, key=key).data
    assert real.refusal(data, key, scope="production") == ""
    assert "scope mismatch" in real.refusal(data, key, scope="staging")
    assert real.refusal(data, signing_key(algorithm, number=1), scope="production") != ""
    assert "missing .signatures.json" in real.refusal(build_bundle(LIBRARY).data, key, scope="production")


def test_opa_serves_the_bundle_and_answers_as_the_embedded_engine(real: Opa, folder: Path) -> None:
    """`opa run --server -b` verifies the bundle and gives the same decision on the same input as the folder here."""
    (real.folder / "b.tar.gz").write_bytes(build_bundle(folder, key=KEY).data)
    (real.folder / "key.pub").write_text(public_half(KEY).key)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    server = subprocess.Popen(
        [
            real.binary, "run", "--server", "-b", "b.tar.gz", "--addr", address, "--skip-version-check", "--log-level", "error",
            "--verification-key", "key.pub", "--verification-key-id", "team", "--signing-alg", "ES256", "--scope", "production",
        ],
        cwd=real.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        theirs = ask(f"http://{address}/v1/data/custom/gatekeeper/gates/probe", {"input": {"never": True}})
    finally:
        server.kill()
        server.wait()
    engine = EmbeddedEngine(EngineSettings())
    try:
        engine.load(load_policies(folder))
        ours = engine.evaluate("custom.gatekeeper.gates.probe", b'{"never": true}').result
    finally:
        engine.close()
    assert theirs["deny"] == ours["deny"] == [{"rule": "probe.never", "subject": "s", "message": "m"}]


def ask(url: str, document: object) -> dict[str, object]:
    """Post to a server that is just starting."""
    request = urllib.request.Request(url, json.dumps(document).encode(), {"Content-Type": "application/json"})
    for _ in range(100):
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                answer: dict[str, dict[str, object]] = json.load(response)
                return answer["result"]
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not start")


def exec_config(folder: Path, keys: dict[str, dict[str, str]], signing: dict[str, str]) -> Path:
    """A configuration with which `opa exec` loads and verifies b.tar.gz of the folder."""
    (folder / "config.json").write_text(
        json.dumps({
            "keys": keys,
            "bundles": {"gatekeeper": {"resource": (folder / "b.tar.gz").as_uri(), "signing": signing}},
        })
    )  # fmt: skip
    return folder / "config.json"


def test_opa_exec_chooses_among_rotated_keys_by_the_tokens_id(real: Opa) -> None:
    """With old and new key configured, OPA takes the one that the token names; without it the bundle is refused."""
    (real.folder / "b.tar.gz").write_bytes(build_bundle(LIBRARY, key=KEY).data)
    (real.folder / "input.json").write_text("{}")
    new = {"team": {"algorithm": "ES256", "key": public_half(KEY).key}}
    old = {"old": {"algorithm": "RS256", "key": public_half(signing_key("RS256", "old")).key}}
    words = ("exec", "--decision", "gatekeeper/defaults/max_bundle_age_seconds", "--timeout", "10s", "input.json", "-c")
    done = real.run(*words, exec_config(real.folder, old | new, {"scope": "production"}))
    assert json.loads(done.stdout)["result"][0]["result"] == load_policies(LIBRARY).defaults["max_bundle_age_seconds"]
    for keys, signing in ((old, {"scope": "production"}), (old | new, {"scope": "staging"})):
        done = real.run(*words, exec_config(real.folder, keys, signing))
        assert done.returncode != 0, done.stdout


def test_the_command_writes_a_bundle_that_is_read_back(invoke: Callable[..., Result], tmp_path: Path) -> None:
    """It says what it wrote; `read_bundle` verifies it with the public key."""
    done = invoke(
        "--signing-key", tmp_path / "key.pem", "--key-id", "team", "--scope", "production", "--revision", "v7"
    )
    assert done.exit_code == 0
    assert "below gatekeeper, v7, signed by team with ES256 for the scope production" in done.output
    contents = read_bundle(tmp_path / "b.tar.gz", trust(KEY, scope="production"))
    assert (contents.revision, contents.signed_by) == ("v7", "team")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_command_writes_an_unsigned_bundle_and_says_so(invoke: Callable[..., Result], tmp_path: Path) -> None:
    """Without a key nothing is signed; the message does not let anybody believe otherwise."""
    done = invoke()
    assert done.output.rstrip().endswith("not signed")
    assert f"sha256:{load_policies(LIBRARY).digest}" in done.output
    with pytest.raises(ConfigurationError, match="is not signed"):
        read_bundle(tmp_path / "b.tar.gz", trust(KEY))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--key-id", "team"), "--signing-key: is missing"), (("--scope", "x"), "--signing-key: is missing"),
        (("--algorithm", "ES256"), "--signing-key: is missing"), (("--signing-key", "key.pem"), "--key-id: is needed"),
        (("--signing-key", "absent.pem", "--key-id", "team"), "cannot be read"),
        (("--signing-key", "key.pem", "--key-id", "team", "--algorithm", "RS256"), "RS256 takes"),
        (("--revision", "x" * 501), "revision"),
    ],
)  # fmt: skip
def test_options_that_contradict_each_other_write_nothing(
    arguments: tuple[str, ...], words: str, invoke: Callable[..., Result], tmp_path: Path
) -> None:
    """A forgotten key never gives an unsigned bundle to somebody who asked for a signature."""
    with pytest.raises(ConfigurationError, match=words):
        invoke(*(tmp_path / each if each.endswith(".pem") else each for each in arguments))
    assert not (tmp_path / "b.tar.gz").exists()


@pytest.mark.parametrize("algorithm", ["HS256", "none", "EdDSA"])
def test_the_command_knows_no_shared_secret(algorithm: str, invoke: Callable[..., Result], tmp_path: Path) -> None:
    """`HS256` and `none` are no choices."""
    done = invoke("--signing-key", tmp_path / "key.pem", "--key-id", "team", "--algorithm", algorithm)
    assert done.exit_code == 2
    assert "is not one of" in done.output


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        (CUSTOM, "deny := 1\n", "no package"), (CUSTOM, REGO.replace("#   remedy: None.\n", ""), "lacks remedy"),
        ("custom/gatekeeper/gates/slo/slo.rego", "package custom.gatekeeper.gates.slo\n", "exists already"),
        ("custom/plan.json", "{}", "compiled policy"), ("custom/data.yml", "{}", "is not read"),
        ("custom/big.json", "x" * (1024 * 1024 + 1), "larger than"), ("custom/a b\u202e.json", "{}", "printable|no name|no plain path"),
        ("gatekeeper/gates/slo/data.json", "{}", "would override"),
        ("custom/.hidden/data.json", '{"a": 1}', "is hidden"),
    ],
    ids=["no package", "METADATA", "gate twice", "plan", "data.yml", "large", "name", "overlap", "hidden"],
)  # fmt: skip
def test_a_bundle_that_would_not_load_is_not_built(path: str, text: str, words: str, folder: Path) -> None:
    """What the loader or the reader would refuse is refused where it is built, by the file's name."""
    write(folder, {path: text.encode()})
    with pytest.raises(ConfigurationError, match=words):
        build_bundle(folder, key=KEY)


def test_a_folder_that_changes_while_it_is_read_gives_no_bundle(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The revision is the digest of what is in the bundle, or there is no bundle."""

    def load_and_edit(path: Path) -> PolicySet:
        policies = load_policies(path)
        (path / DATA).write_bytes((path / DATA).read_bytes() + b"# late\n")
        return policies

    monkeypatch.setattr(building, "load_policies", load_and_edit)
    with pytest.raises(ConfigurationError, match="was changed while it was read"):
        build_bundle(folder)


def test_links_out_of_the_folder_are_not_followed(folder: Path, tmp_path: Path) -> None:
    """A link to a file elsewhere, or to nothing, is refused instead of being packed or passed over."""
    (tmp_path / "secret.json").write_text("{}")
    link = folder / "custom" / "link.json"
    for target in (tmp_path / "secret.json", tmp_path / "absent.json"):
        link.symlink_to(target)
        with pytest.raises(ConfigurationError, match=r"regular file|link to nothing"):
            build_bundle(folder)
        link.unlink()


def test_an_output_that_cannot_be_written_is_said(folder: Path, tmp_path: Path) -> None:
    """A folder that is not there, or an output that is a folder, ends with the reason and leaves nothing behind."""
    (tmp_path / "out").mkdir()
    for output in (tmp_path / "absent" / "b.tar.gz", tmp_path / "out"):
        with pytest.raises(UnavailableError, match="cannot be written"):
            CliRunner().invoke(bundle_command, [str(folder), "-o", str(output)], catch_exceptions=False)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_help_shows_how_opa_loads_it() -> None:
    """The help names every option and the OPA command that verifies the bundle."""
    text = CliRunner().invoke(bundle_command, ["--help"]).output
    for word in (
        "--signing-key",
        "--algorithm",
        "--key-id",
        "--scope",
        "--revision",
        "--verification-key",
        "reproducible",
    ):
        assert word in text
