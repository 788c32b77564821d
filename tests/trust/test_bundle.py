"""Bundles: what OPA builds and signs is read, what was tampered with is refused by both, and no doubt passes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import PROJECT
from trust.bundle_making import (
    DATA,
    FILES,
    MANIFEST,
    SLO,
    Opa,
    bundle,
    members,
    signed,
    signing_key,
    tarball,
    trust,
    write,
)

from gatekeeper.errors import ConfigurationError
from gatekeeper.policy import digest_files, load_policies
from gatekeeper.trust import TrustedFiles
from gatekeeper.trust.bundle import BundleContents, TrustedBundle, open_bundle, read_bundle
from gatekeeper.trust.keys import Algorithm, SigningKey, Trust
from gatekeeper.trust.signature import SIGNATURES

KEY = signing_key()
Files = dict[str, bytes]


def opened(data: bytes, trusted: Trust | None = None, *, require_signature: bool = True) -> BundleContents:
    """The contents of a bundle."""
    return open_bundle(data, "b.tar.gz", trusted or trust(KEY), require_signature=require_signature)


def refusal(data: bytes, trusted: Trust | None = None, *, require_signature: bool = True) -> ConfigurationError:
    """The error with which a bundle is refused."""
    with pytest.raises(ConfigurationError) as caught:
        opened(data, trusted, require_signature=require_signature)
    assert caught.value.subject.startswith("b.tar.gz")
    return caught.value


def unsigned_refusal(files: Files) -> ConfigurationError:
    """The error with which files are refused that nobody signed and nobody asked to be."""
    return refusal(bundle(files), require_signature=False)


def built_by_opa(real: Opa, key: SigningKey, *options: str) -> bytes:
    """The bundle that a real OPA builds and signs of the policy library."""
    (real.folder / "key.pem").write_bytes(key.pem)
    done = real.run(
        "build", "--bundle", PROJECT / "policies", "-o", "theirs.tar.gz", "--signing-key", "key.pem",
        "--signing-alg", key.algorithm, "--verification-key-id", key.key_id, *options,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return (real.folder / "theirs.tar.gz").read_bytes()


def test_reads_a_signed_bundle() -> None:
    """Files, revision, roots and signer come back; manifest and signature are no policies."""
    contents = opened(bundle(signed(FILES, KEY)))
    assert contents.files == {path: FILES[path] for path in (SLO, DATA)}
    assert (contents.revision, contents.roots, contents.signed_by) == ("r1", ("gatekeeper",), "team")


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"])
def test_reads_what_opa_builds_and_signs(algorithm: Algorithm, real: Opa) -> None:
    """`opa build --bundle --signing-key` of the library is verified with each algorithm, and holds every module."""
    data = built_by_opa(real, signing_key(algorithm, "default"))
    contents = opened(data, trust(signing_key(algorithm, "default")))
    modules = {path.name for path in (PROJECT / "policies").rglob("*.rego")}
    assert {path.rsplit("/", 1)[-1] for path in contents.files} == modules | {"data.json"}
    assert contents.signed_by == "default"


def test_reads_what_opa_signs_with_claims(real: Opa) -> None:
    """A claims file names key and scope, as OPA's documentation shows it."""
    (real.folder / "claims.json").write_text(
        '{"keyid": "team", "scope": "production", "iat": 1592248027, "iss": "JWTService"}'
    )
    data = built_by_opa(real, KEY, "--claims-file", "claims.json", "--revision", "r7")
    contents = opened(data, trust(KEY, scope="production"))
    assert (contents.revision, contents.roots, contents.signed_by) == ("r7", ("",), "team")
    assert "scope" in refusal(data).problem


