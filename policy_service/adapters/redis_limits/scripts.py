"""The Lua scripts beside this file: one for each step that must be atomic."""

from dataclasses import dataclass
from importlib import resources

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from policy_service.adapters.windows import BUCKET_MS, SKEW_BUCKETS, WINDOW_MS


@dataclass(frozen=True, slots=True)
class Scripts:
    """Each is called by its hash, and sent whole again when Redis does not know it (NOSCRIPT)."""

    states: AsyncScript
    reserve: AsyncScript
    prime: AsyncScript
    redeem: AsyncScript
    extend: AsyncScript
    settle: AsyncScript
    overdue: AsyncScript
    expire: AsyncScript
    acknowledge: AsyncScript


def scripts_for(redis: Redis) -> Scripts:
    """Bind the scripts to a client; sends nothing yet."""
    constants = (
        f"local WINDOW_MS, BUCKET_MS, SKEW_BUCKETS = {WINDOW_MS}, {BUCKET_MS}, {SKEW_BUCKETS}\n"
    )
    counting = constants + _text("common")
    return Scripts(
        states=redis.register_script(counting + _text("states")),
        reserve=redis.register_script(counting + _text("reserve")),
        prime=redis.register_script(counting + _text("prime")),
        redeem=redis.register_script(_text("redeem")),
        extend=redis.register_script(_text("extend")),
        settle=redis.register_script(counting + _text("settle")),
        overdue=redis.register_script(_text("overdue")),
        expire=redis.register_script(_text("expire")),
        acknowledge=redis.register_script(_text("acknowledge")),
    )


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.lua").read_text(encoding="utf-8")
