"""A small application: what its container provides, and which messages it knows."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from dishka import AsyncContainer, Provider, Scope

from events_core import AsyncMessageBus, Command, DomainEvent, IntegrationEvent
from events_core.domain import DomainEventDispatcher, DomainEventHandler, HandlerRegistry
from events_core.testing import AsyncFakeUnitOfWork
from events_dishka import DishkaHandlers, RequestBus, provided


class UserRegistered(IntegrationEvent):
    type = "tests.dishka.user_registered"
    version = 1
    name: str


class UserInvited(DomainEvent):
    name: str


class InvitationWritten(DomainEvent):
    name: str


class Register(Command[int]):
    """The answer says which session it was written into."""

    name: str


@dataclass(eq=False)
class Session:
    """A stand-in for the session of a database."""

    number: int
    written: list[str] = field(default_factory=list[str])
    closed: int = 0
    error: BaseException | None = None
    breaks: bool = False


class Sessions(list[Session]):
    """All that were opened."""


class Unit(AsyncFakeUnitOfWork):
    """The unit of work of the application."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session


class WriteInvitation(DomainEventHandler[UserInvited]):
    def __init__(self, session: Session, dispatcher: DomainEventDispatcher) -> None:
        self._session = session
        self._dispatcher = dispatcher

    async def handle(self, event: UserInvited) -> None:
        self._session.written.append(f"invitation for {event.name}")
        self._dispatcher.store_event(InvitationWritten(name=event.name))


class CountInvitations(DomainEventHandler[InvitationWritten]):
    def __init__(self, session: Session) -> None:
        self._session = session

    async def handle(self, event: InvitationWritten) -> None:
        self._session.written.append("one more invitation")


async def register(command: Register, uow: Unit, session: Session) -> int:
    session.written.append(command.name)
    assert uow.session is session
    return session.number


def make_registry() -> HandlerRegistry:
    registry = HandlerRegistry()
    registry.register(UserInvited, WriteInvitation)
    registry.register(InvitationWritten, CountInvitations)
    return registry


def make_dispatcher(registry: HandlerRegistry, container: AsyncContainer) -> DomainEventDispatcher:
    return DomainEventDispatcher(DishkaHandlers(registry, container))


def make_bus() -> AsyncMessageBus:
    return AsyncMessageBus({Register: register}, dependencies={"session": provided(Session)})


def make_request_bus(bus: AsyncMessageBus, container: AsyncContainer) -> RequestBus:
    return RequestBus(bus, container, uow=Unit)


def make_shop(sessions: Sessions) -> Provider:
    """What the application is made of."""

    async def session() -> AsyncGenerator[Session, BaseException | None]:
        opened = Session(len(sessions))
        sessions.append(opened)
        opened.error = yield opened
        opened.closed += 1
        if opened.breaks:
            raise OSError

    shop = Provider(scope=Scope.REQUEST)
    for source in (session, Unit, WriteInvitation, CountInvitations, make_dispatcher, make_request_bus):
        shop.provide(source)
    for shared in (make_registry, make_bus):
        shop.provide(shared, scope=Scope.APP)
    return shop
