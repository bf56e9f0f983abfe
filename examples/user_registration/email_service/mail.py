from email.headerregistry import Address
from email.message import EmailMessage
from typing import Final

from examples.user_registration.contract import UserRegistered

SENDER: Final = Address("The example", "welcome", "registration.example")
TEXT: Final = """\
Hello {name},

somebody, we hope you, has registered at registration.example with this address. If it is yours, open this page:

    https://registration.example/verify/{user_id}
"""


def verification_mail(event: UserRegistered, event_id: str) -> EmailMessage:
    """Asks a new user whether the address is right.

    The same event gives the same `Message-ID`: mailboxes that look at it show a mail once that was sent twice.
    """
    mail = EmailMessage()
    mail["From"] = SENDER
    mail["To"] = Address(event.name, addr_spec=event.email)
    mail["Subject"] = "Is this your address?"
    mail["Message-ID"] = f"<{event_id}@registration.example>"
    mail.set_content(TEXT.format(name=event.name, user_id=event.user_id))
    return mail
