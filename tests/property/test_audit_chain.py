"""Whatever is done to a sealed chain is found, and an untouched one has no findings."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_core.audit.event import Checkpoint, Event, Head, content_of, event_hash, linked
from llm_core.audit.findings import Fault, Finding
from llm_core.audit.ranges import Ranges, as_ranges
from llm_core.audit.verify import Verifier, verify_lines
from tests.fakes.audit_chains import (
    Line,
    chain_of,
    checkpoint,
    export,
    header,
    key_pair,
    new_event,
    verified,
)

WORDS = st.text(max_size=8)
PAYLOADS = st.dictionaries(
    WORDS,
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False,
        allow_infinity=False) | WORDS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
        max_leaves=5,
    ),
    max_size=4,
)  # fmt: skip
LENGTHS = st.integers(3, 12)
FIELDS = ("id", "at", "kind", "payload_digest", "previous", "hash")


def faults(found: tuple[Finding, ...]) -> set[Fault]:
    return {one.fault for one in found}


def sealed(length: int, chain: str = "org:acme") -> list[Event]:
    return chain_of(new_event(number, chain) for number in range(1, length + 1))


@given(payloads=st.lists(PAYLOADS, min_size=1, max_size=8), data=st.data())
def test_an_untouched_chain_has_no_findings(
    payloads: list[dict[str, Any]], data: st.DataObject
) -> None:
    events = chain_of(new_event(n, payload=one) for n, one in enumerate(payloads, start=1))
    seals = data.draw(st.sets(st.integers(1, len(events)))) | {1}
    lines = export(events, sorted(seals))
    assert verified([header(*lines), *lines]) == ()
    assert verified(lines) == ()
    first = data.draw(st.integers(1, len(events)))
    rest = export(events, [len(events)])[first - 1 :]
    assert verified([header(*rest), *rest]) == ()


@given(payload=PAYLOADS)
def test_what_a_database_gives_back_is_what_was_hashed(payload: dict[str, Any]) -> None:
    content = content_of("user:a", "key:k", payload)
    kept = json.loads(json.dumps(msgspec.json.decode(content)["payload"]))
    assert content_of("user:a", "key:k", kept) == content


@given(length=LENGTHS, data=st.data())
def test_an_edited_event_is_found_where_it_is(length: int, data: st.DataObject) -> None:
    lines = export(sealed(length), [length])
    at = data.draw(st.integers(0, length - 1))
    event = lines[at]
    assert isinstance(event, Event)
    field = data.draw(st.sampled_from([*FIELDS, "content", "salt"]))
    changed: Any = {
        "content": msgspec.Raw(bytes(event.content).replace(b"user:u", b"user:v")),
        "salt": "f" * 32,
        "at": "2027-01-01T00:00:00.000000Z",
    }.get(field, "e" * 64)
    lines[at] = msgspec.structs.replace(event, **{field: changed})
    found = verified(lines)
    assert (Fault.EDITED, at + 1) in {(one.fault, one.seq) for one in found}


@given(length=LENGTHS, data=st.data())
def test_an_edit_that_is_hashed_anew_contradicts_the_checkpoint(
    length: int, data: st.DataObject
) -> None:
    """Whoever rewrites all that follows still has no key."""
    events = sealed(length)
    at = data.draw(st.integers(1, length))
    rewritten = chain_of(
        new_event(n, payload={"allow": True, "number": 99} if n == at else new_event(n).payload)
        for n in range(1, length + 1)
    )
    lines: list[Line] = [*rewritten, checkpoint(events[-1])]
    assert faults(verified(lines)) == {Fault.REWRITTEN, Fault.UNSEALED}


@given(length=LENGTHS, data=st.data())
def test_an_edit_that_is_hashed_anew_alone_breaks_the_next_link(
    length: int, data: st.DataObject
) -> None:
    events: list[Line] = [*sealed(length)]
    at = data.draw(st.integers(0, length - 2))
    event = events[at]
    assert isinstance(event, Event)
    moved = msgspec.structs.replace(event, kind="other")
    events[at] = msgspec.structs.replace(moved, hash=event_hash(moved))
    found = verified([*events, checkpoint(sealed(length)[-1])])
    assert [(one.fault, one.seq) for one in found] == [(Fault.BROKEN_LINK, at + 2)]


@given(length=LENGTHS, data=st.data())
def test_deleted_events_are_found_with_their_numbers(length: int, data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.integers(1, length), min_size=1, max_size=length))
    lines = export(sealed(length), [length])
    left = [one for one in lines if isinstance(one, Checkpoint) or one.seq not in gone]  # type: ignore[union-attr]
    found = verified(left)
    named = Ranges()
    for one in found:
        if one.fault in {Fault.DELETED, Fault.TRUNCATED}:
            named.add(one.seq, one.last or one.seq)
    assert list(named) == as_ranges(sorted(gone))


@given(length=LENGTHS, data=st.data())
def test_another_order_is_found(length: int, data: st.DataObject) -> None:
    lines = export(sealed(length), [length])
    order = data.draw(st.permutations(range(length)))
    events = [lines[at] for at in order]
    found = verified([*events, lines[-1]])
    if order == list(range(length)):
        assert found == ()
    else:
        assert faults(found) & {Fault.REORDERED, Fault.REWRITTEN, Fault.MISPLACED_CHECKPOINT}


@given(length=LENGTHS, data=st.data())
def test_an_event_given_twice_is_found(length: int, data: st.DataObject) -> None:
    lines = export(sealed(length), [length])
    at = data.draw(st.integers(0, length - 1))
    found = verified([*lines[: at + 1], lines[at], *lines[at + 1 :]])
    assert faults(found) == {Fault.REPEATED}


@given(length=LENGTHS, data=st.data())
def test_truncation_before_a_checkpoint_is_found(length: int, data: st.DataObject) -> None:
    events = sealed(length)
    left = data.draw(st.integers(0, length - 1))
    seal = checkpoint(events[-1])
    assert Fault.TRUNCATED in faults(verified([*events[:left], seal]))
    # The checkpoint is gone as well, but somebody kept it.
    assert Fault.TRUNCATED in faults(verified(events[:left], kept=[seal]))
    lines = export(events, [length])
    assert Fault.TRUNCATED in faults(verified([header(*lines), *events[:left]]))


@given(length=LENGTHS, data=st.data())
def test_a_kept_checkpoint_of_events_that_a_file_leaves_out_is_not_passed_over(
    length: int, data: st.DataObject
) -> None:
    events = sealed(length)
    first = data.draw(st.integers(2, length))
    rest = export(events, [length])[first - 1 :]
    kept = checkpoint(events[first - 2])
    found = verified([header(*rest), *rest], kept=[kept])
    assert [(one.fault, one.seq, one.last) for one in found] == [
        (Fault.DELETED, first - 1, first - 1)
    ]
    assert verified([header(*rest), *rest], kept=[checkpoint(events[first - 1])]) == ()


@given(length=LENGTHS, data=st.data())
def test_swapped_tails_are_found(length: int, data: st.DataObject) -> None:
    """The end of one chain is put onto another, under its name and hashed anew."""
    at = data.draw(st.integers(1, length - 1))
    acme, globex = sealed(length), sealed(length, "org:globex")
    seals = [checkpoint(acme[-1]), checkpoint(globex[-1])]
    plain = [*acme[:at], *globex[at:], seals[0]]
    assert faults(verified(plain)) & {Fault.DELETED, Fault.TRUNCATED}
    renamed = [msgspec.structs.replace(event, chain="org:acme") for event in globex[at:]]
    assert Fault.EDITED in faults(verified([*acme[:at], *renamed, seals[0]]))
    head = Head("org:acme", at, acme[at - 1].hash)
    hashed = chain_of((new_event(n, id=f"evt_{n}") for n in range(at + 1, length + 1)), head)
    assert faults(verified([*acme[:at], *hashed, seals[0]])) == {Fault.REWRITTEN, Fault.UNSEALED}


@given(length=LENGTHS, field=st.sampled_from(["seq", "hash", "at", "previous", "signature"]))
def test_a_forged_checkpoint_is_found(length: int, field: str) -> None:
    events = sealed(length)
    good = checkpoint(events[-1])
    changed: Any = {"seq": length - 1, "signature": good.signature[:-2] + "00"}
    if changed["signature"] == good.signature:
        changed["signature"] = good.signature[:-2] + "01"
    forged = msgspec.structs.replace(good, **{field: changed.get(field, "1" * 64)})
    assert Fault.FORGED_CHECKPOINT in faults(verified([*events, forged]))


def test_a_checkpoint_of_a_strangers_key_is_forged() -> None:
    events = sealed(3)
    forged = checkpoint(events[-1], signer=key_pair(1)[0])
    assert faults(verified([*events, forged])) == {Fault.FORGED_CHECKPOINT, Fault.UNSEALED}


@given(length=LENGTHS, data=st.data())
def test_a_checkpoint_taken_out_is_missed(length: int, data: st.DataObject) -> None:
    lines = export(sealed(length), range(1, length + 1))
    at = data.draw(st.integers(0, length - 2))
    found = verified([*lines[: 2 * at + 1], *lines[2 * at + 2 :]])
    assert [(one.fault, one.seq) for one in found] == [(Fault.MISSING_CHECKPOINT, at + 2)]


@given(length=LENGTHS, data=st.data(), rename=st.sampled_from([list, sorted]))
def test_erased_events_verify_when_an_erasure_names_them(
    length: int, data: st.DataObject, rename: Callable[[list[int]], list[int]]
) -> None:
    gone = data.draw(st.sets(st.integers(1, length), min_size=1))
    events = sealed(length)
    erased = [
        msgspec.structs.replace(e, content=msgspec.Raw(b"null"), salt=None) if e.seq in gone else e
        for e in events
    ]
    record = new_event(
        length + 1, kind="erasure", payload={"erased": as_ranges(rename(sorted(gone)))}
    )
    last, _ = linked(Head("org:acme", length, events[-1].hash), record, "a" * 32)
    assert verified([*erased, last, checkpoint(last)]) == ()
    assert faults(verified([*erased, checkpoint(events[-1])])) == {Fault.ERASED_WITHOUT_RECORD}
    assert faults(verified([*events, last, checkpoint(last)])) == {Fault.NOT_ERASED}


@settings(max_examples=50)
@given(length=LENGTHS, junk=st.binary(min_size=1, max_size=30))
def test_nothing_in_a_file_makes_verification_fail(length: int, junk: bytes) -> None:
    lines = [msgspec.json.encode(line) for line in export(sealed(length), [length])]
    verifier = Verifier(lambda _: True)
    assert list(verify_lines([*lines, junk, b"{}", b"null"], verifier))[-1] == length + 4
    assert Fault.UNREADABLE in faults(verifier.finish())


@given(
    inside=st.sets(st.integers(0, 30)), others=st.sets(st.integers(0, 30)), more=st.integers(0, 30)
)
def test_ranges_are_sets(inside: set[int], others: set[int], more: int) -> None:
    ranges = Ranges(as_ranges(sorted(inside)))
    ranges.discard(more)
    inside.discard(more)
    assert list(ranges) == as_ranges(sorted(inside))
    outside = ranges.outside(Ranges(as_ranges(sorted(others))))
    assert [n for a, b in outside for n in range(a, b + 1)] == sorted(inside - others)
    ranges.add(more, more + 3)
    assert list(ranges) == as_ranges(sorted(inside | set(range(more, more + 4))))


def test_a_payload_that_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="no payload"):
        content_of("a", "b", {"x": object()})


def test_without_a_key_the_file_is_held_against_itself() -> None:
    lines = export(sealed(3), [3])
    assert verified(lines, with_key=False) == ()
    assert faults(verified(lines[1:], with_key=False)) == {Fault.DELETED}
