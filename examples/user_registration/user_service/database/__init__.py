"""The domain's ports on SQLAlchemy, and the outbox in the same transaction."""

from examples.user_registration.user_service.database.tables import METADATA, OUTBOX
from examples.user_registration.user_service.database.unit_of_work import UserServiceUnitOfWork

__all__ = ["METADATA", "OUTBOX", "UserServiceUnitOfWork"]
