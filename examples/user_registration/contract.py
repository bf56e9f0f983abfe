"""What the user service tells everybody else: all that the two services have in common."""

from typing import Final
from uuid import UUID

from events_core import IntegrationEvent, Topic

USERS: Final = Topic("users")


class UserRegistered(IntegrationEvent, key="user_id"):
    """Somebody has registered. What happens to one user stays in order."""

    type = "users.user_registered"
    version = 1
    user_id: UUID
    name: str
    email: str
