"""The application in the portal's frame, in a real browser: by keyboard and on a phone too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, BrowserContext, FrameLocator, Page, expect

from connector.calls.people import refresh
from tests.browsers import needs_browser, uncomplaining
from tests.emulators.bitrix24 import Bitrix24
from tests.emulators.bitrix24.frames import LIBRARY, STAND_IN
from tests.emulators.evrotel import Recordings
from tests.running import wait_for
from tests.served import Served

pytestmark = needs_browser
SHOTS = os.environ.get("SCREENSHOTS")
"""A folder: each page that a test has looked at is kept there, for eyes."""


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with uncomplaining(browser, viewport={"width": 1000, "height": 800}) as context:
        context.route(LIBRARY, lambda route: route.fulfill(body=STAND_IN, content_type="text/javascript"))
        yield context
        assert context.cookies() == []  # browsers keep none of a frame's


class Portal:
    """The portal's page with the application in its frame, as one of its users sees it."""

    def __init__(self, context: BrowserContext, served: Served) -> None:
        self.page: Page = context.new_page()
        self.served = served
        self.frame: FrameLocator = self.page.frame_locator("iframe")

    def open(self, door: str = "app", user_id: int = 1, **query: str) -> None:
        """Opens the application and waits until its page is there."""
        address = f"{self.served.url}/bitrix24/acme/{door}"
        self.page.goto(self.served.portal.page_of_application(address, user_id, **{"LANG": "en"} | query))
        self.frame.locator("#main").wait_for()

    def told(self) -> list[str]:
        """What the application's page told the portal by the library, in order."""
        names: list[str] = self.page.evaluate("window.told.map((each) => each[0])")
        return names

    def fits(self) -> bool:
        """Whether the frame is as high as the page in it, which therefore needs no bar of its own, in both ways."""
        room = (
            "[document.documentElement.scrollHeight - innerHeight, document.documentElement.scrollWidth - innerWidth]"
        )
        over: list[int] = self.frame.locator("html").evaluate(f"() => {room}")
        return max(over) <= 0

    def shot(self, name: str) -> None:
        if SHOTS:
            self.page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


@pytest.fixture
def portal_page(context: BrowserContext, served: Served) -> Portal:
    return Portal(context, served)


def play(served: Served, client: str, extension: str, recfile: str = "NULL", direction: str = "i") -> None:
    evrotel = served.transmitter()
    began = datetime.now(ZoneInfo("Europe/Kyiv")).strftime("%Y-%m-%d %H:%M:%S")
    parties = (client, extension) if direction == "i" else (extension, client)
    start = evrotel.start(*parties, direction, calldate=began)
    evrotel.end(start.callid, direction, billsec="42", disposition="ANSWERED", recfile=recfile)


def hire(served: Served, portal: Bitrix24, name: str, extension: str) -> None:
    """A new employee, whom the connector knows of already."""
    portal.add_user(7, name=name, inner_phone=extension)
    refresh(served.deployment, served.deployment.connections.get("acme"), timedelta(0), 5)


def test_an_installation_ends_in_install_finish_once_and_last(portal_page: Portal, portal: Bitrix24) -> None:
    portal.account.installed = False
    portal_page.open("install", LANG="ua")
    expect(portal_page.frame.get_by_role("status")).to_contain_text("Застосунок встановлено")
    wait_for(lambda: "installFinish" in portal_page.told())
    wait_for(portal_page.fits)
    portal_page.shot("installed")
    steps = portal_page.frame.get_by_role("listitem")
    expect(steps).to_have_count(6)
    portal_page.page.wait_for_timeout(300)
    assert portal_page.told().count("installFinish") == 1
    portal.install_finish()
    portal_page.open()  # the portal reloads the frame with the handler's page
    portal_page.page.wait_for_timeout(300)
    assert "installFinish" not in portal_page.told()


def test_an_installation_that_fails_says_what_to_do_and_does_not_finish(portal_page: Portal, portal: Bitrix24) -> None:
    portal.account.handlers.clear()
    portal.account.scopes.discard("telephony")
    portal_page.open("install")
    expect(portal_page.frame.get_by_role("alert")).to_be_visible()
    expect(portal_page.frame.get_by_text("Tick telephony").first).to_be_visible()
    wait_for(portal_page.fits)
    portal_page.shot("not-installed")
    assert "installFinish" not in portal_page.told()


