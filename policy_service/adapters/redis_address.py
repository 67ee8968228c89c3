"""Where Redis is: one server, a primary that Sentinels know, or a slot of a cluster.

    redis://user:password@host:6379/0
    redis+sentinel://user:password@host:26379,host:26379/name-of-the-primary/0
    redis+cluster://user:password@host:6379,host:6379

With `rediss` in place of `redis` everything is spoken over TLS, to Sentinels too. What follows a
question mark is redis-py's (`ssl_ca_certs`, `ssl_cert_reqs`, `health_check_interval`), but for
`sentinel_username` and `sentinel_password`, with which Sentinels are asked.

Source:
    https://limits.readthedocs.io/en/stable/storage.html, whose addresses these are, and
    https://redis.readthedocs.io/en/stable/connections.html (checked 2026-11-29)
"""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlencode, urlsplit

from redis.asyncio.connection import parse_url

Place = tuple[str, int]
"""Host and port."""

_SENTINEL_PORT = 26379
_REDIS_PORT = 6379
_OF_SENTINELS = ("sentinel_username", "sentinel_password")
_TLS = "ssl_"


@dataclass(frozen=True, slots=True)
class Sentinels:
    """A primary with replicas; Sentinels say which of them it is.

    Attributes:
        places: Of the Sentinels.
        primary: The name that they know it by.
        options: For connections to Redis.
        sentinel_options: For connections to a Sentinel.
    """

    places: tuple[Place, ...]
    primary: str
    is_tls: bool
    options: dict[str, Any] = field(repr=False)
    sentinel_options: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Redis Cluster, known by some of its nodes.

    Attributes:
        options: For connections to every node.
    """

    places: tuple[Place, ...]
    is_tls: bool
    options: dict[str, Any] = field(repr=False)


def address_of(url: str) -> Sentinels | Cluster | None:
    """Take an address apart that names several servers; `None` when it names one.

    Raises:
        ValueError: It cannot be meant; the message holds no password.
    """
    parts = urlsplit(url)
    scheme, _, kind = parts.scheme.partition("+")
    if not kind:
        return None
    if scheme not in ("redis", "rediss") or kind not in ("sentinel", "cluster"):
        raise ValueError(
            "an address of Redis begins with redis://, redis+sentinel:// or redis+cluster:// "
            "(rediss for TLS)"
        )
    return _sentinels(parts) if kind == "sentinel" else _cluster(parts)


def _sentinels(parts: SplitResult) -> Sentinels:
    name, _, number = parts.path.strip("/").partition("/")
    if not name:
        raise ValueError(
            "redis+sentinel:// needs the primary's name after the hosts: "
            "redis+sentinel://host:26379,host:26379/mymaster/0"
        )
    options, of_sentinels = _options(parts, number)
    username, password = (of_sentinels.get(one) for one in _OF_SENTINELS)
    return Sentinels(
        _places(parts, _SENTINEL_PORT),
        unquote(name),
        parts.scheme.startswith("rediss"),
        options,
        {"username": username, "password": password}
        | {key: value for key, value in options.items() if key.startswith(_TLS)},
    )


def _cluster(parts: SplitResult) -> Cluster:
    number = parts.path.strip("/")
    options, of_sentinels = _options(parts, number)
    if options.get("db", 0) != 0:
        raise ValueError("a Redis Cluster has database 0 only: leave the number out")
    if of_sentinels:
        raise ValueError(f"redis+cluster:// takes no {', '.join(of_sentinels)}")
    return Cluster(_places(parts, _REDIS_PORT), parts.scheme.startswith("rediss"), options)


def _places(parts: SplitResult, port: int) -> tuple[Place, ...]:
    named = parts.netloc.rpartition("@")[2].split(",")
    try:
        split = [urlsplit(f"//{one.strip()}") for one in named]
        places = tuple((one.hostname or "", one.port or port) for one in split)
    except ValueError:
        places = ()
    if not places or not all(host for host, _ in places):
        raise ValueError(
            f"{parts.scheme}:// needs hosts, separated by commas: host:{port},host:{port}"
        )
    return places


def _options(parts: SplitResult, number: str) -> tuple[dict[str, Any], dict[str, str]]:
    """What redis-py makes of user, password, number and question, and what is for Sentinels."""
    if number and not number.isdecimal():
        raise ValueError("the last part of an address of Redis is the database's number, like /0")
    asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
    of_sentinels = {name: asked.pop(name) for name in _OF_SENTINELS if name in asked}
    user = "".join(parts.netloc.rpartition("@")[:2])
    scheme = parts.scheme.partition("+")[0]
    options: dict[str, Any] = dict(parse_url(f"{scheme}://{user}host/{number}?{urlencode(asked)}"))
    options.pop("host")
    options.pop("connection_class", None)
    return options, of_sentinels
