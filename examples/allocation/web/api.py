"""HTTP in, commands out: nothing is decided here."""

from collections.abc import Callable
from datetime import date
from typing import Annotated

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy import Engine

from examples.allocation.adapters import views
from examples.allocation.adapters.database import SqlWarehouse
from examples.allocation.adapters.mail import MailAfterCommit
from examples.allocation.domain.commands import Allocate, ChangeBatchQuantity, CreateBatch
from examples.allocation.domain.errors import Refused, UnknownBatch, UnknownSku
from examples.allocation.service.bus import make_bus


class NewBatch(BaseModel):
    reference: str
    sku: str
    quantity: Annotated[int, Field(ge=0)]
    eta: date | None = None


class NewQuantity(BaseModel):
    quantity: Annotated[int, Field(ge=0)]


class NewLine(BaseModel):
    order_id: str
    sku: str
    quantity: Annotated[int, Field(gt=0)]


class Taken(BaseModel):
    batch: str


def make_app(engine: Engine, send_mail: Callable[[str], object]) -> FastAPI:
    """The service on a database that has the tables."""
    app = FastAPI(title="Allocation")
    bus = make_bus(lambda: MailAfterCommit(send_mail))
    app.add_exception_handler(Refused, _refused)

    @app.post("/batches", status_code=201)
    def create_batch(new: NewBatch) -> None:
        command = CreateBatch(reference=new.reference, sku=new.sku, quantity=new.quantity, eta=new.eta)
        bus.handle(command, SqlWarehouse(engine))

    @app.patch("/batches/{reference}", status_code=204)
    def change_batch_quantity(reference: str, new: NewQuantity) -> None:
        bus.handle(ChangeBatchQuantity(reference=reference, quantity=new.quantity), SqlWarehouse(engine))

    @app.post("/allocations", status_code=201)
    def allocate(new: NewLine) -> Taken:
        command = Allocate(order_id=new.order_id, sku=new.sku, quantity=new.quantity)
        batch = bus.handle(command, SqlWarehouse(engine)).first
        if batch is None:
            raise HTTPException(409, f"{new.sku} is out of stock")
        return Taken(batch=batch)

    @app.get("/orders/{order_id}")
    def allocations(order_id: str) -> list[views.Allocation]:
        return views.allocations_of(engine, order_id)

    return app


def _refused(request: Request, error: Exception) -> JSONResponse:
    status = 404 if isinstance(error, UnknownSku | UnknownBatch) else 409
    return JSONResponse({"detail": str(error)}, status)
