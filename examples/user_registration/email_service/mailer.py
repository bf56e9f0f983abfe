import smtplib
from email.message import EmailMessage
from typing import Final, Protocol

from events_core import Reject

PATIENCE: Final = 10.0
"""Seconds that the mail server may take for each answer."""
FOR_GOOD: Final = range(500, 600)
"""What a mail server answers when trying again is of no use."""


class Mailer(Protocol):
    """Sends mail."""

    def send(self, mail: EmailMessage) -> None:
        """Return when somebody else has taken over the responsibility for this mail.

        Raises:
            Reject: nobody will ever take it.
        """
        ...


class SmtpMailer:
    """Hands mails to one server, each over a connection of its own. Blocks; what the server cannot do now raises."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    def send(self, mail: EmailMessage) -> None:
        """Return when the server has taken it; `Reject` if it never will."""
        with smtplib.SMTP(self._host, self._port, timeout=PATIENCE) as server:
            try:
                server.send_message(mail)
            except smtplib.SMTPRecipientsRefused as error:
                if all(code in FOR_GOOD for code, _ in error.recipients.values()):
                    raise Reject(f"the mail server refused the recipient: {error}") from error
                raise
            except smtplib.SMTPDataError as error:
                if error.smtp_code in FOR_GOOD:
                    raise Reject(f"the mail server refused the mail: {error}") from error
                raise
