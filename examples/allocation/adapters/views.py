"""What can be looked up. Nothing is changed here: the tables are read as they are."""

from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from examples.allocation.adapters.tables import batches, order_lines


@dataclass(frozen=True, slots=True)
class Allocation:
    sku: str
    quantity: int
    batch: str


@dataclass(frozen=True, slots=True)
class Stock:
    """How much of a batch was bought, and how much of that is taken."""

    batch: str
    sku: str
    purchased: int
    taken: int


def allocations_of(engine: Engine, order_id: str) -> list[Allocation]:
    """What an order has got."""
    lines = order_lines.c
    query = select(lines.sku, lines.quantity, lines.batch).where(lines.order_id == order_id).order_by(lines.sku)
    with engine.connect() as connection:
        return [Allocation(*row) for row in connection.execute(query)]


def stock(engine: Engine) -> list[Stock]:
    """All batches."""
    taken = func.coalesce(func.sum(order_lines.c.quantity), 0)
    query = (
        select(batches.c.reference, batches.c.sku, batches.c.purchased, taken)
        .outerjoin(order_lines)
        .group_by(batches.c.reference)
        .order_by(batches.c.sku, batches.c.reference)
    )
    with engine.connect() as connection:
        return [Stock(*row) for row in connection.execute(query)]