def test_an_administrator_goes_through_all_pages_by_keyboard(
    portal_page: Portal, served: Served, portal: Bitrix24
) -> None:
    hire(served, portal, "Doubled", "101")
    play(served, "0501111111", "101")
    play(served, "0501111112", "555")
    portal_page.open()
    page, frame = portal_page.page, portal_page.frame
    expect(frame.get_by_role("row").filter(has_text="+380 50 111 1111")).to_be_visible()
    expect(frame.get_by_text("Calls named inner numbers that nobody has: 555")).to_be_visible()
    portal_page.shot("calls")
    settings = frame.get_by_role("button", name="Settings")
    frame.get_by_role("button", name="Calls", exact=True).focus()
    page.keyboard.press("Tab")
    expect(settings).to_be_focused()
    assert settings.evaluate("(button) => getComputedStyle(button).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(frame.get_by_text("Several employees have this number")).to_be_visible()
    wait_for(portal_page.fits)
    portal_page.shot("settings")
    due = frame.get_by_label("Call-back task, minutes")
    due.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("soon")
    page.keyboard.press("Enter")
    expect(frame.get_by_role("alert")).to_contain_text("Not saved")
    expect(due).to_have_attribute("aria-invalid", "true")
    portal_page.shot("settings-refused")
    due.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("30")
    page.keyboard.press("Enter")
    expect(frame.get_by_role("status")).to_have_text("The settings are saved.")
    assert served.deployment.connections.get("acme").get("missed_call_task") == "30"
    frame.get_by_role("button", name="Check").first.press("Enter")
    expect(frame.get_by_text("Way back from the CRM")).to_be_visible()
    wait_for(portal_page.fits)
    portal_page.shot("check")
    frame.get_by_role("button", name="Set up anew").press("Enter")
    expect(frame.get_by_role("heading", name="Set up anew")).to_be_visible()


def test_an_employee_hears_the_own_calls(
    portal_page: Portal, served: Served, portal: Bitrix24, recordings: Recordings
) -> None:
    recordings.add("/wav/1.wav")
    play(served, "0501111111", "101", "/wav/1.wav")
    play(served, "0502222222", "102")
    wait_for(lambda: [call for call in portal.calls if call.record])
    portal_page.open(user_id=2, LANG="ru")
    expect(portal_page.frame.get_by_text("+380 50 111 1111")).to_be_visible()
    assert portal_page.frame.get_by_text("+380 50 222 2222").count() == 0
    assert portal_page.frame.get_by_role("button").count() == 1
    player = portal_page.frame.locator("audio")
    assert player.evaluate(
        "(audio) => new Promise((done) => { audio.onloadedmetadata = () => done(audio.duration > 0); audio.load(); "
        "audio.preload = 'metadata'; audio.onerror = () => done(false) })"
    )
    wait_for(portal_page.fits)
    portal_page.shot("employee")


@pytest.mark.parametrize("width", [600, 360])
def test_nothing_is_wider_than_a_narrow_frame(
    portal_page: Portal, served: Served, portal: Bitrix24, width: int
) -> None:
    portal_page.page.set_viewport_size({"width": width, "height": 740})
    hire(served, portal, "Добринська-Кучеренко Олександра-Вікторія", "101")
    play(served, "0501111111", "101")
    play(served, "0501111112", "555")
    for button in ("Дзвінки", "Налаштування", "Перевірка"):
        portal_page.open(LANG="ua")
        if button != "Дзвінки":  # which is what it opens with
            portal_page.frame.get_by_role("button", name=button, exact=True).click()
        expect(portal_page.frame.locator(f"[aria-current=page]:text-is('{button}')")).to_be_visible()
        wait_for(portal_page.fits)
        portal_page.shot(f"{button}-{width}")


def test_the_call_card_shows_its_client_alone(portal_page: Portal, served: Served) -> None:
    play(served, "0501111111", "101")
    play(served, "0501111112", "101")
    portal_page.page.set_viewport_size({"width": 380, "height": 500})
    options = '{"CALL_ID": "x", "PHONE_NUMBER": "+380501111111"}'
    portal_page.open(user_id=2, PLACEMENT="CALL_CARD", PLACEMENT_OPTIONS=options)
    expect(portal_page.frame.get_by_text("+380 50 111 1111")).to_be_visible()
    assert portal_page.frame.get_by_text("+380 50 111 1112").count() == 0
    portal_page.shot("card")
