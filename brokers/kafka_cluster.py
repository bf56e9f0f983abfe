from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from brokers.kafka import Kafka


class KafkaCluster:
    """Several Kafka nodes of one cluster, as processes of this machine; `nodes` are hurt one by one.

    Args:
        folder: Where their folders are.
        nodes: How many; the cluster works while more than half of them do.
    """

    def __init__(self, folder: Path, *, nodes: int = 3) -> None:
        self.nodes = [Kafka(folder / f"node-{number}") for number in range(1, nodes + 1)]
        for node in self.nodes:
            node.join(self.nodes)

    @property
    def url(self) -> str:
        """Where clients connect: it names all nodes."""
        return f"kafka://{','.join(node.address for node in self.nodes)}"

    def start(self) -> None:
        """Start all of them; errors as those of `Kafka.start`."""
        self._each(Kafka.start)

    def stop(self) -> None:
        """Shut all of them down in good order."""
        self._each(Kafka.stop)

    def kill(self) -> None:
        """SIGKILL all of them, as where the power fails."""
        self._each(Kafka.kill)

    def freeze(self) -> None:
        """SIGSTOP all of them."""
        self._each(Kafka.freeze)

    def resume(self) -> None:
        """SIGCONT all of them."""
        self._each(Kafka.resume)

    def logs(self) -> str:
        """Their logs, one after the other."""
        return "\n".join(node.logs() for node in self.nodes)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._each(Kafka.__exit__)

    def _each(self, act: Callable[[Kafka], object]) -> None:
        # None of them is ready before most of them are.
        with ThreadPoolExecutor(len(self.nodes)) as threads:
            list(threads.map(act, self.nodes))
