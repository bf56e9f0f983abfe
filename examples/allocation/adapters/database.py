"""The unit of work of this service on SQLAlchemy, with its repository."""

from sqlalchemy import Engine, create_engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.orm.exc import StaleDataError

from events_core import UnitOfWork
from events_core.domain import Repository, Seen
from examples.allocation.adapters import tables
from examples.allocation.domain.errors import Conflict
from examples.allocation.domain.model import Product


def open_database(url: str) -> Engine:
    """The engine for a database that has the tables."""
    engine = create_engine(url)
    tables.METADATA.create_all(engine)
    return engine


class SqlProducts(Repository[Product]):
    """The products in a database."""

    def __init__(self, seen: Seen, session: Session) -> None:
        super().__init__(seen)
        self._session = session

    def add(self, product: Product) -> None:
        self._session.add(self.see(product))

    def get(self, sku: str) -> Product | None:
        return self._seen_or_none(self._session.get(Product, sku))

    def get_by_batch(self, reference: str) -> Product | None:
        batches, products = tables.batches, tables.products
        query = select(Product).where(products.c.sku == batches.c.sku, batches.c.reference == reference)
        return self._seen_or_none(self._session.scalars(query).one_or_none())

    def _seen_or_none(self, product: Product | None) -> Product | None:
        return None if product is None else self.see(product)


class SqlWarehouse(UnitOfWork):
    """One transaction of a database. `Conflict` on commit where somebody else was faster."""

    products: SqlProducts

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._sessions = sessionmaker(engine)

    def _begin(self) -> None:
        self._session = self._sessions()
        self.products = SqlProducts(self.seen, self._session)

    def _commit(self) -> None:
        try:
            self._session.commit()
        except (StaleDataError, IntegrityError) as error:
            raise Conflict from error

    def _rollback(self) -> None:
        self._session.rollback()

    def _close(self) -> None:
        self._session.close()
