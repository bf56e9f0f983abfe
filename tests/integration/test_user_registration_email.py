"""The e-mail service, on a mail server and an inbox of SQLite."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from brokers.ports import free_port
from events_core import Context, IntegrationEvent, Middleware
from events_core.integration import Call
from events_core.testing import TestBus
from examples.user_registration.contract import USERS, UserRegistered
from examples.user_registration.databases import create_tables, open_engine
from examples.user_registration.demo.mailbox import Mailbox, open_mailbox
from examples.user_registration.email_service.consumer import CONSUMER, new_registration
from examples.user_registration.email_service.mail import verification_mail
from examples.user_registration.email_service.mailer import SmtpMailer
from examples.user_registration.email_service.once import INBOX, METADATA, once_each
from tests.integration.registration import MoodyMailbox

pytestmark = pytest.mark.anyio

ADA = UserRegistered(user_id=UUID(int=7), name="Ada", email="ada@example.org")


@pytest.fixture
def inbox(tmp_path: Path) -> str:
    """The URL of its database."""
    return f"sqlite:///{tmp_path / 'mails.db'}"


@asynccontextmanager
async def email_service(mailbox: Mailbox, inbox: str, *middleware: Middleware) -> AsyncGenerator[TestBus]:
    async with open_engine(inbox) as engine, open_mailbox(mailbox):
        await create_tables(engine, METADATA)
        registration = new_registration(SmtpMailer("127.0.0.1", mailbox.port), once_each(engine), *middleware)
        async with TestBus(registration) as bus:
            yield bus


async def noted(inbox: str) -> int:
    """How many events are in the inbox."""
    async with open_engine(inbox) as engine, engine.connect() as connection:
        return (await connection.scalar(select(func.count()).select_from(INBOX))) or 0


async def test_whoever_registers_is_mailed_once(inbox: str) -> None:
    mailbox = Mailbox()
    async with email_service(mailbox, inbox) as bus:
        event_id = await bus.send(USERS, ADA)
        await bus.idle()
    (mail,) = mailbox.mails
    assert (mail.recipient, mail.event_id) == ("ada@example.org", event_id)
    assert await noted(inbox) == 1


async def test_an_event_that_comes_again_is_not_mailed_again_not_even_by_another_process(inbox: str) -> None:
    mailbox = Mailbox()
    for _process in range(2):
        async with email_service(mailbox, inbox) as bus:
            for _time in range(3):
                await bus.send(USERS, ADA, id="7")
                await bus.idle()
    assert len(mailbox.mails) == 1


async def test_the_same_event_twice_at_the_same_moment_is_mailed_once(inbox: str) -> None:
    mailbox = Mailbox()
    async with email_service(mailbox, inbox) as bus:
        await asyncio.gather(*(bus.send(USERS, ADA, id="7") for _ in range(10)))
        await bus.idle(30)
    assert len(mailbox.mails) == 1


async def test_a_mail_server_that_has_no_time_is_asked_again(inbox: str) -> None:
    mailbox = MoodyMailbox("451 try again later")
    async with email_service(mailbox, inbox) as bus:
        await bus.send(USERS, ADA)
        await bus.idle()
        assert (mailbox.mails, await noted(inbox)) == ([], 0)
        await bus.clock.advance(1)
        await bus.idle()
    assert (len(mailbox.mails), await noted(inbox)) == (1, 1)


async def test_a_mail_server_that_is_not_there_is_waited_for(inbox: str) -> None:
    mailbox, port = Mailbox(), free_port()
    async with open_engine(inbox) as engine:
        await create_tables(engine, METADATA)
        async with TestBus(new_registration(SmtpMailer("127.0.0.1", port), once_each(engine))) as bus:
            await bus.send(USERS, ADA)
            await bus.idle()
            async with open_mailbox(mailbox, port):
                await bus.clock.advance(1)
                await bus.idle()
    assert len(mailbox.mails) == 1


async def test_a_mail_that_nobody_ever_takes_is_a_dead_letter_at_once(inbox: str) -> None:
    mailbox = MoodyMailbox("550 no such user")
    async with email_service(mailbox, inbox) as bus:
        event_id = await bus.send(USERS, ADA)
        await bus.idle()
        (letter,) = await bus.dead_letters(CONSUMER, USERS).list()
        assert (letter.id, letter.attempts) == (event_id, 1)
        assert "no such user" in letter.reason
        assert (mailbox.mails, await noted(inbox)) == ([], 0)
        await bus.dead_letters(CONSUMER, USERS).replay(event_id)
        await bus.idle()
    assert (len(mailbox.mails), await noted(inbox)) == (1, 1)


async def test_a_mail_is_sent_twice_if_the_note_about_it_is_lost_and_says_so_by_its_message_id(inbox: str) -> None:
    async def lose_the_first_note(event: IntegrationEvent, context: Context, call: Call) -> None:
        await call()
        if context.attempt == 1:
            raise ConnectionError

    mailbox = Mailbox()
    async with email_service(mailbox, inbox, lose_the_first_note) as bus:
        event_id = await bus.send(USERS, ADA)
        await bus.idle()
        await bus.clock.advance(1)
        await bus.idle()
    assert [mail.event_id for mail in mailbox.mails] == [event_id] * 2
    assert await noted(inbox) == 1


@pytest.mark.parametrize("name", ["Ada", "\u00c4da \N{GRINNING FACE}", 'A"d, a <b@example.org>', "x" * 100])
async def test_a_mail_goes_to_one_address_whatever_the_name(name: str) -> None:
    event = UserRegistered(user_id=uuid4(), name=name, email="ada@example.org")
    mail = verification_mail(event, "7")
    (recipient,) = mail["To"].addresses
    assert (recipient.display_name, recipient.addr_spec) == (name, "ada@example.org")
    assert mail["Message-ID"] == "<7@registration.example>"
    assert f"/verify/{event.user_id}" in mail.get_content()
