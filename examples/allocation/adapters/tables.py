"""How the domain is stored: its classes do not know it, they are mapped from outside."""

from typing import Final

from sqlalchemy import Column, Date, ForeignKey, Integer, String, Table
from sqlalchemy.orm import registry, relationship

from examples.allocation.domain.model import Batch, OrderLine, Product

_mappers: Final = registry()
METADATA: Final = _mappers.metadata

products: Final = Table(
    "products",
    METADATA,
    Column("sku", String, primary_key=True),
    Column("version", Integer, nullable=False),
)
batches: Final = Table(
    "batches",
    METADATA,
    Column("reference", String, primary_key=True),
    Column("sku", String, ForeignKey("products.sku"), nullable=False),
    Column("purchased", Integer, nullable=False),
    Column("eta", Date),
)
order_lines: Final = Table(
    "order_lines",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("order_id", String, nullable=False, index=True),
    Column("sku", String, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("batch", String, ForeignKey("batches.reference"), nullable=False),
)

# An aggregate is loaded and stored as a whole.
_OWNED: Final = "all, delete-orphan"

# What the domain has no word for gets a name with an underscore.
_mappers.map_imperatively(OrderLine, order_lines, properties={"_id": order_lines.c.id, "_batch": order_lines.c.batch})
_mappers.map_imperatively(
    Batch,
    batches,
    properties={"lines": relationship(OrderLine, order_by=order_lines.c.id, cascade=_OWNED, lazy="selectin")},
)
_mappers.map_imperatively(
    Product,
    products,
    properties={"batches": relationship(Batch, order_by=batches.c.reference, cascade=_OWNED, lazy="selectin")},
    # The model counts, and the database refuses a change of any version but the one that was read.
    version_id_col=products.c.version,
    version_id_generator=False,
)
