"""Bundles: what is made can be read, and what was tampered with cannot."""

import gzip
import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest

from policy_service.adapters.policies.signing import (
    SIGNATURES,
    BrokenSignature,
    SigningKey,
    hash_of,
    new_key,
    private_pem,
    public_pem,
)
from policy_service.adapters.policies.stamp import stamped
from policy_service.adapters.policies.tarball import (
    DATA,
    MANIFEST,
    build_tarball,
    load_tests,
    pack,
    read_tarball,
)
from policy_service.adapters.policy_bundle import BrokenBundle, load_bundle
from tests.fixtures.opa_server import opa_binary
from tests.fixtures.policies import REGO, bar_model, policy_folder, trusting

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return new_key()


@pytest.fixture(scope="module")
def tarball(key: SigningKey) -> bytes:
    return build_tarball(REGO, key)


def files_in(tarball: bytes) -> Files:
    with tarfile.open(fileobj=io.BytesIO(tarball), mode="r:gz") as archive:
        found = {}
        for member in archive:
            stream = archive.extractfile(member)
            assert stream is not None
            found[member.name.removeprefix("/")] = stream.read()
        return found


def packed(*files: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    """A tarball as an attacker would make it: names are not looked at."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            member.size = len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(made.getvalue())


def test_a_bundle_that_was_made_is_read_as_the_same_policy(key: SigningKey, tarball: bytes) -> None:
    read = read_tarball(tarball, trusting(key))
    assert read.policy == stamped(load_bundle(REGO))
    assert read.tests == load_tests(REGO)
    assert read.key_id == key.key_id


def test_the_same_policy_and_key_give_the_same_bytes(key: SigningKey, tarball: bytes) -> None:
    assert build_tarball(REGO, key) == tarball


def test_the_revision_has_the_digests_beginning_wherever_it_stands(tarball: bytes) -> None:
    policy = load_bundle(REGO)
    revision = f"{policy.revision}+{policy.digest[:8]}"
    files = files_in(tarball)
    assert json.loads(files[MANIFEST])["revision"] == revision
    assert revision in files[DATA].decode()


def test_opa_takes_our_signature_with_the_right_key_and_no_other(
    key: SigningKey, tarball: bytes, tmp_path: Path
) -> None:
    (tmp_path / "bundle.tar.gz").write_bytes(tarball)
    (tmp_path / "right.pem").write_bytes(public_pem(key))
    (tmp_path / "wrong.pem").write_bytes(public_pem(new_key()))
    ended = [
        subprocess.run(
            [
                *(opa_binary(), "build", "--bundle", "bundle.tar.gz", "-o", "out.tar.gz"),
                *("--verification-key", name, "--verification-key-id", key.key_id),
                *("--signing-alg", "ES256"),
            ],
            cwd=tmp_path,
            capture_output=True,
            check=False,
        ).returncode
        for name in ("right.pem", "wrong.pem")
    ]
    assert ended[0] == 0
    assert ended[1] != 0


def test_opa_hashes_files_as_we_do(tmp_path: Path, key: SigningKey) -> None:
    """Strange characters, numbers and orders included."""
    policy = load_bundle(REGO)
    odd = {"ü\u2028<&>": [1, 2.5, -0.0, 1e21, 12345678901234567890], "a": {"b": None, "B": ""}}
    files = files_in(pack(policy, {}, key))
    del files[SIGNATURES]
    files[DATA] = json.dumps({**json.loads(files[DATA]), "odd": odd}).encode()
    files[MANIFEST] = json.dumps({**json.loads(files[MANIFEST]), "roots": [""]}).encode()
    for name, content in files.items():
        (tmp_path / "b" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "b" / name).write_bytes(content)
    (tmp_path / "key.pem").write_bytes(private_pem(key))
    subprocess.run(
        [
            *(opa_binary(), "sign", "--bundle", "b", "--signing-key", "key.pem"),
            *("--signing-alg", "ES256", "-o", "."),
        ],
        cwd=tmp_path,
        check=True,
    )
    made = json.loads((tmp_path / SIGNATURES).read_bytes())
    payload = jwt.decode(made["signatures"][0], options={"verify_signature": False})
    hashes = {one["name"].removeprefix("b/"): one["hash"] for one in payload["files"]}
    assert hashes == {name: hash_of(name, content) for name, content in files.items()}


def _changed(files: Files) -> None:
    files["llm/models/models.rego"] += b"\n# a change\n"


def _added(files: Files) -> None:
    files["llm/more.rego"] = b"package llm.more\n"


def _removed(files: Files) -> None:
    del files["llm/models/models.rego"]


def _unsigned(files: Files) -> None:
    del files[SIGNATURES]


def _signed_twice(files: Files) -> None:
    [token] = json.loads(files[SIGNATURES])["signatures"]
    files[SIGNATURES] = json.dumps({"signatures": [token, token]}).encode()


def _without_algorithm(files: Files) -> None:
    [token] = json.loads(files[SIGNATURES])["signatures"]
    _, payload, _ = token.split(".")
    head = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
    files[SIGNATURES] = json.dumps({"signatures": [f"{head}.{payload}."]}).encode()


@pytest.mark.parametrize(
    "tamper", [_changed, _added, _removed, _unsigned, _signed_twice, _without_algorithm]
)
def test_a_bundle_that_was_tampered_with_is_refused(
    key: SigningKey, tarball: bytes, tamper: Callable[[Files], None]
) -> None:
    files = files_in(tarball)
    tamper(files)
    with pytest.raises(BrokenSignature):
        read_tarball(packed(*files.items()), trusting(key))


def test_a_bundle_of_somebody_else_is_refused(tarball: bytes) -> None:
    with pytest.raises(BrokenSignature, match="not trusted"):
        read_tarball(tarball, trusting(new_key()))


def test_without_a_trusted_key_no_bundle_is_taken(tarball: bytes) -> None:
    with pytest.raises(BrokenSignature):
        read_tarball(tarball, trusting())


@pytest.mark.parametrize(
    "name", ["../evil.rego", "/../evil.rego", "llm//x.rego", "llm/../x.rego", "a\\b.rego", "./"]
)
def test_a_name_that_leads_out_of_the_bundle_is_refused(key: SigningKey, name: str) -> None:
    with pytest.raises(BrokenBundle, match="no plain file"):
        read_tarball(packed((name, b"x")), trusting(key))


@pytest.mark.parametrize("name", [MANIFEST, DATA, SIGNATURES])
def test_what_is_nested_without_end_is_refused(key: SigningKey, tarball: bytes, name: str) -> None:
    files = {**files_in(tarball), name: b"[" * 100_000}
    with pytest.raises(BrokenBundle, match="nested more than 128 levels"):
        read_tarball(packed(*files.items()), trusting(key))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_what_is_no_plain_file_is_refused(key: SigningKey, kind: bytes) -> None:
    with pytest.raises(BrokenBundle, match="no plain file"):
        read_tarball(packed(("llm/x.rego", b""), kind=kind), trusting(key))


def test_a_file_that_is_there_twice_is_refused(key: SigningKey) -> None:
    with pytest.raises(BrokenBundle, match="twice"):
        read_tarball(packed(("/a.rego", b"1"), ("a.rego", b"2")), trusting(key))


@pytest.mark.parametrize(
    "tarball",
    [
        b"",
        b"no tarball",
        gzip.compress(b"no tarball" * 100),
        gzip.compress(bytes(80 * 1024 * 1024)),
        bytes(9 * 1024 * 1024),
        gzip.compress(b"cut off " * 1000)[:-20],
    ],
    ids=["empty", "text", "zipped text", "bomb", "long", "cut off"],
)
def test_what_is_no_tarball_or_too_large_is_refused(key: SigningKey, tarball: bytes) -> None:
    with pytest.raises((BrokenBundle, BrokenSignature)):
        read_tarball(tarball, trusting(key))


def test_a_signed_bundle_whose_revision_is_not_its_own_is_refused(
    key: SigningKey, tarball: bytes, tmp_path: Path
) -> None:
    """Whoever signs can err, too: rules of one policy under the revision of another."""
    files = files_in(tarball)
    bar_model(policy_folder(tmp_path / "rego"))
    files["llm/models/models.rego"] = (tmp_path / "rego/llm/models/models.rego").read_bytes()
    del files[SIGNATURES]
    files[SIGNATURES] = key.sign(files)
    with pytest.raises(BrokenBundle, match="is not that of these rules"):
        read_tarball(packed(*files.items()), trusting(key))


def test_a_bundle_that_was_not_made_by_us_says_what_makes_one(
    key: SigningKey, tarball: bytes
) -> None:
    files = files_in(tarball)
    files[MANIFEST] = json.dumps({**json.loads(files[MANIFEST]), "revision": "7"}).encode()
    del files[SIGNATURES]
    files[SIGNATURES] = key.sign(files)
    with pytest.raises(BrokenBundle, match="gatehouse policy bundle"):
        read_tarball(packed(*files.items()), trusting(key))
