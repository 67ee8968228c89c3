"""Sentinels and a cluster, for the tests that only use them."""

from collections.abc import Iterator

import pytest

from tests.fixtures.redis_group import RedisGroup, start_cluster, start_sentinels


@pytest.fixture(scope="module")
def sentinels() -> Iterator[RedisGroup]:
    with start_sentinels() as group:
        yield group


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisGroup]:
    with start_cluster() as group:
        yield group


@pytest.fixture(params=["sentinels", "cluster"])
def group_url(request: pytest.FixtureRequest) -> str:
    """The address of each."""
    group: RedisGroup = request.getfixturevalue(request.param)
    return group.url
