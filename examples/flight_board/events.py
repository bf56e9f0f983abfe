"""What the operations service tells everybody else. These classes are the contract; no consumer knows the sender."""

from datetime import datetime

from events_core import IntegrationEvent, Topic

FLIGHTS = Topic("flights")


class FlightEvent(IntegrationEvent, abstract=True):
    """What all three have in common. The key is the aircraft: what happens to one aircraft stays together."""

    flight: str
    aircraft: str
    origin: str
    destination: str
    scheduled: datetime


class FlightDeparted(FlightEvent, key="aircraft"):
    """It left the gate, `delay` minutes after its time; negative is early."""

    type = "flights.departed"
    version = 1
    delay: int


class FlightCancelled(FlightEvent, key="aircraft"):
    """It will not leave at all."""

    type = "flights.cancelled"
    version = 1


class FlightDelayed(FlightEvent, key="aircraft"):
    """It leaves so late, `delay` minutes, that somebody should be told. It is sent besides `FlightDeparted`."""

    type = "flights.delayed"
    version = 1
    delay: int
