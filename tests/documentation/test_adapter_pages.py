"""What an adapter's page says of its capabilities and settings is what the code says."""

import re
from dataclasses import asdict

import pytest

from events_core.ports import Capabilities, Transport
from events_kafka import KafkaSettings, KafkaTransport
from events_rabbitmq import RabbitMQSettings, RabbitMQTransport
from events_redis import RedisSettings, RedisTransport
from tests.architecture.source import ROOT
from tests.documentation.test_options_table import rows

ADAPTERS: dict[str, tuple[str, Transport, type]] = {
    "kafka": ("Kafka", KafkaTransport("localhost"), KafkaSettings),
    "rabbitmq": ("RabbitMQ", RabbitMQTransport("amqp://localhost/"), RabbitMQSettings),
    "redis": ("Redis", RedisTransport("redis://localhost/"), RedisSettings),
}
HEADINGS = (
    "What it promises",
    "What is on the broker",
    "Settings",
    "TLS",
    "What to check on the broker",
    "How to look at it",
    "Foreign producers and consumers",
    "Limits",
)
PROMISE = re.compile(r"^\| (C\d+) \|", re.MULTILINE)
HEAD = "| capability | {name} | so |\n|---|---|---|\n"
MEANINGS = {
    ("durable", True): "events wait for a consumer whose processes are all down",
    ("durable", False): "only a registration with `broadcast=True` is taken",
    ("ordered", True): "`ordered=True` is kept",
    ("ordered", False): "a registration with `ordered=True` is refused at start",
    ("earliest", True): '`start="earliest"` reads what the broker still has',
    ("earliest", False): 'a registration with `start="earliest"` is refused at start',
    ("counts_starts", True): "a delivery that keeps ending its process is found out",
    ("counts_starts", False): "a delivery that keeps ending its process is handed out for ever",
    ("hold_limit", True): "a handler `timeout` above this is refused; what has not begun after half of it goes back",
    ("hold_limit", False): "a delivery is held without a limit of time",
}


def spelled(value: float | bool | None) -> str:  # noqa: FBT001 the value of a capability
    match value:
        case bool():
            return "yes" if value else "no"
        case None:
            return "none"
        case _:
            return f"{value:g} s"


def table(name: str, capabilities: Capabilities) -> str:
    """The table of a page. When it differs, paste this one."""
    lines = [
        f"| `{each}` | {spelled(value)} | {MEANINGS[each, value not in {None, False}]} |\n"
        for each, value in asdict(capabilities).items()
    ]
    return HEAD.format(name=name) + "".join(lines)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_table_of_capabilities_is_that_of_the_code(adapter: str) -> None:
    name, transport, _ = ADAPTERS[adapter]
    page = (ROOT / "docs" / "adapters" / f"{adapter}.md").read_text("utf-8")
    assert table(name, transport.capabilities) in page


def test_another_capability_makes_another_table() -> None:
    capabilities = RabbitMQTransport("amqp://localhost/?consumer_timeout=60").capabilities
    assert "| 60 s |" in table("RabbitMQ", capabilities)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_table_of_settings_is_that_of_the_docstring(adapter: str) -> None:
    *_, settings = ADAPTERS[adapter]
    page = (ROOT / "docs" / "adapters" / f"{adapter}.md").read_text("utf-8")
    section = page.partition("## Settings")[2].partition("\n## ")[0]
    assert rows(section) == rows(settings.__doc__ or "")


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_all_pages_have_the_same_headings(adapter: str) -> None:
    page = (ROOT / "docs" / "adapters" / f"{adapter}.md").read_text("utf-8")
    assert tuple(each for each in re.findall(r"^## (.+)$", page, re.MULTILINE) if each in HEADINGS) == HEADINGS


def test_every_adapter_has_a_page() -> None:
    adapters = {each.name for each in (ROOT / "adapters").iterdir() if each.is_dir()}
    assert {each.stem for each in (ROOT / "docs" / "adapters").glob("*.md")} == adapters
    assert set(ADAPTERS) <= adapters


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_every_promise_has_its_row(adapter: str) -> None:
    promises = PROMISE.findall((ROOT / "docs" / "guarantees.md").read_text("utf-8"))
    assert len(promises) == 14
    assert PROMISE.findall((ROOT / "docs" / "adapters" / f"{adapter}.md").read_text("utf-8")) == promises
