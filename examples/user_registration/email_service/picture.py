"""The service's bus, to be drawn: `events topology examples.user_registration.email_service.picture:bus`."""

from email.message import EmailMessage

from events_core import InMemoryEventBus
from examples.user_registration.email_service.consumer import new_registration
from examples.user_registration.email_service.wiring import SERVICE


class NoMailer:
    """Nobody is mailed by a picture."""

    def send(self, mail: EmailMessage) -> None: ...


def bus() -> InMemoryEventBus:
    """What the service registers, on a bus that connects to nothing."""
    return InMemoryEventBus(source=SERVICE, registrations=[new_registration(NoMailer())])
