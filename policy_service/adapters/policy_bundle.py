"""The policy as files becomes the policy in memory.

A policy's folder has the rules, `llm/<question>/<question>.rego`, their tests, which stay out, the
input's schema, which only `opa check` reads, and compliance's lists: `data/<list>.yaml`, each with
one key, the list's name. `opa run rego --ignore schemas` puts the lists at the same place as
`load_bundle` does here, `data.data.<list>`, because OPA goes by folder and key.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from llm_core.policy.networks import NamedNetworks
from policy_service.adapters import policy_data
from policy_service.adapters.policy_lists import faults_between, faults_of
from policy_service.adapters.yaml_file import field_of, line_of

ENTRYPOINT = "llm/main/decision"
"""The only question that is ever asked."""

_LISTS = "data"
_SCHEMAS = "schemas"
_READ_AS_DATA = frozenset({".yaml", ".yml", ".json"})
"""What OPA would take for data, wherever in the folder it lies."""


class BrokenBundle(ValueError):
    """The policy's files cannot be used; the message names the file and the fault."""


@dataclass(frozen=True, slots=True)
class PolicyBundle:
    """A whole policy: rules, compliance's lists, and what they are called.

    Args:
        modules: Rego source by path inside the bundle, tests left out.
        data: Compliance's lists, `{"data": {<list>: ...}}`.
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
        BrokenBundle: No rules, no entrypoint, a file that cannot be parsed, data elsewhere than in
            the lists, a list whose key is not its file's name or that names what is nowhere, or a
            revision that differs between manifest and lists.
    """
    manifest = _manifest(folder)
    modules: dict[str, str] = {}
    lists: dict[str, Any] = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        place = file.relative_to(folder)
        if place.parts[0] == _SCHEMAS:
            continue
        if file.suffix in _READ_AS_DATA:
            lists[file.stem] = _list(file, place)
        elif file.suffix == ".rego" and not file.stem.endswith("_test"):
            modules[place.as_posix()] = _text(file)
    if not any("package llm.main" in source for source in modules.values()):
        raise BrokenBundle(f"{folder} holds no rules for the entrypoint {ENTRYPOINT}")
    _claims_all(manifest.get("roots"))
    _check_networks(folder, lists)
    _refuse_strangers(folder, lists)
    data = {_LISTS: lists}
    digest = digest_of(modules, data)
    return PolicyBundle(
        modules=modules,
        data=data,
        revision=_revision(manifest.get("revision"), lists),
        digest=digest,
    )


def _list(file: Path, place: Path) -> object:
    """One of compliance's lists.

    Raises:
        BrokenBundle: It lies or is called otherwise than lists are, or says more than one.
    """
    if place.parts[:-1] != (_LISTS,) or file.suffix != ".yaml":
        raise BrokenBundle(
            f"{file}: lists are files {_LISTS}/<list>.yaml, and no data lie elsewhere"
        )
    content = _parsed(file)
    if stray := [key for key in content if key != file.stem]:
        line = line_of(yaml.compose(_text(file), Loader=yaml.SafeLoader), (stray[0],))
        raise BrokenBundle(f"{file}:{line}: {stray[0]!r}: the one key here must be {file.stem!r}")
    if not content:
        raise BrokenBundle(f"{file}:1: there has to be one key, {file.stem!r}")
    _refuse_faults(file, content)
    return content[file.stem]


def _refuse_faults(file: Path, content: Mapping[str, Any]) -> None:
    """Refuse a list that says something which it may not, with every fault and its line."""
    faults = faults_of(file.stem, content[file.stem])
    if faults:
        raise _broken(file, [((file.stem, *place), told) for place, told in faults])


def _refuse_strangers(folder: Path, lists: Mapping[str, Any]) -> None:
    """Refuse lists that name of another what is not there."""
    faults = faults_between(lists)
    if faults:
        name = str(faults[0][0][0])
        same = [fault for fault in faults if fault[0][0] == name]
        raise _broken(folder / _LISTS / f"{name}.yaml", same)


def _broken(file: Path, faults: Sequence[tuple[tuple[int | str, ...], str]]) -> BrokenBundle:
    """Every fault of a list with its line."""
    root = yaml.compose(_text(file), Loader=yaml.SafeLoader)
    return BrokenBundle(
        "\n".join(
            f"{file}:{line_of(root, place)}: {field_of(place)}: {told}" for place, told in faults
        )
    )


def _check_networks(folder: Path, lists: Mapping[str, Any]) -> None:
    """Refuse ranges that cannot be read, before a call depends on them."""
    try:
        NamedNetworks(lists.get("networks", {}))
    except (AttributeError, TypeError, ValueError) as error:
        raise BrokenBundle(f"{folder}/data/networks.yaml: {error}") from error


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


def _claims_all(roots: object) -> None:
    """Refuse a manifest under which OPA would refuse the rules or the lists."""
    if not isinstance(roots, list) or not {"llm", _LISTS} <= {str(root) for root in roots}:
        raise BrokenBundle(f"the manifest's roots must be 'llm' and {_LISTS!r}")


def digest_of(modules: Mapping[str, str], data: Mapping[str, Any]) -> str:
    """What tells this policy from every other: SHA-256 over rules and lists, hex."""
    canonical = json.dumps([dict(modules), data], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _revision(manifest_revision: object, lists: Mapping[str, Any]) -> str:
    """The revision, which has to be among the lists too: that is what decisions report."""
    revision = lists.get("revision")
    if not isinstance(revision, str) or not revision:
        raise BrokenBundle("data/revision.yaml must name the revision, as a text")
    if manifest_revision != revision:
        raise BrokenBundle(
            f"the manifest's revision is {manifest_revision!r}, "
            f"that of data/revision.yaml is {revision!r}; they must agree"
        )
    return revision
