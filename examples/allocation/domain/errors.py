"""What this service refuses."""


class Refused(Exception):
    """A command that cannot be carried out."""


class UnknownSku(Refused):
    def __init__(self, sku: str) -> None:
        super().__init__(f"nothing is known of {sku}; create a batch of it first")


class UnknownBatch(Refused):
    def __init__(self, reference: str) -> None:
        super().__init__(f"there is no batch {reference}")


class BatchExists(Refused):
    def __init__(self, reference: str) -> None:
        super().__init__(f"there is a batch {reference} already")


class Conflict(Refused):
    """Somebody else was faster; trying again may succeed."""

    def __init__(self) -> None:
        super().__init__("the stock was changed by somebody else meanwhile; try again")
