"""A mail server that keeps what it is given."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from typing import Final

from aiosmtpd.smtp import SMTP, Envelope, Session

TAKEN: Final = "250 OK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """As it came."""

    recipient: str
    subject: str
    event_id: str
    """What the `Message-ID` begins with."""


class Mailbox:
    """Everybody's mails, in the order in which they came; `arrived` hears of each."""

    def __init__(self, arrived: Callable[[Mail], None] = lambda _mail: None) -> None:
        self.mails: list[Mail] = []
        self.port: int = 0
        self._arrived = arrived

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 its protocol's name
        """Take a mail."""
        content = envelope.content
        message = message_from_bytes(content if isinstance(content, bytes) else b"", policy=default)
        for recipient in envelope.rcpt_tos:
            event_id = message["Message-ID"].strip("<>").partition("@")[0]
            mail = Mail(recipient=recipient, subject=message["Subject"], event_id=event_id)
            self.mails.append(mail)
            self._arrived(mail)
        return TAKEN

    def to(self, recipient: str) -> list[Mail]:
        """What this address got."""
        return [mail for mail in self.mails if mail.recipient == recipient]


@asynccontextmanager
async def open_mailbox(mailbox: Mailbox, port: int = 0) -> AsyncGenerator[Mailbox]:
    """Let the mailbox be served on a port of this machine; 0 takes a free one."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(mailbox, hostname="mailbox", loop=loop), "127.0.0.1", port)
    try:
        mailbox.port = server.sockets[0].getsockname()[1]
        yield mailbox
    finally:
        server.close()
        await server.wait_closed()
