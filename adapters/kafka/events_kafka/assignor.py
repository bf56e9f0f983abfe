"""Who gets which partition: what a member still works on stays with it, the rest is shared evenly."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiokafka.coordinator.protocol import (  # type: ignore[import-untyped]
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)

from events_kafka.library import Partition

__all__ = ["Assignor"]

_VERSION: Final = 0


class Assignor:
    """One for each member: it tells the others what this one keeps, and whether it takes nothing else any more."""

    name: str = "events-core"

    def __init__(self) -> None:
        self.keeping: Iterable[Partition] = ()
        self.leaving: bool = False

    def metadata(self, topics: Iterable[str]) -> Any:  # noqa: ANN401 the library's own
        """What is said at joining."""
        told = {"keep": [[each.topic, each.partition] for each in self.keeping], "leaving": self.leaving}
        return ConsumerProtocolMemberMetadata(_VERSION, list(topics), json.dumps(told).encode())

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ANN401
        """What everybody gets; asked of one member, for all."""
        told = {member: json.loads(metadata.user_data) for member, metadata in members.items()}
        claims = {(topic, number): member for member in told for topic, number in told[member]["keep"]}
        staying = [member for member in sorted(told) if not told[member]["leaving"]] or sorted(told)
        shares: dict[str, defaultdict[str, list[int]]] = {member: defaultdict(list) for member in members}
        free: list[tuple[str, int]] = []
        for topic in sorted({topic for metadata in members.values() for topic in metadata.subscription}):
            for number in sorted(cluster.partitions_for_topic(topic) or ()):
                claimant = claims.get((topic, number))
                if claimant is None or topic not in members[claimant].subscription:
                    free.append((topic, number))
                else:
                    shares[claimant][topic].append(number)
        for topic, number in free:
            able = [member for member in staying if topic in members[member].subscription]
            able = able or [member for member in members if topic in members[member].subscription]
            chosen = min(able, key=lambda member: sum(map(len, shares[member].values())))
            shares[chosen][topic].append(number)
        return {
            member: ConsumerProtocolMemberAssignment(_VERSION, sorted(share.items()), b"")
            for member, share in shares.items()
        }

    def on_assignment(self, assignment: object) -> None:
        """Nothing has to be remembered."""