def test_reads_what_opa_sign_and_tar_make(real: Opa) -> None:
    """`opa sign` lists files as they are, YAML among them; packed with tar they verify."""
    write(real.folder, FILES | {"key.pem": KEY.pem, "claims.json": b'{"keyid": "team"}'})
    done = real.run(
        "sign", "-b", "gatekeeper", "--signing-key", "key.pem", "--signing-alg", "ES256", "--claims-file", "claims.json"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    names = [SLO, DATA, SIGNATURES]
    data = tarball([(name, (real.folder / name).read_bytes()) for name in names])
    assert opened(data).files == {SLO: FILES[SLO], DATA: FILES[DATA]}
    assert real.refusal(data, KEY) == ""


def edited(path: str, old: bytes, new: bytes) -> Callable[[Files], Files]:
    """Replace bytes of a file that must be there."""

    def edit(files: Files) -> Files:
        assert old in files[path]
        return files | {path: files[path].replace(old, new)}

    return edit


OTHER = signed(FILES | {SLO: b"package gatekeeper.gates.slo\n"}, KEY)
TAMPERING: dict[str, Callable[[Files], Files]] = {
    "edited policy": edited(SLO, b"if input.bad", b"if false    "),
    "edited threshold": edited(DATA, b"3600", b"9600"),
    "edited number's spelling": edited(DATA, b"0.10", b"0.11"),
    "edited manifest": edited(".manifest", b'["gatekeeper"]', b'["gatekeeper","custom"]'),
    "extra policy": lambda files: files | {"gatekeeper/gates/slo/more.rego": b"package gatekeeper.gates.slo\n"},
    "extra data": lambda files: files | {"gatekeeper/more/data.json": b'{"a": 1}'},
    "extra file that is no policy": lambda files: files | {"README.md": b"x"},
    "listed policy missing": lambda files: {path: files[path] for path in files if path != SLO},
    "listed manifest missing": lambda files: {path: files[path] for path in files if path != ".manifest"},
    "listed data emptied": lambda files: files | {DATA: b"{}"},
    "signature stripped": lambda files: {path: files[path] for path in files if path != SIGNATURES},
    "signature emptied": lambda files: files | {SIGNATURES: b'{"signatures": []}'},
    "signature of another bundle": lambda files: files | {SIGNATURES: OTHER[SIGNATURES]},
    "files of another bundle": lambda files: OTHER | {SIGNATURES: files[SIGNATURES]},
    "signed by another key of the name": lambda files: signed(FILES, signing_key(number=1)),
    "signed for another scope": lambda files: signed(FILES, KEY, scope="staging"),
    "renamed policy": lambda files: {path.replace("slo.rego", "slo2.rego"): files[path] for path in files},
}


@pytest.mark.parametrize("attack", TAMPERING)
def test_attack_tampering_is_refused_here_and_by_opa(attack: str, real: Opa) -> None:
    """Each change to a signed bundle is refused by gatekeeper and by a real OPA; unchanged, both take it."""
    good = signed(FILES, KEY)
    assert opened(bundle(good)).signed_by == "team"
    data = bundle(TAMPERING[attack](good))
    assert refusal(data)
    assert real.refusal(bundle(good), KEY) == ""
    assert real.refusal(data, KEY) != ""


def test_attack_tampering_with_what_opa_built(real: Opa) -> None:
    """The same holds for a bundle that OPA built: data edited, module edited, file added, file dropped."""
    key = signing_key("RS256", "default")
    files = members(built_by_opa(real, key))
    module = next(path for path in files if path.endswith("slo.rego"))
    assert opened(bundle(files), trust(key)).files
    assert real.refusal(bundle(files), key) == ""
    for changed in (
        edited("data.json", b"86400", b"99999")(files), edited(module, b"deny contains", b"warn contains")(files),
        files | {"x.rego": b"package x\n"}, {path: files[path] for path in files if path != module},
    ):  # fmt: skip
        assert refusal(bundle(changed), trust(key))
        assert real.refusal(bundle(changed), key) != ""


def test_what_the_signature_does_not_cover_does_not_change_what_is_evaluated() -> None:
    """White space in data may change without breaking the signature, as in OPA; the digest in the record shows it."""
    first = opened(bundle(signed(FILES, KEY)))
    spaced = opened(bundle(edited(DATA, b"owner: ", b"owner:   ")(signed(FILES, KEY))))
    assert digest_files(dict(first.files)) != digest_files(dict(spaced.files))


def test_attack_duplicate_under_another_spelling() -> None:
    """A second copy of a listed file, before or after it, as `./name` or in another case, is refused."""
    good = list(signed(FILES, KEY).items())
    for name in (SLO, f"./{SLO}", f"/{SLO}", SLO.upper()):
        for entries in ([(name, b"package evil\n"), *good], [*good, (name, b"package evil\n")]):
            assert "twice" in refusal(tarball(entries)).problem


@pytest.mark.parametrize("number", range(6))
def test_attack_path_tricks_reach_no_further_than_the_tarball(number: int) -> None:
    """A hostile name is refused even when it is truly signed: nothing is ever written."""
    name = ["../evil.rego", "/../evil.rego", "a/../../evil.rego", "a\\..\\evil.rego", ".git/hooks.rego", "a//b.rego"][
        number
    ]
    assert "no plain path" in refusal(bundle(signed(FILES | {name: b"package gatekeeper.x\n"}, KEY))).problem


def test_unsigned_only_where_it_was_allowed() -> None:
    """Without a signature a bundle is refused by default; where it is allowed, nobody is said to have signed it."""
    error = refusal(bundle(FILES))
    assert "is not signed" in error.problem
    assert "--signing-key" in error.hint
    contents = opened(bundle(FILES), require_signature=False)
    assert contents.signed_by is None
    assert contents.files


def test_a_signature_that_is_there_is_verified_even_where_none_is_needed() -> None:
    """A wrong signature is worse than none; so is one that nobody can check."""
    assert refusal(bundle(TAMPERING["edited policy"](signed(FILES, KEY))), require_signature=False)
    assert "not trusted" in refusal(bundle(signed(FILES, KEY)), trust(), require_signature=False).problem


@pytest.mark.parametrize(
    "name",
    [
        "policy.wasm", "a/policy.wasm", "plan.json", "plan.pb", "patch.json", "a/x.manifest", "a/x.MANIFEST", "x.manifest.pb",
        "gatekeeper/data.yml", "gatekeeper/x.REGO", "gatekeeper/Data.json",
    ],
)  # fmt: skip
def test_refuses_what_opa_would_take_for_something_else(name: str) -> None:
    """Compiled policy, plans, patches, second manifests and misspelt data are refused although they are signed."""
    error = refusal(bundle(signed(FILES | {name: b"{}"}, KEY)))
    assert error.subject == f"b.tar.gz:{name}"


@pytest.mark.parametrize(
    "name", [".gitignore", ".manifest.pb", "a/.manifest", "a/.signatures.json", ".github/x.rego", "a/.b/data.json"]
)
def test_refuses_hidden_files_and_nested_manifests(name: str) -> None:
    """OPA mounts `.a/data.json` as `data.a` and takes a nested manifest for the bundle's; neither is read here."""
    assert "no plain path" in refusal(bundle(signed(FILES | {name: b"{}"}, KEY))).problem


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (b"", "empty"), (b"[]", "the document"), (b"{", "not JSON"), (b'{"roots": ["gatekeeper"]} x', "not JSON"),
        (b'{"roots": "gatekeeper"}', "roots"), (b'{"Roots": []}', "Roots"), (b'{"root": ["gatekeeper"]}', "root"),
        (b'{"revision": 5}', "revision"), (b'{"revision": "a", "revision": "b"}', "duplicate key"),
        (b'{"rego_version": 0}', "rego_version"), (b'{"file_rego_versions": {"*": 0}}', "file_rego_versions"),
        (b'{"wasm": [{"entrypoint": "a", "module": "/policy.wasm"}]}', "wasm"), (b"\xff", "UTF-8"),
        (b'{"roots": ["gatekeeper", "gatekeeper/gates"]}', "overlap"), (b'{"roots": ["gatekeeper/gates", "gatekeeper"]}', "overlap"), (b'{"roots": ["", "custom"]}', "overlap"),
        (b'{"roots": ["gatekeeper", "/gatekeeper/"]}', "overlap"),
    ],
)  # fmt: skip
def test_refuses_a_manifest_that_says_something_else(manifest: bytes, words: str) -> None:
    """A manifest that is malformed, misspelt or asks for another language is refused by the place of the fault."""
    error = unsigned_refusal(FILES | {".manifest": manifest})
    assert words in error.problem
    assert error.subject == "b.tar.gz:.manifest"


