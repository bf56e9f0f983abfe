"""Handlers that say themselves that they listen are found in a package."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from events_core import AsyncMessageBus, DomainEvent, MessageBus
from events_core.domain import OnError, listen
from events_core.errors import ConfigurationError
from events_core.handlers import message_types_of
from tests.unit.handlers import listening_shop
from tests.unit.handlers.listening_shop.messages import Closed, Open, Opened

PACKAGE = listening_shop.__name__


@pytest.fixture
def handled() -> Iterator[list[str]]:
    listening_shop.handled.clear()
    yield listening_shop.handled
    listening_shop.handled.clear()


def test_scan_finds_marked_handlers_in_a_package_and_all_below_it(handled: list[str]) -> None:
    bus = MessageBus()
    bus.scan(PACKAGE)
    assert bus.handle(Open()).first == "open"
    assert handled == ["unlock", "logged", "lights 100", "announce Opened of the shop"]


def test_scan_twice_is_as_good_as_once(handled: list[str]) -> None:
    bus = MessageBus()
    bus.scan(PACKAGE)
    bus.scan(PACKAGE)
    bus.scan(f"{PACKAGE}.deeper.lights")
    bus.handle(Opened())
    assert handled.count("unlock") == 1
    assert handled.count("lights 100") == 1


def test_a_handler_that_was_added_by_hand_is_not_added_again(handled: list[str]) -> None:
    bus = MessageBus({Opened: listening_shop.unlock})
    bus.scan(PACKAGE)
    bus.handle(Opened())
    assert handled.count("unlock") == 1


def test_scan_of_a_single_module_finds_what_is_defined_there_alone(handled: list[str]) -> None:
    bus = MessageBus()
    bus.scan(f"{PACKAGE}.postponed")
    bus.handle(Opened())
    assert handled == ["announce Opened of the shop"]


def test_a_union_listens_to_each_of_its_messages_and_objects_may_listen(handled: list[str]) -> None:
    bus = MessageBus(dependencies={"name": "bar"})
    bus.scan(PACKAGE)
    bus.handle(Closed())
    assert handled == ["announce Closed of the bar", "count", "written into the diary"]


def test_scan_works_on_the_async_bus(handled: list[str]) -> None:
    bus = AsyncMessageBus()
    bus.scan(PACKAGE)
    assert bus.events == ()


def test_scan_of_a_module_that_is_not_there_says_so() -> None:
    with pytest.raises(ConfigurationError, match=r"there is no module tests.unit.nowhere to scan"):
        MessageBus().scan("tests.unit.nowhere")


def test_what_a_scanned_module_lacks_is_not_called_missing_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_handlers.py").write_text("import a_library_that_is_not_there\n", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(ModuleNotFoundError, match="a_library_that_is_not_there"):
        MessageBus().scan("broken_handlers")


def test_a_marked_handler_stays_what_it_is(handled: list[str]) -> None:
    listening_shop.unlock(Opened())
    assert handled == ["unlock"]


def test_a_first_parameter_without_message_class_is_refused() -> None:
    def nothing(event) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001  # pyright: ignore[reportUnknownParameterType, reportMissingParameterType]
        """Says nothing."""

    def number(event: int) -> None:
        """Is about something else."""

    def unknown(event: "Nowhere") -> None:  # type: ignore[name-defined]  # noqa: F821  # pyright: ignore[reportUndefinedVariable]
        """Cannot be read."""

    handlers: list[Callable[..., None]] = [nothing, number]
    for handler in handlers:
        with pytest.raises(ConfigurationError, match=r"annotate the first parameter of .* with the message class"):
            message_types_of(handler)
    with pytest.raises(ConfigurationError, match=r"the first annotation of .* cannot be read: name 'Nowhere'"):
        message_types_of(cast("Callable[..., None]", unknown))


def test_listen_refuses_at_once_what_cannot_be_a_handler() -> None:
    with pytest.raises(ConfigurationError, match="takes no message"):

        @listen
        def nothing() -> None:
            """Takes nothing."""


def test_a_subclass_of_a_marked_handler_class_is_not_marked() -> None:
    class Quiet(DomainEvent):
        pass

    @listen
    class Marked:
        def handle(self, event: Quiet) -> None:
            """Is marked."""

    class Derived(Marked):
        """Is not."""

    assert any("listening" in each for each in vars(Marked))
    assert not any("listening" in each for each in vars(Derived))


def test_what_a_mark_says_of_errors_holds_however_the_handler_is_added() -> None:
    @listen(on_error=OnError.LOG)
    def fail(event: Opened) -> None:
        raise OSError

    by_hand = MessageBus()
    by_hand.add_handler(Opened, fail)
    for bus in (MessageBus({Opened: fail}), by_hand):
        assert [type(each.error) for each in bus.handle(Opened()).outcomes] == [OSError]
    stricter = MessageBus()
    stricter.add_handler(Opened, fail, on_error=OnError.RAISE)
    with pytest.raises(OSError):  # noqa: PT011 the handler's own
        stricter.handle(Opened())


def test_what_cannot_be_marked_says_what_to_do_instead() -> None:
    class Door:
        def open(self, event: Opened) -> None:
            """Cannot hold a mark."""

    with pytest.raises(ConfigurationError, match=r"Door\.open cannot be marked; add it with bus\.add_handler"):
        listen(Door().open)
