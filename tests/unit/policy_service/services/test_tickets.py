import hashlib
import hmac
from datetime import datetime, timedelta

import pytest

from llm_core.errors import Undecided
from policy_service.services.tickets import Tickets
from tests.fakes.clock import NOON

SECRET = "ticket-secret-0123456789"
TICKETS = Tickets(SECRET)
IN_TIME = NOON + timedelta(seconds=30)
GENUINE = TICKETS.issue("dec_1", IN_TIME)


def signed(named: str) -> str:
    """A ticket that only we could have made, of whatever form."""
    key = hashlib.sha256(b"gatehouse ticket v1\0" + SECRET.encode()).digest()
    return f"{named}.{hmac.new(key, named.encode(), hashlib.sha256).hexdigest()}"


def test_a_genuine_ticket_names_its_decision() -> None:
    assert TICKETS.decision_id(GENUINE, NOON) == "dec_1"
    assert Tickets(SECRET).decision_id(GENUINE, NOON) == "dec_1"


def test_the_tests_own_signature_is_the_real_one() -> None:
    assert signed(GENUINE.rpartition(".")[0]) == GENUINE


def test_a_ticket_holds_no_secret() -> None:
    assert SECRET not in GENUINE


@pytest.mark.parametrize("late_s", [0, 0.001, 3600])
def test_an_expired_ticket_is_refused(late_s: float) -> None:
    with pytest.raises(Undecided, match="expired"):
        TICKETS.decision_id(GENUINE, IN_TIME + timedelta(seconds=late_s))


@pytest.mark.parametrize("missing", [None, ""])
def test_no_ticket_is_refused(missing: str | None) -> None:
    with pytest.raises(Undecided, match="without a decision"):
        TICKETS.decision_id(missing, NOON)


@pytest.mark.parametrize(
    "forged",
    [
        "-",
        ".",
        "...",
        "gt1",
        "gt1.dec_1",
        "dec_1",
        "ü.ñ.\udcff".encode("utf-8", "surrogateescape").decode("latin-1"),
        "gt1.dec_1.99999999999999." + "0" * 64,
        GENUINE[:-1],
        GENUINE + "0",
        GENUINE.upper(),
        GENUINE.replace("dec_1", "dec_2"),
        GENUINE.replace(GENUINE.split(".")[2], "99999999999999"),
        Tickets("another-secret-0123456789").issue("dec_1", IN_TIME),
    ],
)
def test_a_forged_ticket_is_refused(forged: str) -> None:
    with pytest.raises(Undecided, match="not genuine"):
        TICKETS.decision_id(forged, NOON)


@pytest.mark.parametrize(
    "named", ["gt0.dec_1.99999999999999", "gt1.dec.1.99999999999999", "gt1.dec_1", "gt1"]
)
def test_a_ticket_of_another_version_or_form_is_refused_though_we_signed_it(named: str) -> None:
    with pytest.raises(Undecided, match="not genuine"):
        TICKETS.decision_id(signed(named), NOON)


def test_a_time_without_a_zone_names_no_moment() -> None:
    with pytest.raises(ValueError, match="time zone"):
        TICKETS.issue("dec_1", datetime(2026, 11, 20, 12, 0))  # noqa: DTZ001 - that is the point


def test_secrets_do_not_share_keys_with_what_else_is_signed_by_them() -> None:
    named = GENUINE.rpartition(".")[0]
    plain = hmac.new(SECRET.encode(), named.encode(), hashlib.sha256).hexdigest()
    with pytest.raises(Undecided):
        TICKETS.decision_id(f"{named}.{plain}", NOON)
