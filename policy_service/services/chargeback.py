"""Chargeback: previews, closing a month once it is over, files, and invoices compared."""

import asyncio
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

import msgspec

from llm_core.chargeback.focus import to_focus
from llm_core.chargeback.invoice import InvoiceUnreadable, read_invoice
from llm_core.chargeback.reconcile import Reconciliation, reconciled
from llm_core.chargeback.rules import Rules, refuse_bad_rules
from llm_core.chargeback.statement import Document, Statement, restricted
from llm_core.chargeback.table import to_csv
from llm_core.policy.roles import Actor
from policy_service.ports.chargeback import ChargebackRefused, Chargebacks
from policy_service.ports.clock import Clock
from policy_service.ports.organisation import Check

_CSV = "text/csv; charset=utf-8"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class FileFormat(StrEnum):
    """What a statement can be taken home as."""

    CSV = "csv"
    XLSX = "xlsx"
    FOCUS = "focus"


class NotOver(ChargebackRefused):
    """A month is closed after its end."""


@dataclass(frozen=True, slots=True)
class File:
    """A file to hand out."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class ChargebackDesk:
    """What finance does. Raises what `Chargebacks` raises.

    Args:
        store: What is kept.
        clock: Says whether a month is over.
    """

    store: Chargebacks
    clock: Clock

    async def put_rules(
        self,
        actor: Actor,
        organisation: str,
        rules: Rules,
        *,
        check: Check[Rules] | None = None,
    ) -> Rules:
        """Charge so from now on; gives the rules as they are kept.

        Raises:
            ChargebackRefused: They cannot be applied; says which, and why.
        """
        try:
            refuse_bad_rules(rules)
        except ValueError as fault:
            raise ChargebackRefused(str(fault)) from fault
        return await self.store.put_rules(actor, organisation, rules, check=check)

    async def preview(
        self,
        organisation: str,
        period: str,
        nodes: Collection[str] | None = None,
        *,
        lines_only: bool = False,
    ) -> Document:
        """The month as it would be closed now, as far as `nodes` reach; `None` for the whole."""
        found = await self.store.preview(organisation, period, lines_only=lines_only)
        return restricted(found, nodes)

    async def close(self, actor: Actor, organisation: str, period: str) -> Document:
        """Freeze a month.

        Raises:
            NotOver: Calls of it can still come.
        """
        _, ends_at = await self.store.span(organisation, period)
        if self.clock() < ends_at:
            raise NotOver(
                f"{period} is not over before {ends_at:%Y-%m-%dT%H:%M:%SZ}; until then there is "
                "its preview"
            )
        return await self.store.close(actor, organisation, period)

    async def with_adjustments(
        self, document: Document, nodes: Collection[str] | None = None
    ) -> Document:
        """A closed month with what was corrected since; for who sees a part, without."""
        seen = restricted(document, nodes)
        frozen = seen.statement
        if frozen.within is not None:
            return seen
        now = await self._spent_now(frozen)
        changed = msgspec.structs.replace(frozen, adjustments_usd=now)
        return msgspec.structs.replace(seen, statement=changed)

    async def reconcile(
        self,
        organisation: str,
        period: str,
        provider: str,
        invoice_csv: str,
        columns: Mapping[str, str] | None = None,
    ) -> Reconciliation:
        """Compare a provider's cost export with the ledger.

        Raises:
            ChargebackRefused: The export cannot be read; says what is missing, or which lines.
        """
        try:
            invoice = await asyncio.to_thread(read_invoice, invoice_csv, provider, columns)
        except InvoiceUnreadable as fault:
            raise ChargebackRefused(f"the invoice cannot be read: {fault}") from fault
        return reconciled(invoice, await self.store.by_model(organisation, period, provider))

    async def _spent_now(self, frozen: Statement) -> Decimal | None:
        try:
            now = await self.store.spent(frozen.organisation, frozen.period)
        except ChargebackRefused:  # the organisation is gone; its statements are not
            return None
        return now - frozen.total_usd


async def exported(document: Document, form: FileFormat) -> File:
    """The statement as a file; made in a thread, since a large one takes a while."""
    ending, media_type, made = _MADE[form]
    statement = document.statement
    name = re.sub(r"[^A-Za-z0-9._-]", "_", f"chargeback-{statement.organisation}")
    state = "" if statement.id else "-preview"
    content = await asyncio.to_thread(made, document)
    return File(f"{name}-{statement.period}{state}.{ending}", media_type, content)


def _to_xlsx(document: Document) -> bytes:
    from policy_service.services.chargeback_xlsx import to_xlsx  # noqa: PLC0415 - few ever ask

    return to_xlsx(document.statement)


_MADE: Mapping[FileFormat, tuple[str, str, Callable[[Document], bytes]]] = MappingProxyType(
    {
        FileFormat.CSV: ("csv", _CSV, lambda document: to_csv(document.statement)),
        FileFormat.XLSX: ("xlsx", XLSX, _to_xlsx),
        FileFormat.FOCUS: ("focus.csv", _CSV, to_focus),
    }
)
