"""C10: what a process does not know, does not want or cannot read."""

from events_core.conformance.events import Flagged, MeasuredV1, MeasuredV2, Noted
from events_core.conformance.scenarios import Scenarios
from events_core.conformance.stage import KEY, Stage
from events_core.ports import Wire

__all__ = ["Contracts"]


class Contracts(Scenarios):
    """C10."""

    async def test_an_unknown_version_waits_for_a_newer_process(self, stage: Stage) -> None:
        old = stage.recorder(events=(Noted, MeasuredV1))
        new = stage.recorder(events=(Noted, MeasuredV1, MeasuredV2))
        process = await stage.consume(old)
        await stage.send(MeasuredV2(1, unit="mm"))
        await stage.fence(old)
        await process.bus.shutdown()
        await stage.consume(new)
        await new.see(1)
        assert [(each.event, each.context.attempt) for each in new.done] == [(MeasuredV2(1, unit="mm"), 1)]
        assert await stage.sender.dead_letters("first", stage.topic).list() == []

    async def test_a_type_that_only_a_newer_process_knows_waits_for_it(self, stage: Stage) -> None:
        old, new = stage.recorder(), stage.recorder(events=(Noted, Flagged))
        first_of_new = await stage.consume(new)
        await first_of_new.bus.shutdown()
        process = await stage.consume(old)
        await stage.send(Flagged(1))
        await stage.fence(old)
        await process.bus.shutdown()
        await stage.consume(new)
        await new.see(1)
        assert [(each.event, each.context.attempt) for each in new.done] == [(Flagged(1), 1)]

    async def test_a_type_that_nobody_wants_is_neither_handed_over_nor_kept(self, stage: Stage) -> None:
        recorder = stage.recorder()
        process = await stage.consume(recorder)
        await stage.send(Flagged(1))
        await stage.fence(recorder)
        await process.bus.shutdown()
        assert len(recorder.begun) == 1
        await stage.sender.delete_subscription("first", stage.topic)

    async def test_malformed_bytes_are_a_dead_letter_at_once_and_their_neighbours_are_handled(
        self, stage: Stage
    ) -> None:
        recorder = stage.recorder()
        await stage.consume(recorder)
        await stage.send_numbers(1)
        await stage.publish(Wire({}, b"\xff\x00 no event", KEY))
        await stage.send_numbers(2)
        await recorder.see(1, 2)
        (letter,) = await stage.dead_letters("first", 1)
        assert (letter.body, letter.attempts, letter.type) == (b"\xff\x00 no event", 1, None)
        assert letter.id
        assert len(recorder.begun) == 2

    async def test_a_payload_that_does_not_fit_its_contract_is_a_dead_letter_at_once(self, stage: Stage) -> None:
        recorder = stage.recorder()
        await stage.consume(recorder)
        headers = {"id": "unfit", "type": Noted.type, "eventversion": "1", "source": "stranger"}
        await stage.publish(Wire(headers, b'{"number":"one"}', KEY))
        (letter,) = await stage.dead_letters("first", 1)
        assert (letter.id, letter.attempts, recorder.begun) == ("unfit", 1, [])

    async def test_an_event_without_headers_reaches_its_handler_by_what_its_body_says(self, stage: Stage) -> None:
        recorder = stage.recorder()
        await stage.consume(recorder)
        await stage.publish(Wire({}, b'{"type":"conformance.noted","version":1,"number":7}', KEY))
        await recorder.see(7)
        (handled,) = recorder.done
        assert handled.event == Noted(7)
        assert handled.context.id
        assert handled.context.source == ""
