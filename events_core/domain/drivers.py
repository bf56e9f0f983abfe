"""How the messages of one call are handled, step by step: a sync and an async driver over one engine."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio

from events_core.domain.engine import Route, Run
from events_core.errors import ConfigurationError
from events_core.handlers import Handler
from events_core.messages import Message

__all__ = ["drive", "drive_async", "step", "step_async"]

RoutesOf = Callable[[Message], Sequence[Route]]
RoutesOfAsync = Callable[[Message], Sequence[Route] | Awaitable[Sequence[Route]]]


def drive(run: Run, routes_of: RoutesOf) -> None:
    """Handle what waits, and what that raises, until nothing is left."""
    with run:
        while run.queue:
            step(run, routes_of)


def step(run: Run, routes_of: RoutesOf) -> None:
    """Handle the message that has waited longest."""
    message = run.queue.popleft()
    for route in routes_of(message):
        run.begins()
        try:
            value = _value_of(run, message, route.handler)
        except Exception as error:
            if not run.tolerates(message, route, error):
                raise
        else:
            run.succeeded(message, route.handler, value)


async def drive_async(run: Run, routes_of: RoutesOfAsync, *, concurrent: bool = False) -> None:
    """Handle what waits, and what that raises, until nothing is left."""
    with run:
        while run.queue:
            await step_async(run, routes_of, concurrent=concurrent)


async def step_async(run: Run, routes_of: RoutesOfAsync, *, concurrent: bool = False) -> None:
    """Handle the message that has waited longest; with `concurrent` its handlers run side by side."""
    message = run.queue.popleft()
    routes = routes_of(message)
    if isinstance(routes, Awaitable):
        routes = await routes
    if concurrent and len(routes) > 1:
        await _side_by_side(run, message, routes)
        return
    for route in routes:
        run.begins()
        try:
            value = await _value_of_async(run, message, route.handler)
        except Exception as error:
            if not run.tolerates(message, route, error):
                raise
        else:
            run.succeeded(message, route.handler, value, asyncio.current_task())


async def _side_by_side(run: Run, message: Message, routes: Sequence[Route]) -> None:
    values: dict[int, tuple[object, asyncio.Task[Any] | None]] = {}
    errors: dict[int, Exception] = {}

    async def one(place: int, route: Route) -> None:
        try:
            values[place] = (await _value_of_async(run, message, route.handler), asyncio.current_task())
        except Exception as error:  # noqa: BLE001 dealt with below, once all have ended
            errors[place] = error
            if run.ends_with(route, error):
                tasks.cancel_scope.cancel()

    run.begins()
    with run.side_by_side():
        async with anyio.create_task_group() as tasks:
            for place, route in enumerate(routes):
                tasks.start_soon(one, place, route)
    fatal = [error for place, error in errors.items() if run.ends_with(routes[place], error)]
    if fatal:
        raise fatal[0]
    for place, route in enumerate(routes):
        if place in errors:
            run.tolerates(message, route, errors[place])
        else:
            run.succeeded(message, route.handler, *values[place])


def _value_of(run: Run, message: Message, handler: Handler) -> object:
    value = handler.call(message, **run.arguments(handler))
    if inspect.iscoroutine(value):
        value.close()
        raise ConfigurationError(f"{handler.name} returned a coroutine; register it on an AsyncMessageBus")
    return value


async def _value_of_async(run: Run, message: Message, handler: Handler) -> object:
    value: Any
    if not handler.needs and not handler.welcomes:
        value = handler.call(message)
    elif run.scope.is_plain:
        value = handler.call(message, **handler.arguments(run.scope.values))
    else:
        value = handler.call(message, **await run.arguments_async(handler))
    if handler.is_async or (value is not None and inspect.isawaitable(value)):
        value = await value
    return value
