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
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import delete

from connector.deployment import Deployment
from connector.models import Connection, User
from connector.panel.signin import create_user, make_sign_in_link
from migrations import schema
from tests.browsers import needs_browser, uncomplaining
from tests.conftest import make_settings
from tests.connector.panel.rows import add_call, add_connection, add_delivery, add_event
from tests.running import free_port

ROOT = Path(__file__).parents[3]
pytestmark = needs_browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Deployment]]:
    """`connector web` as a process; its address, and its database from outside."""
    folder = tmp_path_factory.mktemp("web")
    settings = make_settings(f"sqlite:///{folder / 'connector.db'}", folder)
    deployment = Deployment(settings)
    schema.upgrade(deployment.database.engine)
    port = free_port()
    environment = os.environ | {
        "DATABASE_URL": settings.database_url,
        "SECRET_KEY": settings.secret_keys[0],
        "WEB_CONCURRENCY": "1",
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
