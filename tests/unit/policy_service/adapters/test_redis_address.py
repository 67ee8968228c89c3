import pytest

from policy_service.adapters.redis_address import Cluster, Sentinels, address_of
from policy_service.adapters.redis_pool import redis_client


def test_an_address_of_one_server_is_left_to_the_library() -> None:
    for url in ("redis://host:6379/0", "rediss://:pw@host", "unix:///run/redis.sock"):
        assert address_of(url) is None


def test_sentinels_are_named_with_their_primary() -> None:
    url = "redis+sentinel://me:p%40ss@one,two:26380,[::1]:7/main/3?sentinel_password=s&ssl_x=1"
    found = address_of(url)
    assert isinstance(found, Sentinels)
    assert found.places == (("one", 26379), ("two", 26380), ("::1", 7))
    assert (found.primary, found.is_tls) == ("main", False)
    assert found.options == {"username": "me", "password": "p@ss", "db": 3, "ssl_x": "1"}
    assert found.sentinel_options == {"username": None, "password": "s", "ssl_x": "1"}
    assert "p@ss" not in repr(found)


def test_a_cluster_is_named_by_some_of_its_nodes_and_may_speak_tls() -> None:
    found = address_of("rediss+cluster://:pw@one,two:7000?ssl_cert_reqs=none")
    assert isinstance(found, Cluster)
    assert found.places == (("one", 6379), ("two", 7000))
    assert found.is_tls
    assert found.options == {"password": "pw", "ssl_cert_reqs": "none"}
    assert "pw" not in repr(found)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis+sentinel://:p4ss@one:26379", "the primary's name after the hosts"),
        ("redis+sentinel://:p4ss@one:26379/main/x", "the database's number"),
        ("redis+sentinel://:p4ss@one:port/main", "hosts, separated by commas"),
        ("redis+sentinel://:p4ss@one,,two/main", "hosts, separated by commas"),
        ("redis+cluster://", "hosts, separated by commas"),
        ("redis+cluster://:p4ss@one/1", "has database 0 only"),
        ("redis+cluster://:p4ss@one?db=1", "has database 0 only"),
        ("redis+cluster://:p4ss@one?sentinel_password=x", "takes no sentinel_password"),
        ("redis+proxy://:p4ss@one", "begins with redis://, redis"),
        ("http+cluster://:p4ss@one", "begins with redis://, redis"),
        ("redis+cluster://:p4ss@one?no_such_option=1", "option after the question mark"),
        ("sentinel://:p4ss@one/main", "redis://, rediss://, unix://"),
    ],
)
async def test_what_cannot_be_meant_is_refused_at_the_start_without_its_password(
    url: str, why: str
) -> None:
    with pytest.raises(ValueError, match=why) as refused:
        redis_client(url, slot_of="k", connect_timeout_s=1, command_timeout_s=1, max_connections=1)
    assert "p4ss" not in str(refused.value)
