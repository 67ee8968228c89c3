"""E-mail to a real SMTP server."""

from collections.abc import Iterator

import pytest

from policy_service.adapters.mail import SmtpMail
from policy_service.ports.mail import MailFailed
from tests.fixtures.mail_server import MailServer, start_mail_server
from tests.fixtures.services import free_port

FROM = "Gatehouse <gatehouse@acme.example>"
TO = ["ada@acme.example", "bob@acme.example"]


@pytest.fixture
def server() -> Iterator[MailServer]:
    with start_mail_server() as running:
        yield running


async def test_a_message_has_both_bodies_and_keeps_its_id(server: MailServer) -> None:
    mail = SmtpMail(server.url, FROM)
    refused = await mail.send(TO, "Spend: 5 € in Köln", "<p>5 €</p>", "5 €", message_id="a.b")
    assert refused == ()
    [message], [recipients] = server.messages, server.recipients
    assert recipients == TO
    assert (message["From"], message["To"]) == (FROM, ", ".join(TO))
    assert (message["Subject"], message["Message-ID"]) == ("Spend: 5 € in Köln", "<a.b@gatehouse>")
    html, text = message.get_body(("html",)), message.get_body(("plain",))
    assert html is not None
    assert text is not None
    assert (html.get_content().strip(), text.get_content().strip()) == ("<p>5 €</p>", "5 €")


async def test_who_is_refused_is_told_while_the_others_get_it(server: MailServer) -> None:
    server.refuses = {TO[1]}
    assert await SmtpMail(server.url, FROM).send(TO, "s", "h", "t") == (TO[1],)
    assert server.recipients == [TO[:1]]
    server.refuses = set(TO)
    with pytest.raises(MailFailed, match="SMTPRecipientsRefused"):
        await SmtpMail(server.url, FROM).send(TO, "s", "h", "t")


async def test_a_refusal_and_an_outage_are_told_without_what_was_sent(server: MailServer) -> None:
    server.answers = "554 s3cret subject is spam"
    with pytest.raises(MailFailed, match=r"^the mail server answered 554$"):
        await SmtpMail(server.url, FROM).send(TO, "s3cret subject", "h", "t")
    away = SmtpMail(f"smtp://127.0.0.1:{free_port()}", FROM, timeout_s=2)
    with pytest.raises(MailFailed, match="did not take it"):
        await away.send(TO, "s", "h", "t")
    with pytest.raises(MailFailed, match="cannot be written"):
        await SmtpMail(server.url, FROM).send(TO, "s\nBcc: x@y.example", "h", "t")
    assert not server.messages


async def test_a_password_goes_over_tls_only_unless_that_is_wanted(server: MailServer) -> None:
    host = f"127.0.0.1:{server.port}"
    with pytest.raises(MailFailed):
        await SmtpMail(f"smtp://me:pa%20ss@{host}", FROM).send(TO, "s", "h", "t")
    assert not server.logins
    await SmtpMail(f"smtp://me:pa%20ss@{host}?tls=none", FROM).send(TO, "s", "h", "t")
    assert server.logins == [b"me:pa ss"]


@pytest.mark.parametrize("url", ["http://host", "smtp://", "mail.acme.example", "smtp://h?tls=x"])
def test_another_address_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(ValueError, match="written as smtp://host:587") as refused:
        SmtpMail(url, FROM)
    assert "acme" not in str(refused.value)
