"""What is to be done so that Kong has what is wanted; and so that it has nothing of ours."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from policy_service.cli.kong.admin_api import Entity, KongAdmin
from policy_service.cli.kong.wanted import Choices, Wanted

KINDS = ("services", "routes", "plugins")
_SIGNS = {"add": "+", "change": "~", "remove": "-"}
_VAULT = "{vault://"
_HIDDEN = "(hidden)"
_SECRETS = ("policy_secret", "credentials")
_ADDRESS = ("protocol", "host", "port", "path")

Existing = Mapping[str, list[Entity]]
"""What Kong has, by kind."""


class Foreign(Exception):
    """Something that is not ours is in the way; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to do.

    Attributes:
        verb: `add`, `change` or `remove`.
        fields: What is sent; nothing for a removal.
        notes: What changes, field by field; no secret.
    """

    verb: str
    kind: str
    identity: str
    label: str
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """How people are told of it."""
        yield f"{_SIGNS[self.verb]} {self.label}"
        for note in self.notes:
            yield f"    {note}"

    def make(self, kong: KongAdmin) -> None:
        """Do it; done twice is done once.

        Raises:
            KongRefused: Kong did not take it.
        """
        if self.verb == "add":
            kong.put(self.kind, self.identity, dict(self.fields))
        elif self.verb == "change":
            kong.patch(self.kind, self.identity, dict(self.fields))
        else:
            kong.delete(self.kind, self.identity)


def existing(kong: KongAdmin) -> Existing:
    """Everything that Kong has of the kinds we touch."""
    return {kind: list(kong.every(kind)) for kind in KINDS}


def chosen_before(choices: Choices, there: Existing) -> Choices:
    """The choices, and for those that are not made what ours in Kong has."""
    ours = {
        kind: [one for one in there[kind] if choices.tag in (one.get("tags") or ())]
        for kind in KINDS
    }
    configs = [one.get("config") or {} for one in ours["plugins"]]
    known = {
        name: next((config[name] for config in configs if config.get(name)), None)
        for name in ("policy_url", "policy_secret")
    }
    return replace(
        choices,
        policy_url=choices.policy_url or known["policy_url"],
        policy_secret=choices.policy_secret or known["policy_secret"],
        hosts=choices.hosts
        or next((one["hosts"] for one in ours["routes"] if one.get("hosts")), ()),
    )


def to_enable(
    wanted: Iterable[Wanted],
    there: Existing,
    tag: str,
    *,
    is_whole: bool,
    keeps_address: bool = False,
) -> list[Change]:
    """The changes that make Kong have what is wanted.

    Args:
        wanted: Each behind the one it hangs on.
        there: What Kong has.
        tag: What marks our entities.
        is_whole: Nothing else of ours is to stay.
        keeps_address: Our service stays where it points to.

    Raises:
        Foreign: An entity that is not ours has the name or the place.
    """
    ids: dict[tuple[str, str], str] = {}
    changes: list[Change] = []
    kept: set[str] = set()
    for one in wanted:
        reference = {} if one.on is None else {one.on[0].removesuffix("s"): {"id": ids[one.on]}}
        fields = {**one.fields, **reference}
        found = _found(one, reference, there)
        if found is not None and tag not in (found.get("tags") or ()):
            raise Foreign(
                f"Kong has a {one.label} that is not ours: it has no tag `{tag}`. "
                "Rename it, or give it the tag if it may be changed and removed with ours."
            )
        identity = one.new_id(tag) if found is None else str(found["id"])
        if one.kind != "plugins":
            ids[one.kind, one.name] = identity
        kept.add(identity)
        if found is None:
            body = {**fields, "tags": [tag]}
            changes.append(Change("add", one.kind, identity, one.label, body))
        else:
            if keeps_address and one.kind == "services":
                fields = {name: value for name, value in fields.items() if name not in _ADDRESS}
            changes += _change(one, fields, found)
    if is_whole:
        changes += [change for change in to_disable(there, tag) if change.identity not in kept]
    return changes


def to_disable(there: Existing, tag: str) -> list[Change]:
    """The changes that take all of ours away: routes first, so that nothing is half served."""
    names = {one["id"]: one.get("name") or one["id"] for kind in KINDS for one in there[kind]}
    return [
        Change("remove", kind, str(one["id"]), _label(kind, one, names))
        for kind in ("routes", "plugins", "services")
        for one in there[kind]
        if tag in (one.get("tags") or ())
    ]


def hanging_on(changes: Iterable[Change], there: Existing, tag: str) -> list[str]:
    """What is not ours and would go, or be in the way, when ours is removed."""
    gone = {change.identity for change in changes if change.verb == "remove"}
    names = {one["id"]: one.get("name") or one["id"] for kind in KINDS for one in there[kind]}
    return [
        _label(kind, one, names)
        for kind, holders in (("routes", ("service",)), ("plugins", ("route", "service")))
        for one in there[kind]
        if tag not in (one.get("tags") or ())
        and any((one.get(holder) or {}).get("id") in gone for holder in holders)
    ]


def _found(one: Wanted, reference: Mapping[str, Any], there: Existing) -> Entity | None:
    for entity in there[one.kind]:
        if entity.get("name") != one.name:
            continue
        if one.kind != "plugins":
            return entity
        # The same plugin may hang in many places; ours hangs at its holder alone.
        places = {name: entity.get(name) for name in ("route", "service", "consumer")}
        if {name: place for name, place in places.items() if place} == reference:
            return entity
    return None


def _change(one: Wanted, fields: Mapping[str, Any], found: Entity) -> Iterator[Change]:
    changed: dict[str, Any] = {}
    notes: list[str] = []
    for name, value in fields.items():
        before = found.get(name)
        if name == "config":
            inner = {key: new for key, new in value.items() if (before or {}).get(key) != new}
            if inner:
                changed[name] = inner
                notes += [_note(key, (before or {}).get(key), new) for key, new in inner.items()]
        elif before != value:
            changed[name] = value
            notes.append(_note(name, before, value))
    if changed:
        identity = str(found["id"])
        yield Change("change", one.kind, identity, one.label, changed, tuple(notes))


def _note(name: str, before: object, after: object) -> str:
    if name in _SECRETS:
        before, after = _safe(before), _safe(after)
    return f"{name}: {before} → {after}"


def _safe(value: object) -> object:
    """A secret as it may be shown: references are none."""
    if isinstance(value, dict):
        return {key: _safe(each) for key, each in value.items()}
    return value if value is None or str(value).startswith(_VAULT) else _HIDDEN


def _label(kind: str, entity: Entity, names: Mapping[str, str]) -> str:
    label = f"{kind.removesuffix('s')} {entity.get('name') or entity['id']}"
    for holder in ("route", "service", "consumer"):
        reference = entity.get(holder)
        if kind == "plugins" and reference:
            label += f" on {holder} {names.get(reference['id'], reference['id'])}"
    return label
