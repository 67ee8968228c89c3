"""Redis' primary dies under load and its replica takes its place: no row lost, no overspend."""

import pytest

from tests.fixtures.redis_group import RedisGroup
from tests.integration.outages.conftest import TIGHT_CALLS, World
from tests.integration.outages.load import Load, caller_of


@pytest.mark.integration
async def test_a_replica_takes_the_place_of_redis_primary(replicated_world: World) -> None:
    services, redis = replicated_world.services, replicated_world.redis
    assert isinstance(redis, RedisGroup)
    wide = Load(services, await caller_of(services, "wide"))
    tight = Load(services, await caller_of(services, "tight"), hold_s=0.5)
    async with wide.running(), tight.running(clients=4):
        await wide.more(50)
        await tight.more(5)
        redis.stop()
        under_way = set(tight.under_way)
        await wide.more(50)
        await redis.failed_over()
        await tight.until_refused()
    # Nobody, if all waited long enough; 0 is a client that gave up before it was answered.
    assert wide.refused.keys() <= {0, 503}
    assert wide.allowed.keys() == wide.reported.keys()
    await replicated_world.books.check(wide, "wide")
    rows = await replicated_world.books.check(tight, "tight")
    charged = [one for one, (usd, _) in rows.items() if usd > 0]
    # What the replica had not heard of yet is not known to be reserved until it is reported.
    assert TIGHT_CALLS <= len(charged) <= TIGHT_CALLS + len(under_way)
