from events_core import Command, DomainEvent


class Open(Command):
    pass


class Opened(DomainEvent):
    pass


class Closed(DomainEvent):
    pass
