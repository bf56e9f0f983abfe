"""Whether a Redis keeps what it confirmed."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from events_core.errors import BrokerSetupError, UnsafeBroker
from events_redis.line import Line

__all__ = ["check"]

_SAFE: Final[Mapping[str, str]] = MappingProxyType(
    {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
)
_UNKNOWN: Final = "not shown to this user (CONFIG GET)"
_OLDEST: Final = 7
_VERSION: Final = "redis_version:"


async def check(line: Line, accepted: frozenset[str]) -> None:
    """Refuse a Redis that may lose confirmed events, unless it was accepted by name.

    Raises:
        BrokerSetupError: `UnsafeBroker` names the settings to change; others say what else is wrong.
        NotConnected: it does not answer.
    """
    await _check_version(line)
    found = await _settings(line)
    unsafe = [name for name, value in _SAFE.items() if name not in accepted and found[name] != value]
    if unsafe:
        said = ", ".join(f"{name} is {found[name]}, it has to be {_SAFE[name]}" for name in unsafe)
        raise UnsafeBroker(f'Redis may lose events that it confirmed: {said}; or accept="{",".join(unsafe)}"')


async def _check_version(line: Line) -> None:
    try:
        said = await line.ask("INFO", "server")
    except BrokerSetupError:
        # What does not tell its version may still be new enough; the first script finds out.
        return
    lines = said.decode().splitlines()
    version = next((each.removeprefix(_VERSION) for each in lines if each.startswith(_VERSION)), "")
    major = version.partition(".")[0]
    if major.isdecimal() and int(major) < _OLDEST:
        raise BrokerSetupError(f"this Redis is {version}; upgrade it to 7.0 or later")


async def _settings(line: Line) -> Mapping[str, str]:
    try:
        told = [each.decode() for each in await line.ask("CONFIG", "GET", *_SAFE)]
    except BrokerSetupError:
        # Managed services forbid it.
        told = []
    return dict.fromkeys(_SAFE, _UNKNOWN) | dict(zip(told[::2], told[1::2], strict=True))
