"""An outbox, its relay and an inbox, while the processes and servers around them are killed."""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from brokers import PostgreSQL, RabbitMQ
from tests.faults.bookkeeping import TABLES
from tests.faults.ledger import PATIENCE, Ledger
from tests.faults.processes import Worker
from tests.faults.rabbitmq import ROOTING
from tests.faults.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.broker("rabbitmq")]

ON_POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.broker("postgresql"))
KILLED = -9


@pytest.fixture(params=[ON_POSTGRESQL])
async def ledger(request: pytest.FixtureRequest, rabbitmq: RabbitMQ, tmp_path: Path) -> AsyncIterator[Ledger]:
    """On the database of the parameter, and a broker that is not to be hurt."""
    async for each in opened(request, rabbitmq, tmp_path):
        yield each


@pytest.fixture
async def rough_ledger(
    request: pytest.FixtureRequest, fresh_rabbitmq: RabbitMQ, tmp_path: Path
) -> AsyncIterator[Ledger]:
    """On PostgreSQL, with a broker that may be hurt."""
    async for each in opened(request, fresh_rabbitmq, tmp_path):
        yield each


async def opened(request: pytest.FixtureRequest, broker: RabbitMQ, folder: Path) -> AsyncIterator[Ledger]:
    if getattr(request, "param", "") == "sqlite":
        database = f"sqlite:///{folder / 'books.db'}"
    else:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        database = server.new_database(f"books_{os.urandom(6).hex()}")
    ledger = Ledger(database, broker, folder, request.node.name)
    await ledger.open()
    try:
        yield ledger
    finally:
        await ledger.close()


both = pytest.mark.parametrize("ledger", [ON_POSTGRESQL, "sqlite"], indirect=True)


@both
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_service_killed_before_or_after_its_commit_has_sent_what_it_committed(
    ledger: Ledger, moment: str
) -> None:
    await ledger.subscribed()
    ledger.relay()
    dying = ledger.make(500, die=moment)
    assert await dying.ended(PATIENCE) == KILLED
    cut_short = (await ledger.accounts()).made.total()
    assert 0 < cut_short < 500
    assert await ledger.make(500).ended(PATIENCE) == 0
    await ledger.settled()


@both
async def test_a_relay_killed_between_sending_and_marking_sends_again_with_the_same_ids(ledger: Ledger) -> None:
    await ledger.subscribed()
    assert await ledger.make(600).ended(PATIENCE) == 0
    dying = ledger.relay(batch=200, die=True)
    assert await dying.ended(PATIENCE) == KILLED
    ledger.relay()
    accounts = await ledger.settled()
    assert accounts.deliveries > 600


async def test_nothing_is_lost_when_the_broker_is_killed_while_relaying(
    rough_ledger: Ledger, fresh_rabbitmq: RabbitMQ
) -> None:
    ledger = rough_ledger
    await ledger.subscribed()
    await rooted()
    making, _ = ledger.make(3_000), ledger.relay(batch=100)
    await ledger.until_relayed(300)
    await asyncio.to_thread(fresh_rabbitmq.kill)
    await ledger.until_waiting(500)
    await asyncio.to_thread(fresh_rabbitmq.start)
    assert await making.ended(PATIENCE) == 0
    await ledger.settled()


async def test_a_relay_outlives_the_end_of_its_connection_in_the_middle_of_a_batch(ledger: Ledger) -> None:
    await ledger.subscribed()
    assert await ledger.make(2_000).ended(PATIENCE) == 0
    relay, ended = ledger.relay(batch=20), 0
    await ledger.until_relayed(1)

    async def has_ended_some() -> bool:
        nonlocal ended
        ended += await end_open_batches(ledger)
        return ended >= 3

    await until(has_ended_some, within=PATIENCE, hope=lambda: "batches are cut off")
    await ledger.settled()
    relay.terminate()
    assert await relay.ended(PATIENCE) == 0


async def test_two_relays_at_once_send_nothing_twice_and_keep_the_order(ledger: Ledger) -> None:
    await ledger.subscribed()
    # In calm: also a broker that takes its time is waited for.
    relays = [ledger.relay(batch=100, lease=120, timeout=60) for _ in range(2)]
    made = 0

    async def both_have_sent() -> bool:
        nonlocal made
        made += 1_000
        assert await ledger.make(made).ended(PATIENCE) == 0
        return all(has_sent(relay) for relay in relays)

    await until(both_have_sent, within=PATIENCE, hope=lambda: "both relays have their share")
    accounts = await ledger.settled()
    assert accounts.deliveries == made
    for relay in relays:
        relay.terminate()
        assert await relay.ended(PATIENCE) == 0


async def test_poison_rows_hold_up_their_own_key_and_nobody_else(ledger: Ledger) -> None:
    await ledger.subscribed()
    assert await ledger.make(500).ended(PATIENCE) == 0
    rows = TABLES.outbox
    first = select(rows.c.position, rows.c.key).order_by(rows.c.position).limit(1)
    async with ledger.engine.begin() as connection:
        position, key = (await connection.execute(first)).one()
        await connection.execute(update(rows).where(rows.c.position == position).values(headers="no JSON"))
    ledger.relay(batch=50)
    others = [booking for booking in (await ledger.accounts()).made if booking[0] != int(key)]
    await ledger.until_booked(len(others))
    accounts = await ledger.accounts()
    assert {account for account, _ in accounts.booked} == {account for account, _ in others}

    async def only_its_key_waits() -> bool:
        backlog = await ledger.backlog()
        return (backlog.waiting, backlog.parked) == (500 - len(others), 0)

    await until(only_its_key_waits, within=PATIENCE, hope=lambda: "what was sent leaves the outbox")
    async with ledger.engine.begin() as connection:
        await connection.execute(update(rows).where(rows.c.headers == "no JSON").values(headers=None, due=0))
    await ledger.settled()


async def rooted() -> None:
    """Return when the subscriptions outlive the broker's being killed."""
    begun = time.monotonic()
    await until(lambda: time.monotonic() > begun + ROOTING)


def has_sent(relay: Worker) -> bool:
    """Whether its progress says so."""
    return bool(re.search(r"^[1-9][\d,]* sent", relay.log.read_text(), re.MULTILINE))


async def end_open_batches(ledger: Ledger) -> int:
    """How many connections were ended that had a batch open."""
    ended = text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE state = 'idle in transaction' AND query LIKE 'SELECT anon%' AND datname = current_database()"
    )
    async with ledger.engine.connect() as connection:
        number: int = (await connection.execute(ended)).scalar_one()
        return number
