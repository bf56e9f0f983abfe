"""What the service wants to hear of, and what it does then."""

from typing import Final

from events_core import Context, EventHandlerConsumer, Middleware, Registration
from examples.user_registration.contract import USERS, UserRegistered
from examples.user_registration.email_service.mail import verification_mail
from examples.user_registration.email_service.mailer import Mailer

CONSUMER: Final = "verification_mails"


def send_verification(event: UserRegistered, context: Context, mailer: Mailer) -> None:
    """A plain function: the bus runs it in a thread, where it may block."""
    mailer.send(verification_mail(event, context.id))


def new_registration(mailer: Mailer, *middleware: Middleware) -> Registration:
    """Every user who registers, those included who did while this service was away."""
    consumer = EventHandlerConsumer(CONSUMER, {UserRegistered: [send_verification]}, dependencies={"mailer": mailer})
    return Registration(consumer, USERS, middleware=middleware)