@pytest.mark.parametrize(
    ("manifest", "roots"),
    [
        (None, ("",)), (b"{}", ("",)), (b'{"roots": null, "wasm": null, "metadata": null}', ("",)),
        (b'{"roots": ["/gatekeeper/"], "metadata": {"a": [1]}}', ("gatekeeper",)),
        (b'{"roots": ["gatekeeper/gates", "gatekeeper/defaults"]}', ("gatekeeper/gates", "gatekeeper/defaults")),
    ],
)  # fmt: skip
def test_roots_are_read_as_opa_reads_them(manifest: bytes | None, roots: tuple[str, ...]) -> None:
    """No roots means everything; slashes around a root do not matter."""
    files = {path: FILES[path] for path in (SLO, DATA)} | ({} if manifest is None else {".manifest": manifest})
    assert opened(bundle(files), require_signature=False).roots == roots


OUTSIDE: dict[str, Files] = {
    "package": {"gatekeeper/x.rego": b"package custom.x\n"},
    "package that begins alike": {"gatekeeper/x.rego": b"package gatekeepers\n"},
    "data beside": {"custom/data.json": b'{"a": 1}'},
    "data at the top": {"data.json": b'{"gatekeeper": {"a": 1}, "custom": 1}'},
    "data above the root": {"data.yaml": b"gatekeeper: {a: 1}\nsystem: {x: 2}\n"},
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_refuses_what_lies_outside_the_roots_as_opa_does(case: str, real: Opa) -> None:
    """A module or datum outside the manifest's roots is refused here and by OPA, and the file is named."""
    error = unsigned_refusal(FILES | OUTSIDE[case])
    assert "outside the bundle's roots" in error.problem
    assert error.subject == f"b.tar.gz:{next(iter(OUTSIDE[case]))}"
    assert real.refusal(bundle(signed(FILES | OUTSIDE[case], KEY)), KEY) != ""


def test_data_at_the_top_belongs_to_the_root_that_it_names(real: Opa) -> None:
    """`opa build` writes all data into one file at the top; what it holds below a root is inside it."""
    files = {".manifest": MANIFEST, SLO: FILES[SLO], "data.json": b'{"gatekeeper": {"defaults": {"a": 1.0}}}'}
    assert opened(bundle(files), require_signature=False).files["data.json"]
    assert real.refusal(bundle(signed(files, KEY)), KEY) == ""


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        (SLO, b"package gatekeeper.gates.slo\n# \xff\n", "UTF-8"), (SLO, b"deny := true\n", "no package"),
        (DATA, b"a: 1\na: 2\n", "duplicate key"), (DATA, b"[1]", "a mapping"), ("gatekeeper/data.json", b"{", "not JSON"),
    ],
)  # fmt: skip
def test_refuses_files_that_cannot_be_read(path: str, content: bytes, words: str) -> None:
    """Text that is not UTF-8, a module without a package and malformed data are refused by name."""
    error = unsigned_refusal(FILES | {path: content})
    assert words in error.problem
    assert error.subject == f"b.tar.gz:{path}"


