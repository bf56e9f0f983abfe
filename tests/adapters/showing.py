"""What people get to see."""

__all__ = ["shown"]


def shown(error: BaseException) -> str:
    """All that a log would show of it."""
    texts: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        texts += [str(cause), repr(cause)]
        cause = cause.__cause__
    return "\n".join(texts)
