"""What is put in a session leaves with its commit, whole and in order, and never without it."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from events_core.errors import ConfigurationError, EventTooLarge, InvalidPayload
from events_core.outbox import Outbox
from events_core.ports import Outgoing
from events_sqlalchemy import SqlAlchemyOutbox
from tests.adapters.sqlalchemy.shop import ORDERS, TABLES, Database, Order, OrderPlaced, outbox_of

pytestmark = pytest.mark.anyio


async def test_an_event_is_there_when_its_transaction_has_committed(database: Database) -> None:
    async with database.sessions() as session:
        session.add(Order(text="tea"))
        outbox_of(session).put(ORDERS, OrderPlaced("tea"))
        assert await database.waiting() == []
        await session.commit()
    assert await database.waiting() == ["tea"]


async def test_an_event_vanishes_when_its_transaction_is_rolled_back(database: Database) -> None:
    async with database.sessions() as session:
        outbox_of(session).put(ORDERS, OrderPlaced("tea"))
        await session.rollback()
        await session.commit()
    assert await database.waiting() == []


async def test_an_event_of_a_session_that_was_only_closed_is_not_sent_by_its_next_transaction(
    database: Database,
) -> None:
    session = database.sessions()
    outbox_of(session).put(ORDERS, OrderPlaced("tea"))
    await session.close()
    session.add(Order(text="coffee"))
    await session.commit()
    await session.close()
    assert await database.waiting() == []


async def test_what_a_savepoint_put_vanishes_with_it_and_the_rest_stays(database: Database) -> None:
    async with database.sessions.begin() as session:
        outbox = outbox_of(session)
        outbox.put(ORDERS, OrderPlaced("before"))
        await session.flush()
        with suppress(LookupError):
            async with session.begin_nested():
                outbox.put(ORDERS, OrderPlaced("undone"))
                async with session.begin_nested():
                    outbox.put(ORDERS, OrderPlaced("undone with its parent"))
                raise LookupError
        async with session.begin_nested():
            outbox.put(ORDERS, OrderPlaced("kept"))
        outbox.put(ORDERS, OrderPlaced("after"))
    assert await database.waiting() == ["before", "kept", "after"]


async def test_a_commit_that_fails_sends_nothing_and_the_next_one_sends_its_own(database: Database) -> None:
    async with database.sessions() as session:
        session.add_all([Order(id=1, text="tea"), Order(id=1, text="twice")])
        outbox_of(session).put(ORDERS, OrderPlaced("tea"))
        with pytest.raises(Exception, match=r"(?i)unique|identity|duplicate"):
            await session.commit()
        await session.rollback()
        outbox_of(session).put(ORDERS, OrderPlaced("coffee"))
        await session.commit()
    assert await database.waiting() == ["coffee"]


async def test_thousands_of_events_keep_the_order_in_which_they_were_put(database: Database) -> None:
    many = [f"{n}" for n in range(3_000)]
    await database.put(*many, key="one")
    assert await database.waiting() == many


async def test_events_of_two_outboxes_of_one_session_keep_their_order(database: Database) -> None:
    async with database.sessions.begin() as session:
        first, second = outbox_of(session), outbox_of(session)
        for number in range(4):
            (second if number % 2 else first).put(ORDERS, OrderPlaced(f"{number}"))
    assert await database.waiting() == ["0", "1", "2", "3"]


async def test_a_synchronous_session_takes_the_same_outbox(database: Database) -> None:
    with database.sync_sessions.begin() as session:
        session.add(Order(text="tea"))
        outbox_of(session).put(ORDERS, OrderPlaced("tea"))
    with database.sync_sessions() as session:
        outbox_of(session).put(ORDERS, OrderPlaced("undone"))
    assert await database.waiting() == ["tea"]


async def test_the_whole_envelope_is_stored(database: Database) -> None:
    async with database.sessions.begin() as session:
        headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tenant": "Ω"}
        outbox_of(session).put(ORDERS, OrderPlaced("tea"), id="e-1", key="k", headers=headers)
    async with database.store.claim(10, now=2e9, lease=60) as claim:
        (stored,) = claim.events
    assert stored.topic == "orders"
    assert stored.key == "k"
    envelope = stored.envelope
    assert envelope is not None
    assert (envelope.id, envelope.type, envelope.version, envelope.source) == ("e-1", "shop.order_placed", 1, "shop")
    assert (envelope.key, envelope.correlation_id, envelope.causation_id) == ("k", "e-1", None)
    assert envelope.headers == headers
    assert envelope.sent.endswith("Z")
    assert envelope.body == b'{"type":"shop.order_placed","version":1,"text":"tea"}'
    assert envelope.content_type == "application/json"


async def test_an_event_put_for_later_is_not_there_before(database: Database) -> None:
    at = datetime.now(UTC) + timedelta(hours=1)
    async with database.sessions.begin() as session:
        outbox_of(session).put(ORDERS, OrderPlaced("later"), at=at)
        outbox_of(session).put(ORDERS, OrderPlaced("now"))
    assert await database.waiting(at.timestamp() - 1) == ["now"]
    assert await database.waiting(at.timestamp() + 0.001) == ["later", "now"]


async def test_what_cannot_travel_is_refused_when_it_is_put(database: Database) -> None:
    async with database.sessions.begin() as session:
        outbox = outbox_of(session)
        with pytest.raises(EventTooLarge):
            outbox.put(ORDERS, OrderPlaced("." * 1_000_000))
        with pytest.raises(InvalidPayload):
            outbox.put(ORDERS, OrderPlaced(object()))  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="time zone"):
            outbox.put(ORDERS, OrderPlaced("tea"), at=datetime(2030, 1, 1))  # noqa: DTZ001 that is the mistake
    assert await database.waiting() == []


async def test_a_unit_of_work_stages_its_events_in_it(database: Database) -> None:
    async with database.sessions.begin() as session:
        outbox: Outbox = outbox_of(session)
        outbox.stage([Outgoing(topic=ORDERS, event=OrderPlaced(text), key="k") for text in ("tea", "coffee")])
    assert await database.waiting() == ["tea", "coffee"]


async def test_putting_does_no_io(database: Database) -> None:
    seen: list[str] = []
    event.listen(database.sync_engine, "before_cursor_execute", lambda *call: seen.append(call[2]))
    with database.sync_sessions() as session:
        for number in range(10):
            outbox_of(session).put(ORDERS, OrderPlaced(f"{number}"))
        assert seen == []
        session.commit()
    assert [statement.split()[0] for statement in seen] == ["INSERT"]


async def test_an_event_is_written_after_the_objects_that_it_is_about(database: Database) -> None:
    seen: list[str] = []
    event.listen(database.sync_engine, "before_cursor_execute", lambda *call: seen.append(call[2]))
    with database.sync_sessions(autoflush=False) as session:
        outbox_of(session).put(ORDERS, OrderPlaced("tea"))
        session.scalars(select(Order)).all()
        session.add(Order(text="tea"))
        session.commit()
    assert [statement.split()[2] for statement in seen if statement.startswith("INSERT")] == ["orders", "events_outbox"]


async def test_what_is_put_while_the_session_commits_leaves_with_it(database: Database) -> None:
    with database.sync_sessions() as session:
        outbox_of(session)

        @event.listens_for(session, "before_commit")
        def say_goodbye(session: Session) -> None:
            outbox_of(session).put(ORDERS, OrderPlaced("at the last moment"))

        session.add(Order(text="tea"))
        session.commit()
    assert await database.waiting() == ["at the last moment"]


async def test_a_relay_is_woken_after_the_commit_only(database: Database) -> None:
    woken: list[str] = []
    async with database.sessions() as session:
        outbox = SqlAlchemyOutbox(session, TABLES, source="shop", committed=lambda: woken.append("now"))
        outbox.put(ORDERS, OrderPlaced("undone"))
        await session.rollback()
        assert woken == []
        async with session.begin_nested():
            outbox.put(ORDERS, OrderPlaced("tea"))
        assert woken == []
        await session.commit()
        assert woken == ["now"]
