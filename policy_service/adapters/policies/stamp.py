"""A policy's revision as decisions name it: what compliance called it, and what it really is."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from policy_service.adapters.policy_bundle import BrokenBundle, PolicyBundle

STAMP_CHARS = 8
"""So many hex digits of the digest follow the manifest's revision."""
_LISTS = "data"
"""Where in the data the lists lie, `revision` among them."""


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


def _lists(data: Mapping[str, Any]) -> Mapping[str, Any]:
    lists = data.get(_LISTS)
    if not isinstance(lists, Mapping) or "revision" not in lists:
        raise BrokenBundle("the lists name no revision")
    return lists


def _with_revision(data: Mapping[str, Any], revision: str) -> dict[str, Any]:
    return {**data, _LISTS: {**_lists(data), "revision": revision}}
