"""A Redis of `brokers` can be started, hurt and brought back, and loses nothing that it confirmed."""

from contextlib import closing
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import unquote, urlsplit

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from brokers import BrokerFailed, Redis
from brokers import redis as server
from brokers.waiting import answers
from tests.broker_fixtures import MakeRedis
from tests.tooling.waiting import eventually

pytestmark = pytest.mark.broker("redis")

SECRET = "s:e/cret@1%"


class Asks(Protocol):
    """What is used of the client."""

    def execute_command(self, *words: str) -> object: ...
    def close(self) -> None: ...


def ping(port: int, *, password: str | None = None, tls: bool = False, authority: Path | None = None) -> object:
    """What it answers to somebody who asks once."""
    client = redis.Redis(
        port=port,
        password=password,
        ssl=tls,
        ssl_ca_certs=None if authority is None else str(authority),
        retry=Retry(NoBackoff(), 0),
    )
    with closing(cast("Asks", client)) as asking:
        return asking.execute_command("PING")


def answers_ping(broker: Redis) -> bool:
    return answers("127.0.0.1", broker.port, question=server.PING, answer=server.PONG)


def test_a_killed_server_comes_back_with_what_it_confirmed_at_the_same_address(fresh_redis: Redis) -> None:
    url = fresh_redis.url
    confirmed = [fresh_redis.command("XADD", "kept", "*", "number", str(number)) for number in range(3)]
    fresh_redis.kill()
    assert not answers_ping(fresh_redis)
    fresh_redis.start()
    assert fresh_redis.url == url
    assert fresh_redis.command("XRANGE", "kept", "-", "+").splitlines()[::3] == confirmed
    assert fresh_redis.logs().count("Ready to accept connections") == 2


def test_a_frozen_server_does_not_answer_until_it_is_resumed(fresh_redis: Redis) -> None:
    assert answers_ping(fresh_redis)
    fresh_redis.freeze()
    try:
        assert not answers_ping(fresh_redis)
    finally:
        fresh_redis.resume()
    assert eventually(lambda: answers_ping(fresh_redis))


def test_it_is_safe_unless_a_test_wants_it_otherwise(redis_broker: Redis, make_redis: MakeRedis) -> None:
    assert redis_broker.command("CONFIG", "GET", "appendfsync").split() == ["appendfsync", "always"]
    assert redis_broker.command("CONFIG", "GET", "appendonly").split() == ["appendonly", "yes"]
    other = make_redis(settings={"appendfsync": "everysec", "maxmemory": "20mb"})
    assert other.command("CONFIG", "GET", "appendfsync").split() == ["appendfsync", "everysec"]
    assert other.command("CONFIG", "GET", "maxmemory").split() == ["maxmemory", "20971520"]


def test_tls_is_trusted_by_its_own_authority_only(make_redis: MakeRedis) -> None:
    broker = make_redis(tls=True)
    port = urlsplit(broker.tls_url).port or 0
    assert ping(port, tls=True, authority=broker.ca)
    with pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        ping(port, tls=True)


def test_a_wrong_password_is_refused(make_redis: MakeRedis) -> None:
    broker = make_redis(password=SECRET)
    assert broker.command("PING") == "PONG"
    assert unquote(urlsplit(broker.url).password or "") == SECRET
    assert ping(broker.port, password=SECRET)
    with pytest.raises(redis.AuthenticationError):
        ping(broker.port, password="wrong")


def test_the_command_line_answers_or_says_why_not(redis_broker: Redis) -> None:
    assert redis_broker.command("ECHO", "two words") == "two words"
    with pytest.raises(BrokerFailed, match="unknown command"):
        redis_broker.command("FLY")


def test_starting_a_server_that_runs_is_refused(redis_broker: Redis) -> None:
    with pytest.raises(BrokerFailed, match="already runs"):
        redis_broker.start()
    assert answers_ping(redis_broker)


def test_a_server_with_a_setting_that_does_not_exist_says_so(make_redis: MakeRedis) -> None:
    with pytest.raises(BrokerFailed, match="colour"):
        make_redis(settings={"colour": "red"})
