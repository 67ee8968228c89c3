"""What a call consumed, in tokens by bucket."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum

MOST_TOKENS = 10**9
"""A provider that reports more for one call is mistaken: no model reads or writes a thousandth of
it, and the ledger's whole numbers end not far above."""


class UsageSource(StrEnum):
    """Who says how many tokens it was."""

    PROVIDER = "provider"
    COUNTED = "counted"
    ESTIMATED = "estimated"


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Whole tokens by bucket; `None` is "not reported", zero is zero.

    Buckets are inclusive: `input_tokens` already counts `cached_input_tokens`,
    `cache_write_tokens`, `input_audio_tokens` and `input_image_tokens`; `output_tokens` already
    counts `reasoning_tokens` and `output_audio_tokens`. `cached_audio_tokens` are counted in
    `cached_input_tokens` and in `input_audio_tokens`.
    """

    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    input_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    output_audio_tokens: int | None = None
    cached_audio_tokens: int | None = None

    @property
    def total_tokens(self) -> int:
        """Input and output together, counting what was not reported as nothing."""
        return (self.input_tokens or 0) + (self.output_tokens or 0)

    @property
    def is_reported(self) -> bool:
        """Whether both directions are known."""
        return self.input_tokens is not None and self.output_tokens is not None


def sum_of(usages: Iterable[TokenUsage]) -> TokenUsage:
    """Add bucket by bucket; a bucket that nobody reported stays `None`."""
    totals: dict[str, int | None] = {field.name: None for field in fields(TokenUsage)}
    for usage in usages:
        for name, before in totals.items():
            more = getattr(usage, name)
            if more is not None:
                totals[name] = (before or 0) + more
    return TokenUsage(**totals)
