"""What happens inside of this service. Handlers of these run in the transaction of the command that caused them."""

from events_core import DomainEvent


class BatchCreated(DomainEvent):
    reference: str
    sku: str
    quantity: int


class BatchQuantityChanged(DomainEvent):
    reference: str
    sku: str
    quantity: int


class AllocationRequired(DomainEvent):
    """This line has lost its batch, and needs another one."""

    order_id: str
    sku: str
    quantity: int


class OutOfStock(DomainEvent):
    """No batch has enough for this line."""

    order_id: str
    sku: str
    quantity: int
