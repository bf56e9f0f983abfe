"""The port is small: whoever writes an adapter writes these ten members."""

from events_core.ports import Feed, Transport


def members(protocol: type) -> set[str]:
    annotated: dict[str, object] = vars(protocol).get("__annotations__", {})
    return {name for name in (*vars(protocol), *annotated) if not name.startswith("_")}


def test_a_transport_has_six_members() -> None:
    assert members(Transport) == {"capabilities", "open", "close", "publish", "subscribe", "remove"}


def test_a_feed_has_four_members() -> None:
    assert members(Feed) == {"receive", "settle", "lag", "stop"}
