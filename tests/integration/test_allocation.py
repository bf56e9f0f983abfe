"""The use cases of the allocation service, with nothing but memory around them."""

import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

import pytest

from events_core import Command, MessageBus
from events_core.testing import FakeRepository, FakeUnitOfWork, RecordingBus
from examples.allocation.adapters.mail import MailAfterCommit
from examples.allocation.domain.commands import Allocate, ChangeBatchQuantity, CreateBatch
from examples.allocation.domain.errors import BatchExists, Refused, UnknownBatch, UnknownSku
from examples.allocation.domain.events import AllocationRequired, BatchCreated, BatchQuantityChanged, OutOfStock
from examples.allocation.domain.model import Product
from examples.allocation.service.bus import make_bus

ROOT: Final = Path(__file__).parents[2]
TOMORROW: Final = date(2026, 5, 2)
LATER: Final = date(2026, 6, 1)


class FakeProducts(FakeRepository[Product, str]):
    def get_by_batch(self, reference: str) -> Product | None:
        found = (product for product in self if reference in {batch.reference for batch in product.batches})
        return next((self.see(product) for product in found), None)


class FakeWarehouse(FakeUnitOfWork):
    def __init__(self) -> None:
        super().__init__()
        self.products = FakeProducts(self.seen, key=lambda product: product.sku)


@pytest.fixture
def mails() -> list[str]:
    return []


@pytest.fixture
def bus(mails: list[str]) -> MessageBus:
    return make_bus(lambda: MailAfterCommit(mails.append))


@pytest.fixture
def warehouse() -> FakeWarehouse:
    return FakeWarehouse()


def handle(bus: MessageBus, warehouse: FakeWarehouse, *commands: Command[object]) -> Sequence[object]:
    return [bus.handle(command, warehouse).first for command in commands]


def batch(reference: str, quantity: int, *, eta: date | None = None) -> CreateBatch:
    return CreateBatch(reference=reference, sku="CHAIR", quantity=quantity, eta=eta)


def order(order_id: str, quantity: int) -> Allocate:
    return Allocate(order_id=order_id, sku="CHAIR", quantity=quantity)


def test_a_new_batch_is_there_after_the_commit(bus: MessageBus, warehouse: FakeWarehouse) -> None:
    handle(bus, warehouse, batch("b1", 10))
    product = warehouse.products.get("CHAIR")
    assert product is not None
    assert [(each.reference, each.available) for each in product.batches] == [("b1", 10)]
    assert warehouse.committed


def test_a_second_batch_joins_the_product(bus: MessageBus, warehouse: FakeWarehouse) -> None:
    handle(bus, warehouse, batch("b1", 10), batch("b2", 5))
    assert [each.reference for product in warehouse.products for each in product.batches] == ["b1", "b2"]


def test_a_line_is_taken_from_what_is_in_the_warehouse(bus: MessageBus, warehouse: FakeWarehouse) -> None:
    stock = batch("later", 10, eta=LATER), batch("here", 10), batch("soon", 10, eta=TOMORROW)
    *_, first, second = handle(bus, warehouse, *stock, order("o1", 8), order("o2", 8))
    assert (first, second) == ("here", "soon")


def test_a_line_that_is_asked_for_twice_is_taken_once(bus: MessageBus, warehouse: FakeWarehouse) -> None:
    answers = handle(bus, warehouse, batch("b1", 10), order("o1", 4), order("o1", 4))
    assert answers[1:] == ["b1", "b1"]
    assert [each.available for product in warehouse.products for each in product.batches] == [6]


def test_the_buyers_are_told_when_nothing_is_left(bus: MessageBus, warehouse: FakeWarehouse, mails: list[str]) -> None:
    assert handle(bus, warehouse, batch("b1", 10), order("o1", 11))[-1] is None
    assert mails == ["CHAIR is out of stock: o1 waits for 11"]


