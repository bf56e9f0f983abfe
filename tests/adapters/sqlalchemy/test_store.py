"""Relays share an outbox by key, and what is refused blocks its own key only."""

import time

import pytest
from sqlalchemy import event, text, update

from events_core import InMemoryEventBus
from events_core.errors import StoreUnavailable
from events_core.outbox import OutboxRelay
from events_core.ports import Claim, Refused
from events_sqlalchemy import SqlAlchemyOutboxStore
from tests.adapters.sqlalchemy.shop import ORDERS, TABLES, Database, OrderPlaced, outbox_of, texts
from tests.faults.waiting import until

pytestmark = pytest.mark.anyio

LATER = 2e9
"""Seconds since the epoch; everything is due by then."""


async def settle(
    claim: Claim, *, sent: int = 0, refused: tuple[Refused, ...] = (), keep_at: float | None = None
) -> None:
    """The first so many were sent."""
    await claim.settle([each.position for each in claim.events[:sent]], refused, keep_at=keep_at)


async def test_what_was_sent_is_gone_and_the_rest_is_claimed_again(database: Database) -> None:
    await database.put("a", "b", "c")
    async with database.store.claim(10, now=LATER, lease=60) as claim:
        await settle(claim, sent=2)
    assert await database.waiting() == ["c"]


async def test_nothing_is_lost_by_a_claim_that_settles_nothing(database: Database) -> None:
    await database.put("a", "b")
    with pytest.raises(LookupError):
        async with database.store.claim(10, now=LATER, lease=60):
            raise LookupError
    assert await database.waiting() == ["a", "b"]


async def test_while_a_claim_is_open_no_other_has_an_event_of_its_keys(database: Database) -> None:
    await database.put("a1", "a2", "a3", key="a")
    other = SqlAlchemyOutboxStore(database.new_engine(), TABLES)
    async with database.store.claim(2, now=LATER, lease=60) as claim:
        assert texts(claim.events) == ["a1", "a2"]
        await database.put("a4", key="a")
        async with other.claim(10, now=LATER, lease=60) as second:
            assert texts(second.events) == []
        await settle(claim, sent=2)
    async with other.claim(10, now=LATER, lease=60) as second:
        assert texts(second.events) == ["a3", "a4"]


@pytest.mark.parametrize("database", ["asyncpg"], indirect=True)
@pytest.mark.broker("postgresql")
async def test_two_relays_work_on_a_large_backlog_at_the_same_time(database: Database) -> None:
    async with database.sessions.begin() as session:
        outbox = outbox_of(session)
        for number in range(500):
            outbox.put(ORDERS, OrderPlaced(f"{number}"), key=f"key-{number}")
    stores = [SqlAlchemyOutboxStore(database.new_engine(), TABLES) for _ in range(2)]
    for store in stores:
        # A full batch says that there is more than one relay can take.
        async with store.claim(10, now=LATER, lease=60):
            pass
    async with stores[0].claim(100, now=LATER, lease=60) as one, stores[1].claim(100, now=LATER, lease=60) as two:
        assert len(one.events) == 100
        assert len(two.events) > 0
        assert {each.key for each in one.events}.isdisjoint(each.key for each in two.events)


async def test_a_refused_event_holds_up_those_behind_it_of_its_key_only(database: Database) -> None:
    await database.put("a1", "a2", key="a")
    await database.put("b1", key="b")
    await database.put("keyless")
    async with database.store.claim(1, now=LATER, lease=60) as claim:
        refused = Refused(claim.events[0].position, "no", failures=1, due=LATER + 60)
        await settle(claim, refused=(refused,))
    assert await database.waiting(LATER + 59) == ["b1", "keyless"]
    async with database.store.claim(10, now=LATER + 60, lease=60) as claim:
        assert texts(claim.events) == ["a1", "b1", "keyless"]
        assert claim.events[0].failures == 1
        await settle(claim, sent=1)
    assert await database.waiting(LATER + 60) == ["a2", "b1", "keyless"]


async def test_a_parked_event_blocks_nothing_and_can_be_retried_or_discarded(database: Database) -> None:
    ids = await database.put("a1", "a2", "a3", key="a")
    async with database.store.claim(2, now=LATER, lease=60) as claim:
        parked = tuple(Refused(each.position, "never", failures=6, due=None) for each in claim.events)
        await settle(claim, refused=parked)
    assert await database.waiting() == ["a3"]
    assert [(each.envelope.id, error) for each, error in await database.store.parked(10) if each.envelope] == [
        (ids[0], "never"),
        (ids[1], "never"),
    ]
    assert await database.store.retry(ids[0]) == 1
    assert await database.waiting() == ["a1", "a3"]
    assert await database.store.discard(*ids) == 1
    assert await database.store.parked(10) == []
    assert await database.waiting() == ["a1", "a3"]


async def test_tries_of_refused_events_leave_room_for_new_ones(database: Database) -> None:
    await database.put(*(f"old {n}" for n in range(20)))
    async with database.store.claim(20, now=LATER, lease=60) as claim:
        await settle(claim, refused=tuple(Refused(each.position, "no", 1, LATER) for each in claim.events))
    await database.put(*(f"new {n}" for n in range(20)))
    async with database.store.claim(10, now=LATER, lease=60) as claim:
        assert sum(each.startswith("new") for each in texts(claim.events)) >= 4


