"""The allocation service on SQLite, and over HTTP."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

from events_core import MessageBus
from events_core.domain import Status
from examples.allocation.__main__ import play, totals_match
from examples.allocation.adapters import views
from examples.allocation.adapters.database import SqlWarehouse, open_database
from examples.allocation.adapters.mail import MailAfterCommit
from examples.allocation.domain.commands import Allocate, ChangeBatchQuantity, CreateBatch
from examples.allocation.domain.errors import Conflict
from examples.allocation.domain.events import OutOfStock
from examples.allocation.domain.model import Batch, OrderLine, Product
from examples.allocation.service.bus import make_bus
from examples.allocation.web.api import make_app


@pytest.fixture
def engine(tmp_path: Path) -> Generator[Engine]:
    engine = open_database(f"sqlite:///{tmp_path / 'allocation.sqlite'}")
    yield engine
    engine.dispose()


@pytest.fixture
def mails() -> list[str]:
    return []


@pytest.fixture
def bus(mails: list[str]) -> MessageBus:
    return make_bus(lambda: MailAfterCommit(mails.append))


@pytest.fixture
async def web(engine: Engine, mails: list[str]) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_app(engine, mails.append))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        yield client


def add_product(engine: Engine, *batches: Batch) -> None:
    with SqlWarehouse(engine) as warehouse:
        product = Product("CHAIR")
        for batch in batches:
            product.add_batch(batch)
        warehouse.products.add(product)
        warehouse.commit()


def test_a_product_comes_back_as_it_was_stored(engine: Engine) -> None:
    add_product(engine, Batch("b1", "CHAIR", 10), Batch("b2", "CHAIR", 5))
    with SqlWarehouse(engine) as warehouse:
        product = warehouse.products.get("CHAIR")
        assert product is not None
        assert [(each.reference, each.purchased) for each in product.batches] == [("b1", 10), ("b2", 5)]
        assert warehouse.products.get_by_batch("b2") is product


def test_what_is_left_without_commit_is_not_stored(engine: Engine) -> None:
    with SqlWarehouse(engine) as warehouse:
        warehouse.products.add(Product("CHAIR"))
    with SqlWarehouse(engine) as warehouse:
        assert warehouse.products.get("CHAIR") is None


def test_an_aggregate_from_the_database_raises_events(engine: Engine) -> None:
    add_product(engine, Batch("b1", "CHAIR", 1))
    with SqlWarehouse(engine) as warehouse:
        product = warehouse.products.get("CHAIR")
        assert product is not None
        assert product.allocate(OrderLine("o1", "CHAIR", 2)) is None
        assert product.pop_events() == [OutOfStock(order_id="o1", sku="CHAIR", quantity=2)]


def test_of_two_who_change_one_product_the_slower_is_refused(engine: Engine) -> None:
    add_product(engine, Batch("b1", "CHAIR", 10))
    slow, fast = SqlWarehouse(engine), SqlWarehouse(engine)
    with slow:
        read_before = slow.products.get("CHAIR")
        with fast:
            product = fast.products.get("CHAIR")
            assert product is not None
            product.allocate(OrderLine("o1", "CHAIR", 8))
            fast.commit()
        assert read_before is not None
        assert read_before.allocate(OrderLine("o2", "CHAIR", 8)) == "b1"
        with pytest.raises(Conflict):
            slow.commit()
    assert slow.status is Status.ROLLED_BACK
    assert views.stock(engine) == [views.Stock("b1", "CHAIR", 10, 8)]


def test_who_is_moved_is_moved_in_the_database(engine: Engine, bus: MessageBus) -> None:
    for reference in ("b1", "b2"):
        bus.handle(CreateBatch(reference=reference, sku="CHAIR", quantity=10), SqlWarehouse(engine))
    for order_id in ("o1", "o2"):
        bus.handle(Allocate(order_id=order_id, sku="CHAIR", quantity=5), SqlWarehouse(engine))
    bus.handle(ChangeBatchQuantity(reference="b1", quantity=5), SqlWarehouse(engine))
    assert views.allocations_of(engine, "o1") == [views.Allocation("CHAIR", 5, "b1")]
    assert views.allocations_of(engine, "o2") == [views.Allocation("CHAIR", 5, "b2")]


def test_a_line_that_finds_no_place_any_more_is_stored_nowhere(
    engine: Engine, bus: MessageBus, mails: list[str]
) -> None:
    bus.handle(CreateBatch(reference="b1", sku="CHAIR", quantity=10), SqlWarehouse(engine))
    bus.handle(Allocate(order_id="o1", sku="CHAIR", quantity=5), SqlWarehouse(engine))
    bus.handle(ChangeBatchQuantity(reference="b1", quantity=4), SqlWarehouse(engine))
    assert views.allocations_of(engine, "o1") == []
    assert mails == ["CHAIR is out of stock: o1 waits for 5"]


def test_totals_that_do_not_match_are_seen(engine: Engine) -> None:
    mails = play(engine)
    assert totals_match(engine, mails)
    assert not totals_match(engine, [*mails, "one line too many"])


@pytest.mark.anyio
async def test_an_order_is_moved_over_http(web: httpx.AsyncClient, mails: list[str]) -> None:
    for reference in ("b1", "b2"):
        created = await web.post("/batches", json={"reference": reference, "sku": "CHAIR", "quantity": 10})
        assert created.status_code == 201
    taken = await web.post("/allocations", json={"order_id": "o1", "sku": "CHAIR", "quantity": 10})
    assert (taken.status_code, taken.json()) == (201, {"batch": "b1"})
    assert (await web.patch("/batches/b1", json={"quantity": 9})).status_code == 204
    assert (await web.get("/orders/o1")).json() == [{"sku": "CHAIR", "quantity": 10, "batch": "b2"}]
    assert mails == []


@pytest.mark.anyio
async def test_out_of_stock_is_a_conflict_and_mail_to_the_buyers(web: httpx.AsyncClient, mails: list[str]) -> None:
    await web.post("/batches", json={"reference": "b1", "sku": "CHAIR", "quantity": 1, "eta": "2026-05-02"})
    refused = await web.post("/allocations", json={"order_id": "o1", "sku": "CHAIR", "quantity": 2})
    assert (refused.status_code, refused.json()) == (409, {"detail": "CHAIR is out of stock"})
    assert len(mails) == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/allocations", {"order_id": "o1", "sku": "LAMP", "quantity": 1}, 404),
        ("POST", "/allocations", {"order_id": "o1", "sku": "CHAIR", "quantity": 0}, 422),
        ("PATCH", "/batches/b9", {"quantity": 1}, 404),
        ("PATCH", "/batches/b1", {"quantity": -1}, 422),
        ("POST", "/batches", {"reference": "b1", "sku": "LAMP", "quantity": 1}, 409),
    ],
)
async def test_a_refusal_has_a_status_of_its_own(
    web: httpx.AsyncClient, method: str, path: str, body: dict[str, object], status: int
) -> None:
    await web.post("/batches", json={"reference": "b1", "sku": "CHAIR", "quantity": 1})
    answer = await web.request(method, path, json=body)
    assert answer.status_code == status
    assert answer.json()["detail"]
