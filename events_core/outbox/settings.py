from dataclasses import dataclass

from events_core.errors import ConfigurationError
from events_core.ports import check_seconds

__all__ = ["RelaySettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings:
    """How a relay works.

    | setting | meaning | unit | default |
    |---|---|---|---|
    | `batch` | events claimed at a time | events | 1000 |
    | `poll` | how long an idle relay waits at the most before it looks again | seconds | 1 |
    | `timeout` | how long the broker may take to confirm an event | seconds | 10 |
    | `lease` | how long a relay that stopped in the middle of a batch may hold it | seconds | 60 |
    | `delays` | the waits between the tries of an event that is refused; then it is parked | seconds | 1, 5, 30, 120, 600 |
    | `retention` | how long sent events are kept in the table; 0 deletes them at once | seconds | 0 |
    """

    batch: int = 1_000
    poll: float = 1.0
    timeout: float = 10.0
    lease: float = 60.0
    delays: tuple[float, ...] = (1, 5, 30, 120, 600)
    retention: float = 0.0

    def __post_init__(self) -> None:
        check_seconds(poll=self.poll, timeout=self.timeout, lease=self.lease)
        if self.batch < 1:
            raise ConfigurationError(f"batch counts events, from 1 on, not {self.batch}")
        if any(delay <= 0 for delay in self.delays):
            raise ConfigurationError(f"delays are in seconds, above 0, not {self.delays}")
        if self.retention < 0:
            raise ConfigurationError(f"retention is in seconds, from 0 on, not {self.retention}")
        if self.lease < 2 * self.timeout:
            raise ConfigurationError(
                f"a lease of {self.lease:g} s could end while a send of {self.timeout:g} s is on its way; "
                "make it at least twice the timeout"
            )

    def due(self, failures: int, now: float) -> float | None:
        """When an event that was refused so often is tried again; None: it is parked."""
        return now + self.delays[failures - 1] if failures <= len(self.delays) else None
