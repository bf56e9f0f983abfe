"""A PostgreSQL is started, hurt and brought back, and keeps what it committed."""

import asyncio
import socket
from pathlib import Path

import pytest

from brokers import BrokerFailed, PostgreSQL

pytestmark = pytest.mark.broker("postgresql")


def test_what_was_committed_outlives_a_kill(fresh_postgresql: PostgreSQL) -> None:
    fresh_postgresql.query("CREATE TABLE kept (number integer); INSERT INTO kept VALUES (1)")
    url = fresh_postgresql.url
    fresh_postgresql.kill()
    with pytest.raises(BrokerFailed):
        fresh_postgresql.query("SELECT 1")
    fresh_postgresql.start()
    assert fresh_postgresql.url == url
    assert fresh_postgresql.query("SELECT number FROM kept") == "1"


def test_it_stops_although_clients_are_connected_and_starts_again(fresh_postgresql: PostgreSQL) -> None:
    fresh_postgresql.query("CREATE TABLE kept (number integer)")
    fresh_postgresql.stop()
    fresh_postgresql.start()
    assert fresh_postgresql.query("SELECT count(*) FROM kept") == "0"


def test_it_flushes_to_the_disk(fresh_postgresql: PostgreSQL) -> None:
    assert fresh_postgresql.query("SHOW fsync; SHOW synchronous_commit") == "on\non"


def test_a_database_is_made_for_each_test(fresh_postgresql: PostgreSQL) -> None:
    assert fresh_postgresql.new_database("shop").endswith("/shop")
    assert fresh_postgresql.query("SELECT current_database()", database="shop") == "shop"


def test_a_mistake_is_told_in_the_servers_own_words(fresh_postgresql: PostgreSQL) -> None:
    with pytest.raises(BrokerFailed, match="does not exist"):
        fresh_postgresql.query("SELECT * FROM nothing")
    assert "nothing" in fresh_postgresql.logs()


def test_a_frozen_server_answers_when_it_is_resumed(fresh_postgresql: PostgreSQL) -> None:
    async def ask() -> None:
        fresh_postgresql.freeze()
        question = asyncio.create_task(asyncio.to_thread(fresh_postgresql.query, "SELECT 1"))
        done, _ = await asyncio.wait([question], timeout=0.5)
        assert not done
        fresh_postgresql.resume()
        assert await question == "1"

    asyncio.run(ask())


def test_nothing_is_left_when_it_is_over(tmp_path: Path) -> None:
    server = PostgreSQL(tmp_path)
    with server:
        assert server.query("SELECT 1") == "1"
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", server.port), timeout=1):
        pass