async def test_sent_events_are_kept_for_as_long_as_asked(database: Database) -> None:
    await database.put("a", "b")
    async with database.store.claim(10, now=LATER, lease=60) as claim:
        await settle(claim, sent=1, keep_at=LATER)
    async with database.store.claim(10, now=LATER, lease=60) as claim:
        await settle(claim, sent=1, keep_at=LATER + 10)
    assert await database.waiting() == []
    assert await database.store.purge(LATER + 1, 10) == 1
    assert await database.store.purge(LATER + 11, 10) == 1


async def test_the_backlog_is_counted(database: Database) -> None:
    assert (await database.store.backlog(LATER)).oldest is None
    before = time.time()
    await database.put("a", "b")
    await database.put("c")
    async with database.store.claim(1, now=LATER, lease=60) as claim:
        await settle(claim, refused=(Refused(claim.events[0].position, "never", 6, None),))
    backlog = await database.store.backlog(LATER)
    assert (backlog.waiting, backlog.scheduled, backlog.parked) == (2, 0, 1)
    assert backlog.oldest is not None
    assert before - 0.01 <= backlog.oldest <= time.time()


async def test_a_row_that_cannot_be_read_says_why_and_leaves_its_neighbours_alone(database: Database) -> None:
    await database.put("good", "bad", "fine")
    async with database.engine.begin() as connection:
        await connection.execute(update(TABLES.outbox).where(TABLES.outbox.c.position == 2).values(headers="{"))
    async with database.store.claim(10, now=LATER, lease=60) as claim:
        assert texts(claim.events) == ["good", "?", "fine"]
        assert "cannot be read" in claim.events[1].problem


async def test_a_batch_ends_where_it_gets_too_large_for_the_memory_of_a_small_process(database: Database) -> None:
    await database.put(*("." * 800_000 for _ in range(60)))
    async with database.store.claim(1_000, now=LATER, lease=60) as claim:
        assert 30 < len(claim.events) < 50


async def test_a_database_without_the_tables_says_what_to_do(database: Database) -> None:
    async with database.engine.begin() as connection:
        await connection.execute(text("DROP TABLE events_outbox"))
        await connection.execute(text("DROP TABLE events_outbox_leases"))
    with pytest.raises(StoreUnavailable, match="run the migration"):
        async with database.store.claim(1, now=LATER, lease=60):
            pass


@pytest.mark.parametrize("database", ["aiosqlite"], indirect=True)
async def test_the_lease_of_a_relay_that_died_runs_out(database: Database) -> None:
    await database.put("a")
    dead = database.store.claim(1, now=LATER, lease=60)
    await dead.__aenter__()
    other = SqlAlchemyOutboxStore(database.new_engine(), TABLES)
    async with other.claim(1, now=LATER + 59, lease=60) as claim:
        assert texts(claim.events) == []
    async with other.claim(1, now=LATER + 60, lease=60) as claim:
        assert texts(claim.events) == ["a"]
    await dead.__aexit__(None, None, None)


@pytest.mark.parametrize("database", ["asyncpg", "psycopg"], indirect=True)
@pytest.mark.broker("postgresql")
async def test_a_claim_ends_with_its_connection(database: Database) -> None:
    await database.put("a", key="a")
    claim = database.store.claim(1, now=LATER, lease=60)
    await claim.__aenter__()
    assert await database.waiting() == []
    async with database.new_engine().connect() as other:
        ended = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()"
        await other.execute(text(ended))
        assert await database.waiting() == ["a"]
    with pytest.raises(StoreUnavailable):
        await claim.__aexit__(None, None, None)


@pytest.mark.parametrize("database", ["asyncpg"], indirect=True)
@pytest.mark.broker("postgresql")
async def test_the_claim_of_a_relay_that_stands_still_ends_with_its_lease(database: Database) -> None:
    await database.put("a", key="a")
    claim = database.store.claim(1, now=LATER, lease=0.2)
    await claim.__aenter__()

    async def is_free() -> bool:
        return await database.waiting() == ["a"]

    await until(is_free, within=10)
    with pytest.raises(StoreUnavailable):
        await claim.__aexit__(None, None, None)


@pytest.mark.parametrize("database", ["asyncpg", "psycopg"], indirect=True)
@pytest.mark.broker("postgresql")
async def test_a_thousand_events_take_at_most_ten_statements(database: Database) -> None:
    many = 3_000
    async with database.sessions.begin() as session:
        outbox = outbox_of(session)
        for number in range(many):
            outbox.put(ORDERS, OrderPlaced(f"{number}"), key=f"{number}")
    statements: list[object] = []
    for name in ("begin", "before_cursor_execute", "commit", "rollback"):
        event.listen(database.engine.sync_engine, name, lambda *call: statements.append(call[2:3]))
    async with InMemoryEventBus(source="relay") as bus:
        assert await OutboxRelay(database.store, bus).relay_due() == many
    assert len(statements) <= many // 1_000 * 10