def test_reads_a_bundle_from_a_file(tmp_path: Path) -> None:
    """The file is read once; what is no file, or not there, is refused by its path."""
    path = tmp_path / "b.tar.gz"
    path.write_bytes(bundle(signed(FILES, KEY)))
    assert read_bundle(path, trust(KEY)).signed_by == "team"
    os.mkfifo(tmp_path / "pipe")
    for other in (tmp_path, tmp_path / "absent.tar.gz", tmp_path / "pipe"):
        with pytest.raises(ConfigurationError, match="no such bundle"):
            read_bundle(other, trust(KEY))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_bundle(tmp_path / ("x" * 300), trust(KEY))
    path.write_bytes(bundle(FILES))
    with pytest.raises(ConfigurationError, match="is not signed"):
        read_bundle(path, trust(KEY))


def place(**options: Any) -> TrustedFiles:
    """A bundle as a place of trusted files."""
    files = FILES if options else signed(FILES, KEY)
    return TrustedBundle("b.tar.gz", opened(bundle(files), **options))


def test_a_bundle_is_a_place_of_trusted_files() -> None:
    """It reads and lists like a folder or a git ref: paths below a folder are relative to it."""
    trusted = place()
    assert trusted.read(SLO) == FILES[SLO]
    assert trusted.read(".manifest") is None
    assert trusted.list("gatekeeper/gates") == {"slo/slo.rego": FILES[SLO]}
    assert trusted.list("gatekeeper/gat") is None
    assert trusted.list(".") == trusted.list("") == {SLO: FILES[SLO], DATA: FILES[DATA]}


def test_a_bundle_says_who_signed_it_and_why_to_doubt_it() -> None:
    """A signed one is named with its signer; an unsigned one stands in the ledger."""
    assert (place().name, place().relaxed) == ("bundle b.tar.gz (r1, signed by team)", "")
    doubted = place(require_signature=False)
    assert doubted.name == "bundle b.tar.gz (r1, not signed)"
    assert doubted.relaxed == "the policy bundle b.tar.gz is not signed"


def test_the_digest_is_of_the_exact_bytes_of_the_tarball(tmp_path: Path) -> None:
    """Policies loaded from a bundle's files have the digest of those files, and its signed data."""
    contents = opened(bundle(signed(FILES, KEY)))
    policies = load_policies(write(tmp_path / "policies", contents.files))
    assert policies.digest == digest_files(dict(contents.files))
    assert policies.data == {
        "gatekeeper": {
            "defaults": {"thresholds": {"slo": {"max_age_seconds": 3600, "ratio": 0.1}}, "owner": "caf\u00e9"}
        }
    }
    assert json.loads(FILES[".manifest"])["revision"] == contents.revision
