"""What becomes of a handler's error: raised, or logged and survived."""

import logging
from collections.abc import Callable

import pytest

from events_core.domain import Emit, OnError
from tests.unit.domain.scene import Brew, Brewed, Poured, Side, StockFell, both_sides, raises, returns

pytestmark = [pytest.mark.anyio, both_sides]

Make = Callable[[], Side]


async def test_by_default_the_first_error_ends_the_call_and_comes_out_as_it_is(make_side: Make) -> None:
    side, handled, error = make_side(), list[object](), OSError("spilled")
    bus = side.bus({Brewed: [raises(error), handled.append]})
    with pytest.raises(OSError, match="spilled") as caught:
        await side.handle(bus, Brewed())
    assert caught.value is error
    assert handled == []


async def test_a_bus_that_logs_errors_goes_on_and_keeps_them_among_the_outcomes(
    make_side: Make, caplog: pytest.LogCaptureFixture
) -> None:
    side, error = make_side(), OSError("spilled")
    bus = side.bus({Brewed: [raises(error), returns("handled")]}, on_error=OnError.LOG)
    with caplog.at_level(logging.ERROR):
        results = await side.handle(bus, Brewed())
    assert list(results) == ["handled"]
    assert [each.error for each in results.outcomes] == [error, None]
    assert "fail failed on Brewed, and the others go on" in caplog.text
    with pytest.raises(OSError, match="spilled"):
        _ = results.first


async def test_a_handlers_own_policy_goes_before_that_of_its_bus(make_side: Make) -> None:
    side, handled = make_side(), list[object]()
    bus = side.bus({Brewed: []})
    bus.add_handler(Brewed, raises(OSError("spilled")), on_error=OnError.LOG)
    bus.add_handler(Brewed, handled.append)
    await side.handle(bus, Brewed())
    assert handled == [Brewed()]

    strict = side.bus(on_error=OnError.LOG)
    strict.add_handler(Brewed, raises(OSError("spilled")), on_error=OnError.RAISE)
    with pytest.raises(OSError, match="spilled"):
        await side.handle(strict, Brewed())


async def test_what_a_tolerated_handler_raised_before_it_failed_is_kept_with_its_work(make_side: Make) -> None:
    side, handled = make_side(), list[object]()

    def brew(command: Brew, emit: Emit) -> None:
        emit(Poured(), StockFell())
        raise OSError("spilled")

    uow = side.unit()
    bus = side.bus({Brew: brew, Poured: handled.append}, on_error=OnError.LOG)
    await side.handle(bus, Brew(), uow)
    assert handled == [Poured()]
    assert side.sent == [StockFell()]
    assert uow.trace.steps == ["begin", "commit", "close"]


async def test_what_is_no_exception_is_never_tolerated(make_side: Make) -> None:
    side = make_side()
    bus = side.bus({Brewed: raises(SystemExit(3))}, on_error=OnError.LOG)
    uow = side.unit()
    with pytest.raises(SystemExit):
        await side.handle(bus, Brewed(), uow)
    assert uow.trace.steps == ["begin", "rollback", "close"]
