"""Prices: the company's own files first, the public list after them.

The format of the files is described in `prices/README.md`.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

import msgspec
from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from llm_core.pricing.catalog import ListedPrices, listed_prices
from llm_core.pricing.charge import ModelPrice, Rates, Tier
from policy_service.adapters.yaml_file import InvalidFile, read_yaml

# Six decimals per million tokens keep every charge exact to the pico-dollar (llm_core.pricing).
_Usd = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=6, allow_inf_nan=False)]
_Name = Annotated[str, Field(min_length=1, max_length=200)]
_FREE = Rates(input=Decimal(0), output=Decimal(0))


def price_files(folder: Path) -> tuple[Path, ...]:
    """Every `*.yaml` in a folder, by name."""
    return tuple(sorted(folder.glob("*.yaml")))


class PriceList:
    """Implements `ports.Prices` over price files and the public list that genai-prices ships.

    A model that a file names is priced by that file from its first `from` on, and by the public
    list before. Everything is read at the start; a look-up that was made before is kept.
    """

    def __init__(self, files: Sequence[Path] = ()) -> None:
        """Read the files.

        Raises:
            InvalidFile: A file is wrong, or two of them price the same model.
        """
        self._contracts = _contracts(files)
        self._listed: dict[tuple[str, str], ListedPrices | None] = {}

    def price(self, provider: str, model: str, at: datetime) -> ModelPrice | None:
        """The price in force at `at` (UTC-aware); `None` when it is not known."""
        for period in self._contracts.get((provider, model), ()):
            if at >= period.start:
                return period.price
        asked = (provider, model)
        if asked not in self._listed:
            # Deployments come from the catalogue, so there are few of them and this stays small.
            self._listed[asked] = listed_prices(provider, model)
        listed = self._listed[asked]
        return listed.at(at) if listed is not None else None


@dataclass(frozen=True, slots=True)
class _Period:
    start: datetime
    price: ModelPrice


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _RatesEntry(_Entry):
    input: _Usd
    output: _Usd
    cached_input: _Usd | None = None
    cache_write: _Usd | None = None
    input_audio: _Usd | None = None
    output_audio: _Usd | None = None
    cached_audio: _Usd | None = None

    def rates(self) -> Rates:
        return Rates(
            input=self.input,
            output=self.output,
            cached_input=self.cached_input,
            cache_write=self.cache_write,
            input_audio=self.input_audio,
            output_audio=self.output_audio,
            cached_audio=self.cached_audio,
        )


class _TierEntry(_RatesEntry):
    above_input_tokens: Annotated[int, Field(gt=0, strict=True)]


class _PriceEntry(_Entry):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    start: Annotated[date, Field(alias="from")]
    free: StrictBool = False
    rates: _RatesEntry | None = None
    tiers: tuple[_TierEntry, ...] = ()

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if self.free and (self.rates or self.tiers):
            raise ValueError("a price is either `free: true` or has `rates`, not both")
        if not self.free and self.rates is None:
            raise ValueError("`rates` are missing; a model that costs nothing says `free: true`")
        bounds = [tier.above_input_tokens for tier in self.tiers]
        if bounds != sorted(set(bounds)):
            raise ValueError("tiers stand in rising order of `above_input_tokens`")
        return self

    def price(self, name: str) -> ModelPrice:
        rates = _FREE if self.rates is None else self.rates.rates()
        tiers = tuple(Tier(tier.above_input_tokens, tier.rates()) for tier in self.tiers)
        # The digest keeps two rows apart when somebody corrects a price and leaves its date.
        canonical = msgspec.json.encode([rates, tiers], order="sorted")
        digest = hashlib.sha256(canonical).hexdigest()[:8]
        return ModelPrice(f"{name}@{self.start.isoformat()}#{digest}", rates, tiers)


class _ModelEntry(_Entry):
    provider: _Name
    model: _Name
    source: str | None = None
    checked: date | None = None
    prices: Annotated[tuple[_PriceEntry, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _starts_differ(self) -> Self:
        starts = [price.start for price in self.prices]
        if len(set(starts)) != len(starts):
            raise ValueError("two prices start on the same day")
        return self


class _PriceFile(_Entry):
    currency: Literal["USD"]
    per_tokens: Literal[1_000_000]
    models: tuple[_ModelEntry, ...]


def _contracts(files: Iterable[Path]) -> Mapping[tuple[str, str], tuple[_Period, ...]]:
    """Periods by provider and model, newest first."""
    contracts: dict[tuple[str, str], tuple[_Period, ...]] = {}
    said_in: dict[tuple[str, str], Path] = {}
    for path in files:
        for entry in read_yaml(path, _PriceFile).models:
            key = (entry.provider, entry.model)
            if key in said_in:
                raise InvalidFile(
                    f"{path}: {entry.provider} {entry.model} is priced in {said_in[key]} already"
                )
            said_in[key] = path
            name = f"{path.stem}/{entry.provider}/{entry.model}"
            contracts[key] = tuple(
                _Period(_midnight(price.start), price.price(name))
                for price in sorted(entry.prices, key=lambda price: price.start, reverse=True)
            )
    return contracts


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
