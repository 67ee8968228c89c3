"""Webhook, Slack and e-mail over real connections."""

import datetime as dt
import logging
import ssl
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from llm_core.alerts.incident import Incident, IncidentKind, Notice, NoticeEvent, Severity
from policy_service.adapters.channels import (
    EmailChannel,
    Poster,
    SlackChannel,
    WebhookChannel,
)
from policy_service.adapters.smtp import MailServer
from policy_service.ports.alerts import Alert
from policy_service.ports.incidents import Channel, ChannelFailed
from policy_service.services.alerting.budgets import trouble_of
from tests.fakes.clock import NOON
from tests.fixtures.alert_receivers import SECRET, Receiver, http_receiver, mail_server
from tests.fixtures.services import free_port

ALERT = Alert(
    limit_key="team:search:group:frontier:usd_per_month",
    period="2026-11",
    percent=80,
    node="team:search",
    measure="usd_per_month",
    at=NOON,
    used=Decimal("80.5"),
    amount=Decimal(100),
)
DOWN = Incident(
    id="inc_1",
    kind=IncidentKind.PROVIDER_DOWN,
    node=None,
    subject="deployment:mini",
    severity=Severity.CRITICAL,
    title="mini <openai> is\ndown & out",
    detail="It serves <mini>.",
    opened_at=NOON,
    last_seen_at=NOON,
)
OPENED = Notice("ntc_1", "ops", NoticeEvent.OPENED, NOON, DOWN)


def budget_notice(event: NoticeEvent = NoticeEvent.OPENED) -> Notice:
    trouble = trouble_of(ALERT)
    fields = {name: getattr(trouble, name) for name in asdict(trouble) if name != "stage"}
    incident = Incident(id="inc_2", opened_at=NOON, last_seen_at=NOON, **fields)
    return Notice("ntc_2", "ops", event, NOON, incident)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with http_receiver() as one:
        yield one


async def sent(channel: Channel, notice: Notice) -> None:
    try:
        await channel.send(notice)
    finally:
        await channel.close()


async def test_a_webhook_gets_the_incident_signed(receiver: Receiver) -> None:
    await sent(WebhookChannel("ops", Poster(receiver.url, SECRET)), OPENED)
    [body] = receiver.bodies
    assert (body["id"], body["event"], body["at"]) == (
        "ntc_1",
        "incident.opened",
        "2026-11-20T12:00:00Z",
    )
    assert body["incident"]["subject"] == "deployment:mini"
    assert (receiver.ids, receiver.is_signed) == (["ntc_1"], [True])


async def test_a_threshold_has_the_fields_of_its_alert(receiver: Receiver) -> None:
    await sent(WebhookChannel("ops", Poster(receiver.url)), budget_notice())
    [body] = receiver.bodies
    expected = {
        "id": "team:search:group:frontier:usd_per_month@2026-11@80",
        "limit_key": "team:search:group:frontier:usd_per_month",
        "period": "2026-11",
        "percent": 80,
        "node": "team:search",
        "scope": "group:frontier",
        "measure": "usd_per_month",
        "at": "2026-11-20T12:00:00Z",
        "used": "80.5",
        "amount": "100",
    }
    assert {name: body[name] for name in expected} == expected
    assert receiver.is_signed == [False]


async def test_a_threshold_that_is_over_has_an_id_of_its_own(receiver: Receiver) -> None:
    await sent(WebhookChannel("ops", Poster(receiver.url)), budget_notice(NoticeEvent.RECOVERED))
    assert receiver.bodies[0]["id"] == "ntc_2"


async def test_slack_gets_text_that_is_no_markup(receiver: Receiver) -> None:
    await sent(SlackChannel("chat", Poster(receiver.url)), OPENED)
    [body] = receiver.bodies
    assert body["text"] == "[critical] mini &lt;openai&gt; is down &amp; out"
    section = body["blocks"][0]["text"]
    assert section["type"] == "mrkdwn"
    assert section["text"].startswith(":rotating_light: *[critical] mini")
    assert "It serves &lt;mini&gt;." in section["text"]
    assert "Incident: inc_1" in body["blocks"][1]["elements"][0]["text"]