def test_the_buyers_are_told_nothing_that_is_rolled_back(
    bus: MessageBus, warehouse: FakeWarehouse, mails: list[str]
) -> None:
    handle(bus, warehouse, batch("b1", 10))
    with warehouse:
        bus.handle(order("o1", 11), warehouse)
    assert (warehouse.rollbacks, mails) == (1, [])


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (Allocate(order_id="o1", sku="LAMP", quantity=1), UnknownSku),
        (ChangeBatchQuantity(reference="b9", quantity=1), UnknownBatch),
        (CreateBatch(reference="b1", sku="LAMP", quantity=1), BatchExists),
    ],
)
def test_what_cannot_be_done_is_refused_and_rolled_back(
    bus: MessageBus, warehouse: FakeWarehouse, command: Command[object], refusal: type[Refused]
) -> None:
    handle(bus, warehouse, batch("b1", 10))
    with pytest.raises(refusal):
        bus.handle(command, warehouse)
    assert (warehouse.commits, warehouse.rollbacks) == (1, 1)


def test_a_batch_may_grow_and_nobody_is_moved(bus: MessageBus, warehouse: FakeWarehouse) -> None:
    handle(bus, warehouse, batch("b1", 10), order("o1", 8))
    results = bus.handle(ChangeBatchQuantity(reference="b1", quantity=20), warehouse)
    assert [type(each.message) for each in results.outcomes] == [ChangeBatchQuantity]
    assert [each.available for product in warehouse.products for each in product.batches] == [12]


def test_who_came_last_is_moved_when_a_batch_shrinks(bus: MessageBus, warehouse: FakeWarehouse) -> None:
    handle(bus, warehouse, batch("b1", 10), batch("b2", 10, eta=TOMORROW), order("o1", 5), order("o2", 5))
    results = bus.handle(ChangeBatchQuantity(reference="b1", quantity=5), warehouse)
    moved = [each.value for each in results.outcomes if isinstance(each.message, AllocationRequired)]
    (product,) = warehouse.products
    assert moved == ["b2"]
    assert [[line.order_id for line in each.lines] for each in product.batches] == [["o1"], ["o2"]]


def test_moving_is_one_transaction_with_the_change(bus: MessageBus, warehouse: FakeWarehouse) -> None:
    handle(bus, warehouse, batch("b1", 10), batch("b2", 10), order("o1", 5))
    before = warehouse.commits
    bus.handle(ChangeBatchQuantity(reference="b1", quantity=0), warehouse)
    assert warehouse.commits == before + 1


def test_a_shrinking_batch_emits_the_change_and_each_line_that_lost_its_place(
    bus: MessageBus, warehouse: FakeWarehouse
) -> None:
    handle(bus, warehouse, batch("b1", 10), order("o1", 5), order("o2", 5))
    recording = RecordingBus(bus)
    recording.handle(ChangeBatchQuantity(reference="b1", quantity=2), warehouse)
    assert recording.emitted == [
        BatchQuantityChanged(reference="b1", sku="CHAIR", quantity=2),
        AllocationRequired(order_id="o2", sku="CHAIR", quantity=5),
        AllocationRequired(order_id="o1", sku="CHAIR", quantity=5),
    ]


def test_each_use_case_says_what_happened(bus: MessageBus, warehouse: FakeWarehouse) -> None:
    recording = RecordingBus(bus)
    recording.handle(batch("b1", 3), warehouse)
    recording.handle(order("o1", 4), warehouse)
    assert recording.emitted == [
        BatchCreated(reference="b1", sku="CHAIR", quantity=3),
        OutOfStock(order_id="o1", sku="CHAIR", quantity=4),
    ]


def test_the_day_runs_and_its_totals_match() -> None:
    command = [sys.executable, "-m", "examples.allocation"]
    day = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert day.returncode == 0, day.stdout + day.stderr
    assert "AllocationRequired: order-2 is taken from batch-2" in day.stdout
    assert day.stdout.endswith("5 lines ordered, 4 taken, 1 waiting for new stock.\nTotals OK.\n")
