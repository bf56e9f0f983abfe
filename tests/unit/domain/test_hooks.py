"""Dependencies that are told how the unit of work ended."""

import logging
from collections.abc import Callable

import pytest

from events_core.domain import Emit, Factory
from events_core.errors import AfterCommitFailed, ConfigurationError
from tests.unit.domain.scene import (
    Async,
    Brew,
    Brewed,
    BrokenSink,
    Opened,
    Side,
    StockFell,
    Sync,
    both_sides,
    ignore,
    raises,
)

pytestmark = pytest.mark.anyio

Make = Callable[[], Side]


class Mailer:
    """Sends only what was committed."""

    def __init__(self, ends: list[str], name: str = "mailer") -> None:
        self._ends = ends
        self._name = name

    def after_commit(self) -> None:
        self._ends.append(f"{self._name} sends")

    def after_rollback(self) -> None:
        self._ends.append(f"{self._name} forgets")


def brew(command: Brew, mailer: Mailer) -> None:
    """Uses the mailer."""


def pour(event: Brewed, mailer: Mailer) -> None:
    """Uses the mailer."""


def shout(command: Brew, loudspeaker: object) -> None:
    """Uses the loudspeaker."""


@both_sides
async def test_dependencies_are_told_of_the_commit_after_it(make_side: Make) -> None:
    side, ends = make_side(), list[str]()
    uow = side.unit()
    uow.trace.steps = ends
    await side.handle(side.bus({Brew: brew}, dependencies={"mailer": Mailer(ends)}), Brew(), uow)
    assert ends == ["begin", "commit", "mailer sends", "close"]


@both_sides
async def test_dependencies_are_told_of_the_rollback_after_it(make_side: Make) -> None:
    side, ends = make_side(), list[str]()
    uow = side.unit()
    uow.trace.steps = ends
    bus = side.bus({Brewed: [pour, raises(OSError())]}, dependencies={"mailer": Mailer(ends)})
    with pytest.raises(OSError):  # noqa: PT011 the handler's own
        await side.handle(bus, Brewed(), uow)
    assert ends == ["begin", "rollback", "mailer forgets", "close"]


@both_sides
async def test_those_made_by_a_factory_or_given_to_the_call_are_told_as_well_each_once(make_side: Make) -> None:
    side, ends = make_side(), list[str]()

    def serve(event: Brewed, made: Mailer, given: Mailer) -> None:
        """Uses both."""

    def serve_again(event: Brewed, given: Mailer, made: Mailer) -> None:
        """Uses both as well."""

    bus = side.bus(
        {Brewed: [serve, serve_again]},
        dependencies={"made": Factory(lambda: Mailer(ends, "made"))},
        at_call=["given"],
    )
    await side.handle(bus, Brewed(), side.unit(), given=Mailer(ends, "given"))
    assert ends == ["made sends", "given sends"]


@both_sides
async def test_a_dependency_that_no_handler_took_is_told_nothing(make_side: Make) -> None:
    side, ends = make_side(), list[str]()
    await side.handle(side.bus({Brew: ignore}, dependencies={"mailer": Mailer(ends)}), Brew(), side.unit())
    assert ends == []


@both_sides
async def test_a_class_among_the_dependencies_is_told_nothing(make_side: Make) -> None:
    side = make_side()
    uow = side.unit()
    bus = side.bus({Brew: shout}, dependencies={"loudspeaker": Mailer})
    await side.handle(bus, Brew(), uow)
    assert uow.trace.steps == ["begin", "commit", "close"]


@both_sides
async def test_a_hook_that_fails_after_the_commit_undoes_nothing_and_the_others_run(make_side: Make) -> None:
    side, ends, error = make_side(), list[str](), OSError("no mail today")

    class Broken:
        after_commit = staticmethod(raises(error))

    def sell(command: Brew, broken: Broken, mailer: Mailer, emit: Emit) -> None:
        emit(StockFell())

    uow = side.unit(sink=BrokenSink(ConnectionError("no broker"), after_commit=True))
    bus = side.bus(
        {Brew: sell},
        dependencies={"broken": Broken(), "mailer": Mailer(ends)},
    )
    with pytest.raises(AfterCommitFailed, match="no broker; no mail today") as caught:
        await side.handle(bus, Brew(), uow)
    assert caught.value.errors[1] is error
    assert ends == ["mailer sends"]
    assert uow.trace.steps == ["begin", "commit", "close"]


@both_sides
async def test_a_hook_that_fails_after_the_rollback_is_logged(
    make_side: Make, caplog: pytest.LogCaptureFixture
) -> None:
    side = make_side()

    class Broken:
        after_rollback = staticmethod(raises(OSError("no mail today")))

    def tell(event: Brewed, broken: Broken) -> None:
        """Uses it."""

    bus = side.bus({Brewed: [tell, raises(ValueError("spilled"))]}, dependencies={"broken": Broken()})
    with caplog.at_level(logging.ERROR), pytest.raises(ValueError, match="spilled"):
        await side.handle(bus, Brewed(), side.unit())
    assert "a hook after rollback failed" in caplog.text


async def test_hooks_may_be_asynchronous_where_the_unit_is() -> None:
    side, ends = Async(), list[str]()

    class Slow:
        async def after_commit(self) -> None:
            ends.append("sent")

    await side.handle(side.bus({Brew: shout}, dependencies={"loudspeaker": Slow()}), Brew(), side.unit())
    assert ends == ["sent"]


async def test_a_sync_unit_refuses_an_asynchronous_hook_before_it_commits() -> None:
    side = Sync()

    class Slow:
        async def after_commit(self) -> None:
            """Nobody would await it."""

    uow = side.unit()
    with pytest.raises(ConfigurationError, match="is asynchronous"):
        await side.handle(side.bus({Brew: shout}, dependencies={"loudspeaker": Slow()}), Brew(), uow)
    assert uow.trace.steps == ["begin", "rollback", "close"]


async def test_a_sync_unit_reports_a_hook_that_turns_out_to_be_asynchronous() -> None:
    side = Sync()

    async def send() -> None:
        """Nobody would await it."""

    class Slow:
        def after_commit(self) -> object:
            return send()

    with pytest.raises(AfterCommitFailed, match="is asynchronous"):
        await side.handle(side.bus({Brew: shout}, dependencies={"loudspeaker": Slow()}), Brew(), side.unit())


@both_sides
async def test_a_dependency_is_told_once_of_each_commit_it_had_a_part_in(make_side: Make) -> None:
    side, ends = make_side(), list[str]()
    bus = side.bus({Brew: brew}, dependencies={"mailer": Mailer(ends)})
    uow = side.unit()
    async with Opened(uow) as commit:
        await side.handle(bus, Brew(), uow)
        await commit()
        await commit()
        assert ends == ["mailer sends"]
        await side.handle(bus, Brew(), uow)
        await commit()
    assert ends == ["mailer sends", "mailer sends"]


@both_sides
async def test_a_dependency_that_came_after_a_commit_is_told_of_the_rollback(make_side: Make) -> None:
    side, ends = make_side(), list[str]()
    bus = side.bus({Brew: brew}, dependencies={"mailer": Mailer(ends)})
    uow = side.unit()
    async with Opened(uow) as commit:
        await side.handle(bus, Brew(), uow)
        await commit()
        await side.handle(bus, Brew(), uow)
    assert ends == ["mailer sends", "mailer forgets"]
