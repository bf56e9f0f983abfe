"""Who gets which partition."""

from types import SimpleNamespace

from events_kafka.assignor import Assignor
from events_kafka.library import partition_of

PARTITIONS = {"users": {0, 1, 2, 3}, "retry.1000": {0, 1}, "retry.9000": {0}}
CLUSTER = SimpleNamespace(partitions_for_topic=PARTITIONS.get)


def member(*topics: str, leaving: bool = False, keeping: tuple[tuple[str, int], ...] = ()) -> object:
    """What a member says when it joins."""
    assignor = Assignor()
    assignor.leaving = leaving
    assignor.keeping = [partition_of(*each) for each in keeping]
    return assignor.metadata(topics)


def shares(**members: object) -> dict[str, set[tuple[str, int]]]:
    """What everybody gets."""
    assigned = Assignor().assign(CLUSTER, members)
    return {
        name: {(topic, number) for topic, numbers in assigned[name].assignment for number in numbers}
        for name in members
    }


def test_partitions_are_shared_evenly_and_each_has_one_owner() -> None:
    found = shares(a=member("users", "retry.1000"), b=member("users", "retry.1000"))
    assert {len(each) for each in found.values()} == {3}
    assert found["a"].isdisjoint(found["b"])


def test_what_a_member_works_on_stays_with_it() -> None:
    found = shares(a=member("users"), b=member("users", keeping=(("users", 0), ("users", 1), ("users", 2))))
    assert found == {"a": {("users", 3)}, "b": {("users", 0), ("users", 1), ("users", 2)}}


def test_who_leaves_gets_nothing_but_what_it_works_on() -> None:
    found = shares(a=member("users", leaving=True, keeping=(("users", 0),)), b=member("users"))
    assert found == {"a": {("users", 0)}, "b": {("users", 1), ("users", 2), ("users", 3)}}


def test_nobody_gets_a_topic_that_it_does_not_read() -> None:
    """During a deployment the steps of the ladder may differ."""
    found = shares(a=member("users"), b=member("users", "retry.9000", leaving=True))
    assert found == {"a": {("users", n) for n in range(4)}, "b": {("retry.9000", 0)}}
