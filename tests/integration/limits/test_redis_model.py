import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from policy_service.ports.limits import LimitsStore
from tests.fixtures.limits_machine import REMEMBERED_S, LimitsMachine
from tests.fixtures.redis_server import RedisServer, patient_store

pytestmark = pytest.mark.integration


def test_the_redis_store_does_what_the_model_does(redis_server: RedisServer) -> None:
    class RedisMachine(LimitsMachine):
        def make_store(self) -> LimitsStore:
            with redis.Redis.from_url(redis_server.url) as client:
                client.flushall()
            return patient_store(
                redis_server.url,
                redelivery_s=3600,
                remembered_s=REMEMBERED_S,
                estimate_remembered_s=REMEMBERED_S,
            )

    run_state_machine_as_test(
        RedisMachine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            # Shrinking takes minutes here; the same machine shrinks quickly on the store in memory.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
