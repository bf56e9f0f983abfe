"""What the codec and the envelope cost beside bare msgspec, on the same event of about 300 bytes.

Run it on a quiet machine: `python benchmarks/codec.py`. Every round measures all variants one after another, so that
what slows the machine for a moment slows them all; the medians of the rounds are compared.
"""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import median
from timeit import repeat
from typing import Final
from uuid import UUID

import msgspec

from events_core.messages import Decoders, IntegrationEvent, JsonCodec, Sealer, from_headers, to_headers

ROUNDS: Final = 15
NUMBER: Final = 10_000
BODY_LIMIT: Final = 1.25
ENVELOPE_LIMIT: Final = 3.5
ENVELOPE_MICROSECONDS: Final = 4.5


class Bare(msgspec.Struct, frozen=True):
    user_id: UUID
    email: str
    name: str
    registered_at: datetime
    plan: str
    tags: list[str]
    invited_by: str | None
    logins: int
    score: int


class UserRegistered(IntegrationEvent):
    type = "users.user_registered"
    version = 1
    user_id: UUID
    email: str
    name: str
    registered_at: datetime
    plan: str
    tags: list[str]
    invited_by: str | None
    logins: int
    score: int


class UserRegisteredByEmail(UserRegistered, key="email"):
    type = "users.user_registered_by_email"
    version = 1


class UserRated(UserRegistered):
    type = "users.user_rated"
    version = 1
    rating: float = 0.8731


VALUES: Final = {
    "user_id": UUID("6f1c1c8e-8a0b-4d3e-9a57-0d9c1b7f3c11"),
    "email": "margaret.hamilton@example.com",
    "name": "Margaret Hamilton",
    "registered_at": datetime(2026, 11, 21, 12, 34, 56, 789012, tzinfo=UTC),
    "plan": "professional, paid yearly",
    "tags": ["beta", "newsletter", "partner", "early-adopter"],
    "invited_by": None,
    "logins": 42,
    "score": 8731,
}


def bare() -> Callable[[], object]:
    encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(Bare).decode
    event = msgspec.convert(VALUES, Bare)
    return lambda: decode(encode(event))


def body(cls: type[IntegrationEvent]) -> Callable[[], object]:
    codec = JsonCodec()
    encode, decode = codec.encode, codec.decoder(cls)
    event = msgspec.convert(VALUES, cls)
    return lambda: decode(encode(event))


def dispatched(cls: type[IntegrationEvent]) -> Callable[[], object]:
    codec = JsonCodec()
    encode, decode = codec.encode, Decoders(codec, [cls]).decode
    event = msgspec.convert(VALUES, cls)
    return lambda: decode(cls.type, cls.version, encode(event))


def envelope(cls: type[IntegrationEvent], headers: dict[str, str] | None = None) -> Callable[[], object]:
    codec = JsonCodec()
    decode = Decoders(codec, [cls]).decode
    event = msgspec.convert(VALUES, cls)
    seal = Sealer(codec, "users-service").seal
    urandom, now = os.urandom, time.time

    def travel() -> object:
        sent = seal(event, id=urandom(16).hex(), time=now(), headers=headers)
        got = from_headers(to_headers(sent), sent.body, codec=codec, fallback_id="")
        return decode(got.type, got.version, got.body)

    return travel


def main() -> None:
    trace = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    variants = {
        "bare msgspec": bare(),
        "body: the codec": body(UserRegistered),
        "envelope: id, time, headers": envelope(UserRegistered),
        "body with a float": body(UserRated),
        "body through the decoders": dispatched(UserRegistered),
        "envelope with a key": envelope(UserRegisteredByEmail),
        "envelope with key and traceparent": envelope(UserRegisteredByEmail, trace),
    }
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(ROUNDS):
        for name, run in variants.items():
            times[name].append(min(repeat(run, number=NUMBER, repeat=1)) / NUMBER * 1e6)
    medians = {name: median(values) for name, values in times.items()}
    first = medians["bare msgspec"]
    print(f"{len(JsonCodec().encode(msgspec.convert(VALUES, UserRegistered)))} bytes; encode and decode, µs each")
    for name, value in medians.items():
        print(f"{name:36} {value:6.2f} {value / first:6.2f}x")
    _, body_name, envelope_name, *_ = medians
    print(f"body at most {BODY_LIMIT}x: {'kept' if medians[body_name] / first <= BODY_LIMIT else 'BROKEN'}")
    kept = medians[envelope_name] / first <= ENVELOPE_LIMIT and medians[envelope_name] <= ENVELOPE_MICROSECONDS
    print(f"envelope at most {ENVELOPE_LIMIT}x and {ENVELOPE_MICROSECONDS} µs: {'kept' if kept else 'BROKEN'}")


if __name__ == "__main__":
    main()
