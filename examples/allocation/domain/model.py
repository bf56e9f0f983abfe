"""Products, their batches, and the order lines taken from them: plain classes that could be stored anywhere."""

from dataclasses import dataclass, field
from datetime import date

from events_core import AggregateRoot
from examples.allocation.domain.errors import UnknownBatch
from examples.allocation.domain.events import AllocationRequired, BatchCreated, BatchQuantityChanged, OutOfStock


@dataclass(unsafe_hash=True)
class OrderLine:
    """So many of one product for one order: a value."""

    order_id: str
    sku: str
    quantity: int


@dataclass(eq=False)
class Batch:
    """Stock of one product that arrives, or has arrived, together. Its reference says which one it is."""

    reference: str
    sku: str
    purchased: int
    eta: date | None = None
    lines: list[OrderLine] = field(default_factory=list[OrderLine])
    """What is taken from it, in the order in which it was taken."""

    @property
    def available(self) -> int:
        """What can still be taken; negative after the batch has shrunk too far."""
        return self.purchased - sum(line.quantity for line in self.lines)

    def can_take(self, line: OrderLine) -> bool:
        return self.available >= line.quantity

    def take(self, line: OrderLine) -> None:
        self.lines.append(line)

    def give_back_last(self) -> OrderLine:
        """Who was first keeps what it has."""
        return self.lines.pop()


@dataclass(eq=False)
class Product(AggregateRoot):
    """All batches of one product. It alone changes them, so that `version` tells of every change."""

    sku: str
    batches: list[Batch] = field(default_factory=list[Batch])
    version: int = 0

    def add_batch(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.version += 1
        self.publish_event(BatchCreated(reference=batch.reference, sku=self.sku, quantity=batch.purchased))

    def allocate(self, line: OrderLine) -> str | None:
        """Take a line from the batch that is there first; None, and an event, if none has enough of it.

        A line that has a batch keeps it: asking twice takes once.
        """
        for batch in self.batches:
            if line in batch.lines:
                return batch.reference
        for batch in sorted(self.batches, key=_arrival):
            if batch.can_take(line):
                batch.take(line)
                self.version += 1
                return batch.reference
        self.publish_event(OutOfStock(order_id=line.order_id, sku=line.sku, quantity=line.quantity))
        return None

    def change_batch_quantity(self, reference: str, quantity: int) -> None:
        """Correct a batch. Lines that it cannot hold any more need another one."""
        batch = self._batch(reference)
        batch.purchased = quantity
        self.version += 1
        self.publish_event(BatchQuantityChanged(reference=reference, sku=self.sku, quantity=quantity))
        while batch.available < 0:
            line = batch.give_back_last()
            self.publish_event(AllocationRequired(order_id=line.order_id, sku=line.sku, quantity=line.quantity))

    def _batch(self, reference: str) -> Batch:
        found = next((batch for batch in self.batches if batch.reference == reference), None)
        if found is None:
            raise UnknownBatch(reference)
        return found


def _arrival(batch: Batch) -> tuple[date, str]:
    """What is in the warehouse goes before what is on its way."""
    return batch.eta or date.min, batch.reference
