"""One function a use case. The first parameter is the message, the others are given by name."""

from examples.allocation.domain.commands import Allocate, ChangeBatchQuantity, CreateBatch
from examples.allocation.domain.errors import BatchExists, UnknownBatch, UnknownSku
from examples.allocation.domain.events import AllocationRequired, OutOfStock
from examples.allocation.domain.model import Batch, OrderLine, Product
from examples.allocation.service.ports import Buyers, Warehouse


def create_batch(command: CreateBatch, uow: Warehouse) -> None:
    if uow.products.get_by_batch(command.reference) is not None:
        raise BatchExists(command.reference)
    product = uow.products.get(command.sku)
    if product is None:
        product = Product(command.sku)
        uow.products.add(product)
    product.add_batch(Batch(command.reference, command.sku, command.quantity, command.eta))


def allocate(command: Allocate, uow: Warehouse) -> str | None:
    return _product(uow, command.sku).allocate(OrderLine(command.order_id, command.sku, command.quantity))


def change_batch_quantity(command: ChangeBatchQuantity, uow: Warehouse) -> None:
    product = uow.products.get_by_batch(command.reference)
    if product is None:
        raise UnknownBatch(command.reference)
    product.change_batch_quantity(command.reference, command.quantity)


def reallocate(event: AllocationRequired, uow: Warehouse) -> str | None:
    return _product(uow, event.sku).allocate(OrderLine(event.order_id, event.sku, event.quantity))


def tell_buyers(event: OutOfStock, buyers: Buyers) -> None:
    buyers.tell(f"{event.sku} is out of stock: {event.order_id} waits for {event.quantity}")


def _product(uow: Warehouse, sku: str) -> Product:
    product = uow.products.get(sku)
    if product is None:
        raise UnknownSku(sku)
    return product
