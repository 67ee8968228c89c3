"""The policy as files becomes the policy in memory.

Both engines read the same folder. OPA loads it by itself (`opa run --server --bundle rego`); for
the embedded engine, and for pushing to an OPA that has no bundle, `load_bundle` reads it here with
the same rules: `data.yaml` and `data.json` land at their folder's path, tests stay out.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policy_service.adapters import policy_data

ENTRYPOINT = "llm/main/decision"
"""The only question that is ever asked."""

_DATA_FILES = frozenset({"data.yaml", "data.yml", "data.json"})


class BrokenBundle(ValueError):
    """The policy's files cannot be used; the message names the file and the fault."""


@dataclass(frozen=True, slots=True)
class PolicyBundle:
    """A whole policy: rules, compliance's lists, and what they are called.

    Args:
        modules: Rego source by path inside the bundle, tests left out.
        data: Compliance's lists, one document.
        revision: What every decision under this policy reports.
        digest: SHA-256 over modules and data, hex: tells two policies of one revision apart.
    """

    modules: Mapping[str, str]
    data: Mapping[str, Any]
    revision: str
    digest: str


def load_bundle(folder: Path) -> PolicyBundle:
    """Read a bundle folder.

    Raises:
        BrokenBundle: No rules, no entrypoint, a file that cannot be parsed, data that collide or
            lie outside the manifest's roots, or a revision that differs between manifest and data.
    """
    manifest = _manifest(folder)
    modules: dict[str, str] = {}
    data: dict[str, Any] = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        place = file.relative_to(folder)
        if file.name in _DATA_FILES:
            _graft(data, place.parent.parts, _parsed(file), place)
        elif file.suffix == ".rego" and not file.stem.endswith("_test"):
            modules[place.as_posix()] = _text(file)
    if not any("package llm.main" in source for source in modules.values()):
        raise BrokenBundle(f"{folder} holds no rules for the entrypoint {ENTRYPOINT}")
    _stay_under(manifest.get("roots"), data)
    digest = digest_of(modules, data)
    return PolicyBundle(
        modules=modules,
        data=data,
        revision=_revision(manifest.get("revision"), data),
        digest=digest,
    )


def _manifest(folder: Path) -> dict[str, Any]:
    file = folder / ".manifest"
    if not file.is_file():
        raise BrokenBundle(f"{folder} is no policy bundle: it has no .manifest")
    return _parsed(file)


def _parsed(file: Path) -> dict[str, Any]:
    read = policy_data.from_yaml if file.suffix in {".yaml", ".yml"} else policy_data.from_json
    try:
        return read(_text(file))
    except ValueError as error:
        raise BrokenBundle(f"{file}: {error}") from error


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BrokenBundle(f"{file} cannot be read: {error}") from error


def _graft(
    data: dict[str, Any], folders: tuple[str, ...], content: dict[str, Any], place: Path
) -> None:
    """Put a data file's content at its folder's path, as OPA does."""
    node = data
    for folder in folders:
        node = node.setdefault(folder, {})
        if not isinstance(node, dict):
            raise BrokenBundle(f"{place} lies under a value of another data file")
    if doubled := sorted(node.keys() & content.keys()):
        raise BrokenBundle(f"{place} says again what another data file says: {', '.join(doubled)}")
    node.update(content)


def _stay_under(roots: object, data: Mapping[str, Any]) -> None:
    """Refuse data that OPA would refuse because the manifest does not claim its path."""
    if not isinstance(roots, list) or not all(isinstance(root, str) for root in roots):
        raise BrokenBundle("the manifest names no roots")
    if stray := sorted(data.keys() - {root.split("/")[0] for root in roots}):
        raise BrokenBundle(f"data outside of the manifest's roots: {', '.join(stray)}")


def digest_of(modules: Mapping[str, str], data: Mapping[str, Any]) -> str:
    """What tells this policy from every other: SHA-256 over rules and lists, hex."""
    canonical = json.dumps([dict(modules), data], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _revision(manifest_revision: object, data: Mapping[str, Any]) -> str:
    """The revision, which has to be in the data too: that is what decisions report."""
    try:
        revision = data["llm"]["compliance"]["revision"]
    except (KeyError, TypeError):
        raise BrokenBundle("llm/compliance/data.yaml names no revision") from None
    if not isinstance(revision, str) or not revision:
        raise BrokenBundle("the revision in llm/compliance/data.yaml must be a text")
    if manifest_revision != revision:
        raise BrokenBundle(
            f"the manifest's revision is {manifest_revision!r}, "
            f"that of llm/compliance/data.yaml is {revision!r}; they must agree"
        )
    return revision
