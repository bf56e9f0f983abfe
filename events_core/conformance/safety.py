"""C13: a broker that would lose what it confirmed."""

import pytest

from events_core.conformance.faults import Unsafe
from events_core.conformance.scenarios import Scenarios
from events_core.conformance.stage import Stage
from events_core.errors import BrokerSetupError
from events_core.integration import Registration

__all__ = ["Safety"]


class Safety(Scenarios):
    """C13."""

    async def test_what_would_lose_confirmed_events_is_refused_with_what_to_change(
        self, stage: Stage, unsafe: Unsafe | None
    ) -> None:
        if unsafe is None:
            assert await _starts_ready(stage)
            return
        bus = stage.over(await unsafe.connect("first", stage.topic), Registration(stage.recorder(), stage.topic))
        with pytest.raises(BrokerSetupError) as refusal:
            await bus.startup(self.patience)
        assert unsafe.setting in str(refusal.value)

    async def test_a_safe_broker_is_accepted(self, stage: Stage) -> None:
        assert await _starts_ready(stage)


async def _starts_ready(stage: Stage) -> bool:
    health = await (await stage.consume(stage.recorder())).bus.health()
    return health.ready and not health.alerts
