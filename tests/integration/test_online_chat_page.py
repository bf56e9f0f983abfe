"""The page of the chat, in a real browser."""

import re
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import TypeAlias

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

import brokers
from tests.integration.chat_server import ChatServer, pubsub

pytestmark = [pytest.mark.broker("chromium"), pytest.mark.broker("redis")]

Servers: TypeAlias = tuple[ChatServer, ChatServer]
Visit: TypeAlias = Callable[[ChatServer, str, str], Page]


@pytest.fixture(scope="module")
def two_servers(redis_broker: brokers.Redis) -> Generator[Servers]:
    """Two processes behind one Redis."""
    with ChatServer(pubsub(redis_broker)) as first, ChatServer(pubsub(redis_broker)) as second:
        yield first, second


@pytest.fixture(scope="module", params=["two servers on one Redis", "one server in memory"])
def servers(request: pytest.FixtureRequest, two_servers: Servers) -> Generator[Servers]:
    """Where the first and the second person go."""
    if request.param == "two servers on one Redis":
        yield two_servers
        return
    with ChatServer("memory://") as server:
        yield server, server


@pytest.fixture
def visit(chromium: Browser) -> Generator[Visit]:
    """Opens the page in a browser profile of its own, and joins with the keyboard alone."""
    with ExitStack() as open_pages:

        def join(server: ChatServer, name: str, room: str) -> Page:
            page = open_pages.enter_context(opened(chromium, server))
            page.keyboard.type(name)
            page.keyboard.press("Tab")
            page.keyboard.type(room)
            page.keyboard.press("Enter")
            expect(page.get_by_role("listitem")).to_have_text(["You joined"])
            return page

        yield join


@contextmanager
def opened(chromium: Browser, server: ChatServer) -> Generator[Page]:
    """The page; what it does must be no error to the browser."""
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # That a connection broke is the browser's own remark.
        if message.type == "error" and "WebSocket connection" not in message.text:
            errors.append(message.text)

    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        page.goto(server.url)
        yield page
    finally:
        context.close()
    assert errors == []


def say(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.keyboard.press("Enter")


def sees(page: Page, *lines: str) -> None:
    """These lines, and no other; the times of day aside."""
    expect(page.get_by_role("listitem")).to_have_text([re.compile(rf"^{line}$") for line in lines])


def said(name: str, text: str) -> str:
    return rf"{name}\s*\d\d:\d\d\s*{re.escape(text)}"


def without_limits(page: Page) -> None:
    """Take away what keeps a person from sending what the server refuses."""
    page.evaluate("for (const field of document.querySelectorAll('input')) { field.removeAttribute('maxlength') }")
    page.evaluate("for (const form of document.forms) { form.noValidate = true }")


def test_two_people_in_a_room_see_each_other_and_a_third_in_another_room_sees_nothing(
    servers: Servers, visit: Visit
) -> None:
    here, there = servers
    ada = visit(here, "Ada", "tea-room")
    cleo = visit(there, "Cleo", "library")
    ben = visit(there, "Ben", "tea-room")
    sees(ada, "You joined", "Ben joined")
    say(ada, "Hello Ben!")
    sees(ben, "You joined", said("Ada", "Hello Ben!"))
    say(ben, "Good morning, Ada.")
    sees(ada, "You joined", "Ben joined", said("Ada", "Hello Ben!"), said("Ben", "Good morning, Ada."))
    ben.get_by_role("button", name="Leave").click()
    expect(ben.get_by_role("heading")).to_have_text("Online chat")
    sees(ada, "You joined", "Ben joined", said("Ada", "Hello Ben!"), said("Ben", "Good morning, Ada."), "Ben left")
    # What was said before would have come before, on the server's one way to listen.
    say(cleo, "Is anybody here?")
    sees(cleo, "You joined", said("Cleo", "Is anybody here?"))


def test_whoever_closes_the_page_has_left(two_servers: Servers, visit: Visit) -> None:
    here, there = two_servers
    ada = visit(here, "Ada", "closing")
    ben = visit(there, "Ben", "closing")
    sees(ada, "You joined", "Ben joined")
    ben.close()
    sees(ada, "You joined", "Ben joined", "Ben left")


def test_an_invalid_message_is_answered_with_an_error_and_the_connection_lives(
    two_servers: Servers, visit: Visit
) -> None:
    ada = visit(two_servers[0], "Ada", "invalid")
    without_limits(ada)
    say(ada, "x" * 501)
    expect(ada.get_by_role("alert")).to_contain_text("A message has 1 to 500 characters")
    sees(ada, "You joined")
    say(ada, "Shorter, then.")
    sees(ada, "You joined", said("Ada", "Shorter, then."))
    expect(ada.get_by_role("alert")).to_have_count(0)


def test_who_cannot_be_let_in_stays_at_the_door_and_reads_why(chromium: Browser, two_servers: Servers) -> None:
    with opened(chromium, two_servers[0]) as page:
        without_limits(page)
        page.get_by_label("Your name").fill("A" * 31)
        page.get_by_role("button", name="Join").click()
        expect(page.get_by_role("alert")).to_contain_text("A name has 1 to 30 characters")
        page.get_by_label("Your name").fill("Ada")
        page.get_by_role("button", name="Join").click()
        expect(page.get_by_role("heading")).to_have_text("lobby")


def test_what_is_said_is_text_and_never_markup(two_servers: Servers, visit: Visit) -> None:
    words = "<img src=x onerror=alert(1)> <b>bold</b> & ☕"
    ada = visit(two_servers[0], "<i>Ada</i>", "markup")
    ben = visit(two_servers[1], "Ben", "markup")
    sees(ada, "You joined", "Ben joined")
    say(ada, words)
    sees(ben, "You joined", said("<i>Ada</i>", words))
    assert ben.locator("#log img, #log b b, #log i").count() == 0


def test_a_link_leads_into_the_room_under_the_name_it_says(chromium: Browser, two_servers: Servers) -> None:
    with opened(chromium, two_servers[0]) as page:
        page.goto(f"{two_servers[0].url}/?room=Linked&name=Ada")
        expect(page.get_by_role("heading")).to_have_text("linked")
        expect(page.get_by_role("status")).to_have_text("You are here as Ada")


def test_a_page_comes_back_by_itself_when_its_server_does(redis_broker: brokers.Redis, visit: Visit) -> None:
    with ChatServer(pubsub(redis_broker)) as first:
        ada = visit(first, "Ada", "restarted")
        first.kill()
        expect(ada.get_by_role("status")).to_have_text("Connection lost. Trying again …")
    with ChatServer(pubsub(redis_broker), first.port):
        expect(ada.get_by_role("status")).to_have_text("You are here as Ada")
        say(ada, "Back again.")
        sees(ada, "You joined", "You joined", said("Ada", "Back again."))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_a_page_needs_no_sideways_scrolling(chromium: Browser, two_servers: Servers, scheme: str, width: int) -> None:
    with opened(chromium, two_servers[0]) as page:
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.set_viewport_size({"width": width, "height": 600})
        page.goto(f"{two_servers[0].url}/?room=wide-{scheme}-{width}&name=Ada")
        say(page, "w" * 400)
        expect(page.get_by_role("listitem")).to_have_count(2)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        expect(page.get_by_role("button", name="Send")).to_be_in_viewport(ratio=1)
