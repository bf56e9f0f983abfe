"""C1: what `send` promises."""

import asyncio

import pytest

from events_core.conformance.events import Noted
from events_core.conformance.scenarios import Scenarios
from events_core.conformance.stage import KEY, Stage
from events_core.errors import BusClosed, EventTooLarge, InvalidHeaders, NotStarted
from events_core.messages import Envelope, JsonCodec, Sealer
from events_core.ports import MAX_EVENT_BYTES

__all__ = ["Sending"]


class Sending(Scenarios):
    """C1."""

    async def test_a_sent_event_is_kept_under_the_id_that_send_returned(self, stage: Stage) -> None:
        recorder = stage.recorder()
        process = await stage.consume(recorder)
        await process.bus.shutdown()
        (event_id,) = await stage.send_numbers(1)
        await stage.consume(recorder)
        await recorder.count(1)
        assert [(each.number, each.context.id) for each in recorder.done] == [(1, event_id)]

    async def test_an_event_keeps_its_metadata_on_the_way(self, stage: Stage) -> None:
        recorder = stage.recorder()
        await stage.consume(recorder)
        note = Noted(1, text="naïve ☕ \u0000")
        await stage.sender.send(stage.topic, note, id="given-id", key="kéy", headers={"tenant": "Zoë & co"})
        await recorder.count(1)
        (handled,) = recorder.done
        context = handled.context
        assert handled.event == note
        assert (context.id, context.key, context.headers) == ("given-id", "kéy", {"tenant": "Zoë & co"})
        assert (context.type, context.version, context.source) == (Noted.type, Noted.version, "conformance")
        assert (context.correlation_id, context.causation_id, context.attempt) == ("given-id", None, 1)

    async def test_an_event_as_large_as_allowed_arrives(self, stage: Stage) -> None:
        recorder = stage.recorder()
        await stage.consume(recorder)
        overhead = len(JsonCodec().encode(Noted(1, text="")))
        await stage.send(Noted(1, text="x" * (MAX_EVENT_BYTES - overhead)))
        await recorder.see(1)

    async def test_an_event_that_is_too_large_is_refused_with_its_id_and_not_stored(self, stage: Stage) -> None:
        recorder = stage.recorder()
        await stage.consume(recorder)
        with pytest.raises(EventTooLarge) as refusal:
            await stage.sender.send(stage.topic, Noted(1, text="x" * MAX_EVENT_BYTES), id="large")
        assert refusal.value.event_id == "large"
        await stage.fence(recorder)
        assert 1 not in recorder.numbers

    async def test_sending_on_a_closed_bus_is_refused_with_the_id(self, stage: Stage) -> None:
        process = await stage.process()
        await process.bus.shutdown()
        with pytest.raises(BusClosed) as refusal:
            await process.bus.send(stage.topic, Noted(1), id="late")
        assert refusal.value.event_id == "late"

    async def test_sending_before_startup_is_refused(self, stage: Stage) -> None:
        with pytest.raises(NotStarted):
            await stage.unstarted().send(stage.topic, Noted(1))

    async def test_a_topic_that_nobody_subscribes_to_accepts_events(self, stage: Stage) -> None:
        assert await stage.sender.send(stage.new_topic(), Noted(1), id="unheard") == "unheard"

    async def test_every_one_of_many_sends_at_once_is_answered_and_arrives(self, stage: Stage) -> None:
        recorder = stage.recorder()
        await stage.consume(recorder)
        ids = await asyncio.gather(*(stage.sender.send(stage.topic, Noted(n), key=f"key-{n}") for n in range(200)))
        assert len(set(ids)) == 200
        await recorder.see(*range(200))

    async def test_one_id_sent_twice_at_once_is_answered_twice(self, stage: Stage) -> None:
        recorder = stage.recorder()
        await stage.consume(recorder)
        topics = [stage.topic, stage.new_topic()]
        answers = await asyncio.gather(*(stage.sender.send(topic, Noted(1), id="twice", key=KEY) for topic in topics))
        assert answers == ["twice", "twice"]
        await recorder.see(1)

    async def test_envelopes_are_answered_one_by_one_in_order(self, stage: Stage) -> None:
        recorder = stage.recorder()
        await stage.consume(recorder)
        envelopes = [
            _sealed(1),
            _sealed(2, headers={"no space": "here"}),
            _sealed(3, body=b"x" * (MAX_EVENT_BYTES + 1)),
        ]
        results = await stage.sender.send_envelopes(stage.topic, [*envelopes, _sealed(4)])
        assert [type(each) for each in results] == [type(None), InvalidHeaders, EventTooLarge, type(None)]
        await recorder.see(1, 4)
        assert {each.context.id for each in recorder.done} == {"sealed-1", "sealed-4"}


def _sealed(number: int, *, headers: dict[str, str] | None = None, body: bytes | None = None) -> Envelope:
    """An envelope made in advance; what `seal` would refuse is put in afterwards."""
    good = Sealer(JsonCodec(), "conformance").seal(Noted(number), id=f"sealed-{number}", time=1.0, key=KEY)
    return Envelope(
        good.id, good.type, good.version, good.source, good.sent, body or good.body, good.key, headers=headers or {}
    )
