"""Bundles as they travel: OPA's tarball, signed, made and read with nothing left to chance.

Inside are `.manifest`, `.signatures.json`, one `/data.json` with all lists, and the modules, their
tests among them so that whoever gets the bundle can try it. The same policy and key give the same
bytes. What is read is checked before any of it is believed: size, names, signature, digest.

Source:
    https://www.openpolicyagent.org/docs/management-bundles#bundle-file-format (checked 2026-11-29)
"""

import gzip
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from llm_core.nesting import MAX_DEPTH, is_too_deep
from policy_service.adapters.policies.signing import (
    SIGNATURES,
    BrokenSignature,
    SigningKey,
    TrustedKeys,
)
from policy_service.adapters.policies.stamp import stamped, unstamped
from policy_service.adapters.policy_bundle import (
    BrokenBundle,
    PolicyBundle,
    digest_of,
    load_bundle,
)
from policy_service.ports.policies import MOST_TARBALL_BYTES

MANIFEST, DATA = ".manifest", "data.json"
_JSON = (".json", MANIFEST)
TEST_SUFFIX = "_test.rego"
_MOST_UNPACKED_BYTES = 64 * 1024 * 1024
_MOST_FILES = 5000
_REGO_VERSION = 1


@dataclass(frozen=True, slots=True)
class SignedBundle:
    """A bundle whose signature was checked.

    Args:
        policy: Stamped.
        tests: Rego source of its tests by path.
        key_id: Of the key that signed it.
        tarball: As it came.
    """

    policy: PolicyBundle
    tests: Mapping[str, str]
    key_id: str
    tarball: bytes

    @property
    def etag(self) -> str:
        """Tells two tarballs apart: SHA-256 over the bytes, hex."""
        return hashlib.sha256(self.tarball).hexdigest()


def load_tests(folder: Path) -> dict[str, str]:
    """The tests in a policy's folder, by path."""
    return {
        file.relative_to(folder).as_posix(): file.read_text(encoding="utf-8")
        for file in sorted(folder.rglob(f"*{TEST_SUFFIX}"))
    }


def build_tarball(folder: Path, key: SigningKey) -> bytes:
    """Make a signed bundle of a policy's folder; twice the same gives the same bytes.

    Raises:
        BrokenBundle: The folder holds no policy; the message says why.
    """
    return pack(load_bundle(folder), load_tests(folder), key)


def pack(bundle: PolicyBundle, tests: Mapping[str, str], key: SigningKey) -> bytes:
    """Make a signed bundle of a policy."""
    policy = stamped(bundle)
    manifest = {
        "revision": policy.revision,
        "roots": sorted({*policy.data, *(path.split("/")[0] for path in policy.modules)}),
        "rego_version": _REGO_VERSION,
    }
    files = {
        MANIFEST: _json(manifest),
        DATA: _json(policy.data),
        **{path: text.encode() for path, text in {**policy.modules, **tests}.items()},
    }
    files[SIGNATURES] = key.sign(files)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(f"/{name}")
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


def read_tarball(tarball: bytes, keys: TrustedKeys | None) -> SignedBundle:
    """Check a bundle and read it.

    Args:
        tarball: Its bytes.
        keys: Whose signature counts. `None` looks at no signature: for trying a bundle out, never
            for what decides.

    Raises:
        BrokenSignature: Nobody we trust has signed these files.
        BrokenBundle: It is no bundle of ours; the message says why.
    """
    files = _unpacked(tarball)
    signatures = files.pop(SIGNATURES, None)
    if signatures is None:
        raise BrokenSignature("the bundle is not signed")
    try:
        key_id = "" if keys is None else keys.verify(files, signatures)
        manifest = _object(files.pop(MANIFEST, b""), MANIFEST)
        data = _object(files.pop(DATA, b""), DATA)
        sources = {name: content.decode() for name, content in files.items()}
    except ValueError as fault:
        if isinstance(fault, BrokenBundle | BrokenSignature):
            raise
        raise BrokenBundle(f"a file of the bundle cannot be read: {fault}") from fault
    if strangers := sorted(name for name in sources if not name.endswith(".rego")):
        raise BrokenBundle(f"the bundle holds what is no rule: {', '.join(strangers)}")
    tests = {name: text for name, text in sources.items() if name.endswith(TEST_SUFFIX)}
    modules = {name: text for name, text in sources.items() if name not in tests}
    policy = _policy(modules, data, str(manifest.get("revision", "")))
    return SignedBundle(policy=policy, tests=tests, key_id=key_id, tarball=tarball)


def _policy(modules: Mapping[str, str], data: Mapping[str, Any], revision: str) -> PolicyBundle:
    bare_data, bare, stamp = unstamped(data, revision)
    digest = digest_of(modules, bare_data)
    if not digest.startswith(stamp):
        raise BrokenBundle(f"the revision {revision!r} is not that of these rules and lists")
    return stamped(PolicyBundle(modules, bare_data, bare, digest))


def _unpacked(tarball: bytes) -> dict[str, bytes]:
    """The files by name, without the leading slash."""
    if len(tarball) > MOST_TARBALL_BYTES:
        raise BrokenBundle(f"the bundle is larger than {MOST_TARBALL_BYTES} bytes")
    try:
        unzipping = zlib.decompressobj(wbits=31)
        content = unzipping.decompress(tarball, _MOST_UNPACKED_BYTES)
        if unzipping.unconsumed_tail or not unzipping.eof:
            raise BrokenBundle("the bundle is cut off, or too large once unpacked")
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            return _members(archive)
    except (zlib.error, tarfile.TarError, OSError) as fault:
        raise BrokenBundle(f"this is no bundle's tarball: {fault}") from fault


def _members(archive: tarfile.TarFile) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for member in archive:
        if member.isdir():
            continue
        stream = archive.extractfile(member) if member.isreg() else None
        name = member.name.removeprefix("./").removeprefix("/")
        if stream is None or not _is_plain(name):
            raise BrokenBundle(f"the bundle holds {member.name!r}, which is no plain file")
        if name in found:
            raise BrokenBundle(f"the bundle holds {name!r} twice")
        if len(found) >= _MOST_FILES:
            raise BrokenBundle(f"the bundle holds more than {_MOST_FILES} files")
        content = stream.read()
        if name.endswith(_JSON) and is_too_deep(content):
            raise BrokenBundle(f"the bundle's {name} is nested more than {MAX_DEPTH} levels deep")
        found[name] = content
    return found


def _is_plain(name: str) -> bool:
    """Whether a name says one place inside the bundle, in one way."""
    path = PurePosixPath(name)
    return (
        bool(name)
        and name.isprintable()
        and "\\" not in name
        and path.as_posix() == name
        and (not path.is_absolute() and ".." not in path.parts)
    )


def _object(content: bytes, name: str) -> dict[str, Any]:
    found = json.loads(content) if content else None
    if not isinstance(found, dict):
        raise BrokenBundle(f"the bundle has no {name}")
    return found


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
