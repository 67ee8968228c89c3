"""What was agreed with a provider, as the models file writes it."""

from datetime import UTC, date, datetime, time
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, model_validator

from llm_core.catalogue import Agreement, DataProcessing

_Text = Annotated[str, Field(min_length=1, max_length=300)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AgreementEntry(_Entry):
    """A contract: days in UTC, `until` the first one on which it no longer holds."""

    since: date
    until: date | None = None
    reference: Annotated[str, Field(max_length=300)] = ""

    @model_validator(mode="after")
    def _ends_after_it_began(self) -> Self:
        if self.until is not None and self.until <= self.since:
            raise ValueError("until: must be after since")
        return self

    def agreement(self) -> Agreement:
        """The agreement that this entry describes."""
        until = None if self.until is None else _begin_of(self.until)
        return Agreement(_begin_of(self.since), until, self.reference)


class ProcessingEntry(_Entry):
    """What becomes of the data; what is left out nobody knows."""

    retention_days: Annotated[StrictInt, Field(ge=0)] | None = None
    trains_on_data: StrictBool | None = None
    sub_processors: tuple[_Text, ...] | None = None


class TermsEntry(_Entry):
    """One entry of the file's `providers`, or what a deployment says beside it."""

    agreements: dict[_Text, AgreementEntry] = Field(default_factory=dict)
    data_processing: ProcessingEntry = ProcessingEntry()


def terms_of(shared: TermsEntry, own: TermsEntry) -> tuple[dict[str, Agreement], DataProcessing]:
    """A deployment's terms: those of the register, and above them its own, field by field."""
    agreements = {**shared.agreements, **own.agreements}
    said = own.data_processing.model_dump(exclude_unset=True)
    processing = shared.data_processing.model_copy(update=said)
    return (
        {kind: entry.agreement() for kind, entry in agreements.items()},
        DataProcessing(**processing.model_dump()),
    )


def _begin_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
