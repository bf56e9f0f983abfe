"""What the handlers need from outside, as they see it. Adapters implement it, and so do the stand-ins of the tests."""

from typing import Protocol

from examples.allocation.domain.model import Product


class Products(Protocol):
    """All products that there are."""

    def add(self, product: Product) -> None: ...

    def get(self, sku: str) -> Product | None: ...

    def get_by_batch(self, reference: str) -> Product | None:
        """The product that has this batch."""
        ...


class Warehouse(Protocol):
    """The unit of work of this service. The bus begins and commits it: handlers only use what is in it."""

    @property
    def products(self) -> Products: ...


class Buyers(Protocol):
    """The people who buy new stock."""

    def tell(self, text: str) -> None: ...
