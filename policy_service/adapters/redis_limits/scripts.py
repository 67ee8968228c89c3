"""The Lua scripts beside this file: one for each step that must be atomic."""

from dataclasses import dataclass
from importlib import resources

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from policy_service.adapters.windows import SKEW_BUCKETS


@dataclass(frozen=True, slots=True)
class Scripts:
    """Each is called by its hash, and sent whole again when Redis does not know it (NOSCRIPT)."""

    states: AsyncScript
    reserve: AsyncScript
    unwritten: AsyncScript
    prime: AsyncScript
    compare: AsyncScript
    rebuild: AsyncScript
    redeem: AsyncScript
    extend: AsyncScript
    settle: AsyncScript
    overdue: AsyncScript
    expire: AsyncScript
    given: AsyncScript
    acknowledge: AsyncScript


def scripts_for(redis: Redis) -> Scripts:
    """Bind the scripts to a client; sends nothing yet."""
    ends = _text("ends")
    counting = (
        f"local SKEW_BUCKETS = {SKEW_BUCKETS}\n"
        + _text("amounts")
        + _text("windows")
        + _text("counters")
    )
    from_ledger = counting + _text("from_ledger")
    above = {
        "states": counting,
        "reserve": counting + ends,
        "settle": counting + ends,
        "prime": from_ledger,
        "compare": from_ledger,
        "unwritten": ends,
        "expire": ends,
        "overdue": ends,
        "given": ends,
        "acknowledge": ends,
    }
    return Scripts(
        **{
            name: redis.register_script(above.get(name, "") + _text(name))
            for name in Scripts.__dataclass_fields__
        }
    )


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.lua").read_text(encoding="utf-8")
