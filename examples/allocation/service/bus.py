"""Which handler is for which message."""

from collections.abc import Callable

from events_core import MessageBus
from events_core.domain import Factory
from examples.allocation.domain.commands import Allocate, ChangeBatchQuantity, CreateBatch
from examples.allocation.domain.events import AllocationRequired, OutOfStock
from examples.allocation.service import handlers
from examples.allocation.service.ports import Buyers


def make_bus(buyers: Callable[[], Buyers]) -> MessageBus:
    """The bus of this service. `buyers` makes what is told to them while one command is carried out."""
    return MessageBus(
        {
            CreateBatch: handlers.create_batch,
            Allocate: handlers.allocate,
            ChangeBatchQuantity: handlers.change_batch_quantity,
            AllocationRequired: handlers.reallocate,
            OutOfStock: handlers.tell_buyers,
        },
        dependencies={"buyers": Factory(buyers)},
    )
