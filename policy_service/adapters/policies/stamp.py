"""A policy's revision as decisions name it: what compliance called it, and what it really is."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from policy_service.adapters.policy_bundle import BrokenBundle, PolicyBundle

STAMP_CHARS = 8
"""So many hex digits of the digest follow the manifest's revision."""
_PLACES = (("data",), ("llm", "compliance"))
"""Where the lists with their `revision` may lie; the first that is there counts."""


def stamped(bundle: PolicyBundle) -> PolicyBundle:
    """The same policy, its revision `<manifest's>+<digest>` in the lists too.

    Two policies that somebody gave one revision are told apart in every decision. The digest stays
    that of the policy without the stamp. What is stamped already is left as it is.
    """
    stamp = f"+{bundle.digest[:STAMP_CHARS]}"
    if bundle.revision.endswith(stamp):
        return bundle
    revision = bundle.revision + stamp
    return replace(bundle, data=_with_revision(bundle.data, revision), revision=revision)


def unstamped(data: Mapping[str, Any], revision: str) -> tuple[dict[str, Any], str, str]:
    """The lists without the stamp, the revision without it, and the stamp.

    Raises:
        BrokenBundle: There is no stamp, or the lists have another revision.
    """
    bare, _, stamp = revision.rpartition("+")
    if not bare or len(stamp) != STAMP_CHARS:
        raise BrokenBundle(
            f"the revision {revision!r} has no digest: make the bundle with `gatehouse policy "
            "bundle`"
        )
    if _lists(data).get("revision") != revision:
        raise BrokenBundle("the manifest's revision is not that of the lists")
    return _with_revision(data, bare), bare, stamp


def _place(data: Mapping[str, Any]) -> tuple[str, ...]:
    for place in _PLACES:
        node: Any = data
        for name in place:
            node = node.get(name) if isinstance(node, Mapping) else None
        if isinstance(node, Mapping) and "revision" in node:
            return place
    raise BrokenBundle("the lists name no revision")


def _lists(data: Mapping[str, Any]) -> Mapping[str, Any]:
    node: Any = data
    for name in _place(data):
        node = node[name]
    found: Mapping[str, Any] = node
    return found


def _with_revision(data: Mapping[str, Any], revision: str) -> dict[str, Any]:
    made = dict(data)
    node = made
    for name in _place(data):
        node[name] = dict(node[name])
        node = node[name]
    node["revision"] = revision
    return made
