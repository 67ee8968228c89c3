"""The provider register: whom data went to in a period, and under which terms.

What auditors ask for: the processors that were really used, whether an agreement held for the whole
time, how long they keep data, and which classes of data they were sent.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from llm_core.catalogue import Agreement, Catalogue, DataProcessing, Deployment
from policy_service.ports.compliance import UsedDeployment

NOT_KNOWN = "not known"
NONE = "none"
UNLABELLED = "unlabelled only"
KNOWN_KINDS = ("dpa", "baa")


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days, UTC.

    Args:
        first: The first day.
        last: The last day, which belongs to it.
    """

    first: date
    last: date

    @property
    def since(self) -> datetime:
        """Its first moment."""
        return datetime.combine(self.first, time(), UTC)

    @property
    def until(self) -> datetime:
        """The first moment after it."""
        return datetime.combine(self.last + timedelta(days=1), time(), UTC)


@dataclass(frozen=True, slots=True)
class RegisterEntry:
    """One deployment's line.

    Args:
        agreements: What the catalogue says of each kind, in words, by kind.
        classes: Of the data that it was sent, sorted; `NOT_KNOWN` among them for a label that the
            lists no longer have.
        is_listed: Whether the models file still has the deployment; what was agreed is then known.
    """

    used: UsedDeployment
    agreements: Mapping[str, str]
    processing: DataProcessing
    classes: tuple[str, ...]
    is_listed: bool


def register_of(
    used: Iterable[UsedDeployment],
    catalogue: Catalogue,
    period: Period,
    classes: Mapping[str, str],
) -> tuple[RegisterEntry, ...]:
    """Put what was used beside what was agreed.

    Args:
        used: From the ledger, for the same period.
        catalogue: As the models file is now.
        period: Agreements are held against it.
        classes: Class by data label, a class's own name included.
    """
    return tuple(_entry(one, catalogue, period, classes) for one in used)


def _entry(
    used: UsedDeployment, catalogue: Catalogue, period: Period, classes: Mapping[str, str]
) -> RegisterEntry:
    deployment: Deployment | None = catalogue.deployment(used.deployment_id)
    agreements = deployment.agreements if deployment else {}
    kinds = (*KNOWN_KINDS, *sorted(agreements.keys() - set(KNOWN_KINDS)))
    return RegisterEntry(
        used=used,
        agreements={kind: _status(agreements.get(kind), period) for kind in kinds},
        processing=deployment.data_processing if deployment else DataProcessing(),
        classes=tuple(sorted({classes.get(label, NOT_KNOWN) for label in used.labels})),
        is_listed=deployment is not None,
    )


def _status(agreement: Agreement | None, period: Period) -> str:
    """How much of the period an agreement covers, in words."""
    if agreement is None:
        return NONE
    end = period.until.date()
    since = agreement.since.date()
    until = None if agreement.until is None else agreement.until.date()
    told = f" ({agreement.reference})" if agreement.reference else ""
    if since >= end:
        return f"not before {since}{told}"
    if until is not None and until <= period.first:
        return f"lapsed on {until}{told}"
    limits = []
    if since > period.first:
        limits.append(f"from {since}")
    if until is not None and until < end:
        limits.append(f"lapsed on {until}")
    return (", ".join(limits) or "valid throughout") + told


def retention(processing: DataProcessing) -> str:
    """For how long the provider keeps data, in words."""
    match processing.retention_days:
        case None:
            return NOT_KNOWN
        case 0:
            return "nothing kept"
        case days:
            return f"{days} days"


def training(processing: DataProcessing) -> str:
    """Whether the provider trains on the data, in words."""
    if processing.trains_on_data is None:
        return NOT_KNOWN
    return "yes" if processing.trains_on_data else "no"


def sub_processors(processing: DataProcessing) -> str:
    """To whom the provider hands the data, in words."""
    if processing.sub_processors is None:
        return NOT_KNOWN
    return ", ".join(processing.sub_processors) or NONE
