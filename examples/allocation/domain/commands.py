"""What others may ask of this service. Each command has one handler."""

from datetime import date

from events_core import Command


class CreateBatch(Command):
    """Stock was bought. Without `eta` it is in the warehouse already."""

    reference: str
    sku: str
    quantity: int
    eta: date | None = None


class Allocate(Command[str | None]):
    """Take an order line from a batch. The answer is the batch's reference, or None where there is not enough."""

    order_id: str
    sku: str
    quantity: int


class ChangeBatchQuantity(Command):
    """A batch turns out to hold more, or less, than was bought."""

    reference: str
    quantity: int