async def test_slack_takes_no_more_than_it_may(receiver: Receiver) -> None:
    long = replace(OPENED, incident=replace(DOWN, detail="x" * 10_000))
    await sent(SlackChannel("chat", Poster(receiver.url)), long)
    assert len(receiver.bodies[0]["blocks"][0]["text"]["text"]) < 3000


@pytest.mark.parametrize("status", [301, 400, 404, 500, 503])
async def test_anything_but_a_success_is_not_taken(
    receiver: Receiver, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status, receiver.headers = status, {"location": receiver.url}
    with caplog.at_level(logging.DEBUG), pytest.raises(ChannelFailed, match=str(status)) as told:
        await sent(WebhookChannel("ops", Poster(receiver.url)), OPENED)
    assert "s3cret" not in str(told.value)
    assert receiver.posts == 1  # a redirect is not followed


async def test_whoever_is_not_there_or_says_nothing_is_told_without_the_address(
    receiver: Receiver,
) -> None:
    receiver.hangs = True
    for poster in (
        Poster(receiver.url, timeout_s=0.05),
        Poster(f"http://127.0.0.1:{free_port()}/hooks/s3cret"),
        Poster("nonsense://s3cret"),
    ):
        with pytest.raises(ChannelFailed, match="could not be reached") as told:
            await sent(WebhookChannel("ops", poster), OPENED)
        assert "s3cret" not in str(told.value)


# --- e-mail -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1 that only whoever is told of it trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(pem)
    return path


def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


def to(server: MailServer) -> EmailChannel:
    return EmailChannel("finance", server, "Gatehouse <gate@example.com>", ["cfo@example.com"])


async def test_mail_is_handed_in_after_starttls_and_login(certificate: Path) -> None:
    async with mail_server(start_tls=tls(certificate), password="hush") as mailbox:
        server = MailServer("127.0.0.1", mailbox.port, "starttls", "gatehouse", "hush", certificate)
        await sent(to(server), OPENED)
        [message] = mailbox.messages
        assert message["Subject"] == "[critical] mini <openai> is down & out"
        assert message["Message-ID"] == "<ntc_1@example.com>"
        assert message["References"] == "<inc_1@example.com>"
        assert message["X-Gatehouse-Notice-Id"] == "ntc_1"
        assert message["Auto-Submitted"] == "auto-generated"
        assert "It serves <mini>." in message.get_content()
        with pytest.raises(ChannelFailed, match="answered 535"):
            await sent(to(replace(server, password="wrong")), OPENED)
        with pytest.raises(ChannelFailed):  # a certificate that nobody trusts
            await sent(to(replace(server, ca_file=None)), OPENED)
        assert len(mailbox.messages) == 1


async def test_mail_does_not_go_in_the_open_where_starttls_is_wanted(certificate: Path) -> None:
    async with mail_server() as mailbox:
        server = MailServer("127.0.0.1", mailbox.port, "starttls", ca_file=certificate)
        with pytest.raises(ChannelFailed):
            await sent(to(server), OPENED)
        assert mailbox.messages == []


async def test_a_mail_server_that_refuses_or_is_not_there_is_told(certificate: Path) -> None:
    async with mail_server() as mailbox:
        mailbox.refuses = "451 cfo@example.com is on holiday"
        with pytest.raises(ChannelFailed, match="451") as told:
            await sent(to(MailServer("127.0.0.1", mailbox.port, "none")), OPENED)
        assert "cfo" not in str(told.value)
    with pytest.raises(ChannelFailed, match="SMTPConnectError"):
        await sent(to(MailServer("127.0.0.1", free_port(), "none")), OPENED)


def test_certificates_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="certificates"):
        to(MailServer("127.0.0.1", 25, "tls", ca_file=tmp_path / "none.pem"))
