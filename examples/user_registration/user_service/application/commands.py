from events_core import Command
from examples.user_registration.user_service.domain import EmailAddress, UserId


class RegisterUser(Command[UserId]):
    """Somebody wants to be a user; the answer is the new user's id."""

    name: str
    email: EmailAddress
