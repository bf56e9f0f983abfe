import logging
from collections.abc import Callable, Iterable

import pytest

from events_core import InMemoryEventBus, open_bus
from events_core.errors import ConfigurationError, EventsError, MissingExtra
from events_core.integration import opening
from events_core.memory import InMemoryTransport

SECRET = "hunter2"


class Point:
    """An installed entry point."""

    def __init__(self, name: str, load: Callable[[], object], module: str = "theirs") -> None:
        self.name = name
        self.load = load
        self.module = module


def without_its_package() -> object:
    raise ImportError("no module")


def install(monkeypatch: pytest.MonkeyPatch, *points: Point) -> None:
    def entry_points(*, group: str) -> Iterable[Point]:
        return points if group == "events_core.transports" else ()

    monkeypatch.setattr(opening, "entry_points", entry_points)


def test_memory_is_opened_through_its_entry_point() -> None:
    assert type(open_bus("memory://", source="s")) is not InMemoryEventBus


def test_a_third_party_transport_gets_the_whole_url(monkeypatch: pytest.MonkeyPatch) -> None:
    urls: list[str] = []

    def transport(url: str) -> InMemoryTransport:
        urls.append(url)
        return InMemoryTransport()

    install(monkeypatch, Point("theirs", lambda: transport))
    open_bus("theirs://host/path", source="s")
    assert urls == ["theirs://host/path"]


def test_no_password_shows_in_errors_or_logs(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = Point("amqp", without_its_package, "events_rabbitmq"), Point("broken", without_its_package)
    install(monkeypatch, ours, theirs)
    caplog.set_level(logging.DEBUG)
    expected: list[tuple[str, type[EventsError], str]] = [
        (f"nobody://user:{SECRET}@host", ConfigurationError, "nobody"),
        (f"user:{SECRET}@host", ConfigurationError, "without scheme"),
        (f"amqp://user:{SECRET}@host", MissingExtra, r"events-core\[rabbitmq\]"),
        (f"broken://user:{SECRET}@host", MissingExtra, "what theirs needs"),
    ]
    for url, error, advice in expected:
        with pytest.raises(error, match=advice) as caught:
            open_bus(url, source="s")
        assert SECRET not in f"{caught.value!s}{caught.value!r}{caught.value.__cause__!r}"
    assert SECRET not in caplog.text


def test_memory_takes_nothing_after_it_and_does_not_repeat_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        open_bus(f"memory://user:{SECRET}@host", source="s")
    assert SECRET not in str(caught.value)
