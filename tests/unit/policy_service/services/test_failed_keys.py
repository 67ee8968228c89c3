import pytest

from llm_core.policy.credential import Credential, KongConsumer
from policy_service.ports.callers import Unknown
from policy_service.services.failed_keys import FailedKeys
from policy_service.services.identify import IdentifyAnswer
from tests.fakes.clock import FakeClock
from tests.fakes.samples import CALLER

HERE, THERE = "192.0.2.1", "192.0.2.2"
MOST = 3
NOBODY = IdentifyAnswer(unknown=Unknown.UNKNOWN)
SOMEBODY = IdentifyAnswer(caller=CALLER)


def key(text: str, source: str | None = HERE) -> Credential:
    return Credential(api_key=text, source_ip=source)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def failed(clock: FakeClock) -> FailedKeys:
    return FailedKeys(MOST, clock)


def fail(failed: FailedKeys, times: int, source: str | None = HERE) -> None:
    for number in range(times):
        failed.note(key(f"gk-{number}", source), NOBODY)


def is_refused(failed: FailedKeys, asked: Credential) -> bool:
    answer = failed.refusal(asked)
    assert answer is None or answer.unknown is Unknown.TOO_MANY_FAILURES
    return answer is not None


def test_who_tries_many_keys_is_not_looked_up_any_more(failed: FailedKeys):
    fail(failed, MOST - 1)
    assert not is_refused(failed, key("gk-9"))
    fail(failed, MOST)
    assert is_refused(failed, key("gk-9"))
    assert not is_refused(failed, Credential(token="a.b.c", source_ip=HERE))
    assert not is_refused(failed, key("gk-9", THERE))


def test_a_minute_later_it_is_looked_up_again(failed: FailedKeys, clock: FakeClock):
    fail(failed, MOST)
    clock.advance(59)
    assert is_refused(failed, key("gk-9"))
    clock.advance(1)
    assert not is_refused(failed, key("gk-9"))
    fail(failed, MOST - 1)
    assert not is_refused(failed, key("gk-9"))


def test_the_same_wrong_key_for_ever_is_one_failure(failed: FailedKeys):
    for _ in range(100):
        failed.note(key("gk-old"), NOBODY)
    assert not is_refused(failed, key("gk-9"))


def test_a_neighbour_with_a_good_key_goes_on(failed: FailedKeys):
    failed.note(key("gk-good"), SOMEBODY)
    fail(failed, MOST)
    assert not is_refused(failed, key("gk-good"))
    assert is_refused(failed, key("gk-other"))


@pytest.mark.parametrize("why", [Unknown.EXPIRED, Unknown.UNPLACED, Unknown.INACTIVE])
def test_who_was_somebody_tries_nothing(failed: FailedKeys, why: Unknown):
    for number in range(MOST):
        failed.note(key(f"gk-{number}"), IdentifyAnswer(unknown=why))
    assert not is_refused(failed, key("gk-9"))


@pytest.mark.parametrize("source", [None, "", "unix:", "nobody"])
def test_without_an_address_nobody_is_held_for_another(failed: FailedKeys, source: str | None):
    fail(failed, 5 * MOST, source)
    assert not is_refused(failed, key("gk-9", source))


def test_a_consumer_of_kongs_is_never_refused(failed: FailedKeys):
    fail(failed, MOST)
    consumer = Credential(consumer=KongConsumer("shop"), source_ip=HERE)
    failed.note(consumer, NOBODY)
    assert not is_refused(failed, consumer)


def test_an_address_of_v6_is_all_of_its_site_and_one_of_v4_in_it_is_itself(failed: FailedKeys):
    fail(failed, MOST, "2001:db8::1")
    assert is_refused(failed, key("gk-9", "2001:db8::ffff:1"))
    assert not is_refused(failed, key("gk-9", "2001:db8:0:1::1"))
    fail(failed, MOST, f"::ffff:{HERE}")
    assert is_refused(failed, key("gk-9", HERE))


def test_zero_is_no_limit(clock: FakeClock):
    failed = FailedKeys(0, clock)
    fail(failed, 100)
    assert not is_refused(failed, key("gk-9"))


def test_memory_has_a_bound(failed: FailedKeys):
    for number in range(10_500):
        failed.note(key("gk-1", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"), NOBODY)
    fail(failed, 100)
    assert len(failed._sources) == 10_000
    assert len(failed._sources[HERE].failed) == MOST
