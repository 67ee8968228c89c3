"""What the ledger keeps of words that are not kept themselves."""

from dataclasses import replace

import pytest

from llm_core.digest import sha256_hex
from llm_core.policy.decision import LogLevel, Obligations, Reservation
from policy_service.digests import Digests
from policy_service.ports.ledger import UsageRow
from policy_service.services.traces import Traces, traces_of
from tests.unit.policy_service.services.test_settle import RESERVATION, Service, report

DIGESTS = Digests.from_secret("digest-secret-0123456789")
ANSWERED = report(response_digest=sha256_hex(b"hi"), response_bytes=2)


def at(level: LogLevel, **changes: object) -> Reservation:
    changed = replace(RESERVATION, obligations=Obligations(log_level=level))
    return replace(changed, **changes)  # type: ignore[arg-type]


async def booked(reservation: Reservation, digests: Digests | None = DIGESTS) -> UsageRow:
    service = Service()
    await service.reserve(reservation)
    settler = replace(service.settler, digests=digests)
    await settler.settle("dec_1", ANSWERED)
    [row] = await service.rows()
    return row


@pytest.mark.parametrize("level", [LogLevel.DIGEST, LogLevel.REDACTED, LogLevel.FULL])
async def test_digests_are_keyed_and_sizes_are_kept(level: LogLevel) -> None:
    row = await booked(at(level))
    plain = RESERVATION.call.body_digest
    assert row.request_digest == DIGESTS.of("acme", plain.encode())
    assert row.response_digest == DIGESTS.of("acme", sha256_hex(b"hi").encode())
    assert plain not in repr(row)
    assert (row.request_bytes, row.response_bytes) == (RESERVATION.call.body_bytes, 2)


async def test_at_none_nothing_is_kept() -> None:
    row = await booked(at(LogLevel.NONE))
    kept = (row.request_digest, row.response_digest, row.request_bytes, row.response_bytes)
    assert kept == (None, None, None, None)


async def test_without_a_key_there_are_sizes_and_no_digests() -> None:
    row = await booked(at(LogLevel.DIGEST), digests=None)
    assert (row.request_digest, row.response_digest, row.response_bytes) == (None, None, 2)


def test_the_same_question_has_another_digest_at_another_company() -> None:
    ours = traces_of(DIGESTS, at(LogLevel.DIGEST), ANSWERED)
    other = replace(RESERVATION.caller, organisation="other")
    theirs = traces_of(DIGESTS, at(LogLevel.DIGEST, caller=other), ANSWERED)
    assert ours.request_digest != theirs.request_digest
    assert ours.response_digest != theirs.response_digest


def test_a_question_that_nobody_digested_has_no_digest() -> None:
    call = replace(RESERVATION.call, body_digest="", body_bytes=0)
    told = traces_of(DIGESTS, at(LogLevel.DIGEST, call=call), report())
    assert told == Traces(request_bytes=0)


async def test_a_row_says_which_data_labels_the_call_had() -> None:
    call = replace(RESERVATION.call, data_labels=("pii", "eu", "pii"))
    assert (await booked(at(LogLevel.DIGEST, call=call))).data_labels == "eu,pii"
    assert (await booked(at(LogLevel.DIGEST))).data_labels == ""
