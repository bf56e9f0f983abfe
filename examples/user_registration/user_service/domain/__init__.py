"""What registering means. Nothing here knows of HTTP, SQL or brokers."""

from examples.user_registration.user_service.domain.email_address import EmailAddress, InvalidEmailAddress
from examples.user_registration.user_service.domain.events import UserSignedUp
from examples.user_registration.user_service.domain.user import User, UserId
from examples.user_registration.user_service.domain.users import EmailTaken, Users

__all__ = ["EmailAddress", "EmailTaken", "InvalidEmailAddress", "User", "UserId", "UserSignedUp", "Users"]
