"""Reports that are sent by themselves."""

from collections.abc import Mapping
from contextlib import AsyncExitStack

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from policy_service.adapters.mail import SmtpMail
from policy_service.adapters.report_hooks import HttpReportHooks
from policy_service.adapters.sql.report_schedules import SqlReportSchedules
from policy_service.ports.chargeback import Chargebacks
from policy_service.ports.clock import Clock
from policy_service.services.report_sender import ReportSender
from policy_service.settings import Settings
from policy_service.wiring.background import in_background


async def open_reports(
    stack: AsyncExitStack,
    settings: Settings,
    engine: AsyncEngine,
    chargebacks: Chargebacks,
    clock: Clock,
) -> ReportSender:
    """What sends them, in the background as well.

    Raises:
        ValueError: The mail server's address is none.
    """
    mail = None
    if settings.smtp_url is not None and settings.smtp_from is not None:
        mail = SmtpMail(settings.smtp_url.get_secret_value(), settings.smtp_from)
    hooks = HttpReportHooks(_told(settings.report_webhooks), _told(settings.report_webhook_secrets))
    stack.push_async_callback(hooks.close)
    sender = ReportSender(
        SqlReportSchedules(engine, clock), chargebacks, clock, hooks=hooks, mail=mail
    )
    await in_background(stack, sender.run())
    return sender


def _told(named: Mapping[str, SecretStr]) -> dict[str, str]:
    return {name.lower(): secret.get_secret_value() for name, secret in named.items()}
