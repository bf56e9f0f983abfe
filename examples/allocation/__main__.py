"""One day at a furniture shop: `python -m examples.allocation`. The exit status is 0 if the totals match, else 1."""

import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sqlalchemy import Engine

from events_core import Command, DomainEvent, Message, MessageBus
from examples.allocation.adapters import views
from examples.allocation.adapters.database import SqlWarehouse, open_database
from examples.allocation.adapters.mail import MailAfterCommit
from examples.allocation.domain.commands import Allocate, ChangeBatchQuantity, CreateBatch
from examples.allocation.domain.events import AllocationRequired, BatchCreated, BatchQuantityChanged
from examples.allocation.service.bus import make_bus

THE_DAY: Final[Sequence[Command[object]]] = (
    CreateBatch(reference="batch-1", sku="RED-CHAIR", quantity=20),
    CreateBatch(reference="batch-2", sku="RED-CHAIR", quantity=10, eta=date(2026, 5, 4)),
    CreateBatch(reference="batch-3", sku="OAK-TABLE", quantity=3),
    Allocate(order_id="order-1", sku="RED-CHAIR", quantity=12),
    Allocate(order_id="order-2", sku="RED-CHAIR", quantity=6),
    Allocate(order_id="order-3", sku="RED-CHAIR", quantity=4),
    Allocate(order_id="order-4", sku="OAK-TABLE", quantity=2),
    Allocate(order_id="order-4", sku="OAK-TABLE", quantity=2),
    # Six chairs are broken: whoever came last moves to the next batch.
    ChangeBatchQuantity(reference="batch-1", quantity=14),
    # Two tables are broken as well, and there is no other batch of them.
    ChangeBatchQuantity(reference="batch-3", quantity=1),
    Allocate(order_id="order-5", sku="OAK-TABLE", quantity=1),
)
WATCHED: Final[Sequence[type[DomainEvent]]] = (BatchCreated, BatchQuantityChanged)


def main() -> int:
    """Play the day on a database of its own."""
    with TemporaryDirectory() as folder:
        engine = open_database(f"sqlite:///{Path(folder) / 'allocation.sqlite'}")
        try:
            mails = play(engine)
            return 0 if totals_match(engine, mails) else 1
        finally:
            engine.dispose()


def play(engine: Engine) -> list[str]:
    """Carry out one command after the other; what the buyers were told."""
    mails: list[str] = []
    bus = make_bus(lambda: MailAfterCommit(mails.append))
    watch(bus)
    for command in THE_DAY:
        print(_words(command))
        told = len(mails)
        results = bus.handle(command, SqlWarehouse(engine))
        for message, _, batch, _ in results.outcomes:
            if isinstance(message, Allocate | AllocationRequired):
                print(f"    {message.type}: {message.order_id} is taken from {batch or 'nowhere'}")
        for mail in mails[told:]:
            print(f"    mail to the buyers: {mail}")
    return mails


def watch(bus: MessageBus) -> None:
    """An event has as many handlers as there are who want to know of it."""
    for event_type in WATCHED:
        bus.add_handler(event_type, _show)


def _show(event: DomainEvent) -> None:
    print(f"    {_words(event)}")


def totals_match(engine: Engine, mails: Sequence[str]) -> bool:
    """Whether every line that was ordered is taken from one batch, or the buyers know that it waits."""
    ordered = {(each.order_id, each.sku, each.quantity) for each in THE_DAY if isinstance(each, Allocate)}
    taken = {
        (order_id, line.sku, line.quantity)
        for order_id in {order_id for order_id, *_ in ordered}
        for line in views.allocations_of(engine, order_id)
    }
    stock = views.stock(engine)
    print("\n  batch     product     bought   taken    left")
    for each in stock:
        print(f"  {each.batch:<9} {each.sku:<10} {each.purchased:>7} {each.taken:>7} {each.purchased - each.taken:>7}")
    matches = (
        taken <= ordered
        and len(taken) + len(mails) == len(ordered)
        and sum(quantity for _, _, quantity in taken) == sum(each.taken for each in stock)
        and all(0 <= each.taken <= each.purchased for each in stock)
    )
    print(f"\n{len(ordered)} lines ordered, {len(taken)} taken, {len(mails)} waiting for new stock.")
    print("Totals OK." if matches else "The totals do not match.")
    return matches


def _words(message: Message) -> str:
    fields = {name: value for name, value in message.to_dict().items() if name not in {"type", "version"}}
    return f"{message.type}: {', '.join(str(value) for value in fields.values() if value is not None)}"


if __name__ == "__main__":
    sys.exit(main())
