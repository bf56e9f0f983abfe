from events_core import DomainEvent
from examples.user_registration.user_service.domain.email_address import EmailAddress
from examples.user_registration.user_service.domain.ids import UserId


class UserSignedUp(DomainEvent):
    """Somebody is a user from now on. It stays in this service, and may hold what the domain is made of."""

    user_id: UserId
    name: str
    email: EmailAddress
