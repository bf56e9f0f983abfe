"""What a subscription is on the cluster, how it is made, looked at and deleted."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.admin import NewTopic  # type: ignore[import-untyped]
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType  # type: ignore[import-untyped]
from aiokafka.errors import TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code  # type: ignore[import-untyped]

from events_core.errors import ConfigurationError, NotConnected, UnsafeBroker
from events_core.ports import Subscription, Topic
from events_kafka.link import Link
from events_kafka.settings import KafkaSettings

__all__ = ["Names", "Topics"]

_LONGEST_NAME: Final = 249
_LONGEST_STEP: Final = len(".retry.0000000000")
_MOST_REPLICAS: Final = 3
_MOST_RETRY_PARTITIONS: Final = 3
_REPLICAS: Final = "replication.factor"
_IN_SYNC: Final = "min.insync.replicas"
_UNCLEAN: Final = "unclean.leader.election.enable"
_CLEANUP: Final = "cleanup.policy"
_SAFE: Final = 2


@dataclass(frozen=True, slots=True)
class Names:
    """The objects of one subscription."""

    topic: str
    group: str
    registry: str

    @classmethod
    def of(cls, subscription: Subscription, namespace: str) -> "Names":
        """`<namespace>.<consumer>.<topic>`, and the topic. Raises `ConfigurationError` where Kafka has no room."""
        prefix = f"{namespace}." if namespace else ""
        topic = subscription.topic.name
        names = cls(f"{prefix}{topic}", f"{prefix}{subscription.consumer}.{topic}", f"{prefix}events.subscriptions")
        if len(names.group) + _LONGEST_STEP > _LONGEST_NAME:
            raise ConfigurationError(f"{names.group} is too long for Kafka; shorten consumer, topic or namespace")
        if names.registry in {names.topic, names.group}:
            raise ConfigurationError(f"{names.registry} is where the subscriptions are kept; choose another name")
        return names

    @property
    def dead(self) -> str:
        """Where its dead letters are kept."""
        return f"{self.group}.dead"

    def retry(self, delay: float) -> str:
        """Where an event waits so many seconds."""
        return f"{self.group}.retry.{math.ceil(round(delay * 1000, 3))}"

    def steps(self, topics: Iterable[str]) -> Mapping[str, float]:
        """Its retry topics among these, and how many seconds each lets wait; former ladders included."""
        prefix = f"{self.group}.retry."
        steps = ((name, name.removeprefix(prefix)) for name in topics if name.startswith(prefix))
        return {name: int(step) / 1000 for name, step in steps if step.isdecimal()}


class Topics:
    """Makes topics that keep what they confirmed, and refuses others."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._known: set[str] = set()

    def forget(self, gone: set[str]) -> None:
        """These were deleted."""
        self._known -= gone

    def forget_all(self) -> None:
        """Look again whether they are there, and how they are set."""
        self._known.clear()

    async def ensure_events(self, link: Link, name: str, topic: Topic) -> None:
        """Make the topic of events where there is none."""
        await self._ensure(link, {name: (topic.partitions or self._settings.partitions, self._kept(topic))})

    async def ensure_subscription(self, link: Link, names: Names, subscription: Subscription) -> set[str]:
        """Make everything that a subscription needs; what there was not."""
        partitions = subscription.topic.partitions or self._settings.partitions
        kept = self._kept(subscription.topic)
        wanted: dict[str, tuple[int, Mapping[str, str]]] = {
            names.topic: (partitions, kept),
            names.dead: (1, {_CLEANUP: "compact"}),
            names.registry: (1, {_CLEANUP: "compact"}),
        }
        for delay in (0.0, *subscription.delays):
            longer = {"retention.ms": str(int(kept["retention.ms"]) + round(delay * 1000))}
            wanted[names.retry(delay)] = (min(partitions, _MOST_RETRY_PARTITIONS), longer)
        return await self._ensure(link, wanted)

    def _kept(self, topic: Topic) -> Mapping[str, str]:
        return {"retention.ms": str(round((topic.retention or self._settings.retention) * 1000))}

    async def _ensure(self, link: Link, wanted: Mapping[str, tuple[int, Mapping[str, str]]]) -> set[str]:
        if wanted.keys() <= self._known:
            return set()
        there = await link.topics()
        nodes = await link.nodes()
        replicas = self._settings.replicas or min(_MOST_REPLICAS, len(nodes))
        if replicas < min(_SAFE, len(nodes)) and _REPLICAS not in self._settings.accept:
            raise _unsafe(next(iter(wanted)), _REPLICAS, str(replicas), str(_MOST_REPLICAS))
        safe = {_UNCLEAN: "false"} | ({_IN_SYNC: str(_SAFE)} if replicas > 1 else {})
        if missing := [
            NewTopic(name, partitions, replicas, topic_configs={**safe, **config})
            for name, (partitions, config) in wanted.items()
            if name not in there
        ]:
            await link.ask(lambda admin: _create(admin, missing, link.timeout))
        await link.known([*wanted], nodes)
        found = {name: config for name, (_, config) in wanted.items() if name in there}
        if found:
            await self._refuse_unsafe(link, found, there, replicated=len(nodes) > 1)
        self._known |= wanted.keys()
        return wanted.keys() - there.keys()

    async def _refuse_unsafe(
        self,
        link: Link,
        wanted: Mapping[str, Mapping[str, str]],
        there: Mapping[str, Sequence[Sequence[int]]],
        *,
        replicated: bool,
    ) -> None:
        accepted = self._settings.accept
        for name in wanted:
            if replicated and _REPLICAS not in accepted and any(len(each) < _SAFE for each in there[name]):
                raise _unsafe(name, _REPLICAS, "1", str(_MOST_REPLICAS))
        looked_at = {_IN_SYNC, _UNCLEAN, _CLEANUP} - accepted
        for name, config in (await _describe(link, list(wanted), looked_at)).items() if looked_at else ():
            if replicated and int(config.get(_IN_SYNC, _SAFE)) < _SAFE:
                raise _unsafe(name, _IN_SYNC, config[_IN_SYNC], str(_SAFE))
            if config.get(_UNCLEAN, "false") != "false":
                raise _unsafe(name, _UNCLEAN, config[_UNCLEAN], "false")
            policy = wanted[name].get(_CLEANUP, "delete")
            if config.get(_CLEANUP, policy) != policy:
                raise _unsafe(name, _CLEANUP, config[_CLEANUP], policy)


def _unsafe(topic: str, setting: str, found: str, needed: str) -> UnsafeBroker:
    advice = f"set it to {needed}, or accept it by name: accept={setting}"
    return UnsafeBroker(f"the topic {topic} may lose events that it confirmed: {setting} is {found}; {advice}")


async def _describe(link: Link, topics: Sequence[str], settings: set[str]) -> Mapping[str, Mapping[str, str]]:
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(settings, "")) for name in topics]
    found: dict[str, Mapping[str, str]] = {}
    for response in await link.ask(lambda admin: admin.describe_configs(asked)):
        for code, message, _, name, entries in response.resources:
            if code == UnknownTopicOrPartitionError.errno:
                raise NotConnected(f"the topic {name} is being deleted")
            if code:
                names = ",".join(sorted(settings))
                raise UnsafeBroker(f"Kafka does not show how {name} is set ({message}); accept it: accept={names}")
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


async def _create(admin: Any, topics: Sequence[NewTopic], timeout: float) -> None:  # noqa: ANN401
    response = await admin.create_topics(list(topics), timeout_ms=round(timeout * 1000))
    for name, code, message in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise error(f"{name}: {message}")
