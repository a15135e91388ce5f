"""The panel in a real browser: sign-in, the live list, the keyboard, narrow frames."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Locator, Page, expect
from sqlalchemy import delete

from connector.deployment import Deployment
from connector.models import Connection, User
from connector.panel.signin import create_user, make_sign_in_link
from connector.recordings.listening import plays_of
from tests.browsers import needs_browser, uncomplaining
from tests.conftest import make_settings, migrate
from tests.connector.panel.rows import add_call, add_connection, add_delivery, add_event
from tests.connector.panel.test_recordings import add_recording
from tests.connector.recordings.doors import fetch_due
from tests.emulators.evrotel import Recordings, wav
from tests.running import free_port, wait_for

ROOT = Path(__file__).parents[3]
pytestmark = needs_browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Deployment]]:
    """`connector web` as a process; its address, and its database from outside."""
    folder = tmp_path_factory.mktemp("web")
    settings = make_settings(f"sqlite:///{folder / 'connector.db'}", folder)
    deployment = Deployment(settings)
    migrate(deployment.database.engine)
    port = free_port()
    environment = os.environ | {
        "DATABASE_URL": settings.database_url,
        "SECRET_KEY": settings.secret_keys[0],
        "WEB_CONCURRENCY": "1",
        "RECORDINGS_URL": folder.as_uri(),
    }
    command = [sys.executable, "-m", "connector", "web", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as process:
        _wait_until_it_answers(port)
        yield f"http://127.0.0.1:{port}", deployment
        process.kill()
    deployment.database.dispose()


def _wait_until_it_answers(port: int) -> None:
    for _ in range(100):
        try:
            if requests.get(f"http://127.0.0.1:{port}/sign-in", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise AssertionError("the web server did not start")


@pytest.fixture
def site(server: tuple[str, Deployment]) -> tuple[str, Deployment]:
    """The server with nothing in its database."""
    with server[1].database.write() as db:
        db.execute(delete(User))
        db.execute(delete(Connection))
    return server


@pytest.fixture
def page(browser: Browser, site: tuple[str, Deployment]) -> Iterator[Page]:
    """A page in English that must not report an error or a breach of the policy."""
    with uncomplaining(browser, locale="en-GB", viewport={"width": 600, "height": 800}) as context:
        yield context.new_page()


def sign_in(page: Page, address: str, deployment: Deployment) -> None:
    user_id = create_user(deployment.database, "Oksana", "admin")
    page.goto(f"{address}/sign-in/{make_sign_in_link(deployment.database, user_id)}")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Later").click()
    page.wait_for_url(f"{address}/")


def test_by_keyboard_from_the_link_to_a_password(page: Page, site: tuple[str, Deployment]) -> None:
    address, deployment = site
    user_id = create_user(deployment.database, "Oksana", "admin")
    page.goto(f"{address}/sign-in/{make_sign_in_link(deployment.database, user_id)}")
    expect(page.get_by_role("button", name="Sign in")).to_be_focused()  # some moments after the page's load
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/password")
    page.get_by_label("New password").focus()
    page.keyboard.type("correct horse battery")
    page.keyboard.press("Tab")
    page.keyboard.type("correct horse battery")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip-link"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('header')") is None

    menu = page.locator("details.menu summary")
    menu.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert page.evaluate("document.querySelector('details.menu').open") is False
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Sign out everywhere").press("Enter")
    page.wait_for_url(f"{address}/sign-in")
    page.get_by_label("Name").fill("Oksana")
    page.get_by_label("Password").fill("correct horse battery")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/")


def test_a_call_appears_and_ends_by_itself(page: Page, site: tuple[str, Deployment]) -> None:
    address, deployment = site
    shop = add_connection(deployment)
    sign_in(page, address, deployment)
    page.get_by_text("Live", exact=True).wait_for()
    call = add_call(deployment.database, shop.id, state="open", disposition=None, billsec=None)
    toast = page.locator(".toast-call")
    toast.wait_for()
    assert "Incoming call" in toast.inner_text()
    assert "+380 98 785 8227" in toast.inner_text()
    row = page.locator(f"tr[data-call='{call}']")
    assert "In progress" in row.inner_text()
    add_call(deployment.database, shop.id, direction="outgoing", client_number="+380501112233")
    page.get_by_text("+380 50 111 2233").wait_for()
    assert toast.count() == 1  # only an incoming call that rings pops up
    toast.get_by_role("button", name="Close").click()
    assert toast.count() == 0


def test_where_streams_are_full_the_page_asks_instead(page: Page, site: tuple[str, Deployment]) -> None:
    address, deployment = site
    page.route("**/live/calls", lambda route: route.fulfill(status=204))  # ends an event stream for good, as 503 does
    add_connection(deployment)
    sign_in(page, address, deployment)
    page.get_by_text("Updated every 10 seconds").wait_for()


def test_what_strangers_sent_runs_nowhere(page: Page, site: tuple[str, Deployment]) -> None:
    address, deployment = site
    shop = add_connection(deployment)
    evil = "<img src=x onerror=window.owned=1>"
    call = add_call(deployment.database, shop.id, client_number=evil, callid=evil, note=evil, state="open")
    add_delivery(deployment.database, shop.id, call, error=evil)
    add_event(deployment.database, shop.id, evil.encode(), reason=evil, call_id=call)
    sign_in(page, address, deployment)
    add_call(deployment.database, shop.id, client_number=evil, state="open", disposition=None)
    page.locator(".toast-call").wait_for()
    for path in ("/", f"/calls/{call}", "/deliveries", "/events"):
        page.goto(address + path)
        assert page.evaluate("window.owned") is None
        assert page.locator("main img").count() == 0


@pytest.mark.parametrize("width", [600, 360])
def test_no_page_is_wider_than_its_frame(page: Page, site: tuple[str, Deployment], width: int) -> None:
    address, deployment = site
    page.set_viewport_size({"width": width, "height": 740})
    shop = add_connection(deployment, "a-connection-with-quite-a-long-name", evrotel_billcode="20558")
    call = add_call(deployment.database, shop.id, callid="x" * 200)
    add_delivery(deployment.database, shop.id, call, error="unbroken" * 40)
    add_event(deployment.database, shop.id, b"y" * 500, reason="unbroken" * 40)
    sign_in(page, address, deployment)
    named = f"/connections/{shop.name}"
    for path in ("/", f"/calls/{call}", "/deliveries", "/events", "/connections", named, f"{named}/settings"):
        page.goto(address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_a_confirmation_stands_before_giving_up(page: Page, site: tuple[str, Deployment]) -> None:
    address, deployment = site
    shop = add_connection(deployment)
    add_delivery(deployment.database, shop.id, add_call(deployment.database, shop.id))
    sign_in(page, address, deployment)
    page.goto(f"{address}/deliveries")
    page.get_by_role("button", name="Choose all").click()
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Give up").click()
    assert page.get_by_role("checkbox").is_checked()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Give up").click()
    page.get_by_text("1 delivery was given up.").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_devices_mode(browser: Browser, site: tuple[str, Deployment], scheme: str) -> None:
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    page.goto(f"{site[0]}/sign-in")
    assert page.evaluate("document.documentElement.dataset.bsTheme") == scheme
    context.close()


def test_a_recording_is_played_sought_and_sped_up_by_keyboard(page: Page, site: tuple[str, Deployment]) -> None:
    address, deployment = site
    with Recordings() as host:
        host.add("/wav/1.wav", wav(seconds=90.0))
        shop = add_connection(deployment, evrotel_recordings_url=host.url)
        call = add_recording(deployment, shop)
        fetch_due(deployment)
    sign_in(page, address, deployment)
    page.goto(f"{address}/calls/{call}")
    player = page.get_by_role("group", name="Recording of the call")
    audio = page.locator("audio")
    assert list(plays_of(deployment.database, call)) == []  # a page that is looked at is no listening
    expect(player.locator("output")).to_have_text("0:00 / 1:30")
    _picture(page, "player")

    player.get_by_role("button", name="Play").press("Enter")
    _wait(audio, "currentTime > 0.2")
    assert [(play.listener, play.way) for play in plays_of(deployment.database, call)] == [("Oksana", "panel")]
    place = player.get_by_role("slider", name="Position")
    place.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    _wait(audio, "currentTime > 15")
    page.keyboard.press("End")
    _wait(audio, "currentTime > 89")
    page.keyboard.press("Home")
    _wait(audio, "currentTime < 5")
    assert "of 1:30" in str(place.get_attribute("aria-valuetext"))
    player.get_by_label("Speed").select_option("2")
    assert audio.evaluate("(audio) => audio.playbackRate") == 2
    page.keyboard.press("Tab")
    place.focus()
    page.keyboard.press(" ")
    if not audio.evaluate("(audio) => audio.paused"):
        page.keyboard.press(" ")
    _wait(audio, "paused")
    page.reload()
    expect(player.get_by_label("Speed")).to_have_value("2")

    with page.expect_download() as download:
        player.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename.endswith("+380..8227.wav")
    assert Path(download.value.path()).read_bytes() == wav(seconds=90.0)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    _picture(page, "player-narrow")


def _wait(audio: Locator, condition: str) -> None:
    """Until the player is so; asked from here, since the page's policy lets nobody evaluate texts in it."""
    wait_for(lambda: audio.evaluate(f"(audio) => audio.{condition}"))


def _picture(page: Page, name: str) -> None:
    """For whoever looks at it: SCREENSHOTS names a folder."""
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)
