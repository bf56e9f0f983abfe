"""What is said to the broker about deliveries, read by pamqp."""

import pytest
from pamqp import commands, frame

from events_core.errors import ConnectionLost
from events_rabbitmq.amqp.inbox import Inbox

CHANNEL = 3


def held(inbox: Inbox, *tags: int) -> list[int]:
    """These tags, handed out."""
    for tag in tags:
        deliver = commands.Basic.Deliver(consumer_tag="me", delivery_tag=tag, exchange="e", routing_key="r")
        inbox.put(method(deliver), b"\0\0", b"")
    return [each.tag for each in inbox.take(len(tags))]


def method(deliver: commands.Basic.Deliver) -> bytes:
    """The payload of its frame."""
    return frame.marshal(deliver, CHANNEL)[7:-1]


def said(parts: list[bytes]) -> list[tuple[str, int, bool]]:
    """Each frame as verb, tag, and whether it means everything up to the tag."""
    found: list[tuple[str, int, bool]] = []
    for part in parts:
        consumed, channel, each = frame.unmarshal(part)
        assert (consumed, channel) == (len(part), CHANNEL)
        match each:
            case commands.Basic.Ack():
                found.append(("ack", each.delivery_tag, each.multiple))
            case commands.Basic.Nack():
                assert each.requeue
                found.append(("back", each.delivery_tag, each.multiple))
            case _:
                raise AssertionError(each)
    return found


def test_everything_is_acknowledged_in_one_frame() -> None:
    inbox = Inbox()
    deliveries = held(inbox, 1, 2, 3)
    assert said(inbox.settle(CHANNEL, accepted=reversed(deliveries))) == [("ack", 3, True)]
    assert inbox.is_settled


def test_one_frame_speaks_only_for_what_is_older_than_anything_held() -> None:
    inbox = Inbox()
    first, second, _third, fourth, fifth = held(inbox, 1, 2, 3, 4, 5)
    frames = inbox.settle(CHANNEL, accepted=[fifth, second, fourth, first])
    assert said(frames) == [("ack", 2, True), ("ack", 5, False), ("ack", 4, False)]
    assert not inbox.is_settled


def test_what_was_not_taken_yet_is_held_too() -> None:
    inbox = Inbox()
    held(inbox, 1)
    deliveries = held(inbox, 2)
    assert said(inbox.settle(CHANNEL, accepted=deliveries)) == [("ack", 2, False)]


def test_what_goes_back_is_named_before_anything_that_would_include_it() -> None:
    inbox = Inbox()
    first, second, third = held(inbox, 1, 2, 3)
    frames = inbox.settle(CHANNEL, accepted=[first, third], released=[second])
    assert said(frames) == [("back", 2, False), ("ack", 3, True)]


def test_a_late_one_is_settled_by_the_same_rule() -> None:
    inbox = Inbox()
    first, second, third = held(inbox, 1, 2, 3)
    assert said(inbox.settle(CHANNEL, accepted=[second])) == [("ack", 2, False)]
    assert said(inbox.settle(CHANNEL, accepted=[first])) == [("ack", 1, True)]
    assert said(inbox.settle(CHANNEL, accepted=[], released=[third])) == [("back", 3, False)]


def test_only_what_is_not_settled_is_held() -> None:
    inbox = Inbox()
    (ours,) = held(inbox, 1)
    assert inbox.holds(ours)
    inbox.settle(CHANNEL, accepted=[ours])
    assert not inbox.holds(ours)


def test_nothing_is_held_once_the_channel_is_gone() -> None:
    inbox = Inbox()
    (ours,) = held(inbox, 1)
    inbox.end("the node went down")
    assert not inbox.holds(ours)
    with pytest.raises(ConnectionLost, match="the node went down"):
        inbox.take(1)
