"""What every part of the suite has: its settings, and a stage for each test."""

from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import ClassVar

import pytest

from events_core.conformance.faults import Faults, Unsafe
from events_core.conformance.stage import Connect, Stage

__all__ = ["Scenarios"]


class Scenarios:
    """Settings and fixtures that the parts of the suite share."""

    pytestmark: ClassVar[list[pytest.MarkDecorator]] = [pytest.mark.anyio]

    patience: ClassVar[float] = 10.0
    """How many seconds a test waits for something that has to happen."""
    delays: ClassVar[tuple[float, float]] = (0.2, 0.6)
    """The retry ladder: two steps in seconds, ascending, as short as the broker can keep apart."""
    handover: ClassVar[float] = 1.0
    """Within how many seconds another process gets what a stopping one gives back."""
    lease: ClassVar[float] = 0.1
    """For how many seconds a process keeps what it holds without a sign of life; any where the broker has no lease."""
    known_gaps: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Tests that this adapter does not pass yet, each with the reason: one that passes after all fails the run."""

    @pytest.fixture
    def connect(self) -> Connect:
        """To be overridden: makes a new process's transport at each call."""
        raise NotImplementedError(
            "write a fixture `connect` that returns a callable without arguments: a new Transport"
        )

    @pytest.fixture
    def faults(self) -> Faults:
        """To be overridden: what can happen to that broker."""
        raise NotImplementedError("write a fixture `faults` that returns a `Faults` for the broker of `connect`")

    @pytest.fixture
    def unsafe(self) -> Unsafe | None:
        """To be overridden: a broker that would lose confirmed events; None only where there can be none."""
        raise NotImplementedError("write a fixture `unsafe` that returns an `Unsafe`, or None where there can be none")

    @pytest.fixture
    async def stage(self, connect: Connect, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
        """What a test plays on."""
        stage = Stage(connect, test=request.function.__name__, patience=self.patience, delays=self.delays)
        try:
            await stage.open()
            yield stage
        finally:
            await stage.close()

    @pytest.fixture(autouse=True)
    def gap(self, request: pytest.FixtureRequest) -> None:
        """Mark a known gap."""
        reason = self.known_gaps.get(request.function.__name__)
        if reason is not None:
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
