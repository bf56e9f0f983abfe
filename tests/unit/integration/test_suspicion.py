import pytest

from events_core.integration import attributes
from events_core.integration.suspicion import Suspicion, convict, judge, mark
from events_core.ports import Delivery, Verdict, Wire


def delivery(starts: int, charged: str | None = None) -> Delivery:
    headers = {} if charged is None else {attributes.SUSPECT: charged}
    return Delivery(Wire(headers, b"{}"), "memory:1", starts, "lane", None)


@pytest.mark.parametrize(
    ("limit", "starts", "charged", "expected"),
    [
        (10, 0, None, Suspicion.NONE),
        (10, 1, None, Suspicion.NONE),
        (10, 5, None, Suspicion.NONE),
        (10, 6, None, Suspicion.SUSPECT),
        (10, 99, None, Suspicion.SUSPECT),
        (10, 1, "5", Suspicion.WATCHED),
        (10, 5, "5", Suspicion.WATCHED),
        (10, 6, "5", Suspicion.GUILTY),
        (10, 0, "5", Suspicion.WATCHED),
        (1, 1, None, Suspicion.NONE),
        (1, 2, None, Suspicion.SUSPECT),
        (1, 1, "0", Suspicion.WATCHED),
        (1, 2, "0", Suspicion.GUILTY),
        (10, 1, "a stranger's", Suspicion.WATCHED),
    ],
)
def test_only_what_was_handed_out_alone_convicts(
    limit: int, starts: int, charged: str | None, expected: Suspicion
) -> None:
    assert judge(delivery(starts, charged), limit) is expected


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
def test_a_marked_delivery_is_not_convicted_before_it_is_started_once_more(limit: int) -> None:
    headers = mark(delivery(9), limit).headers or {}
    assert judge(delivery(1, headers[attributes.SUSPECT]), limit) is Suspicion.WATCHED


def test_a_convict_is_a_dead_letter_that_says_why() -> None:
    settlement = convict(delivery(9, "5"), 10, "c.t", 1000.0)
    headers = settlement.headers or {}
    assert settlement.verdict is Verdict.DEAD_LETTER
    assert (headers["id"], headers[attributes.REASON]) == ("memory:1", "crash-loop")
    assert headers[attributes.ORIGIN] == "c.t"
    assert attributes.SUSPECT not in headers
