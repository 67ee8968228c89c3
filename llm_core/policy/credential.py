"""What a caller is to be recognised by: what the plugins send, and the policy service reads."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KongConsumer:
    """Whom one of Kong's own auth plugins recognised.

    Args:
        groups: Those that Kong's plugins have authenticated.
    """

    username: str | None = None
    custom_id: str | None = None
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Credential:
    """The body of `POST /v1/callers/identify`: exactly one of the first three.

    Args:
        token: A JSON Web Token.
        source_ip: The client's address, where the route tells it.
    """

    api_key: str | None = None
    token: str | None = None
    consumer: KongConsumer | None = None
    source_ip: str | None = None

    def __repr__(self) -> str:
        return "Credential(...)"
