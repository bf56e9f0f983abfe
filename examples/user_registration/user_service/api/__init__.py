"""The service over HTTP."""

from examples.user_registration.user_service.api.app import new_app

__all__ = ["new_app"]
