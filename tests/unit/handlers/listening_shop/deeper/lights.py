from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from events_core.domain import listen
from tests.unit.handlers.listening_shop import handled
from tests.unit.handlers.listening_shop.messages import Opened

P = ParamSpec("P")


def _logged(function: Callable[P, None]) -> Callable[P, None]:
    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        handled.append("logged")
        function(*args, **kwargs)

    return wrapper


@_logged
@listen
def switch_on(event: Opened, brightness: int = 100) -> None:
    handled.append(f"lights {brightness}")


def not_marked(event: Opened) -> None:
    handled.append("not marked")
