"""Mail to the buyers."""

from collections.abc import Callable


class MailAfterCommit:
    """Keeps its mail until the transaction has committed: nobody is told of what has not happened.

    The bus calls `after_commit` by itself; after a rollback this object is dropped with what it kept.
    """

    def __init__(self, send: Callable[[str], object]) -> None:
        self._send = send
        self._waiting: list[str] = []

    def tell(self, text: str) -> None:
        self._waiting.append(text)

    def after_commit(self) -> None:
        for text in self._waiting:
            self._send(text)
